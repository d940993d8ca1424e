import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { CosmosClient, PermissionMode } from '@azure/cosmos';
import { collection, createClient, type ExpiringToken } from '../../../client/src/index.ts';
import { cosmosClients, CosmosDbStore, directTransport } from '../../../client/src/cosmos/index.ts';
import { nodeSqlite } from '../../../client/src/drivers/node-sqlite.ts';
import type { ScopeToken } from '../../../shared/protocol/index.ts';
import { DRIVERS } from '../../support/client.ts';
import { mintOwn } from '../../support/mint.ts';
import { openDevice, syncContract, type DeviceOptions, type SyncWorld } from '../../support/sync-contract.ts';
import { startGateway, type Gateway } from '../../support/gateway.ts';
import { serveSync } from '../../support/sync-server.ts';

/** What a sync promises, through the gateway and straight to Cosmos DB with a resource token that opens one partition. */

let gateway: Gateway;
let server: Awaited<ReturnType<typeof serveSync>>;
let admin: CosmosClient;
beforeAll(async () => {
  gateway = await startGateway();
  server = await serveSync(gateway);
  admin = new CosmosClient({ endpoint: gateway.emulator.endpoint, key: gateway.emulator.key });
});
afterAll(async () => {
  admin.dispose();
  await server.close();
  await gateway.dispose();
});

let users = 0;
const newUser = (): string => `t${(users += 1)}`;

const mint = (user: string, mode: PermissionMode) => mintOwn(admin, gateway.emulator.endpoint, user, mode);

const world: SyncWorld = {
  url: () => server.url,
  newUser,
  database: () => nodeSqlite(':memory:'),
  mint: (user) => mint(user, PermissionMode.All),
  items: (user) => gateway.items(`user:${user}`),
  remove: async (user, id) => {
    await gateway.container.item(id, `user:${user}`).delete();
  },
};
// Both drivers: what a device comes to hold does not depend on who runs its SQL.
describe.each(Object.entries(DRIVERS))('with %s', (_name, driver) => {
  syncContract({ ...world, database: () => driver(':memory:') });
});

const closing: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});
const open = (transport: string, user: string, options?: DeviceOptions) => {
  const device = openDevice(world, transport, user, options);
  closing.push(() => device.client.close());
  return device;
};

const conflictsOf = async (user: string) =>
  (await gateway.items(`user:${user}`)).filter(({ id }) => String(id).startsWith('~conflict'));

it('a device goes over from one way to the other with an answer lost in between', async () => {
  const user = newUser();
  const folder = mkdtempSync(join(tmpdir(), 'tidemark-transports-'));
  closing.push(() => {
    rmSync(folder, { recursive: true });
    return Promise.resolve();
  });
  const path = join(folder, 'device.db');
  let lose = false;
  const before = open('thin', user, { database: nodeSqlite(path), losing: () => lose });
  await before.items.upsert({ id: '1', title: 'a' });
  await before.sync();
  lose = true;
  await before.items.upsert({ id: '1', title: 'b' });
  await before.client.sync();
  await before.client.close();
  const after = open('direct', user, { database: nodeSqlite(path) });
  await after.items.upsert({ id: '2', title: 'c' });
  expect(await after.sync()).toMatchObject({ pushed: 2, conflicts: 0 });
  expect((await after.items.query()).map(({ title }) => title)).toEqual(['b', 'c']);
  expect(await conflictsOf(user)).toEqual([]);
});

it.each(['thin', 'direct'])('on %s, an item that is no document gives way to an edit', async (transport) => {
  const user = newUser();
  await gateway.container.items.create({ id: 'items:1', scope: `user:${user}`, note: 'by hand' });
  const { items, sync } = open(transport, user);
  await items.upsert({ id: '1', title: 'a' });
  await sync();
  expect(await gateway.items(`user:${user}`)).toContainEqual(
    expect.objectContaining({ id: 'items:1', data: { id: '1', title: 'a' }, deleted: false }),
  );
});

it('straight to Cosmos DB there are no checksums: a repair fetches everything anew, and keeps what waits', async () => {
  const user = newUser();
  const folder = mkdtempSync(join(tmpdir(), 'tidemark-repair-'));
  closing.push(() => {
    rmSync(folder, { recursive: true });
    return Promise.resolve();
  });
  const path = join(folder, 'device.db');
  const { client, items, sync } = open('direct', user, { database: nodeSqlite(path) });
  await items.upsertBulk(Array.from({ length: 5 }, (_, n) => ({ id: `d${n}`, n })));
  await sync();
  const database = new DatabaseSync(path);
  database.exec(`DELETE FROM items WHERE ID = 'd1';
    INSERT INTO items SELECT 'ghost', '{"id":"ghost"}', LastModified, UserId, Scope, Version FROM items WHERE ID = 'd2'`);
  database.close();
  await expect(client.engine.verify()).rejects.toMatchObject({ code: 'not_comparable' });
  await items.upsert({ id: 'd3', n: 33 });
  expect(await client.engine.repair()).toMatchObject({ outcome: 'synced', pushed: 1 });
  expect((await items.query()).map(({ id, n }) => `${id} ${String(n)}`)).toEqual([
    'd0 0',
    'd1 1',
    'd2 2',
    'd3 33',
    'd4 4',
  ]);
});

