import { copyFile } from 'node:fs/promises';
import { nodeSqlite } from '../../../client/src/drivers/node-sqlite.ts';
import { startStack, type Stack } from '../../../local/stack.ts';
import type { SyncEvents } from '../../../client/src/index.ts';
import { Database as Cosmos } from '../../support/api.ts';
import { Devices, synced, type TestClient } from '../../support/client.ts';

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
const newUser = (): string => `user-${(users += 1)}`;

function record<K extends keyof SyncEvents>(client: TestClient, name: K): SyncEvents[K][] {
  const events: SyncEvents[K][] = [];
  client.on(name, (event) => events.push(event));
  return events;
}

it('two devices of a user come to hold the same', async () => {
  const user = newUser();
  const phone = await devices.open(user);
  const tablet = await devices.open(user);
  await phone.store('items').upsert({ id: '1', title: 'Hello, tide' });
  expect(await synced(phone)).toMatchObject({ pushed: 1, rejected: 0, conflicts: 0 });
  expect(await synced(tablet)).toMatchObject({ pulled: 1 });
  expect(await tablet.store('items').query()).toEqual([{ id: '1', title: 'Hello, tide' }]);
  await tablet.store('items').delete('1');
  await synced(tablet);
  await synced(phone);
  expect(await phone.store('items').get('1')).toBeNull();
  expect(await phone.pending()).toEqual([]);
});

it('two devices that patch different members both keep their edit', async () => {
  const user = newUser();
  let ago = 0;
  const phone = await devices.open(user, { runtime: { now: () => Date.now() - ago } });
  const tablet = await devices.open(user);
  await phone.store('items').upsert({ id: '1', title: 'old', address: { city: 'Bern', street: 'Main' } });
  await synced(phone);
  await synced(tablet);
  ago = 60_000;
  await phone.store('items').patch('1', { title: 'new' });
  ago = 0;
  await tablet.store('items').patch('1', { address: { city: 'Basel' } });
  const conflicts = record(tablet, 'conflict');
  await synced(phone);
  await synced(tablet);
  await synced(phone);
  const both = { id: '1', title: 'new', address: { city: 'Basel', street: 'Main' } };
  expect(await tablet.store('items').get('1')).toEqual(both);
  expect(await phone.store('items').get('1')).toEqual(both);
  expect(conflicts).toMatchObject([
    { outcome: 'merged', mine: { title: 'old', address: { city: 'Basel' } }, theirs: both },
  ]);
  expect(await tablet.conflicts()).toMatchObject([{ outcome: 'merged', theirs: both }]);
});

it('an edit that lost is told with both versions', async () => {
  const user = newUser();
  let ago = 60_000;
  const phone = await devices.open(user);
  const tablet = await devices.open(user, { runtime: { now: () => Date.now() - ago } });
  await phone.store('items').upsert({ id: '1', title: 'first' });
  await synced(phone);
  await synced(tablet);
  await tablet.store('items').upsert({ id: '1', title: 'earlier' });
  ago = 0;
  await phone.store('items').upsert({ id: '1', title: 'later' });
  await synced(phone);
  const conflicts = record(tablet, 'conflict');
  expect(await synced(tablet)).toMatchObject({ skipped: 1, conflicts: 1 });
  expect(conflicts).toMatchObject([
    { outcome: 'skipped', mine: { title: 'earlier' }, theirs: { title: 'later' } },
  ]);
  expect(await tablet.store('items').get('1')).toMatchObject({ title: 'later' });
  const [kept] = await tablet.conflicts();
  expect(kept).toMatchObject({ mine: { title: 'earlier' }, theirs: { title: 'later' } });
  expect([await tablet.dropConflict(kept!.number), await tablet.dropConflict(kept!.number)]).toEqual([
    true,
    false,
  ]);
  expect(await tablet.conflicts()).toEqual([]);
});

