import { CosmosClient } from '@azure/cosmos';
import { startEmulator, type Emulator } from '../../emulator/src/index.ts';
import { DATABASE, provision } from '../../local/provision.ts';
import { formatCursor, nextCursor, parseCursor, type Cursor } from '../../shared/activity/cursor.ts';
import type { ActivityRecord } from '../../shared/activity/record.ts';
import type { ActivityStore } from '../../shared/activity/store.ts';
import { createActivityStore } from '../../shared/cosmos/activity-store.ts';
import { openCosmos } from '../../shared/cosmos/client.ts';
import { ACTIVITY } from '../../shared/cosmos/containers.ts';
import { Unavailable } from '../../shared/errors.ts';

/** The container `activity`, through the real SDK on the emulator, with what its calls cost. */

let emulator: Emulator;
let client: CosmosClient;
let store: ActivityStore;
beforeAll(async () => {
  emulator = await startEmulator();
  await provision(emulator.endpoint, emulator.key);
  client = openCosmos(emulator.endpoint, { key: emulator.key });
  store = createActivityStore(() => Promise.resolve(client.database(DATABASE).container(ACTIVITY)));
  // What a client of the SDK asks once for each process.
  await store.list({ kind: 'none', userId: null, limit: 1, cursor: null });
});
afterAll(async () => {
  client.dispose();
  await emulator.dispose();
});

const DAY = 86_400;
const record = (
  userId: string,
  id: string,
  kind: string,
  second: number,
): ActivityRecord & { note: string } => ({
  id,
  userId,
  kind,
  at: new Date(Date.parse('2026-11-22T10:00:00.000Z') + second * 1000).toISOString(),
  ttl: DAY,
  note: `${userId} ${id}`,
});

/** Walks a list page by page, as clients do: the cursor goes out and comes back as text. */
async function walk(kind: string, userId: string | null, limit: number): Promise<string[]> {
  const ids: string[] = [];
  let cursor: Cursor | null = null;
  for (;;) {
    const page = await store.list({ kind, userId, limit, cursor });
    ids.push(...page.map(({ id }) => id));
    if (page.length < limit) return ids;
    const next = nextCursor(cursor, page);
    cursor = next === null ? null : parseCursor(formatCursor(next));
  }
}

/** What a call sent: metadata requests beside the plan of the query, and data requests. */
async function costOf(call: () => Promise<unknown>) {
  emulator.requests.clear();
  await call();
  const { entries } = emulator.requests;
  return {
    data: entries.filter(({ kind }) => kind === 'data').length,
    metadata: entries.filter(({ kind, operation }) => kind === 'metadata' && operation !== 'queryPlan')
      .length,
    charge: entries.reduce((sum, { charge }) => sum + charge, 0),
  };
}

it('lists the records of a kind, newest first, page by page, also those of one millisecond', async () => {
  const records = Array.from({ length: 25 }, (_, index) =>
    record('alice', `r${index}`, index % 5 === 0 ? 'other' : 'sync', Math.floor(index / 10)),
  );
  await store.append(records);
  await store.append([record('bob', 'b1', 'sync', 1), record('bob', 'b2', 'sync', 9)]);

  const mine = await walk('sync', 'alice', 3);
  expect(mine).toHaveLength(20);
  expect(new Set(mine).size).toBe(20);
  const seconds = mine.map((id) => Math.floor(Number(id.slice(1)) / 10));
  expect(seconds).toEqual([...seconds].sort((a, b) => b - a));
  expect(await walk('other', 'alice', 100)).toHaveLength(5);

  const everyones = await walk('sync', null, 4);
  expect(everyones).toHaveLength(22);
  expect(new Set(everyones).size).toBe(22);
  expect(everyones[0]).toBe('b2');
});

it('goes on where it was while new records arrive', async () => {
  await store.append([record('carol', 'old-1', 'sync', 1), record('carol', 'old-2', 'sync', 2)]);
  const [first] = await store.list({ kind: 'sync', userId: 'carol', limit: 1, cursor: null });
  expect(first?.id).toBe('old-2');
  await store.append([record('carol', 'new-1', 'sync', 2), record('carol', 'new-2', 'sync', 3)]);
  const rest = await store.list({
    kind: 'sync',
    userId: 'carol',
    limit: 10,
    cursor: nextCursor(null, [{ id: 'old-2', at: first?.at ?? '' }]),
  });
  expect(rest.map(({ id }) => id)).toEqual(['new-1', 'old-1']);
});

it('writes, reads and removes one record by its id', async () => {
  expect(await store.get('dave', 'deny')).toBeNull();
  await store.put(record('dave', 'deny', 'denied', 0));
  await store.put({ ...record('dave', 'deny', 'denied', 1), note: 'again' } as ActivityRecord);
  expect(await store.get('dave', 'deny')).toEqual({ ...record('dave', 'deny', 'denied', 1), note: 'again' });
  expect(await store.get('eve', 'deny')).toBeNull();
  expect(await store.remove('dave', 'deny')).toBe(true);
  expect(await store.remove('dave', 'deny')).toBe(false);
});

it('adds the same records twice without a trace', async () => {
  const records = [record('frank', 'f1', 'sync', 0), record('frank', 'f2', 'sync', 1)];
  await store.append(records);
  await store.append(records);
  expect(await walk('sync', 'frank', 10)).toEqual(['f2', 'f1']);
});

it('costs one data request a call and no metadata', async () => {
  expect(
    await costOf(() => store.append(Array.from({ length: 50 }, (_, i) => record('gil', `g${i}`, 'sync', i)))),
  ).toEqual({ data: 1, metadata: 0, charge: expect.any(Number) });
  expect(await costOf(() => store.put(record('gil', 'one', 'denied', 0)))).toMatchObject({
    data: 1,
    metadata: 0,
  });
  expect(await costOf(() => store.get('gil', 'one'))).toEqual({ data: 1, metadata: 0, charge: 1 });
  expect(await costOf(() => store.remove('gil', 'one'))).toMatchObject({ data: 1, metadata: 0 });
  expect(await costOf(() => walk('sync', 'gil', 100))).toMatchObject({ data: 1, metadata: 0 });
  expect(
    await costOf(() => store.list({ kind: 'sync', userId: null, limit: 100, cursor: null })),
  ).toMatchObject({ metadata: 0 });
});

it('throws Unavailable when the store does not answer', async () => {
  emulator.faults.add({ operation: 'batch', times: 100, action: { kind: 'status', status: 503 } });
  await expect(store.append([record('hal', 'h', 'sync', 0)])).rejects.toThrow(Unavailable);
  emulator.faults.clear();
});
