import { Replica } from '../../client/src/replica.ts';
import { parseSyncConfig } from '../../shared/sync/sync-config.ts';
import {
  DAY,
  advanceTime,
  change,
  freezeTime,
  identityOf,
  request,
  startGateway,
  type Gateway,
} from '../support/gateway.ts';

/**
 * Scenarios that broke other designs, by letters, with the client's own core. (j), a checkpoint renewed page by page but
 * never drained, is in sync.test.ts; (m), a crash between any two requests, is all of test/fault/crash.test.ts.
 */

const config = parseSyncConfig({
  collections: {
    items: {},
    server: { strategy: 'server_wins' },
    client: { strategy: 'client_wins' },
    merged: { strategy: 'merge_with_client_priority' },
  },
});
const COLLECTIONS = [...config.collections.keys()];

let gateway: Gateway;
let ids = 0;
beforeEach(async () => {
  freezeTime();
  gateway = await startGateway();
});
afterEach(async () => {
  await gateway.dispose();
  jest.useRealTimers();
});

const at = (collection: string, documentId = '1') => ({ scope: 'user:alice', collection, documentId });
const createDevice = (deviceId: string): Replica =>
  new Replica({
    userId: 'alice',
    deviceId,
    collections: COLLECTIONS,
    now: () => Date.now(),
    createId: () => `n${(ids += 1)}`,
  });
const send = (request: object, user = 'alice') => gateway.sync(user, request, { config });
async function sync(device: Replica): Promise<void> {
  for (let more = true; more;) {
    const request = device.request();
    more = device.take(request, await send(request));
  }
  advanceTime(1_000);
}
const logged = async () =>
  (await gateway.items()).flatMap(({ lost }) =>
    lost === undefined ? [] : [(lost as { data: unknown }).data],
  );

it('(a) server_wins: an answer is lost, the user edits again: the second edit survives', async () => {
  const phone = createDevice('phone');
  phone.put(at('server'), { v: 1 });
  await send(phone.request());
  phone.put(at('server'), { v: 2 });
  await sync(phone);
  const tablet = createDevice('tablet');
  await sync(tablet);
  expect(tablet.get(at('server'))).toEqual({ v: 2 });
  expect(await logged()).toEqual([]);
});

it('(b) two stores with one device id: both edits are stored or logged', async () => {
  const [one, two] = [createDevice('phone'), createDevice('phone')];
  one.put(at('items'), { of: 'one' });
  advanceTime(1_000);
  two.put(at('items'), { of: 'two' });
  await sync(one);
  await sync(two);
  await sync(one);
  expect(two.deviceId).not.toBe('phone');
  expect(one.get(at('items'))).toEqual({ of: 'two' });
  expect(two.get(at('items'))).toEqual({ of: 'two' });
  expect(await logged()).toEqual([{ of: 'one' }]);
});

it('(c) client_wins: a replay after 40 devices wrote changes nothing', async () => {
  const first = createDevice('first');
  first.put(at('client'), { by: 'first' });
  const request = first.request();
  await send(request);
  for (let index = 0; index < 40; index += 1) {
    const device = createDevice(`d${index}`);
    device.put(at('client'), { by: index });
    await send(device.request());
  }
  const before = await gateway.items();
  await send(request);
  expect(await gateway.items()).toEqual(before);
});

it('(e) an undeleted document lives on, 91 days later', async () => {
  const phone = createDevice('phone');
  phone.put(at('items'), { v: 1 });
  await sync(phone);
  phone.remove(at('items'));
  await sync(phone);
  phone.put(at('items'), { v: 2 });
  await sync(phone);
  advanceTime(91 * DAY);
  const tablet = createDevice('tablet');
  await sync(tablet);
  expect(tablet.get(at('items'))).toEqual({ v: 2 });
});

it('(f) a replayed create stays deleted after the tombstone expired; an old create never sent survives', async () => {
  const phone = createDevice('phone');
  phone.put(at('items'), { v: 1 });
  await send(phone.request());
  const tablet = createDevice('tablet');
  await sync(tablet);
  tablet.remove(at('items'));
  await sync(tablet);
  phone.put(at('items', '2'), { old: true });
  advanceTime(91 * DAY);
  await sync(phone);
  expect([...phone.documents().values()]).toEqual([{ old: true }]);
});

