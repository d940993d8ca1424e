import type { Identity } from '../../shared/auth/identity.ts';
import {
  addAnswer,
  addDocument,
  bucketOf,
  differingBuckets,
  emptyChecksum,
  formatBucket,
  formatChecksum,
  type Checksum,
  type IntegrityAnswer,
  type RemoteDocument,
} from '../../shared/protocol/index.ts';
import { checksums, integrityDocuments } from '../../shared/sync/integrity.ts';
import type { DocumentStore } from '../../shared/sync/store.ts';
import { CONFIG, change, identityOf, request, startGateway, type Gateway } from '../support/gateway.ts';
import { mapScopes } from '../support/store.ts';

/** A client and the service find out whether they hold the same, and where they do not. */

const SCOPE = 'user:alice';
const ALICE = identityOf('alice');

let gateway: Gateway;
beforeEach(async () => {
  gateway = await startGateway();
});
afterEach(() => gateway.dispose());

const dependencies = (store: DocumentStore = gateway.store) => ({
  store,
  settings: { config: CONFIG, epoch: '1', retention: 90 * 86_400, deadline: 60_000 },
  now: Date.now,
});
const ask = (query: object, identity: Identity = ALICE, store?: DocumentStore) =>
  checksums(query, identity, dependencies(store));
const fetchSome = (body: object, identity: Identity = ALICE) =>
  integrityDocuments(body, identity, dependencies());

/** A device that keeps rows and their checksum, as a client in any language would. */
class Device {
  readonly rows = new Map<string, RemoteDocument>();
  checkpoint = '';

  async pull(): Promise<void> {
    for (let more = true; more;) {
      const answer = await gateway.sync('alice', {
        protocol: 1,
        deviceId: 'reader',
        collections: ['items'],
        limit: 500,
        ...(this.checkpoint === '' ? {} : { checkpoints: { [SCOPE]: this.checkpoint } }),
      });
      for (const document of answer.delta.documents) {
        if (document.deleted) this.rows.delete(document.documentId);
        else this.rows.set(document.documentId, document);
      }
      this.checkpoint = answer.checkpoints[SCOPE] ?? '';
      more = answer.delta.hasMore;
    }
  }

  get checksum(): Checksum {
    const checksum = emptyChecksum();
    for (const [id, { version }] of this.rows) addDocument(checksum, id, version ?? '');
    return checksum;
  }

  /** Asks until there is nothing more, and adds the answers. */
  async compare(
    store?: DocumentStore,
  ): Promise<{ theirs: Checksum; differing: string[]; changed: string[]; answers: IntegrityAnswer[] }> {
    const theirs = emptyChecksum();
    const changed = new Set<string>();
    const answers: IntegrityAnswer[] = [];
    for (let continuation: string | null | undefined; continuation !== null;) {
      const query = {
        checkpoint: this.checkpoint,
        collections: ['items'],
        ...(continuation === undefined ? {} : { continuation }),
      };
      const answer = await ask(query, ALICE, store);
      answers.push(answer);
      const items = answer.collections['items'];
      if (items === undefined) throw new Error('There is no checksum.');
      addAnswer(theirs, items);
      for (const bucket of items.changed) changed.add(bucket);
      ({ continuation } = answer);
    }
    return {
      theirs,
      changed: [...changed],
      differing: differingBuckets(this.checksum, theirs, [...changed]),
      answers,
    };
  }
}

/** Stores documents through the gateway: `ids` of the collection `items`. */
let requests = 0;
async function store(ids: readonly string[], fields: Record<string, unknown> = {}) {
  for (let from = 0; from < ids.length; from += 990) {
    requests += 1;
    const changes = ids.slice(from, from + 990).map((id, index) =>
      change(id, index + 1, {
        changeId: `r${requests}-${index}`,
        baseVersion: 'live',
        ...fields,
        ...(fields['baseVersion'] === undefined ? {} : fields),
      }),
    );
    await gateway.sync('alice', { ...request(`writer-${requests}`, changes), collections: [] });
  }
}
const numbers = (count: number) => Array.from({ length: count }, (_, index) => `d${index}`);

