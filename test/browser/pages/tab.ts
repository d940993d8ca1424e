import { collection, createClient } from '../../../client/src/index.ts';
import { wasmSqlite } from '../../../client/src/drivers/wasm.ts';

/** One tab of an app: what a test does to its client, and what its live query and its syncs told. */
declare global {
  interface Window {
    readonly tab: typeof tab;
  }
}

const name = 'tabs';
const client = createClient({
  url: `${location.origin}/gateway`,
  token: 'tabs',
  userId: 'tabs',
  database: wasmSqlite(new Worker(`/database-worker.js?name=${name}`, { type: 'module' }), name),
  collections: { items: collection<{ id: string; n: number }>() },
  sync: { retry: { attempts: 1 }, maxBatchChanges: 50, pageSize: 50 },
});
const store = client.store('items');
const seen: number[] = [];
store.watch({}, (documents) => seen.push(documents.length));

const tab = {
  client,
  store,
  /** How many documents each result of the live query had. */
  seen,
  add: (from: number, count: number) =>
    store.upsertBulk(
      Array.from({ length: count }, (_, index) => ({ id: `d${from + index}`, n: from + index })),
    ),
  /** Adds one to a number that every tab adds to, so often. */
  count: async (times: number) => {
    for (let time = 0; time < times; time += 1) {
      await store.transaction(async (transaction) => {
        const { n } = (await transaction.get('counter')) ?? { n: 0 };
        transaction.upsert({ id: 'counter', n: n + 1 });
      });
    }
  },
  pending: async () => (await client.pending()).length,
};
Object.assign(window, { tab });
