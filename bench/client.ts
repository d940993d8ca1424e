import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { collection, createClient } from '../client/src/index.ts';
import { nodeSqlite } from '../client/src/drivers/node-sqlite.ts';
import type { SqlConnection } from '../client/src/sql/connection.ts';

const WRITES = 2_000;
const ROUNDS = 5;
const STORED = 100_000;

interface Doc {
  id: string;
  title: string;
  body: string;
  n: number;
}

const documentOf = (index: number): Doc => ({
  id: `d${index}`,
  title: `Document ${index}`,
  body: 'tide '.repeat(60),
  n: index,
});

const median = (values: readonly number[]): number =>
  values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0;
const round2 = (value: number): number => Math.round(value * 100) / 100;

async function time(work: () => Promise<unknown>): Promise<number> {
  const started = performance.now();
  await work();
  return performance.now() - started;
}

const open = (path: string, sync: () => Promise<Response>) =>
  createClient({
    url: 'http://bench.invalid/api',
    token: 'none',
    userId: 'alice',
    database: nodeSqlite(path),
    collections: { items: collection<Doc>() },
    runtime: { fetch: sync },
  });

/** What the gateway answers to a device that has everything. */
const NOTHING_NEW = () =>
  Promise.resolve(
    Response.json({
      serverTime: new Date().toISOString(),
      results: [],
      delta: { documents: [], hasMore: false },
      checkpoints: { 'user:alice': 'c' },
      streams: {},
      scopes: ['user:alice'],
      resync: [],
      nextSyncRecommended: new Date().toISOString(),
      stats: {},
    }),
  );

/**
 * What the store costs over plain SQLite: the same documents written one by one, each in its own transaction, to a table
 * with a primary key, by the same driver in the same run; and the client's own share of a sync with nothing to do.
 */
export async function benchClient(): Promise<Record<string, number>> {
  const folder = mkdtempSync(join(tmpdir(), 'tidemark-bench-client-'));
  const ratios: number[] = [];
  const bulk: number[] = [];
  for (let round = -1; round < ROUNDS; round += 1) {
    const plain = nodeSqlite(join(folder, `plain${round}.db`)).connect() as SqlConnection;
    plain.exec('CREATE TABLE items (ID TEXT PRIMARY KEY, Content TEXT NOT NULL, LastModified TEXT NOT NULL)');
    const insert = (index: number) =>
      plain.run('INSERT INTO items VALUES (?, ?, ?)', [
        `d${index}`,
        JSON.stringify(documentOf(index)),
        new Date().toISOString(),
      ]);
    const client = open(join(folder, `store${round}.db`), NOTHING_NEW);
    const items = client.store('items');
    await items.get('none');
    const plainSingle = await time(() => {
      for (let index = 0; index < WRITES; index += 1) insert(index);
      return Promise.resolve();
    });
    const storeSingle = await time(async () => {
      for (let index = 0; index < WRITES; index += 1) await items.upsert(documentOf(index));
    });
    const more = Array.from({ length: WRITES }, (_, index) => documentOf(WRITES + index));
    const plainBulk = await time(() => {
      plain.exec('BEGIN');
      for (const { n } of more) insert(n);
      plain.exec('COMMIT');
      return Promise.resolve();
    });
    const storeBulk = await time(() => items.upsertBulk(more));
    // The first round warms up.
    if (round >= 0) {
      ratios.push(storeSingle / plainSingle);
      bulk.push(storeBulk / plainBulk);
    }
    plain.close();
    await client.close();
  }

  const path = join(folder, 'large.db');
  const seeding = open(path, NOTHING_NEW);
  for (let from = 0; from < STORED; from += 5_000) {
    const some = Array.from({ length: 5_000 }, (_, index) => documentOf(from + index));
    await seeding.store('items').upsertBulk(some, { trackChanges: false });
  }
  await seeding.sync();
  await seeding.close();
  const openings: number[] = [];
  const noops: number[] = [];
  for (let round = 0; round < ROUNDS; round += 1) {
    const client = open(path, NOTHING_NEW);
    openings.push(await time(() => client.store('items').get('d500')));
    await client.sync();
    noops.push(await time(() => client.sync()));
    await client.close();
  }
  rmSync(folder, { recursive: true });
  return {
    'client tracked upsert over plain SQLite insert, one by one': round2(median(ratios)),
    'client tracked upsert over plain SQLite insert, in bulk': round2(median(bulk)),
    'client open with 100,000 documents and read one, milliseconds': round2(median(openings)),
    'client share of a sync with nothing to do, 100,000 documents, milliseconds': round2(median(noops)),
  };
}