it('a token that only reads writes nothing, and says so', async () => {
  const { client, items } = open('direct', newUser(), {
    mint: (user) => mint(user, PermissionMode.Read),
  });
  await items.upsert({ id: '1', title: 'a' });
  expect(await client.sync()).toMatchObject({ outcome: 'failed', error: { code: 'direct_write_forbidden' } });
  expect(await client.status()).toMatchObject({ pending: 1 });
});

it("another user's token writes nothing", async () => {
  const [alice, bob] = [newUser(), newUser()];
  const tokens: { getToken: () => Promise<ScopeToken & ExpiringToken> } = {
    getToken: () => mint(bob, PermissionMode.All),
  };
  const client = createClient({
    url: server.url,
    token: 'unused',
    userId: alice,
    database: nodeSqlite(':memory:'),
    collections: { items: collection<{ id: string; title: string }>() },
    transport: () => directTransport({ tokens }),
  });
  closing.push(() => client.close());
  await client.store('items').upsert({ id: '1', title: 'of alice' });
  expect(await client.sync()).toMatchObject({ outcome: 'failed', error: { code: 'user_mismatch' } });
  expect(await gateway.items(`user:${bob}`)).toEqual([]);
});

describe('CosmosDbStore', () => {
  const openStore = (user: string) =>
    new CosmosDbStore<{ id: string; title?: string; n?: number | null }>({
      collection: 'items',
      deviceId: 'desk',
      tokens: { getToken: () => mint(user, PermissionMode.All) },
    });

  it('writes what a device gets with its next sync, and reads what devices wrote', async () => {
    const user = newUser();
    const store = openStore(user);
    const device = open('thin', user);
    await store.upsertBulk(Array.from({ length: 120 }, (_, n) => ({ id: `d${n}`, title: `Number ${n}`, n })));
    await device.sync();
    expect(await device.items.query()).toHaveLength(120);
    await device.items.patch('d7', { title: 'from the device' });
    await device.sync();
    expect(await store.get('d7')).toEqual({ id: 'd7', title: 'from the device', n: 7 });
    expect(await store.patch('d7', { n: null })).toEqual({ id: 'd7', title: 'from the device' });
    expect([await store.delete('d8'), await store.delete('d8')]).toEqual([true, false]);
    await device.sync();
    expect(await device.items.get('d7')).toEqual({ id: 'd7', title: 'from the device' });
    expect(await device.items.get('d8')).toBeNull();
    expect(await store.pendingChanges()).toEqual([]);
  });

  it('finds by members, in an order, some at a time', async () => {
    const store = openStore(newUser());
    await store.upsertBulk([
      { id: '1', title: 'b', n: 3 },
      { id: '2', title: 'a', n: 1 },
      { id: '3', title: 'c' },
    ]);
    const ids = async (query: Parameters<typeof store.query>[0]) =>
      (await store.query(query)).map(({ id }) => id);
    expect(await ids({})).toEqual(['1', '2', '3']);
    expect(await ids({ where: { title: 'b' } })).toEqual(['1']);
    expect(await ids({ where: { n: { gt: 1 } } })).toEqual(['1']);
    expect(await ids({ where: { n: null } })).toEqual(['3']);
    expect(await ids({ where: { n: { ne: 1 } } })).toEqual(['1', '3']);
    expect(await ids({ where: { title: { in: ['a', 'c'] } } })).toEqual(['2', '3']);
    expect(await ids({ where: { title: { startsWith: 'a' } } })).toEqual(['2']);
    expect(await ids({ orderBy: [['title', 'desc']], limit: 2 })).toEqual(['3', '1']);
  });

  it('a transaction runs again when somebody changed what it had read', async () => {
    const user = newUser();
    const [store, beside] = [openStore(user), openStore(user)];
    await store.upsert({ id: '1', n: 1 });
    let runs = 0;
    await store.transaction(async (transaction) => {
      const found = await transaction.get('1');
      if ((runs += 1) === 1) await beside.patch('1', { n: 10 });
      transaction.upsert({ id: '1', n: (found?.n ?? 0) + 1 });
    });
    expect([runs, await store.get('1')]).toEqual([2, { id: '1', n: 11 }]);
  });
});

describe('Clients of @azure/cosmos', () => {
  it('are one for all tokens: the next request goes out with the next token', async () => {
    const user = newUser();
    let token = await mint(user, PermissionMode.All);
    const clients: CosmosClient[] = [];
    const openOwn = cosmosClients({ getToken: () => Promise.resolve(token) }, (access) => {
      const client = new CosmosClient(access);
      clients.push(client);
      return client;
    });
    const items = async () => {
      const { client, database, container, partitionKey } = await openOwn();
      return client
        .database(database)
        .container(container)
        .items.query('SELECT * FROM c', {
          partitionKey: [...partitionKey],
        });
    };
    const fresh = token;
    token = { ...fresh, token: `${fresh.token.slice(0, -4)}xxxx` };
    await expect(items().then((query) => query.fetchAll())).rejects.toMatchObject({ code: 401 });
    token = fresh;
    expect((await (await items()).fetchAll()).resources).toEqual([]);
    const { client, database, container } = await openOwn();
    const other = client.database(database).container(container).item('1', 'user:somebody');
    await expect(other.read()).rejects.toMatchObject({ code: 403 });
    expect(clients).toHaveLength(1);
    for (const made of clients) made.dispose();
  });
});
