import { startStack, type Stack } from '../../local/stack.ts';
import type { SyncResponse } from '../../shared/protocol/index.ts';
import { Database, expectProblem, postSync, synced } from '../support/api.ts';

/** Cosmos DB asks to wait, or is slow: what a client sees of it over HTTP. */

const DEADLINE_SECONDS = 4;
const INTERVAL_SECONDS = 100;

let stack: Stack;
let database: Database;
beforeAll(async () => {
  stack = await startStack({
    quiet: true,
    // A refused sync is an error in the log: it is what these tests are about.
    onLine: () => undefined,
    settings: {
      SYNC_DEADLINE_SECONDS: String(DEADLINE_SECONDS),
      SYNC_INTERVAL_SECONDS: String(INTERVAL_SECONDS),
    },
  });
  database = new Database(stack);
}, 30_000);
afterAll(async () => {
  database.dispose();
  await stack.dispose();
});
afterEach(() => stack.emulator.faults.clear());

let users = 0;
/** A user of its own, with a device that has so many edits to send. */
async function setUp(edits: number) {
  const user = `p${(users += 1)}`;
  const token = await stack.issuerHandle.token({ sub: user });
  const scope = `user:${user}`;
  await synced(stack, token, { protocol: 1, deviceId: 'warm' });
  const body = {
    protocol: 1,
    deviceId: 'phone',
    streams: { [scope]: null },
    changes: Array.from({ length: edits }, (_, index) => ({
      changeId: `c${index + 1}`,
      seq: index + 1,
      type: 'upsert',
      collection: 'items',
      documentId: `d${index + 1}`,
      baseVersion: null,
      lastModified: '2026-11-21T10:00:00.000Z',
      data: { n: index },
    })),
  };
  stack.emulator.requests.clear();
  return { token, scope, body };
}

const batches = (scope: string) =>
  stack.emulator.requests.entries.filter(
    ({ operation, partitionKey }) => operation === 'batch' && partitionKey === JSON.stringify([scope]),
  );
const secondsUntilNext = ({ serverTime, nextSyncRecommended }: SyncResponse) =>
  (Date.parse(nextSyncRecommended) - Date.parse(serverTime)) / 1000;

it('Without pressure, clients are asked to come back after the interval, or up to a tenth later', async () => {
  const { token } = await setUp(0);
  const wait = secondsUntilNext(await synced(stack, token, { protocol: 1, deviceId: 'phone' }));
  expect(wait).toBeGreaterThanOrEqual(INTERVAL_SECONDS);
  expect(wait).toBeLessThanOrEqual(INTERVAL_SECONDS * 1.1);
});

it('A call that is throttled is repeated after the time that Cosmos DB asks for, and the client sees nothing of it', async () => {
  const { token, scope, body } = await setUp(1);
  stack.emulator.faults.add({
    operation: 'batch',
    partitionKey: scope,
    action: { kind: 'status', status: 429, retryAfterMs: 600 },
  });
  const answer = await synced(stack, token, body);
  expect(answer.results).toMatchObject([{ status: 'applied' }]);
  const [first, second, ...others] = batches(scope);
  expect([first?.status, second?.status, others]).toEqual([429, 200, []]);
  // Entries are written when the answer goes out.
  expect((second?.at ?? 0) - (first?.at ?? 0)).toBeGreaterThanOrEqual(590);
});

it('A wait that is longer than the deadline is not sat out: 503, the time to come back, and nothing is written later', async () => {
  const { token, scope, body } = await setUp(1);
  stack.emulator.faults.add({
    operation: 'batch',
    partitionKey: scope,
    action: { kind: 'status', status: 429, retryAfterMs: (DEADLINE_SECONDS + 1) * 1000 },
  });
  const started = Date.now();
  const answer = await postSync(stack, token, body);
  expect(Date.now() - started).toBeGreaterThan(DEADLINE_SECONDS * 900);
  expectProblem(answer, 503, 'unavailable');
  expect(Number(answer.headers.get('retry-after'))).toBeGreaterThanOrEqual(1);

  // The repeat is written by itself, not by what was given up.
  const again = await synced(stack, token, body);
  expect(again.results).toMatchObject([{ status: 'applied' }]);
  expect(batches(scope).map(({ status }) => status)).toEqual([429, 200]);
});

it('A store that throttles without end is asked a bounded number of times', async () => {
  const { token, scope, body } = await setUp(1);
  stack.emulator.faults.add({
    operation: 'batch',
    partitionKey: scope,
    times: 1000,
    action: { kind: 'status', status: 429, retryAfterMs: 1 },
  });
  expectProblem(await postSync(stack, token, body), 503, 'unavailable');
  expect(batches(scope).length).toBeLessThanOrEqual(10);
});

it('A request that is too slow for its deadline makes progress with every try, and each edit is stored once', async () => {
  const { token, scope, body } = await setUp(990);
  stack.emulator.faults.add({
    operation: 'batch',
    partitionKey: scope,
    times: 1000,
    action: { kind: 'delay', ms: 900 },
  });
  const done = () => batches(scope).filter(({ status }) => status === 200).length;
  let tries = 0;
  for (;;) {
    const before = done();
    const answer = await postSync(stack, token, body);
    tries += 1;
    if (answer.status === 200) {
      const { results } = answer.body as unknown as SyncResponse;
      expect(results.every(({ status, outcome }) => (outcome ?? status) === 'applied')).toBe(true);
      break;
    }
    expectProblem(answer, 503, 'unavailable');
    expect(answer.headers.get('retry-after')).toMatch(/^[1-9]\d*$/);
    expect(done()).toBeGreaterThan(before);
    expect(tries).toBeLessThan(12);
  }
  expect(tries).toBeGreaterThan(1);
  const { resources } = await database.container.items
    .query<{ data: { n: number } }>('SELECT c.data FROM c WHERE c.collection = "items"', {
      partitionKey: [scope],
    })
    .fetchAll();
  expect(resources.map(({ data }) => data.n).sort((a, b) => a - b)).toEqual(body.changes.map((_, n) => n));
}, 90_000);

it('While Cosmos DB throttles, clients are asked to come back later', async () => {
  const { token, scope } = await setUp(0);
  const pull = { protocol: 1, deviceId: 'phone' };
  stack.emulator.faults.add({
    operation: 'changeFeed',
    partitionKey: scope,
    times: 8,
    action: { kind: 'status', status: 429, retryAfterMs: 1 },
  });
  const pressed = secondsUntilNext(await synced(stack, token, pull));
  expect(pressed).toBeGreaterThan(INTERVAL_SECONDS * 2);
  expect(pressed).toBeLessThanOrEqual(INTERVAL_SECONDS * 4);
});
