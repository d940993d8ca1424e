import { createLazySink } from '../../shared/telemetry/lazy.ts';
import { createReporter } from '../../shared/telemetry/reporter.ts';
import { isSampled, readTraceparent, type TelemetrySink } from '../../shared/telemetry/telemetry.ts';

const TRACE = '0af7651916cd43dd8448eb211c80319c';

function recording() {
  const told: [string, unknown][] = [];
  const sink: TelemetrySink = {
    event: (name, fields, trace) => told.push([name, { ...fields, trace: trace?.traceId }]),
    metric: (name, value, dimensions) => told.push([name, { value, ...dimensions }]),
    call: (call) => told.push(['call', call]),
    flush: () => Promise.resolve(),
  };
  const all = (name: string) => told.filter(([each]) => each === name).map(([, what]) => what);
  return { sink, told, all };
}

/** `00000000` is sampled at any share, `ffffffff` only at all of them. */
const traceparent = (end: '00000000' | 'ffffffff') => `00-${TRACE.slice(0, 24)}${end}-00f067aa0ba902b7-01`;

describe('A trace', () => {
  it.each([
    [`00-${TRACE}-00f067aa0ba902b7-01`, { traceId: TRACE, spanId: '00f067aa0ba902b7' }],
    [`cc-${TRACE}-00f067aa0ba902b7-00-what-the-future-adds`, { traceId: TRACE, spanId: '00f067aa0ba902b7' }],
    [`00-${'0'.repeat(32)}-00f067aa0ba902b7-01`, null],
    [`00-${TRACE}-${'0'.repeat(16)}-01`, null],
    [`00-${TRACE.toUpperCase()}-00f067aa0ba902b7-01`, null],
    ['', null],
    [undefined, null],
  ])('is read from %j', (text, trace) => expect(readTraceparent(text)).toEqual(trace));

  it('is sampled by its id alone, about as often as asked for', () => {
    const ids = Array.from({ length: 1000 }, (_, i) =>
      ((i * 0x9e3779b1) >>> 0).toString(16).padStart(32, '0'),
    );
    const kept = ids.filter((id) => isSampled(id, 10)).length;
    expect(kept).toBeGreaterThan(80);
    expect(kept).toBeLessThan(120);
    expect(ids.every((id) => isSampled(id, 100))).toBe(true);
    expect(ids.filter((id) => isSampled(id, 10)).every((id) => isSampled(id, 50))).toBe(true);
  });
});

describe('The reporter', () => {
  const call = (status: number) => () =>
    Promise.resolve({ code: status, headers: { 'x-ms-request-charge': '5.5' } });
  const work = async (percent: number, end: '00000000' | 'ffffffff', status: number) => {
    const { sink, all } = recording();
    const reporter = createReporter(sink, percent);
    await reporter.request('Sync', traceparent(end), async () => {
      await reporter.cosmos('batch docs', 'host', call(status));
      reporter.refused('unavailable', status);
      return { status };
    });
    return all;
  };

  it('keeps errors of traces that are not sampled, and the sums of all', async () => {
    const all = await work(1, 'ffffffff', 503);
    expect(all('call')).toMatchObject([{ status: 503, weight: 1 }]);
    expect(all('RequestRefused')).toMatchObject([{ code: 'unavailable', weight: 1 }]);
    const quiet = await work(1, 'ffffffff', 200);
    expect(quiet('call')).toEqual([]);
    for (const told of [all, quiet]) {
      expect(told('tidemark.requests')).toHaveLength(1);
      expect(told('tidemark.cosmos.request_units')).toEqual([{ value: 5.5, call: 'batch docs' }]);
    }
  });

  it('says for how many a sampled one stands', async () => {
    const all = await work(5, '00000000', 200);
    expect(all('call')).toMatchObject([{ status: 200, weight: 20 }]);
  });

  it('does not let refused callers decide what telemetry costs', async () => {
    expect((await work(5, 'ffffffff', 401))('RequestRefused')).toEqual([]);
  });

  it('hands each call to Cosmos DB the trace of the request, with a span of its own', async () => {
    const { sink, all } = recording();
    const reporter = createReporter(sink, 100);
    const sent: (string | null)[] = [];
    const send = (header: string | null) => {
      sent.push(header);
      return call(429)();
    };
    await reporter.request('Sync', `00-${TRACE}-00f067aa0ba902b7-01`, async () => {
      await Promise.all([reporter.cosmos('a', 'host', send), reporter.cosmos('b', 'host', send)]);
      return {};
    });
    const calls = all('call') as { spanId: string }[];
    expect(sent).toEqual(calls.map(({ spanId }) => `00-${TRACE}-${spanId}-01`));
    expect(new Set(sent).size).toBe(2);
    expect(calls).toMatchObject([{ traceId: TRACE, parentSpanId: '00f067aa0ba902b7' }, {}]);
    expect(all('tidemark.cosmos.throttled')).toHaveLength(2);
  });

  it('tells of a call that threw, and passes the error on', async () => {
    const { sink, all } = recording();
    const reporter = createReporter(sink, 100);
    const error = Object.assign(new Error('no'), { code: 412 });
    await expect(reporter.cosmos('a', 'host', () => Promise.reject(error))).rejects.toBe(error);
    expect(all('tidemark.cosmos.requests')).toEqual([{ value: 1, call: 'a', status: 412 }]);
  });

  it('does nothing without a sink', async () => {
    const reporter = createReporter(null, 100);
    const sent: (string | null)[] = [];
    await reporter.cosmos('a', 'host', (header) => {
      sent.push(header);
      return call(200)();
    });
    expect(sent).toEqual([null]);
  });
});

describe('While the library is being loaded', () => {
  it('what is told waits for it, so much and no more', async () => {
    const { sink, all } = recording();
    let loaded: (real: TelemetrySink) => void = () => undefined;
    const lazy = createLazySink(
      () => new Promise((resolve) => (loaded = resolve)),
      () => undefined,
    );
    for (let i = 0; i < 1500; i += 1) lazy.metric('tidemark.requests', i, {});
    loaded(sink);
    await lazy.flush();
    lazy.metric('tidemark.requests', -1, {});
    const values = all('tidemark.requests').map((each) => (each as { value: number }).value);
    expect(values).toEqual([...Array.from({ length: 1000 }, (_, i) => i), -1]);
  });

  it('a failure is told once, and the app goes on', async () => {
    const failures: unknown[] = [];
    const lazy = createLazySink(
      () => Promise.reject(new Error('no such file')),
      (error) => failures.push(error),
    );
    await lazy.flush();
    lazy.metric('tidemark.requests', 1, {});
    expect(failures).toHaveLength(1);
  });
});