it('a client that has synced holds the same sums, after edits, deletes and other collections too', async () => {
  const device = new Device();
  await store(numbers(300), { baseVersion: null });
  await store(numbers(40), { collection: 'notes', baseVersion: null });
  await device.pull();
  await store(numbers(50), { data: { v: 2 } });
  await store(numbers(20), { type: 'delete', data: undefined });
  await device.pull();
  const { theirs, differing, changed, answers } = await device.compare();
  expect(formatChecksum(theirs)).toEqual(formatChecksum(device.checksum));
  expect(theirs.count).toBe(280);
  expect([differing, changed, answers.length]).toEqual([[], [], 1]);
});

it('a client that differs is told where, and fetches only that', async () => {
  const device = new Device();
  await store(numbers(2000), { baseVersion: null });
  await device.pull();
  const original = new Map(device.rows);
  const stored = (id: string): RemoteDocument => {
    const row = original.get(id);
    if (row === undefined) throw new Error(`${id} did not arrive.`);
    return row;
  };
  // What went wrong on the device: a row lost, one that is old, one that should be gone.
  device.rows.delete('d7');
  device.rows.set('d8', { ...stored('d8'), version: '1.l.old.x' });
  device.rows.set('ghost', { ...stored('d9'), documentId: 'ghost' });
  const { differing } = await device.compare();
  expect(differing).toEqual(['d7', 'd8', 'ghost'].map((id) => formatBucket(bucketOf(id))).sort());

  const { versions, continuation } = await fetchSome({ collection: 'items', buckets: differing });
  expect(continuation).toBeNull();
  expect(versions.length).toBeLessThan(80);
  const theirs = new Map(versions.map(({ documentId, version }) => [documentId, version]));
  for (const id of device.rows.keys()) {
    if (differing.includes(formatBucket(bucketOf(id))) && !theirs.has(id)) device.rows.delete(id);
  }
  const documentIds = [...theirs]
    .filter(([id, version]) => device.rows.get(id)?.version !== version)
    .map(([id]) => id);
  expect(documentIds.sort()).toEqual(['d7', 'd8']);
  const { documents } = await fetchSome({ collection: 'items', documentIds });
  for (const document of documents) device.rows.set(document.documentId, document);
  expect(new Map([...device.rows].sort())).toEqual(new Map([...original].sort()));
  expect((await device.compare()).differing).toEqual([]);
});

it('what changed after the checkpoint is named, and nothing else differs', async () => {
  const device = new Device();
  await store(numbers(1000), { baseVersion: null });
  await device.pull();
  await store(['d1', 'd2'], { data: { v: 2 } });
  await store(['new'], { baseVersion: null });
  await store(['d3'], { type: 'delete', data: undefined });
  const { differing, changed } = await device.compare();
  expect(changed.sort()).toEqual(['d1', 'd2', 'd3', 'new'].map((id) => formatBucket(bucketOf(id))).sort());
  expect(differing).toEqual([]);
  await device.pull();
  expect((await device.compare()).changed).toEqual([]);
});

it('is right while others write during the walk, and comes in parts for a large scope', async () => {
  const device = new Device();
  await store(numbers(2500), { baseVersion: null });
  await device.pull();
  device.rows.delete('d2499');
  // Between two pages of the walk somebody writes: a document that was counted, one that will be, and a new one.
  let page = 0;
  const busy = mapScopes(gateway.store, (scope) => ({
    changes: async (...asked) => {
      const result = await scope.changes(...asked);
      page += 1;
      if (page <= 3) {
        await store([`d${page}`, `d${2400 + page}`], { data: { page } });
        await store([`new-${page}`], { baseVersion: null });
      }
      return result;
    },
  }));
  const { differing, changed } = await device.compare(busy);
  expect(page).toBeGreaterThan(3);
  const written = [1, 2, 3].flatMap((n) => [`d${n}`, `d${2400 + n}`, `new-${n}`]);
  expect(changed.sort()).toEqual([...new Set(written.map((id) => formatBucket(bucketOf(id))))].sort());
  const lost = formatBucket(bucketOf('d2499'));
  expect(differing).toEqual(changed.includes(lost) ? [] : [lost]);
});

