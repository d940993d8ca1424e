import { createRequire } from 'node:module';
import { join } from 'node:path';
import { seconds, startServer, type Contender } from './contender.ts';

/** PouchDB sends 100 documents at a time unless told otherwise; here it sends as many as we do. */
const OPTIONS = { batch_size: 1_000 };

interface Pouch {
  bulkDocs(documents: readonly object[]): Promise<unknown>;
  info(): Promise<{ doc_count: number }>;
  destroy(): Promise<unknown>;
  readonly replicate: Record<'to' | 'from', (url: string, options: object) => Promise<unknown>>;
}
interface PouchStatic {
  new (name: string, options: object): Pouch;
  plugin(plugin: unknown): PouchStatic;
}

/** PouchDB on LevelDB, as it stores by itself under Node.js, against express-pouchdb on LevelDB. */
export async function startPouch(folder: string): Promise<Contender> {
  const load = createRequire(import.meta.url);
  const named = (name: string): unknown => {
    const module = load(name) as { default?: unknown };
    return module.default ?? module;
  };
  const PouchDB = (named('pouchdb-core') as PouchStatic)
    .plugin(named('pouchdb-adapter-leveldb'))
    .plugin(named('pouchdb-adapter-http'))
    .plugin(named('pouchdb-replication'));
  const { url, stop } = await startServer('pouchdb-server.ts', folder);
  const local = (name: string) => new PouchDB(join(folder, name), { adapter: 'leveldb' });
  return {
    round: async (documents, place) => {
      const [phone, tablet] = [local(`phone-${place}`), local(`tablet-${place}`)];
      await phone.bulkDocs(documents.map(({ id, data }) => ({ _id: id, ...data })));
      const push = await seconds(() => phone.replicate.to(`${url}/${place}`, OPTIONS));
      const pull = await seconds(() => tablet.replicate.from(`${url}/${place}`, OPTIONS));
      if ((await tablet.info()).doc_count !== documents.length)
        throw new Error('PouchDB did not bring all documents.');
      await Promise.all([phone.destroy(), tablet.destroy()]);
      return { push, pull };
    },
    dispose: stop,
  };
}
