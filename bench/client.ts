import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { collection, createClient } from '../client/src/index.ts';
import { nodeSqlite } from '../client/src/drivers/node-sqlite.ts';
import type { SqlConnection } from '../client/src/sql/connection.ts';

const BLOCK = 100;
const BLOCKS = 60;
const ROUNDS = 5;
const STORED = 100_000;
const WATCHERS = 1_000;

interface Doc {
  id: string;
  title: string;
  body: string;
  n: number;
  group: string;
}

const documentOf = (index: number): Doc => ({
  id: `d${index}`,
  title: `Document ${index}`,
  body: 'tide '.repeat(60),
  n: index,
  group: `g${index % 1_000}`,
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
    collections: { items: collection<Doc>({ indexes: ['group'] }), plain: collection<Doc>() },
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

const REFERENCE = `
  CREATE TABLE items (ID TEXT PRIMARY KEY, Content TEXT NOT NULL, LastModified TEXT NOT NULL);
  CREATE TABLE pending (ID TEXT PRIMARY KEY, Position INTEGER NOT NULL) WITHOUT ROWID`;

/**
 * What a tracked upsert costs over plain SQLite, in turns of 100 documents. The references use the same driver and pragmas
 * (WAL, `synchronous=NORMAL`), prepared statements, the same JSON and a time:
 *
 * - `insert`: one row in a table with a text key. What an app without sync would do.
 * - `two rows`: that, and a row that says that it is pending, in one transaction. What any store that tracks has to do.
 *
 * One by one each write is a transaction of its own; in bulk a block is one.
 */
async function benchWrites(folder: string): Promise<Record<string, number>> {
  const reference = (name: string) => {
    const sql = nodeSqlite(join(folder, `${name}.db`)).connect() as SqlConnection;
    sql.exec(REFERENCE);
    return sql;
  };
  const [plain, double, changed] = [reference('plain'), reference('double'), reference('changed')];
  const client = open(join(folder, 'store.db'), NOTHING_NEW);
  const store = client.store('plain');
  const text = (index: number) => JSON.stringify(documentOf(index));
  const now = () => new Date().toISOString();
  const insert = (sql: SqlConnection, index: number) =>
    sql.run('INSERT INTO items VALUES (?, ?, ?)', [`d${index}`, text(index), now()]);
  const insertTwo = (index: number) => {
    insert(double, index);
    double.run('INSERT INTO pending VALUES (?, ?)', [`d${index}`, index]);
  };
  const update = (index: number) =>
    changed.run('UPDATE items SET Content = ?, LastModified = ? WHERE ID = ?', [
      text(index),
      now(),
      `d${index}`,
    ]);
  const block = (from: number) => Array.from({ length: BLOCK }, (_, index) => from + index);
  const inOne = (sql: SqlConnection, work: () => void) => {
    sql.run('BEGIN IMMEDIATE');
    work();
    sql.run('COMMIT');
  };
  const each = (indexes: readonly number[], work: (index: number) => void): Promise<void> => {
    for (const index of indexes) work(index);
    return Promise.resolve();
  };
  const turns: Record<string, number>[] = [];
  for (let turn = 0; turn < BLOCKS; turn += 1) {
    const single = block(turn * 2 * BLOCK);
    const bulk = block((turn * 2 + 1) * BLOCK);
    inOne(changed, () => [...single, ...bulk].forEach((index) => insert(changed, index)));
    turns.push({
      insert: await time(() => each(single, (index) => insert(plain, index))),
      two: await time(() => each(single, (index) => inOne(double, () => insertTwo(index)))),
      store: await time(async () => {
        for (const index of single) await store.upsert(documentOf(index));
      }),
      insertBulk: await time(() =>
        each([0], () => inOne(plain, () => bulk.forEach((i) => insert(plain, i)))),
      ),
      twoBulk: await time(() => each([0], () => inOne(double, () => bulk.forEach(insertTwo)))),
      storeBulk: await time(() => store.upsertBulk(bulk.map(documentOf))),
      update: await time(() => each(single, update)),
      storeAgain: await time(async () => {
        for (const index of single) await store.upsert(documentOf(index));
      }),
    });
  }
  for (const sql of [plain, double, changed]) sql.close();
  await client.close();
  const ratio = (of: string, over: string) =>
    // The first turns warm up.
    round2(median(turns.slice(BLOCKS / 6).map((turn) => (turn[of] ?? 0) / (turn[over] ?? 1))));
  return {
    'client tracked upsert over plain SQLite insert, one by one': ratio('store', 'insert'),
    'client tracked upsert over plain SQLite insert, in bulk': ratio('storeBulk', 'insertBulk'),
    'client tracked upsert over two rows in a transaction, one by one': ratio('store', 'two'),
    'client tracked upsert over two rows in a transaction, in bulk': ratio('storeBulk', 'twoBulk'),
    'client two rows in a transaction over plain SQLite insert, one by one': ratio('two', 'insert'),
    'client tracked upsert of what is there over plain SQLite update': ratio('storeAgain', 'update'),
  };
}

/** A database of 100,000 documents: opened, asked, watched; and the client's own share of a sync with nothing to do. */
async function benchLarge(folder: string): Promise<Record<string, number>> {
  const path = join(folder, 'large.db');
  const seeding = open(path, NOTHING_NEW);
  await seeding.store('items').get('none');
  await seeding.sync();
  await seeding.close();
  const sql = nodeSqlite(path).connect() as SqlConnection;
  sql.run('BEGIN IMMEDIATE');
  for (let index = 0; index < STORED; index += 1) {
    sql.run(
      `INSERT INTO items (UserId, Scope, ID, Content, LastModified, Version) VALUES ('alice', 'user:alice', ?, ?, ?, 'v')`,
      [`d${index}`, JSON.stringify(documentOf(index)), new Date().toISOString()],
    );
  }
  sql.run('COMMIT');
  sql.close();
  const heap = () => {
    globalThis.gc?.();
    return process.memoryUsage().heapUsed / 2 ** 20;
  };
  const before = heap();
  const times: Record<'opening' | 'noop' | 'found' | 'sql', number[]> = {
    opening: [],
    noop: [],
    found: [],
    sql: [],
  };
  let held = 0;
  for (let round = 0; round < ROUNDS; round += 1) {
    const client = open(path, NOTHING_NEW);
    const items = client.store('items');
    times.opening.push(await time(() => items.get('d500')));
    await client.sync();
    times.noop.push(await time(() => client.sync()));
    const group = `g${round}`;
    await items.query({ where: { group } });
    times.found.push(await time(() => items.query({ where: { group } })));
    const statement = `SELECT Content FROM items WHERE UserId = ? AND Scope = ? AND json_extract(Content, '$."group"') = ?`;
    times.sql.push(await time(() => items.sql(statement, ['alice', 'user:alice', group])));
    held = heap() - before;
    await client.close();
  }

  const client = open(path, NOTHING_NEW);
  const items = client.store('items');
  await items.get('d500');
  const unwatched = heap();
  let calls = 0;
  const ends: (() => void)[] = [];
  const settled = async (count: number): Promise<void> => {
    while (calls < count) await new Promise((resolve) => setImmediate(resolve));
  };
  for (let index = 0; index < WATCHERS; index += 1) {
    ends.push(items.watch({ where: { group: `g${index}` }, limit: 20 }, () => (calls += 1)));
  }
  await settled(WATCHERS);
  const watched = heap() - unwatched;
  const fanOut: number[] = [];
  for (let round = 0; round < ROUNDS; round += 1) {
    // Told to one of them; the others have to find out that it is nothing to them.
    fanOut.push(
      await time(async () => {
        await items.upsert({ ...documentOf(1_000 + round), title: `changed ${round}` });
        await settled(WATCHERS + round + 1);
        await items.get('d500');
      }),
    );
  }
  for (const end of ends) end();
  await client.close();
  return {
    'client open with 100,000 documents and read one, milliseconds': round2(median(times.opening)),
    'client heap held with 100,000 documents on disk, MB': round2(held),
    'client share of a sync with nothing to do, 100,000 documents, milliseconds': round2(median(times.noop)),
    'client query of 100 in 100,000 documents by an indexed member, milliseconds': round2(
      median(times.found),
    ),
    'client the same over the bare statement': round2(
      median(times.found.map((value, index) => value / (times.sql[index] ?? 1))),
    ),
    'client write seen by 1,000 live queries of 20 documents, milliseconds': round2(median(fanOut)),
    'client heap of a live query of 20 documents, KB': round2((watched * 1024) / WATCHERS),
  };
}

export async function benchClient(): Promise<Record<string, number>> {
  const folder = mkdtempSync(join(tmpdir(), 'tidemark-bench-client-'));
  try {
    return { ...(await benchWrites(folder)), ...(await benchLarge(folder)) };
  } finally {
    rmSync(folder, { recursive: true });
  }
}