it('(g) version 2 is pulled while an edit of version 1 waits: the push is a conflict', async () => {
  const [phone, tablet] = [createDevice('phone'), createDevice('tablet')];
  phone.put(at('server'), { v: 1 });
  await sync(phone);
  await sync(tablet);
  phone.put(at('server'), { v: 2 });
  await sync(phone);
  const pull = tablet.request();
  tablet.put(at('server'), { v: 'tablet' });
  tablet.take(pull, await send(pull));
  await sync(tablet);
  expect(tablet.get(at('server'))).toEqual({ v: 2 });
  expect(await logged()).toEqual([{ v: 'tablet' }]);
});

it('(h) and (i) a merge arrives late while the next edit waits: the other side’s field survives', async () => {
  const [phone, tablet] = [createDevice('phone'), createDevice('tablet')];
  phone.put(at('merged'), { base: 1 });
  await sync(phone);
  await sync(tablet);
  tablet.put(at('merged'), { base: 1, tablet: 1 });
  await sync(tablet);
  phone.put(at('merged'), { base: 1, phone: 1 });
  await send(phone.request());
  phone.put(at('merged'), { base: 1, phone: 2 });
  await sync(phone);
  await sync(tablet);
  expect(phone.get(at('merged'))).toEqual({ base: 1, tablet: 1, phone: 2 });
  expect(tablet.get(at('merged'))).toEqual({ base: 1, tablet: 1, phone: 2 });
});

it('(d) a merge that had nothing to write, then a field removed by another: the replay leaves it absent', async () => {
  const [phone, tablet] = [createDevice('phone'), createDevice('tablet')];
  phone.put(at('merged'), { a: 1, b: 1 });
  await sync(phone);
  await sync(tablet);
  tablet.put(at('merged'), { a: 2, b: 1 });
  await sync(tablet);
  phone.put(at('merged'), { a: 2, b: 1 });
  await send(phone.request());
  tablet.put(at('merged'), { a: 2 });
  await sync(tablet);
  await sync(phone);
  expect(phone.get(at('merged'))).toEqual({ a: 2 });
  expect(await logged()).toEqual([]);
});

it('(k) a scope revoked and regained: its rows go, and come back with their whole history', async () => {
  const visit = { scope: 'facility:1', collection: 'visits', documentId: '1' };
  const seed = change('1', 1, { ...visit, data: { by: 'nurse' } });
  await gateway.sync(identityOf('nurse', ['facility:1']), { ...request('desk', [seed]), streams: {} });
  const phone = new Replica({
    userId: 'alice',
    deviceId: 'phone',
    collections: ['items', 'visits'],
    now: () => Date.now(),
    createId: () => `n${(ids += 1)}`,
  });
  const seen: unknown[] = [];
  for (const scopes of [[], ['facility:1'], [], ['facility:1']]) {
    const made = phone.request();
    phone.take(made, await gateway.sync(identityOf('alice', scopes), made));
    seen.push(phone.get(visit));
  }
  expect(seen).toEqual([null, { by: 'nurse' }, null, { by: 'nurse' }]);
});

it('(n) a fold whose middle change is rejected, a transaction with one conflict, both replayed', async () => {
  await send(request('tablet', [change('1', 1, { collection: 'server', changeId: 't1' })]));
  advanceTime(1_000);
  const body = request('phone', [
    change('2', 1, { data: { v: 1 } }),
    change('2', 2, { type: 'patch', data: { w: 1 }, lastModified: 'never' }),
    change('2', 3, { data: { v: 3 } }),
    change('3', 4, { transaction: 't' }),
    change('1', 5, { transaction: 't', collection: 'server' }),
  ]);
  const told = async () =>
    (await send(body)).results.map(({ status, outcome, error }) => outcome ?? error?.code ?? status);
  const lost = ['transaction_rejected', 'transaction_rejected'];
  expect(await told()).toEqual(['applied', 'invalid_date', 'applied', ...lost]);
  const stored = await gateway.items();
  advanceTime(200 * DAY);
  expect(await told()).toEqual([
    'applied',
    'invalid_date',
    'applied',
    'rejected_earlier',
    'rejected_earlier',
  ]);
  expect(await gateway.items()).toEqual(stored);
  expect(stored.find(({ id }) => id === 'items:2')).toMatchObject({ data: { v: 3 } });
});

it('(l) the engine of one user with the token of another: no write', async () => {
  const phone = createDevice('phone');
  phone.put(at('items'), { v: 1 });
  const request = phone.request();
  await expect(send(request, 'bob')).rejects.toMatchObject({ code: 'user_mismatch' });
  expect([await gateway.items(), await gateway.items('user:bob')]).toEqual([[], []]);
  phone.take(request, await send(request));
  expect(phone.pending).toBe(0);
});