it('a queue of 1,500 edits goes out in batches, by count and by bytes', async () => {
  const user = newUser();
  const phone = await devices.open(user);
  await phone
    .store('items')
    .upsertBulk(Array.from({ length: 1_500 }, (_, index) => ({ id: `n${index}`, title: `Number ${index}` })));
  expect(await synced(phone)).toMatchObject({ pushed: 1_500, rejected: 0 });
  const large = 'x'.repeat(800_000);
  await phone
    .store('items')
    .upsertBulk(Array.from({ length: 6 }, (_, index) => ({ id: `l${index}`, title: large })));
  const report = await synced(phone);
  expect(report).toMatchObject({ pushed: 6, rejected: 0 });
  expect(report.requests).toBeGreaterThan(1);
  const tablet = await devices.open(user, { sync: { pageSize: 500 } });
  const pages = record(tablet, 'progress');
  await synced(tablet);
  expect(pages.length).toBeGreaterThan(2);
  expect(await tablet.store('items').query({ where: { title: { startsWith: 'Number' } } })).toHaveLength(
    1_500,
  );
  expect(await phone.status()).toMatchObject({ pending: 0, state: 'idle', lastError: null });
}, 60_000);

it('a request the service finds too large is made smaller', async () => {
  const user = newUser();
  const phone = await devices.open(user, { sync: { maxBatchBytes: 50_000_000, maxBatchChanges: 2_000 } });
  await phone
    .store('items')
    .upsertBulk(Array.from({ length: 1_100 }, (_, index) => ({ id: `n${index}`, title: `Number ${index}` })));
  expect(await synced(phone)).toMatchObject({ pushed: 1_100 });
  await phone
    .store('items')
    .upsertBulk(Array.from({ length: 14 }, (_, index) => ({ id: `l${index}`, title: 'x'.repeat(800_000) })));
  expect(await synced(phone)).toMatchObject({ pushed: 14 });
}, 60_000);

describe('a change the service will never take', () => {
  const refusedBy = async (): Promise<{ client: TestClient; changeId: string }> => {
    const client = await devices.open(newUser());
    const rejected = record(client, 'rejected');
    await client.store('items').upsertBulk([
      { id: 'good', title: 'fine' },
      { id: 'bad', title: 'x'.repeat(1_000_000) },
    ]);
    expect(await synced(client)).toMatchObject({ pushed: 1, rejected: 1 });
    expect(rejected).toMatchObject([
      { address: { documentId: 'bad' }, error: { code: 'document_too_large' } },
    ]);
    const [entry] = await client.rejected();
    return { client, changeId: entry!.changeId };
  };

  it('is kept with its reason, blocks nothing, and is out of the way', async () => {
    const { client } = await refusedBy();
    expect(await client.store('items').get('bad')).toBeNull();
    expect(await client.pending()).toEqual([]);
    expect(await client.status()).toMatchObject({ rejected: 1, pending: 0, state: 'idle' });
  });

  it('can be corrected and sent again', async () => {
    const { client, changeId } = await refusedBy();
    expect(await client.resendRejected(changeId, { id: 'bad', title: 'short' })).toBe(true);
    expect(await client.store('items').get('bad')).toMatchObject({ title: 'short' });
    expect(await synced(client)).toMatchObject({ pushed: 1 });
    expect(await client.rejected()).toEqual([]);
  });

  it('can be dropped', async () => {
    const { client, changeId } = await refusedBy();
    expect(await client.dropRejected(changeId)).toBe(true);
    expect(await client.dropRejected(changeId)).toBe(false);
    expect(await client.rejected()).toEqual([]);
  });
});

it('documents of a shared scope come to all who may see it, and leave with the right to see them', async () => {
  const claims = { facilities: ['12'] };
  const nurse = await devices.open(newUser(), { claims });
  const doctor = newUser();
  let facilities = ['12'];
  const tablet = await devices.open(doctor, {
    token: () => stack.issuerHandle.token({ sub: doctor, facilities }),
  });
  const at = { scope: 'facility:12' };
  await nurse.store('visits', at).upsert({ id: 'v1', note: 'blood taken' });
  await synced(nurse);
  await synced(tablet);
  expect(await tablet.store('visits', at).get('v1')).toMatchObject({ note: 'blood taken' });

  await tablet.store('visits', at).upsert({ id: 'v2', note: 'not sent yet' });
  facilities = [];
  // What is sent in the last moment is refused; what is still here is set aside.
  await tablet.sync();
  expect(await tablet.store('visits', at).query()).toEqual([]);
  const kept = [...(await tablet.setAside()), ...(await tablet.rejected())];
  expect(kept).toMatchObject([{ address: { documentId: 'v2' }, content: { note: 'not sent yet' } }]);
});

