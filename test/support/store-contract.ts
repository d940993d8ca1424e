import { createClient, type DatabaseOpener, type SqlDriver } from '../../client/src/index.ts';
import { COLLECTIONS } from './collections.ts';

/** A client that reaches no service. */
export const STORE_OPTIONS = {
  url: 'http://127.0.0.1:1/api',
  token: 'none',
  userId: 'alice',
  collections: COLLECTIONS,
};

/** A database that does not exist yet, on one platform. */
export interface Place {
  /** Opens it once more, as another tab or process does. */
  driver(): SqlDriver | DatabaseOpener;
  /** Runs statements on it while no client has it open. */
  exec(sql: string): Promise<void>;
}

/**
 * What a store promises, wherever it runs: in Node.js under Jest, in a browser under the runner of the browser tests. So
 * nothing here is of Node.js.
 */
export function storeContract(newPlace: () => Place): void {
  const closing: (() => Promise<void>)[] = [];
  afterEach(async () => {
    for (const close of closing.splice(0)) await close();
  });
  function open(place = newPlace()) {
    const client = createClient({ ...STORE_OPTIONS, database: place.driver() });
    closing.push(() => client.close());
    return client;
  }

  it('keeps what is written when it is opened again, and what is to be sent', async () => {
    const place = newPlace();
    const first = open(place);
    await first.store('items').upsert({ id: '1', title: 'kept' });
    await first.close();
    const second = open(place);
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
    const place = newPlace();
    const items = open(place).store('items');
    const beside = open(place).store('items');
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
    const place = newPlace();
    const before = open(place);
    await before.store('items').upsert({ id: '1', title: 'before' });
    await before.close();
    // The content is written last: by then what is pending has been noted.
    await place.exec(`CREATE TRIGGER full BEFORE INSERT ON items WHEN NEW.ID = '2'
      BEGIN SELECT RAISE(ABORT, 'disk full'); END`);
    const items = open(place).store('items');
    const broken = { id: '2', title: 'lost' };
    await expect(items.upsert(broken)).rejects.toThrow('disk full');
    await expect(items.upsertBulk([{ id: '3', title: 'lost' }, broken])).rejects.toThrow('disk full');
    const both = items.transaction(async (transaction) => {
      await transaction.patch('1', { title: 'lost' });
      transaction.upsert(broken);
    });
    await expect(both).rejects.toThrow('disk full');
    expect(await items.query()).toEqual([{ id: '1', title: 'before' }]);
    expect((await items.pendingChanges()).map(({ id }) => id)).toEqual(['1']);
    await items.upsert({ id: '4', title: 'after' });
    expect((await items.pendingChanges()).map(({ id }) => id)).toEqual(['1', '4']);
  });

  it('takes over a database of the layout without users', async () => {
    const place = newPlace();
    await place.exec(`
      CREATE TABLE items (ID TEXT PRIMARY KEY, Content TEXT, LastModified TEXT);
      CREATE TABLE PendingChanges_items (ID TEXT PRIMARY KEY);
      INSERT INTO items VALUES ('1', '{"id":"1","title":"of alice","userId":"alice"}', '2024-01-01T00:00:00Z');
      INSERT INTO items VALUES ('2', '{"id":"2","title":"of bob","userId":"bob"}', '2024-01-02T00:00:00Z');
      INSERT INTO items VALUES ('3', '{"id":"3","title":"of nobody"}', '2024-01-03T00:00:00Z');
      INSERT INTO PendingChanges_items VALUES ('3'), ('gone');
    `);
    const client = open(place);
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
    const place = newPlace();
    await place.exec(`
      CREATE TABLE items (ID TEXT PRIMARY KEY, Content TEXT, LastModified TEXT);
      INSERT INTO items VALUES ('1', '{"id":"1","title":"fine"}', NULL), ('2', 'not json', NULL);
    `);
    const items = open(place).store('items');
    expect(await items.query()).toMatchObject([{ id: '1' }]);
    expect(await items.sql('SELECT ID FROM items_legacy')).toMatchObject([{ ID: '1' }, { ID: '2' }]);
  });

  it('refuses a database of a later version', async () => {
    const place = newPlace();
    const client = open(place);
    await client.store('items').query();
    await client.close();
    await place.exec("UPDATE Tidemark_Meta SET Value = '99' WHERE Key = 'version'");
    await expect(open(place).store('items').query()).rejects.toMatchObject({ code: 'database_too_new' });
  });

  it('a collection that is no longer asked for leaves, and its edits are set aside', async () => {
    const place = newPlace();
    const first = open(place);
    await first.store('items').upsert({ id: '1', title: 'not sent' });
    await first.close();
    const second = createClient({
      ...STORE_OPTIONS,
      collections: { visits: COLLECTIONS.visits },
      database: place.driver(),
    });
    closing.push(() => second.close());
    expect(await second.setAside()).toMatchObject([
      { address: { collection: 'items', documentId: '1' }, content: { title: 'not sent' } },
    ]);
  });
}
