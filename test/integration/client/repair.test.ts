import { DatabaseSync } from 'node:sqlite';
import { nodeSqlite } from '../../../client/src/drivers/node-sqlite.ts';
import type { SyncEvents } from '../../../client/src/index.ts';
import { startStack, type Stack } from '../../../local/stack.ts';
import { Devices, QUICK, synced, type TestClient } from '../../support/client.ts';

/** A store that was damaged finds out, and is set right without losing what waits in it. */

let stack: Stack;
let devices: Devices;
beforeAll(async () => {
  stack = await startStack({ quiet: true });
  devices = new Devices(stack);
});
afterAll(async () => {
  await devices.dispose();
  await stack.dispose();
});

let users = 0;

/** A device that holds documents d0, d1 …, and a way to harm its database. */
async function device(count: number, options: Parameters<Devices['open']>[1] = {}) {
  const user = `hurt-${(users += 1)}`;
  const path = await devices.path();
  const client = await devices.open(user, { database: nodeSqlite(path), ...options });
  const items = client.store('items');
  await items.upsertBulk(Array.from({ length: count }, (_, n) => ({ id: `d${n}`, title: `Number ${n}` })));
  await synced(client);
  const diverged: SyncEvents['diverged'][] = [];
  client.on('diverged', (event) => diverged.push(event));
  const harm = (sql: string): void => {
    const database = new DatabaseSync(path);
    database.exec(sql);
    database.close();
  };
  return { user, client, items, diverged, harm };
}

const LOST_OLD_SURPLUS = `
  DELETE FROM items WHERE ID = 'd1';
  UPDATE items SET Content = '{"id":"d2","title":"old"}', Version = '1.l.mwr6u9fq.%22old%22' WHERE ID = 'd2';
  INSERT INTO items SELECT 'ghost', '{"id":"ghost","title":"boo"}', LastModified, UserId, Scope, Version FROM items WHERE ID = 'd3'`;

const titles = async (client: TestClient) =>
  (await client.store('items').query()).map(({ id, title }) => `${id} ${title}`);

it('a store that is whole differs in nothing', async () => {
  const { client, diverged } = await device(300);
  expect(await client.engine.verify()).toMatchObject({ outcome: 'synced', diverged: 0, repaired: 0 });
  expect(diverged).toEqual([]);
  expect((await client.status()).lastComparison).not.toBeNull();
});

it('what was lost, is old or should not be there is found, and set right on request', async () => {
  const { client, diverged, harm } = await device(20);
  const whole = await titles(client);
  harm(LOST_OLD_SURPLUS);
  expect(await client.engine.verify()).toMatchObject({ outcome: 'synced', diverged: 3, repaired: 0 });
  expect(await titles(client)).toContain('ghost boo');
  expect(await client.engine.repair()).toMatchObject({ outcome: 'synced', diverged: 3, repaired: 3 });
  expect(await titles(client)).toEqual(whole);
  expect(diverged.map(({ repaired }) => repaired)).toEqual([0, 3]);
  expect(diverged[1]!.documents.map(({ address, kind }) => `${address.documentId} ${kind}`).sort()).toEqual([
    'd1 missing',
    'd2 different',
    'ghost surplus',
  ]);
  expect(await client.status()).toMatchObject({ repaired: 3 });
  expect(await client.engine.verify()).toMatchObject({ diverged: 0 });
});

it('where most of it differs, everything is fetched anew', async () => {
  const { client, items, harm } = await device(300);
  const whole = await titles(client);
  harm('DELETE FROM items WHERE rowid % 2 = 0');
  await items.upsert({ id: 'mine', title: 'made since' });
  expect(await client.engine.repair()).toMatchObject({ outcome: 'synced', repaired: 150 });
  expect(await titles(client)).toEqual([...whole, 'mine made since']);
});

it('an edit made while they are compared stays, and is sent', async () => {
  const edits: (() => Promise<void>)[] = [];
  const { client, items, harm } = await device(20, {
    runtime: {
      fetch: async (...args: Parameters<typeof fetch>) => {
        const body = await new Request(...args).text();
        // Before the answer that brings what differs.
        if (body.includes('documentIds')) for (const edit of edits.splice(0)) await edit();
        return fetch(...args);
      },
    },
  });
  harm(LOST_OLD_SURPLUS);
  edits.push(
    () => items.upsert({ id: 'd1', title: 'mine' }),
    () => items.upsert({ id: 'd2', title: 'mine, too' }),
  );
  expect(await client.engine.repair()).toMatchObject({ outcome: 'synced', diverged: 3, repaired: 1 });
  expect((await client.pending()).map(({ address }) => address.documentId)).toEqual(['d1', 'd2']);
  const shown = await titles(client);
  expect(shown).toEqual(expect.arrayContaining(['d1 mine', 'd2 mine, too']));
  expect(shown).not.toContain('ghost boo');
  expect(await synced(client)).toMatchObject({ rejected: 0 });
  expect(await client.pending()).toEqual([]);
  // What had become of them meanwhile is decided as ever: nothing waits, and nothing differs.
  expect(await client.engine.verify()).toMatchObject({ diverged: 0 });
});

it('in the background it is done by itself, from time to time', async () => {
  let now = Date.parse('2026-11-22T10:00:00.000Z');
  const timers: (() => void)[] = [];
  const { client, harm } = await device(5, {
    sync: { ...QUICK, repairInterval: 86_400_000 },
    runtime: {
      now: () => now,
      setTimer: (callback, milliseconds) => {
        // Appointments of the engine are kept when the test says so; no timeout ever comes.
        if (milliseconds === 0 || milliseconds > 100_000) timers.push(callback);
        return () => undefined;
      },
    },
  });
  const next = async () => {
    const ended = new Promise<SyncEvents['synced']>((resolve) => {
      const end = client.on('synced', (report) => {
        end();
        resolve(report);
      });
    });
    timers.pop()!();
    return ended;
  };
  client.start();
  expect(await next()).toMatchObject({ outcome: 'synced', diverged: 0 });
  harm("DELETE FROM items WHERE ID = 'd1'");
  expect(await next()).toMatchObject({ outcome: 'synced', diverged: 0 });
  now += 86_400_000;
  expect(await next()).toMatchObject({ outcome: 'synced', diverged: 1, repaired: 1 });
  expect(await titles(client)).toContain('d1 Number 1');
  expect(await next()).toMatchObject({ outcome: 'synced', diverged: 0 });
});
