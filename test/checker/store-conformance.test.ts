import { DATABASE } from '../../local/provision.ts';
import { DOCUMENTS } from '../../shared/cosmos/containers.ts';
import { openCosmos } from '../../shared/cosmos/client.ts';
import { createDocumentStore } from '../../shared/cosmos/document-store.ts';
import type { Item } from '../../shared/stored/document.ts';
import type { FeedPage, ScopeStore, Write } from '../../shared/sync/store.ts';
import { advanceTime, freezeTime, startGateway, type Gateway } from '../support/gateway.ts';
import { createMemoryStore } from './memory-store.ts';
import { createRandom, type Random } from './random.ts';

/**
 * The checker's store in memory answers as the store on the emulator does, through the real SDK: the same random
 * batches, reads and walks through the feed, on the same clock.
 */

let gateway: Gateway;
beforeAll(async () => {
  freezeTime();
  gateway = await startGateway();
});
afterAll(async () => {
  await gateway.dispose();
  jest.useRealTimers();
});

const IDS = ['tasks:1', 'tasks:2', '~conflict:c1', '~ledger:w.d'];

/** A batch of random writes; `etags` are those that the store gave so far, by id. */
function randomWrites(random: Random, scope: string, etags: ReadonlyMap<string, string>): Write[] {
  const ids = IDS.filter(() => random.chance(0.5));
  return ids.map((id): Write => {
    const ttl = random.pick([-1, -1, 100]);
    const item = { id, scope, ttl, value: random.below(100) } as Item;
    if (id.startsWith('~ledger:') && random.chance(0.7)) {
      const expected = { seq: random.below(2) + 1, changeId: 'c' };
      return {
        kind: 'move-ledger',
        id,
        expected,
        to: { seq: random.below(2) + 1, changeId: 'c' },
        outcomes: 'a',
      };
    }
    const withLedger = id.startsWith('~ledger:') ? { ...item, seq: 1, changeId: 'c', ttl: -1 } : item;
    const etag = etags.get(id);
    return random.weighted<Write>([
      [3, { kind: 'create', item: withLedger }],
      [1, { kind: 'upsert', item: withLedger }],
      [
        3,
        { kind: 'replace', item: withLedger, ifMatch: random.chance(0.8) ? (etag ?? '"none"') : '"other"' },
      ],
    ]);
  });
}

/** An item without what each store names in its own way. */
const plain = (item: unknown): unknown =>
  Object.fromEntries(
    Object.entries(item as Record<string, unknown>)
      .filter(([name]) => !name.startsWith('_') || name === '_ts')
      .sort(),
  );

async function walk(store: ScopeStore, pageSize: number): Promise<{ pages: unknown[][]; end: string }> {
  const pages: unknown[][] = [];
  for (let from: string | null = null; ;) {
    const page: FeedPage = (await store.changes(from, pageSize))!;
    from = page.continuation;
    if (page.drained) return { pages, end: page.continuation };
    pages.push(page.items.map(plain));
  }
}

it.each([1, 2, 3, 4, 5, 6])(
  'a store in memory answers as the one on the emulator (seed %i)',
  async (seed) => {
    const random = createRandom(seed);
    const scope = `user:s${seed}`;
    const client = openCosmos(gateway.emulator.endpoint, { key: gateway.emulator.key });
    const real = createDocumentStore(() => Promise.resolve(client.database(DATABASE).container(DOCUMENTS)));
    const stores = [real, createMemoryStore(() => Date.now())].map((store) =>
      store.open(scope, null, { requests: 0, requestUnits: 0 }, new AbortController().signal),
    );
    await real.incarnation();
    const etags = stores.map(() => new Map<string, string>());
    const seen: string[][] = stores.map(() => []);
    for (let step = 0; step < 60; step += 1) {
      const state = random.below(1_000_000);
      const results = await Promise.all(
        stores.map(async (store, which) => {
          // The same writes for both, each with the ETags of its own.
          const writes = randomWrites(createRandom(state), scope, etags[which]!);
          if (writes.length === 0) return 'nothing';
          const result = await store.batch(writes);
          if (result.kind === 'written')
            for (const [index, write] of writes.entries())
              etags[which]!.set(
                write.kind === 'move-ledger' ? write.id : write.item.id,
                result.etags[index]!,
              );
          return result.kind === 'written' ? `written ${result.etags.length}` : JSON.stringify(result);
        }),
      );
      expect(results[1]).toBe(results[0]);
      for (const [which, result] of results.entries()) seen[which]!.push(result);
      if (random.chance(0.3)) advanceTime(random.pick([400, 1_000, 60_000]));
      if (step % 6 !== 5) continue;
      const [read, expected] = await Promise.all(stores.map((store) => store.read(IDS)));
      expect([...read!].map(([id, item]) => [id, plain(item)]).sort()).toEqual(
        [...expected!].map(([id, item]) => [id, plain(item)]).sort(),
      );
      const size = 1 + random.below(3);
      const [walked, walkedToo] = await Promise.all(stores.map((store) => walk(store, size)));
      expect(walkedToo!.pages).toEqual(walked!.pages);
      const since = Date.now() - 1_500;
      const [late, lateToo] = await Promise.all(stores.map((store) => store.changes(since, 100)));
      expect(lateToo!.items.map(plain)).toEqual(late!.items.map(plain));
      // Who has heard everything hears nothing more.
      const ends = await Promise.all(
        stores.map((store, which) => store.changes([walked!, walkedToo!][which]!.end, 9)),
      );
      expect(ends.map((page) => page!.drained)).toEqual([true, true]);
    }
    client.dispose();
    // The test is about something: batches went through, and were refused.
    expect(seen[0]!.some((result) => result.startsWith('written'))).toBe(true);
    expect(seen[0]!.some((result) => result.includes('refused'))).toBe(true);
  },
);

it('a continuation of another store is taken by neither', async () => {
  const [real, memory] = [gateway.store, createMemoryStore(() => Date.now())].map((store) =>
    store.open('user:x', null, { requests: 0, requestUnits: 0 }, new AbortController().signal),
  );
  expect(await real!.changes('what is this?', 1)).toBeNull();
  expect(await memory!.changes('what is this?', 1)).toBeNull();
});
