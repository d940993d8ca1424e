import { gunzipSync } from 'node:zlib';
import { CachedTokenProvider, HttpTokenProvider, TidemarkError } from '../../../client/src/index.ts';
import { callService, readRetryAfter } from '../../../client/src/net/http.ts';
import { CircuitBreaker, RETRY, withRetry } from '../../../client/src/net/retry.ts';
import { thisRuntime, type Runtime } from '../../../client/src/runtime.ts';

const NOW = Date.parse('2026-11-22T10:00:00.000Z');
const never = new AbortController().signal;
const JSON_TYPE = { 'content-type': 'application/json' };

/** Waits take no time, and are written down. */
function runtimeWith(answer: (request: Request) => Response | Promise<Response>) {
  const waits: number[] = [];
  const sent: Request[] = [];
  const runtime: Runtime = thisRuntime({
    now: () => NOW,
    random: () => 0.5,
    setTimer: (callback, milliseconds) => {
      if (milliseconds < 60_000) {
        waits.push(milliseconds);
        queueMicrotask(callback);
      }
      return () => undefined;
    },
    fetch: async (...args: Parameters<typeof fetch>) => {
      const request = new Request(...args);
      sent.push(request);
      return answer(request);
    },
  });
  return { runtime, waits, sent };
}

const OPTIONS = { timeout: 60_000, compressAbove: 1_000 };
const URL = 'http://service.test/api/sync';

describe('a call of the service', () => {
  it('replaces a token that is refused, once', async () => {
    const asked: boolean[] = [];
    const token = {
      getToken: ({ refresh = false } = {}) => {
        asked.push(refresh);
        return Promise.resolve({ token: refresh ? 'new' : 'old' });
      },
    };
    const fine = runtimeWith((request) =>
      request.headers.get('authorization') === 'Bearer new'
        ? Response.json({ ok: true })
        : Response.json({ code: 'token_expired' }, { status: 401, headers: JSON_TYPE }),
    );
    const answer = await callService(URL, {}, token, OPTIONS, fine.runtime, never);
    expect(answer).toMatchObject({ body: { ok: true }, requests: 2 });
    const refusing = runtimeWith(() =>
      Response.json({ code: 'token_expired', title: 'Too old' }, { status: 401 }),
    );
    await expect(callService(URL, {}, token, OPTIONS, refusing.runtime, never)).rejects.toMatchObject({
      code: 'token_expired',
      status: 401,
      retryable: false,
    });
    expect(asked).toEqual([false, true, false, true]);
    expect(refusing.sent).toHaveLength(2);
  });

  it('compresses what is large, in one piece', async () => {
    const { runtime, sent } = runtimeWith(() => Response.json({}));
    const token = { getToken: () => Promise.resolve({ token: 't' }) };
    const text = 'tide '.repeat(2_000);
    const { bytesSent } = await callService(URL, { text }, token, OPTIONS, runtime, never);
    const [request] = sent;
    expect(request!.headers.get('content-encoding')).toBe('gzip');
    const bytes = Buffer.from(await request!.arrayBuffer());
    expect(bytes.length).toBe(bytesSent);
    expect(JSON.parse(gunzipSync(bytes).toString())).toEqual({ text });
    await callService(URL, { text: 'short' }, token, OPTIONS, runtime, never);
    expect(sent[1]!.headers.get('content-encoding')).toBeNull();
  });

  it.each([
    [
      'a sign-in page of a network',
      () => new Response('<html>', { headers: { 'content-type': 'text/html' } }),
      'not_the_service',
      false,
    ],
    ["a proxy's error page", () => new Response('bad gateway', { status: 502 }), 'offline', true],
    [
      'a service that is busy',
      () => Response.json({ code: 'unavailable' }, { status: 503 }),
      'unavailable',
      true,
    ],
    ['no network', () => Promise.reject(new TypeError('fetch failed')), 'offline', true],
  ])('tells %s', async (_what, answer, code, retryable) => {
    const { runtime } = runtimeWith(answer);
    const token = { getToken: () => Promise.resolve({ token: 't' }) };
    await expect(callService(URL, {}, token, OPTIONS, runtime, never)).rejects.toMatchObject({
      code,
      retryable,
    });
  });

  it('reads Retry-After in seconds and as a date', () => {
    expect(readRetryAfter('3', NOW)).toBe(3_000);
    expect(readRetryAfter('Sun, 22 Nov 2026 10:00:05 GMT', NOW)).toBe(5_000);
    expect(readRetryAfter('Sun, 22 Nov 2026 09:00:00 GMT', NOW)).toBe(0);
    expect(readRetryAfter('soon', NOW)).toBeNull();
    expect(readRetryAfter(null, NOW)).toBeNull();
  });
});