describe('the user of a device changes', () => {
  it('rows and edits of two users never mix, and those of the first wait', async () => {
    const [alice, bob] = [newUser(), newUser()];
    let subject = alice;
    const client = await devices.open(alice, { token: () => stack.issuerHandle.token({ sub: subject }) });
    await client.store('items').upsert({ id: '1', title: 'of alice' });
    await synced(client);
    await client.store('items').upsert({ id: '2', title: 'of alice, not sent' });

    await client.updateUserId(bob);
    subject = bob;
    expect(await client.store('items').query()).toEqual([]);
    await client.store('items').upsert({ id: '1', title: 'of bob' });
    expect(await synced(client)).toMatchObject({ pushed: 1 });
    expect(await client.users()).toEqual([
      { userId: alice, pending: 1 },
      { userId: bob, pending: 0 },
    ]);

    await client.updateUserId(alice);
    subject = alice;
    expect(await client.store('items').query()).toHaveLength(2);
    expect(await synced(client)).toMatchObject({ pushed: 1 });
    const other = await devices.open(alice);
    await synced(other);
    expect((await other.store('items').query()).map(({ title }) => title)).toEqual([
      'of alice',
      'of alice, not sent',
    ]);
  });

  it('wiped, the one who leaves finds everything again, edits that were not sent included', async () => {
    const [alice, bob] = [newUser(), newUser()];
    let subject = alice;
    const client = await devices.open(alice, { token: () => stack.issuerHandle.token({ sub: subject }) });
    await client.store('items').upsert({ id: '1', title: 'sent' });
    await synced(client);
    await client.store('items').upsert({ id: '2', title: 'not sent' });
    await client.updateUserId(bob, { leave: 'wipe' });
    const left = await client.store('items').sql('SELECT ID FROM items WHERE UserId = ?', [alice]);
    expect(left.map(({ ID }) => ID)).toEqual(['2']);
    await client.updateUserId(alice);
    subject = alice;
    await synced(client);
    expect((await client.store('items').query()).map(({ id }) => id)).toEqual(['1', '2']);
    await client.updateUserId(bob);
    await client.forgetUser(alice);
    expect(await client.users()).toEqual([{ userId: bob, pending: 0 }]);
  });

  it("nothing is written with another user's token", async () => {
    const [alice, bob] = [newUser(), newUser()];
    const client = await devices.open(alice, { token: () => stack.issuerHandle.token({ sub: bob }) });
    await client.store('items').upsert({ id: '1', title: 'of alice' });
    const report = await client.sync();
    expect(report).toMatchObject({ outcome: 'failed', error: { code: 'user_mismatch' } });
    expect(await client.status()).toMatchObject({ state: 'error', pending: 1 });
    const cosmos = new Cosmos(stack);
    const scopes = [...(await cosmos.snapshot()).values()].map(({ scope }) => scope);
    cosmos.dispose();
    expect(scopes).not.toContain(`user:${bob}`);
  });
});

it('a copy of a device goes on under a device id of its own', async () => {
  const user = newUser();
  const [path, copy] = [await devices.path(), await devices.path()];
  const original = await devices.open(user, { database: nodeSqlite(path) });
  await original.store('items').upsert({ id: '1', title: 'one' });
  await synced(original);
  await original.store('items').sql('PRAGMA wal_checkpoint(TRUNCATE)');
  await copyFile(path, copy);
  const clone = await devices.open(user, { database: nodeSqlite(copy) });
  expect((await clone.status()).deviceId).not.toBe((await original.status()).deviceId);
  await original.store('items').upsert({ id: '2', title: 'two' });
  await clone.store('items').upsert({ id: '3', title: 'three' });
  await synced(original);
  await synced(clone);
  await synced(original);
  const titles = ['one', 'two', 'three'];
  expect((await original.store('items').query()).map(({ title }) => title)).toEqual(titles);
  expect((await clone.store('items').query()).map(({ title }) => title)).toEqual(titles);
});
