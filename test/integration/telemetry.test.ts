import { captureTelemetry, TRACE_ID, type Captured } from '../support/captured-telemetry.ts';

let captured: Captured;
beforeAll(async () => {
  captured = await captureTelemetry();
}, 120_000);

const ofType = (baseType: string) => captured.envelopes.filter(({ data }) => data.baseType === baseType);
const events = (name: string) =>
  ofType('EventData')
    .filter(({ data }) => data.baseData.name === name)
    .map(({ data }) => data.baseData.properties ?? {});
const metrics = (name: string) =>
  ofType('MetricData').flatMap(({ data }) =>
    (data.baseData.metrics ?? [])
      .filter((metric) => metric.name === name)
      .map((metric) => ({ ...metric, ...data.baseData.properties })),
  );

it('tells of syncs, conflicts, rejected changes, refused requests, resyncs and minted tokens', () => {
  expect(events('SyncDone')).toHaveLength(4);
  expect(events('SyncDone')[1]).toMatchObject({
    changes: '2',
    rejected: '1',
    conflicts: '1',
    throttled: '2',
  });
  expect(events('Conflict')).toHaveLength(1);
  expect(events('ChangesRejected')).toEqual([{ code: 'invalid_id', count: '1' }]);
  expect(events('Resync')).toEqual([{ scopes: '1' }]);
  expect(events('TokenMinted')).toHaveLength(1);
  expect(events('RequestRefused').map(({ code, status }) => `${code} ${status}`)).toEqual([
    ...Array.from({ length: 4 }, () => 'invalid_token 401'),
    'unavailable 503',
    'unavailable 503',
  ]);
});

it('adds up documents, request units, throttled requests, phases and how long edits waited', () => {
  const sum = (name: string) => metrics(name).reduce((total, { value }) => total + value, 0);
  expect(sum('tidemark.documents')).toBeGreaterThan(2);
  expect(sum('tidemark.cosmos.request_units')).toBeGreaterThan(10);
  expect(sum('tidemark.cosmos.throttled')).toBe(2);
  expect(sum('tidemark.requests')).toBe(11);
  const phases = metrics('tidemark.duration').map((metric) => (metric as { phase?: string }).phase);
  expect(new Set(phases)).toEqual(new Set(['authenticate', 'database', 'total']));
  const [age] = metrics('tidemark.pending.age');
  expect((age?.value ?? 0) / (age?.count ?? 1)).toBeGreaterThanOrEqual(89);
});

it("carries the client's trace to every call that Cosmos DB got for it", () => {
  const ids = new Map(
    ofType('RemoteDependencyData').map(({ tags, data }) => [data.baseData['id'], tags['ai.operation.id']]),
  );
  const spans = captured.traceparents.map((header) => header.split('-'));
  expect(spans.length).toBeGreaterThan(10);
  for (const [, traceId, spanId] of spans) expect(ids.get(spanId)).toBe(traceId);
  expect(spans.filter(([, traceId]) => traceId === TRACE_ID).length).toBeGreaterThan(5);
  expect(
    ofType('EventData').filter(({ tags }) => tags['ai.operation.id'] === TRACE_ID).length,
  ).toBeGreaterThan(3);
});

it('holds no document, no token, no key and no name of a user', () => {
  const found = Object.entries(captured.secrets).filter(([, secret]) => captured.text.includes(secret));
  expect(found.map(([what]) => what)).toEqual([]);
  for (const [what, secret] of Object.entries(captured.secrets))
    expect(`${what} ${secret.length > 5}`).toBe(`${what} true`);
});

it('does not repeat what the Functions host reports: requests, logs, exceptions, the process', () => {
  const types = new Set(captured.envelopes.map(({ data }) => data.baseType));
  expect([...types].sort()).toEqual(['EventData', 'MetricData', 'RemoteDependencyData']);
  const foreign = ofType('MetricData')
    .flatMap(({ data }) => (data.baseData.metrics ?? []).map(({ name }) => name))
    .filter((name) => !name.startsWith('tidemark.') && name !== '_OTELRESOURCE_');
  expect(foreign).toEqual([]);
});
