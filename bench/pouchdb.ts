import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { Replica } from '../client/src/index.ts';
import type { SyncResponse } from '../shared/protocol/index.ts';
import { contentOf, median, round2 } from './gateway.ts';
import { startMeasuredStack } from './measured-stack.ts';

const RECORDS = 10_000;
const ROUNDS = 3;
/** PouchDB sends 100 documents at a time unless told otherwise; here it sends as many as we do. */
const POUCH_BATCH = 1_000;

/** What has to be installed beside the project to compare; none of it is a dependency. */
export const POUCH_PACKAGES =
  'pouchdb-core@9.0.0 pouchdb-adapter-leveldb@9.0.0 pouchdb-adapter-memory@9.0.0 pouchdb-adapter-http@9.0.0 ' +
  'pouchdb-replication@9.0.0 pouchdb-mapreduce@9.0.0 express-pouchdb@4.2.0 express@4.21.2';

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

async function seconds(work: () => Promise<unknown>): Promise<number> {
  const started = performance.now();
  await work();
  return (performance.now() - started) / 1000;
}

/**
 * 10,000 documents pushed to an empty server and pulled by an empty client, over HTTP: the whole of Tidemark (gateway and
 * emulator, a process each), and PouchDB against express-pouchdb on LevelDB. Both clients hold their data in memory, both
 * servers put every write on disk before they answer. Null where PouchDB is not installed.
 *
 * @param folder where its packages are installed
 */
export async function comparePouch(folder: string): Promise<Record<string, number> | null> {
  const modules = resolve(folder);
  if (!existsSync(join(modules, 'node_modules', 'express-pouchdb'))) return null;
  const load = createRequire(join(modules, 'package.json'));
  const named = (name: string): unknown => {
    const module = load(name) as { default?: unknown };
    return module.default ?? module;
  };
  const PouchDB = (named('pouchdb-core') as PouchStatic)
    .plugin(named('pouchdb-adapter-memory'))
    .plugin(named('pouchdb-adapter-http'))
    .plugin(named('pouchdb-replication'));
  const data = await mkdtemp(join(tmpdir(), 'tidemark-pouch-'));
  const server = spawn(
    process.execPath,
    ['--disable-warning=ExperimentalWarning', join(import.meta.dirname, 'pouchdb-server.ts'), modules, data],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  );
  const [url] = (await once(createInterface({ input: server.stdout }), 'line')) as [string];
  const stack = await startMeasuredStack();

  const documents = Array.from({ length: RECORDS }, (_, index) => ({
    id: `n${index}`,
    data: contentOf(index),
  }));
  const local = (name: string) => new PouchDB(name, { adapter: 'memory' });
  const options = { batch_size: POUCH_BATCH };

  async function pouchRound(name: string): Promise<[number, number]> {
    const phone = local(`phone-${name}`);
    const tablet = local(`tablet-${name}`);
    await phone.bulkDocs(documents.map(({ id, data: content }) => ({ _id: id, ...content })));
    const push = await seconds(() => phone.replicate.to(`${url}/${name}`, options));
    const pull = await seconds(() => tablet.replicate.from(`${url}/${name}`, options));
    if ((await tablet.info()).doc_count !== RECORDS) throw new Error('PouchDB did not bring all documents.');
    await Promise.all([phone.destroy(), tablet.destroy()]);
    return [push, pull];
  }

  async function ownRound(user: string): Promise<[number, number]> {
    const token = await stack.issuer.token({ sub: user });
    const device = (deviceId: string) =>
      new Replica({
        userId: user,
        deviceId,
        collections: ['items'],
        now: Date.now,
        createId: () => crypto.randomUUID(),
        batchSize: 990,
      });
    const drain = async (replica: Replica): Promise<void> => {
      for (let more = true; more;) {
        const request = replica.request();
        const response = await fetch(`${stack.api}/sync`, {
          method: 'POST',
          headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
          body: JSON.stringify(request),
        });
        if (response.status !== 200) throw new Error(await response.text());
        more = replica.take(request, (await response.json()) as SyncResponse);
      }
    };
    const [phone, tablet] = [device('phone'), device('tablet')];
    for (const { id, data: content } of documents) {
      phone.put({ scope: `user:${user}`, collection: 'items', documentId: id }, content);
    }
    const push = await seconds(() => drain(phone));
    const pull = await seconds(() => drain(tablet));
    const last = { scope: `user:${user}`, collection: 'items', documentId: `n${RECORDS - 1}` };
    if (phone.pending > 0 || tablet.get(last) === null) throw new Error('Not all documents arrived.');
    return [push, pull];
  }

  try {
    const rounds: { own: [number, number]; pouch: [number, number] }[] = [];
    for (let round = -1; round < ROUNDS; round += 1) {
      const own = await ownRound(`u${round}`);
      const pouch = await pouchRound(`db${round + 1}`);
      if (round >= 0) rounds.push({ own, pouch }); // the first one warms up
    }
    const at = (index: 0 | 1, side: 'own' | 'pouch') => median(rounds.map((round) => round[side][index]));
    return {
      'push of 10,000, seconds': round2(at(0, 'own')),
      'pull of 10,000, seconds': round2(at(1, 'own')),
      'push of 10,000, times as fast as PouchDB with LevelDB': round2(
        median(rounds.map(({ own, pouch }) => pouch[0] / own[0])),
      ),
      'pull of 10,000, times as fast as PouchDB with LevelDB': round2(
        median(rounds.map(({ own, pouch }) => pouch[1] / own[1])),
      ),
    };
  } finally {
    server.kill('SIGKILL');
    await stack.dispose();
    await rm(data, { recursive: true, force: true });
  }
}
