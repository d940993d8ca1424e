import { createRequire } from 'node:module';
import { seconds, startServer, type Contender } from './contender.ts';

const BATCH = 1_000;

interface Collection {
  bulkInsert(documents: readonly object[]): Promise<{ error: unknown[] }>;
  count(): { exec(): Promise<number> };
}
interface Database {
  addCollections(collections: object): Promise<{ items: Collection }>;
  close(): Promise<unknown>;
}
interface Replication {
  readonly error$: { subscribe(listener: (error: Error) => void): void };
  awaitInitialReplication(): Promise<unknown>;
  cancel(): Promise<unknown>;
}

const SCHEMA = {
  version: 0,
  primaryKey: 'id',
  type: 'object',
  properties: {
    id: { type: 'string', maxLength: 100 },
    title: { type: 'string' },
    done: { type: 'boolean' },
    priority: { type: 'number' },
  },
  required: ['id'],
};

/**
 * RxDB in memory (it has no other storage for Node.js that is free and without a limit), by its own HTTP replication, against
 * the smallest server that keeps what that asks for.
 */
export async function startRxdb(folder: string): Promise<Contender> {
  const load = createRequire(import.meta.url);
  const { createRxDatabase } = load('rxdb') as { createRxDatabase: (options: object) => Promise<Database> };
  const { getRxStorageMemory } = load('rxdb/plugins/storage-memory') as { getRxStorageMemory: () => unknown };
  const { replicateRxCollection } = load('rxdb/plugins/replication') as {
    replicateRxCollection: (options: object) => Replication;
  };
  const { url, stop } = await startServer('rxdb-server.ts', folder);

  async function open(name: string): Promise<{ database: Database; items: Collection }> {
    const database = await createRxDatabase({ name, storage: getRxStorageMemory(), multiInstance: false });
    return { database, items: (await database.addCollections({ items: { schema: SCHEMA } })).items };
  }
  async function ask(path: string, body?: unknown): Promise<unknown> {
    const response = await fetch(`${url}/${path}`, {
      method: body === undefined ? 'GET' : 'POST',
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      headers: { 'content-type': 'application/json' },
    });
    if (response.status !== 200) throw new Error(await response.text());
    return response.json();
  }
  /** Until all is sent, or all is fetched. */
  async function replicate(collection: Collection, place: string, handlers: object): Promise<void> {
    const replication = replicateRxCollection({
      collection,
      replicationIdentifier: `${url}/${place}`,
      live: false,
      ...handlers,
    });
    const failed = new Promise<never>((_resolve, reject) => {
      replication.error$.subscribe(reject);
    });
    await Promise.race([replication.awaitInitialReplication(), failed]);
    await replication.cancel();
  }
  return {
    round: async (documents, place) => {
      const [phone, tablet] = [await open(`phone-${place}`), await open(`tablet-${place}`)];
      const inserted = await phone.items.bulkInsert(documents.map(({ id, data }) => ({ id, ...data })));
      if (inserted.error.length > 0) throw new Error('RxDB did not store all documents.');
      const push = await seconds(() =>
        replicate(phone.items, place, {
          push: { batchSize: BATCH, handler: (rows: unknown) => ask(place, rows) },
        }),
      );
      const pull = await seconds(() =>
        replicate(tablet.items, place, {
          pull: {
            batchSize: BATCH,
            handler: (last: { at: number } | undefined, limit: number) =>
              ask(`${place}?after=${last?.at ?? 0}&limit=${limit}`),
          },
        }),
      );
      if ((await tablet.items.count().exec()) !== documents.length)
        throw new Error('RxDB did not bring all documents.');
      await Promise.all([phone.database.close(), tablet.database.close()]);
      return { push, pull };
    },
    dispose: stop,
  };
}