describe('what may be tried again', () => {
  const failing = (retryAfter: number | null = null) => {
    let calls = 0;
    const work = () => {
      calls += 1;
      return Promise.reject(new TidemarkError('unavailable', 'busy', { retryable: true, retryAfter }));
    };
    return { work, calls: () => calls };
  };

  it('is, with doubled waits under full jitter', async () => {
    const { runtime, waits } = runtimeWith(() => new Response());
    const { work, calls } = failing();
    await expect(withRetry(work, RETRY, runtime, never)).rejects.toThrow('busy');
    expect([calls(), waits]).toEqual([4, [250, 500, 1_000]]);
  });

  it('waits as long as the service asks, and not for hours', async () => {
    const { runtime, waits } = runtimeWith(() => new Response());
    await expect(withRetry(failing(5_000).work, RETRY, runtime, never)).rejects.toThrow();
    expect(waits[0]).toBe(5_250);
    const long = failing(3_600_000);
    await expect(withRetry(long.work, RETRY, runtime, never)).rejects.toThrow();
    expect(long.calls()).toBe(1);
  });

  it('ends with the signal while it waits', async () => {
    const runtime = thisRuntime({ setTimer: () => () => undefined, random: () => 1 });
    const ending = new AbortController();
    const waiting = withRetry(failing().work, RETRY, runtime, ending.signal);
    ending.abort(new Error('enough'));
    await expect(waiting).rejects.toThrow('enough');
  });

  it('is left alone for a while after too many failures, and longer when it fails again', () => {
    const breaker = new CircuitBreaker({ threshold: 2, cooldown: 100, maxCooldown: 300 });
    breaker.failed(0, null);
    expect(breaker.wait(0)).toBe(0);
    breaker.failed(0, null);
    expect([breaker.wait(0), breaker.wait(100)]).toEqual([100, 0]);
    breaker.failed(100, null);
    expect(breaker.wait(100)).toBe(200);
    breaker.failed(300, null);
    expect(breaker.wait(300)).toBe(300);
    breaker.succeeded();
    breaker.failed(700, 50);
    expect(breaker.wait(700)).toBe(50);
  });
});

describe('kept tokens', () => {
  const inner = () => {
    let minted = 0;
    let give: () => void = () => undefined;
    const given = new Promise<void>((resolve) => (give = resolve));
    return {
      provider: {
        getToken: async () => {
          minted += 1;
          const number = minted;
          await given;
          return {
            token: `t${number}`,
            refreshAfter: new Date(NOW + 800_000).toISOString(),
            expiresAt: new Date(NOW + 1_000_000).toISOString(),
          };
        },
      },
      give: () => give(),
      minted: () => minted,
    };
  };

  it('cost one request for many callers, one more ahead of their end, and outlive the app where they may', async () => {
    let now = NOW;
    let saved: string | null = null;
    const storage = {
      load: () => Promise.resolve(saved),
      save: (text: string | null) => {
        saved = text;
        return Promise.resolve();
      },
    };
    const { provider, give, minted } = inner();
    const cache = new CachedTokenProvider(provider, { now: () => now, storage });
    const both = Promise.all([cache.getToken(), cache.getToken()]);
    give();
    expect((await both).map(({ token }) => token)).toEqual(['t1', 't1']);
    expect(minted()).toBe(1);

    const restarted = new CachedTokenProvider(provider, { now: () => now, storage });
    expect((await restarted.getToken()).token).toBe('t1');
    now += 900_000;
    // Still good: nobody waits for the next one.
    expect((await restarted.getToken()).token).toBe('t1');
    await new Promise((resolve) => setImmediate(resolve));
    expect((await restarted.getToken()).token).toBe('t2');
    expect((await restarted.getToken({ refresh: true })).token).toBe('t3');
    await restarted.clear();
    expect(saved).toBeNull();
  });

  it('of one user are not kept for the next, though they were asked for before', async () => {
    const { provider, give } = inner();
    const cache = new CachedTokenProvider(provider, { now: () => NOW });
    const old = cache.getToken();
    await new Promise((resolve) => setImmediate(resolve));
    await cache.clear();
    give();
    expect((await old).token).toBe('t1');
    expect((await cache.getToken()).token).toBe('t2');
  });
});

it('a resource token is asked for with the JWT, for the scope that is wanted', async () => {
  const { runtime, sent } = runtimeWith(() => Response.json({ token: 'r', endpoint: 'https://cosmos' }));
  const provider = new HttpTokenProvider({
    url: 'http://service.test/api/',
    identity: () => 'jwt',
    scope: 'facility:12',
    runtime,
  });
  expect((await provider.getToken()).token).toBe('r');
  expect(sent[0]!.url).toBe('http://service.test/api/GetCosmosToken?scopes=facility%3A12');
  expect(sent[0]!.headers.get('authorization')).toBe('Bearer jwt');
});
