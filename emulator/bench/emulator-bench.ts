import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { ChangeFeedStartFrom, CosmosClient, PartitionKeyDefinitionVersion } from '@azure/cosmos';
import type { Container } from '@azure/cosmos';
import { startEmulator } from '../src/index.ts';

/**
 * What the emulator does per second through the real SDK, and what plain SQLite does per second with the same work in
 * the same run, on the same disk: the ratio holds on any machine, the figures only on this one.
 */
export interface Figure {
  readonly name: string;
  /** Things per second: documents, reads or pages. */
  readonly emulator: number;
  readonly sqlite: number;
}

const documents = 10_000;
const batchSize = 100;
const reads = 2_000;

const contentOf = (n: number) => ({
  id: `document-${n}`,
  pk: 'p',
  n,
  tag: `tag-${n % 100}`,
  text: 'x'.repeat(300),
});

export async function perSecond(count: number, work: () => Promise<void> | void): Promise<number> {
  const started = performance.now();
  await work();
  return (count / (performance.now() - started)) * 1000;
}

/** Durable in both cases: WAL, and every commit on disk. */
function openPlain(path: string): DatabaseSync {
  const db = new DatabaseSync(path);
  db.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL');
  db.exec('CREATE TABLE documents (no INTEGER PRIMARY KEY, pk TEXT, id TEXT, body TEXT)');
  db.exec('CREATE UNIQUE INDEX by_id ON documents (pk, id)');
  return db;
}

async function writes(container: Container, db: DatabaseSync): Promise<Figure> {
  const insert = db.prepare('INSERT INTO documents (no, pk, id, body) VALUES (?, ?, ?, ?)');
  const batches = Array.from({ length: documents / batchSize }, (_, batch) =>
    Array.from({ length: batchSize }, (_, n) => contentOf(batch * batchSize + n)),
  );
  const emulator = await perSecond(documents, async () => {
    for (const batch of batches) {
      const operations = batch.map((resourceBody) => ({ operationType: 'Create' as const, resourceBody }));
      const { code } = await container.items.batch(operations, 'p', { contentResponseOnWriteEnabled: false });
      if (code !== 200) throw new Error(`A batch answered ${String(code)}.`);
    }
  });
  const sqlite = await perSecond(documents, () => {
    for (const batch of batches) {
      db.exec('BEGIN');
      for (const document of batch) insert.run(document.n, 'p', document.id, JSON.stringify(document));
      db.exec('COMMIT');
    }
  });
  return { name: `documents created in batches of ${batchSize}, durable`, emulator, sqlite };
}

async function pointReads(container: Container, db: DatabaseSync): Promise<Figure> {
  const select = db.prepare('SELECT body FROM documents WHERE pk = ? AND id = ?');
  const idOf = (n: number): string => `document-${(n * 7919) % documents}`;
  const emulator = await perSecond(reads, async () => {
    for (let n = 0; n < reads; n++) await container.item(idOf(n), 'p').read();
  });
  const sqlite = await perSecond(reads, () => {
    for (let n = 0; n < reads; n++) JSON.parse(String(select.get('p', idOf(n))?.['body']));
  });
  return { name: 'point reads, one after the other', emulator, sqlite };
}

async function feedPages(container: Container, db: DatabaseSync): Promise<Figure> {
  const select = db.prepare('SELECT no, body FROM documents WHERE pk = ? AND no > ? ORDER BY no LIMIT 1000');
  const pages = documents / 1000;
  const emulator = await perSecond(pages, async () => {
    const feed = container.items.getChangeFeedIterator({
      changeFeedStartFrom: ChangeFeedStartFrom.Beginning('p') as unknown as ChangeFeedStartFrom,
      maxItemCount: 1000,
    });
    for (let page = 0; page < pages; page++) await feed.readNext();
  });
  const sqlite = await perSecond(pages, () => {
    for (let page = 0; page < pages; page++)
      for (const { body } of select.all('p', page * 1000 - 1)) JSON.parse(String(body));
  });
  return { name: 'change feed pages of 1000', emulator, sqlite };
}

async function queries(container: Container, db: DatabaseSync): Promise<Figure> {
  const select = db.prepare("SELECT body FROM documents WHERE pk = ? AND json_extract(body, '$.tag') = ?");
  const rounds = 40;
  const emulator = await perSecond(rounds, async () => {
    for (let n = 0; n < rounds; n++)
      await container.items
        .query(
          { query: 'SELECT * FROM c WHERE c.tag = @tag', parameters: [{ name: '@tag', value: `tag-${n}` }] },
          { partitionKey: 'p', maxItemCount: 1000 },
        )
        .fetchAll();
  });
  const sqlite = await perSecond(rounds, () => {
    for (let n = 0; n < rounds; n++)
      for (const { body } of select.all('p', `tag-${n}`)) JSON.parse(String(body));
  });
  return { name: `queries for 100 of ${documents} documents by one property`, emulator, sqlite };
}

/** Runs everything on a disk of its own and cleans up. */
export async function benchEmulator(): Promise<{ startMs: number; figures: Figure[] }> {
  const folder = mkdtempSync(join(tmpdir(), 'emulator-bench-'));
  const started = performance.now();
  const emulator = await startEmulator({ data: join(folder, 'emulator.db') });
  const startMs = performance.now() - started;
  const client = new CosmosClient({ endpoint: emulator.endpoint, key: emulator.key });
  const db = openPlain(join(folder, 'plain.db'));
  try {
    const { database } = await client.databases.create({ id: 'db' });
    const { container } = await database.containers.create({
      id: 'items',
      partitionKey: { paths: ['/pk'], version: PartitionKeyDefinitionVersion.V2 },
    });
    const figures: Figure[] = [];
    for (const measure of [writes, pointReads, feedPages, queries])
      figures.push(await measure(container, db));
    return { startMs, figures };
  } finally {
    db.close();
    client.dispose();
    await emulator.dispose();
    rmSync(folder, { recursive: true, force: true });
  }
}
