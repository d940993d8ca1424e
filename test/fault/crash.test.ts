import { change, freezeTime, request, startGateway, advanceTime, type Gateway } from '../support/gateway.ts';
import { Crash, dying, mapScopes } from '../support/store.ts';

/**
 * The gateway dies between any two requests to Cosmos DB, before one is sent or after it was done; the client, which
 * got no answer, repeats the very same request. Whatever the moment, the store ends up exactly as without the crash.
 */

const START = Date.parse('2026-11-22T10:00:00.000Z');

let gateway: Gateway;
beforeAll(async () => {
  freezeTime();
  gateway = await startGateway();
});
afterAll(async () => {
  await gateway.dispose();
  jest.useRealTimers();
});

/** A state with conflicts waiting in it, and the request of a phone that meets all of them. */
async function prepare(user: string): Promise<object> {
  jest.setSystemTime(START);
  const own = { streams: { [`user:${user}`]: null } };
  const ids = Array.from({ length: 130 }, (_, index) => `d${index}`);
  const first = await gateway.sync(user, {
    ...request(
      'tablet',
      ids.map((id, index) =>
        change(id, index + 1, {
          changeId: `${user}-t${index}`,
          collection: collectionOf(index),
        }),
      ),
    ),
    ...own,
  });
  const versions = first.results.map(({ version }) => version);
  advanceTime(1000);
  const phone = ids.flatMap((id, index) => {
    const fields = { changeId: `${user}-p${index}`, data: { value: 'phone' } };
    if (index % 10 === 0) return [change(id, index + 1, { ...fields, baseVersion: 'live' })]; // wins, the loser is logged
    if (index % 10 === 1)
      return [
        change(id, index + 1, { ...fields, baseVersion: 'live', lastModified: '2020-01-01T00:00:00Z' }),
      ]; // loses
    if (index % 10 === 2)
      return [
        change(id, index + 1, { changeId: fields.changeId, type: 'delete', baseVersion: versions[index] }),
      ];
    if (index % 10 === 3) return [change(id, index + 1, { ...fields, type: 'patch', baseVersion: 'live' })]; // merged
    if (index % 10 === 4) return [change(id, index + 1, { ...fields, lastModified: 'never' })]; // rejected
    if (index % 10 === 5) {
      const deletion = { changeId: fields.changeId, collection: 'papers', type: 'delete' };
      // Half of them conflict: then the batch holds the tombstone, a conflict record and a deletion record.
      return [
        change(id, index + 1, { ...deletion, baseVersion: index % 20 === 5 ? 'live' : versions[index] }),
      ];
    }
    if (index % 10 === 6)
      return [
        change(id, index + 1, { ...fields, collection: 'merged', data: { more: 1 }, baseVersion: 'live' }),
      ];
    if (index % 10 >= 8) {
      // Two changes that are taken in together: in every other pair one of them loses, and both are refused.
      const { collection, changeId, data } = { ...fields, collection: collectionOf(index) };
      const common = { collection, changeId, transaction: `pair${Math.floor(index / 10)}` };
      return [
        change(id, index + 1, { ...common, data, baseVersion: index % 10 === 8 ? 'live' : versions[index] }),
      ];
    }
    return [change(`new-${id}`, index + 1, fields)];
  });
  return { ...request('phone', phone), ...own };
}

function collectionOf(index: number): string {
  if (index % 10 === 5) return 'papers'; // audited
  if (index % 10 === 6) return 'merged';
  return index % 20 === 8 ? 'stubborn' : 'items';
}

const NEW_WITH_EVERY_WRITE = new Set(['_etag', '_ts', '_lsn', '_rid', '_self', 'at']);

/** What is stored, without what every write makes new. */
async function stored(user: string): Promise<string[]> {
  const items = await gateway.items(`user:${user}`);
  return items
    .map((item) => Object.entries(item).filter(([key]) => !NEW_WITH_EVERY_WRITE.has(key)))
    .map((entries) => JSON.stringify(Object.fromEntries(entries)))
    .map((text) => text.replaceAll(user, 'USER').replace(/ledger:[^.]+/, 'ledger:HASH'))
    .sort();
}

it('every moment of a push: the repeat ends where the undisturbed request would have', async () => {
  const undisturbed = await prepare('nobody');
  const counting = dying(gateway.store, Infinity, 'before');
  const answer = await gateway.sync('nobody', undisturbed, {}, counting.store);
  const expected = await stored('nobody');
  expect(answer.stats.conflicts).toBe(52);
  expect(expected.filter((item) => item.includes('~conflict:'))).toHaveLength(52);
  expect(expected.filter((item) => item.includes('~deletion:'))).toHaveLength(13);
  const pairs = answer.results.filter((_, index) => index % 10 >= 8).map(({ status }) => status);
  expect(pairs).toEqual(
    [...Array.from({ length: 13 }, (_, n) => (n % 2 === 0 ? 'rejected' : 'applied'))].flatMap((s) => [s, s]),
  );

  const calls = counting.calls();
  expect(calls).toBeGreaterThan(6);
  for (let at = 1; at <= calls; at += 1) {
    for (const moment of ['before', 'after'] as const) {
      const user = `${moment}${at}`;
      const body = await prepare(user);
      await expect(gateway.sync(user, body, {}, dying(gateway.store, at, moment).store)).rejects.toThrow(
        Crash,
      );
      const repeated = await gateway.sync(user, body);
      expect(await stored(user)).toEqual(expected);
      expect(
        repeated.results.map(({ status, outcome }) => (status === 'duplicate' ? outcome : status)),
      ).toEqual(answer.results.map(({ status }) => status));
    }
  }
}, 60_000);

it('a push that is stopped by the deadline goes on with the repeat', async () => {
  const changes = Array.from({ length: 300 }, (_, index) => change(`x${index}`, index + 1));
  const body = { ...request('phone', changes), streams: {} };
  const slow = dying(gateway.store, Infinity, 'before');
  const late = mapScopes(slow.store, (scope) => ({
    batch: async (writes) => {
      const result = await scope.batch(writes);
      advanceTime(40_000);
      return result;
    },
  }));
  const tries: number[] = [];
  for (let done = false; !done;) {
    tries.push((await gateway.items('user:slow')).length);
    done = await gateway.sync('slow', body, {}, late).then(
      () => true,
      (error: unknown) => {
        expect(String(error)).toContain('deadline');
        return false;
      },
    );
  }
  // Two batches fit into a deadline, and the first of a repeat is refused: still every try makes progress.
  expect(tries).toEqual([0, 199, 298]);
  expect(await gateway.items('user:slow')).toHaveLength(301);
});
