import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { collection, createClient, type SqlConnection } from '../../../client/src/index.ts';
import { COLLECTIONS, DRIVERS, type Item } from '../../support/client.ts';

/** What a store promises, on every driver that runs here. */

const folder = mkdtempSync(join(tmpdir(), 'tidemark-store-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
let files = 0;
const newPath = (): string => join(folder, `${(files += 1)}.db`);

const options = {
  url: 'http://127.0.0.1:1/api',
  token: 'none',
  userId: 'alice',
  collections: COLLECTIONS,
};

describe.each(Object.entries(DRIVERS))('on %s', (_name, driver) => {
  const closing: (() => Promise<void>)[] = [];
  afterEach(async () => {
    for (const close of closing.splice(0)) await close();
  });
  function open(path = newPath()) {
    const client = createClient({ ...options, database: driver(path) });
    closing.push(() => client.close());
    return client;
  }

  it('keeps what is written when it is opened again, and what is to be sent', async () => {
    const path = newPath();
    const first = open(path);
    await first.store('items').upsert({ id: '1', title: 'kept' });
    await first.close();
    const second = open(path);
    expect(await second.store('items').get('1')).toEqual({ id: '1', title: 'kept' });
    expect(await second.store('items').pendingChanges()).toMatchObject([
      { id: '1', type: 'upsert', sent: false, document: { title: 'kept' } },
    ]);
  });

  it('stores all of a bulk or nothing', async () => {
    const items = open().store('items');
    const bad = [
      { id: '1', title: 'fine' },
      { id: 'a/b', title: 'no id' },
    ];
    await expect(items.upsertBulk(bad)).rejects.toMatchObject({ code: 'invalid_document' });
    expect(await items.query()).toEqual([]);
  });

  it('finds documents by members, in an order, some at a time', async () => {
    const items = open().store('items');
    await items.upsertBulk([
      { id: '1', title: 'b', done: true, size: 3, address: { city: 'Bern' } },
      { id: '2', title: 'a', done: false, size: 1, address: { city: 'Basel' } },
      { id: '3', title: 'c', size: null },
    ]);
    const ids = async (query: Parameters<typeof items.query>[0]) =>
      (await items.query(query)).map(({ id }) => id);
    expect(await ids({ where: { title: 'b' } })).toEqual(['1']);
    expect(await ids({ where: { done: true } })).toEqual(['1']);
    expect(await ids({ where: { done: false } })).toEqual(['2']);
    expect(await ids({ where: { done: { exists: false } } })).toEqual(['3']);
    expect(await ids({ where: { size: { gt: 1 } } })).toEqual(['1']);
    expect(await ids({ where: { size: { lte: 3, ne: 1 } } })).toEqual(['1']);
    expect(await ids({ where: { size: null } })).toEqual(['3']);
    expect(await ids({ where: { title: { in: ['a', 'c'] } } })).toEqual(['2', '3']);
    expect(await ids({ where: { title: { in: [] } } })).toEqual([]);
    expect(await ids({ where: { 'address.city': { startsWith: 'Ba' } } })).toEqual(['2']);
    expect(await ids({ orderBy: 'title' })).toEqual(['2', '1', '3']);
    expect(await ids({ orderBy: [['title', 'desc']], limit: 1, offset: 1 })).toEqual(['1']);
    const hostile = { "x') OR 1=1 --": 'y' } as never;
    expect(await ids({ where: hostile })).toEqual([]);
  });

  it('uses the index that a collection asks for', async () => {
    const items = open().store('items');
    const plan = await items.sql(
      `EXPLAIN QUERY PLAN SELECT ID FROM items WHERE UserId = ? AND Scope = ? AND json_extract(Content, '$."address"."city"') = ?`,
      ['alice', 'user:alice', 'Bern'],
    );
    expect(JSON.stringify(plan)).toContain('items_by_address_city');
  });

  it('a write that is not tracked is seen and not sent', async () => {
    const items = open().store('items');
    await items.upsert({ id: '1', title: 'seed' }, { trackChanges: false });
    expect(await items.get('1')).toMatchObject({ title: 'seed' });
    expect(await items.pendingChanges()).toEqual([]);
  });

  it('patches what is there and nothing else', async () => {
    const items = open().store('items');
    await items.upsert({ id: '1', title: 'a', done: false, address: { city: 'Bern', street: 'Main' } });
    expect(await items.patch('1', { done: null, address: { city: 'Basel' } })).toEqual({
      id: '1',
      title: 'a',
      address: { city: 'Basel', street: 'Main' },
    });
    await expect(items.patch('2', { title: 'b' })).rejects.toMatchObject({ code: 'not_found' });
    expect(await items.delete('2')).toBe(false);
  });

  it('takes back what was not sent', async () => {
    const items = open().store('items');
    await items.upsertBulk([
      { id: '1', title: 'a' },
      { id: '2', title: 'b' },
    ]);
    expect(await items.clearPending(['1'])).toBe(1);
    expect(await items.query()).toMatchObject([{ id: '2' }]);
    expect(await items.pendingChanges()).toMatchObject([{ id: '2' }]);
  });

  it('a transaction runs again when somebody changed what it had read', async () => {
    const path = newPath();
    const items = open(path).store('items');
    const beside = open(path).store('items');
    await items.upsert({ id: '1', title: 'n', size: 1 });
    let runs = 0;
    await items.transaction(async (transaction) => {
      const found = await transaction.get('1');
      if ((runs += 1) === 1) await beside.patch('1', { size: 10 });
      transaction.upsert({ id: '1', title: 'n', size: (found?.size ?? 0) + 1 });
    });
    expect(runs).toBe(2);
    expect(await items.get('1')).toMatchObject({ size: 11 });
    const failing = items.transaction((transaction) => {
      transaction.delete('1');
      return Promise.reject(new Error('changed my mind'));
    });
    await expect(failing).rejects.toThrow('changed my mind');
    expect(await items.get('1')).not.toBeNull();
  });

  it('tells a watcher when its result is another one, and only then', async () => {
    const items = open().store('items');
    const seen: string[][] = [];
    let arrived: (() => void) | undefined;
    const next = () => new Promise<void>((resolve) => (arrived = resolve));
    const first = next();
    const end = items.watch({ where: { done: true } }, (found) => {
      seen.push(found.map(({ id }) => id));
      arrived?.();
    });
    await first;
    const second = next();
    await items.upsert({ id: '1', title: 'not in it' });
    await items.upsert({ id: '2', title: 'in it', done: true });
    await second;
    expect(seen).toEqual([[], ['2']]);
    end();
    await items.delete('2');
    await items.query();
    expect(seen).toHaveLength(2);
  });

  it('one broken write leaves no half of it: rows and pending changes are one transaction', async () => {
    const path = newPath();
    const inner = driver(path);
    let fail = false;
    const client = createClient({
      ...options,
      database: {
        ...inner,
        connect: async (): Promise<SqlConnection> => {
          const connection = await inner.connect();
          return {
            ...connection,
            run: (sql, params) => {
              if (fail && sql.startsWith('INSERT INTO "PendingChanges_')) throw new Error('disk full');
              return connection.run(sql, params);
            },
          };
        },
      },
    });
    closing.push(() => client.close());
    const items = client.store('items');
    await items.upsert({ id: '1', title: 'before' });
    fail = true;
    await expect(items.upsert({ id: '2', title: 'lost' })).rejects.toThrow('disk full');
    fail = false;
    expect((await items.query()).map(({ id }) => id)).toEqual(['1']);
    await items.upsert({ id: '3', title: 'after' });
    expect((await items.pendingChanges()).map(({ id }) => id)).toEqual(['1', '3']);
  });

  it('takes over a database of the layout without users', async () => {
    const path = newPath();
    const connection = await driver(path).connect();
    connection.exec(`
      CREATE TABLE items (ID TEXT PRIMARY KEY, Content TEXT, LastModified TEXT);
      CREATE TABLE PendingChanges_items (ID TEXT PRIMARY KEY);
      INSERT INTO items VALUES ('1', '{"id":"1","title":"of alice","userId":"alice"}', '2024-01-01T00:00:00Z');
      INSERT INTO items VALUES ('2', '{"id":"2","title":"of bob","userId":"bob"}', '2024-01-02T00:00:00Z');
      INSERT INTO items VALUES ('3', '{"id":"3","title":"of nobody"}', '2024-01-03T00:00:00Z');
      INSERT INTO PendingChanges_items VALUES ('3'), ('gone');
    `);
    connection.close();
    const client = open(path);
    const items = client.store('items');
    expect((await items.query()).map(({ title }) => title)).toEqual(['of alice', 'of nobody']);
    expect(await items.pendingChanges()).toMatchObject([
      { id: '3', type: 'upsert' },
      { id: 'gone', type: 'delete' },
    ]);
    const rows = await items.sql('SELECT ID, UserId, LastModified FROM items ORDER BY ID');
    expect(rows).toMatchObject([
      { ID: '1', UserId: 'alice', LastModified: '2024-01-01T00:00:00Z' },
      { ID: '2', UserId: 'bob' },
      { ID: '3', UserId: 'alice' },
    ]);
    expect(await items.sql("SELECT name FROM sqlite_master WHERE name LIKE '%legacy'")).toEqual([]);
  });

  it('keeps the rows of an older layout that it cannot read', async () => {
    const path = newPath();
    const connection = await driver(path).connect();
    connection.exec(`
      CREATE TABLE items (ID TEXT PRIMARY KEY, Content TEXT, LastModified TEXT);
      INSERT INTO items VALUES ('1', '{"id":"1","title":"fine"}', NULL), ('2', 'not json', NULL);
    `);
    connection.close();
    const items = open(path).store('items');
    expect(await items.query()).toMatchObject([{ id: '1' }]);
    expect(await items.sql('SELECT ID FROM items_legacy')).toMatchObject([{ ID: '1' }, { ID: '2' }]);
  });

  it('refuses a database of a later version', async () => {
    const path = newPath();
    const client = open(path);
    await client.store('items').query();
    await client.close();
    const connection = await driver(path).connect();
    connection.exec("UPDATE Tidemark_Meta SET Value = '99' WHERE Key = 'version'");
    connection.close();
    await expect(open(path).store('items').query()).rejects.toMatchObject({ code: 'database_too_new' });
  });

  it('a collection that is no longer asked for leaves, and its edits are set aside', async () => {
    const path = newPath();
    const first = open(path);
    await first.store('items').upsert({ id: '1', title: 'not sent' });
    await first.close();
    const second = createClient({
      ...options,
      collections: { visits: COLLECTIONS.visits },
      database: driver(path),
    });
    closing.push(() => second.close());
    expect(await second.setAside()).toMatchObject([
      { address: { collection: 'items', documentId: '1' }, content: { title: 'not sent' } },
    ]);
  });
});

describe('what a client refuses', () => {
  const client = createClient({ ...options, database: DRIVERS['node:sqlite'](':memory:') });
  afterAll(() => client.close());

  it('a shared collection without a scope, and one of another kind', () => {
    expect(() => client.store('visits')).toThrow(expect.objectContaining({ code: 'scope_needed' }));
    expect(() => client.store('visits', { scope: 'team:1' })).toThrow(
      expect.objectContaining({ code: 'scope_needed' }),
    );
    expect(() => client.store('nothing' as 'items')).toThrow(
      expect.objectContaining({ code: 'unknown_collection' }),
    );
  });

  it('names that are no tables', () => {
    const build = (name: string) =>
      createClient({
        ...options,
        collections: { [name]: collection<Item>() },
        database: DRIVERS['node:sqlite'](':memory:'),
      });
    expect(() => build('a"b')).toThrow(expect.objectContaining({ code: 'unknown_collection' }));
    expect(() => build('Tidemark_Users')).toThrow(expect.objectContaining({ code: 'unknown_collection' }));
  });

  it('a document that its schema refuses', async () => {
    const schema = {
      '~standard': {
        version: 1 as const,
        vendor: 'test',
        validate: (value: unknown) =>
          typeof (value as Item).title === 'string'
            ? { value }
            : { issues: [{ message: 'title is no text' }] },
        types: undefined as { input: unknown; output: Item } | undefined,
      },
    };
    const strict = createClient({
      ...options,
      collections: { items: collection({ schema }) },
      database: DRIVERS['node:sqlite'](':memory:'),
    });
    const items = strict.store('items');
    await items.upsert({ id: '1', title: 'fine' });
    await expect(items.upsert({ id: '2', title: 5 as unknown as string })).rejects.toThrow(
      'title is no text',
    );
    await expect(items.patch('1', { title: null })).rejects.toThrow('title is no text');
    await strict.close();
  });
});
