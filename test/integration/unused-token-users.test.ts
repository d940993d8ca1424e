import { setTimeout as sleep } from 'node:timers/promises';
import { CosmosClient, PermissionMode } from '@azure/cosmos';
import { startEmulator, type Emulator } from '../../emulator/src/index.ts';
import { DATABASE, provision } from '../../local/provision.ts';
import { startStack } from '../../local/stack.ts';
import { ACTIVITY, DOCUMENTS } from '../../shared/cosmos/containers.ts';
import { createActivityStore } from '../../shared/cosmos/activity-store.ts';
import { openCosmos } from '../../shared/cosmos/client.ts';
import { createPermissionStore } from '../../shared/cosmos/permission-store.ts';
import { createTokenUserStore } from '../../shared/cosmos/token-user-store.ts';
import { removeUnusedUsers } from '../../shared/tokens/unused-users.ts';
import { call } from '../support/api.ts';

const DAY = 86_400_000;

let emulator: Emulator;
let admin: CosmosClient;
let client: CosmosClient;
let slept: number;

beforeEach(async () => {
  emulator = await startEmulator();
  await provision(emulator.endpoint, emulator.key);
  admin = new CosmosClient({ endpoint: emulator.endpoint, key: emulator.key });
  client = openCosmos(emulator.endpoint, { key: emulator.key }, { retries: 0 });
  slept = 0;
});
afterEach(async () => {
  admin.dispose();
  client.dispose();
  await emulator.dispose();
});

const database = () => Promise.resolve(client.database(DATABASE));
const mint = (user: string) =>
  createPermissionStore(database).mint({
    user,
    scope: `user:${user}`,
    container: DOCUMENTS,
    mode: 'read',
    lifetime: 600,
  });
/** One run, so many days from now. */
const run = (days: number, unusedDays = 30) =>
  removeUnusedUsers(unusedDays * DAY, {
    users: createTokenUserStore(database, DOCUMENTS),
    activity: createActivityStore(async () => (await database()).container(ACTIVITY)),
    now: () => Date.now() + days * DAY,
    sleep: (milliseconds) => {
      slept += milliseconds;
      return Promise.resolve();
    },
  });
const users = async () =>
  (await admin.database(DATABASE).users.readAll().fetchAll()).resources.map(({ id }) => id).sort();

it('users whose last token was made long ago are removed with their permissions, others stay', async () => {
  for (const user of ['alice', 'bob', 'carol']) await mint(user);
  expect(await run(29)).toEqual({ seen: 3, removed: 0, finished: true });
  expect(await users()).toEqual(['alice', 'bob', 'carol']);
  expect(await run(31)).toEqual({ seen: 3, removed: 3, finished: true });
  expect(await users()).toEqual([]);
  // One who comes back is made anew.
  expect((await mint('alice')).value).toMatch(/^type=resource/);
});

it('users that this service did not make are left alone', async () => {
  const { user } = await admin.database(DATABASE).users.create({ id: 'somebody-else' });
  await user.permissions.create({
    id: 'their-own',
    permissionMode: PermissionMode.Read,
    resource: `dbs/${DATABASE}/colls/${ACTIVITY}`,
  });
  await mint('alice');
  expect((await run(31)).removed).toBe(1);
  expect(await users()).toEqual(['somebody-else']);
});

it('a run that the account throttles ends, and the next one goes on', async () => {
  for (let index = 0; index < 5; index += 1) await mint(`user-${index}`);
  emulator.faults.add({
    resource: 'permission',
    operation: 'list',
    skip: 2,
    action: { kind: 'status', status: 429, subStatus: 3200, retryAfterMs: 100 },
  });
  const first = await run(31);
  expect(first).toMatchObject({ removed: 2 });
  expect((await run(31)).removed).toBe(3);
  expect(await users()).toEqual([]);
});

it('it spends a small part of the metadata: ten looks a second, none at users that are young', async () => {
  for (let index = 0; index < 5; index += 1) await mint(`user-${index}`);
  await run(1);
  expect(slept).toBe(0);
  await run(31);
  expect(slept).toBe(500);
});

it('a place that the account no longer knows ends one run, and not all that follow', async () => {
  for (let index = 0; index < 3; index += 1) await mint(`user-${index}`);
  const activity = createActivityStore(async () => (await database()).container(ACTIVITY));
  const place = {
    userId: '~system',
    id: 'unused-users',
    kind: 'place',
    at: '2026-11-22T10:00:00.000Z',
    ttl: 3600,
  };
  await activity.put({ ...place, ...({ continuation: 'of another account' } as object) });
  emulator.faults.add({ resource: 'user', operation: 'list', action: { kind: 'status', status: 400 } });
  await expect(run(31)).rejects.toMatchObject({ name: 'Unavailable' });
  expect(await run(31)).toEqual({ seen: 3, removed: 3, finished: true });
});

it('the function of the app does it when its timer says so, and tells what it did', async () => {
  const lines: string[] = [];
  const stack = await startStack({ onLine: (line) => lines.push(line) });
  try {
    const token = await stack.issuerHandle.token({ sub: 'alice' });
    await call(`${stack.api}/GetCosmosToken`, { headers: { authorization: `Bearer ${token}` } });
    const timer = new URL('/admin/functions/RemoveUnusedTokenUsers', stack.api);
    expect((await fetch(timer, { method: 'POST' })).status).toBe(202);
    const said = () =>
      lines.some((line) => line.endsWith('Looked at 1 token users, removed 0; the list is through.'));
    for (let tries = 0; tries < 200 && !said(); tries += 1) await sleep(50);
    expect(said()).toBe(true);
  } finally {
    await stack.dispose();
  }
}, 60_000);