it('an answer covers a bounded number of pages; their sums are added', async () => {
  const device = new Device();
  await store(numbers(3000), { baseVersion: null });
  await device.pull();
  // As if a page held the 99 documents of one batch: 20 of them make an answer.
  const small = mapScopes(gateway.store, (scope) => ({
    changes: (continuation) => scope.changes(continuation, 5),
  }));
  const { theirs, differing, answers } = await device.compare(small);
  expect(answers.length).toBe(2);
  expect(Math.max(...answers.map(({ stats }) => stats.requests))).toBeLessThanOrEqual(21);
  expect(differing).toEqual([]);
  expect(formatChecksum(theirs)).toEqual(formatChecksum(device.checksum));
}, 30_000);

it('costs a read of the scope: one request for each page, and no metadata', async () => {
  const device = new Device();
  await store(numbers(3000), { baseVersion: null });
  await device.pull();
  await ask({ checkpoint: device.checkpoint });
  gateway.emulator.requests.clear();
  const { stats } = await ask({ checkpoint: device.checkpoint });
  const { entries } = gateway.emulator.requests;
  expect(entries.every(({ operation }) => operation === 'changeFeed')).toBe(true);
  expect(stats.requests).toBe(entries.length);
  expect(entries.length).toBeLessThanOrEqual(6);
  const charge = entries.reduce((sum, entry) => sum + entry.charge, 0);
  expect(stats.requestUnits).toBeCloseTo(charge, 1);
});

it('the own scope, the shared ones and an admin’s: nobody else’s', async () => {
  const device = new Device();
  await store(['1'], { baseVersion: null });
  await device.pull();
  const query = { scope: SCOPE, checkpoint: device.checkpoint };
  expect((await ask(query, identityOf('alice', [], 'reader'))).collections['items']).toMatchObject({
    count: 1,
  });
  await expect(ask(query, identityOf('mallory'))).rejects.toMatchObject({ code: 'scope_not_granted' });
  await expect(ask(query, identityOf('root', [], 'admin'))).rejects.toMatchObject({
    code: 'scope_not_granted',
  });
  const admin = identityOf('root', [], 'reader', { user: 'admin' });
  expect((await ask(query, admin)).collections['items']).toMatchObject({ count: 1 });
  // Another's checkpoint says from where to read, and grants nothing.
  await expect(ask({ checkpoint: device.checkpoint }, identityOf('mallory'))).rejects.toMatchObject({
    code: 'checkpoint_unusable',
  });
  for (const asked of [{ buckets: ['00'] }, { documentIds: ['1'] }]) {
    await expect(
      fetchSome({ scope: SCOPE, collection: 'items', ...asked }, identityOf('mallory')),
    ).rejects.toMatchObject({ code: 'scope_not_granted' });
  }
});

it.each([
  [{}, 'invalid_request'],
  [{ checkpoint: 'nonsense' }, 'checkpoint_unusable'],
  [{ checkpoint: 'GOOD', collections: ['unknown'] }, 'unknown_collection'],
  [{ checkpoint: 'GOOD', collections: ['visits'] }, 'unknown_collection'],
  [{ checkpoint: 'GOOD', collections: ['items', 'notes'] }, 'checkpoint_unusable'],
  [{ checkpoint: 'GOOD', continuation: 'x' }, 'invalid_continuation'],
  [
    { checkpoint: 'GOOD', continuation: Buffer.from('["other",-1,null]').toString('base64url') },
    'invalid_continuation',
  ],
  [{ checkpoint: 'GOOD', limit: 5 }, 'invalid_request'],
])('checksums for %j are refused', async (query, code) => {
  const device = new Device();
  await device.pull();
  const { checkpoint } = query as { checkpoint?: string };
  await expect(
    ask({ ...query, ...(checkpoint === 'GOOD' ? { checkpoint: device.checkpoint } : {}) }),
  ).rejects.toMatchObject({ code });
});

it.each([
  [{ collection: 'items' }, 'invalid_request'],
  [{ collection: 'items', buckets: ['00'], documentIds: ['1'] }, 'invalid_request'],
  [{ collection: 'items', buckets: ['0G'] }, 'invalid_request'],
  [{ collection: 'items', documentIds: ['a/b'] }, 'invalid_request'],
  [{ collection: 'visits', documentIds: ['1'] }, 'unknown_collection'],
  [{ collection: 'items', buckets: ['00'], continuation: 'x' }, 'invalid_continuation'],
])('documents for %j are refused', async (body, code) => {
  await expect(fetchSome(body)).rejects.toMatchObject({ code });
});
