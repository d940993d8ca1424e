import type { SyncRequest } from '../../shared/protocol/index.ts';
import { parseSyncConfig } from '../../shared/sync/sync-config.ts';
import { change, request, startGateway, type Gateway } from '../support/gateway.ts';
import { mapScopes } from '../support/store.ts';

/** Changes of one transaction are taken in together, or none of them. */

const config = parseSyncConfig({
  collections: {
    items: {},
    stubborn: { strategy: 'server_wins' },
    merged: { strategy: 'merge_with_client_priority' },
    checked: { schema: { type: 'object', required: ['n'] } },
    visits: { scope: 'facility' },
  },
  sharedScopes: { facility: 'facilities' },
});

let gateway: Gateway;
beforeAll(async () => {
  gateway = await startGateway({ scopes: ['facility:1'] });
});
afterAll(() => gateway.dispose());

const OLD = '2026-01-01T00:00:00.000Z';

let users = 0;
/** A user of one's own, with what every test asks. */
function newUser() {
  users += 1;
  const user = `t${users}`;
  const scope = `user:${user}`;
  const sync = (
    deviceId: string,
    changes: readonly object[],
    claim: { seq: number; changeId: string } | null = null,
    fields: Partial<SyncRequest> = {},
  ) =>
    gateway.sync(
      user,
      request(
        deviceId,
        changes.map((each) => ({ scope, ...each })),
        claim,
        { streams: { [scope]: claim }, collections: [], ...fields },
      ),
      { config },
    );
  const stored = async () => {
    const items = await gateway.items(scope);
    return items.flatMap(({ id, data }) => (String(id).startsWith('~ledger') ? [] : [[id, data] as const]));
  };
  const ledger = async (device: string) =>
    (await gateway.items(scope)).find(({ id }) => String(id).endsWith(`.${device}`));
  return { user, scope, sync, stored, ledger };
}

type Results = {
  results: { status: string; outcome?: string; error?: { code: string; culprit?: string } }[];
};
const told = ({ results }: Results) =>
  results.map(({ status, error }) =>
    [status, error?.code, error?.culprit].filter((part) => part !== undefined).join(' '),
  );
const inGroup = (transaction: string, documentId: string, seq: number, fields = {}) =>
  change(documentId, seq, { transaction, data: { n: seq }, ...fields });

it('a transaction is one batch with its ledger', async () => {
  const { sync, stored, ledger } = newUser();
  gateway.emulator.requests.clear();
  const answer = await sync('phone', [inGroup('t', 'a', 1), inGroup('t', 'b', 2), inGroup('t', 'a', 3)]);
  expect(told(answer)).toEqual(['applied', 'applied', 'applied']);
  expect(gateway.emulator.requests.entries.filter(({ operation }) => operation === 'batch')).toMatchObject([
    { operations: 3 },
  ]);
  expect(await stored()).toEqual([
    ['items:a', { n: 3 }],
    ['items:b', { n: 2 }],
  ]);
  expect(await ledger('phone')).toMatchObject({ seq: 3, outcomes: 'aaa' });
});

it('it is never split between two batches, wherever it stands', async () => {
  const { sync, stored } = newUser();
  const single = Array.from({ length: 90 }, (_, index) => change(`s${index}`, index + 1));
  const group = Array.from({ length: 49 }, (_, index) => inGroup('t', `g${index}`, 91 + index));
  const rest = Array.from({ length: 60 }, (_, index) => change(`r${index}`, 140 + index));
  gateway.emulator.requests.clear();
  expect(new Set(told(await sync('phone', [...single, ...group, ...rest])))).toEqual(new Set(['applied']));
  const batches = gateway.emulator.requests.entries.filter(({ operation }) => operation === 'batch');
  expect(batches.map(({ operations }) => operations)).toEqual([91, 100, 11]);
  expect(await stored()).toHaveLength(199);
});

it('one change that is refused refuses all, and is named; its neighbours are taken in', async () => {
  const { sync, stored, ledger } = newUser();
  const changes = [
    change('before', 1),
    inGroup('t', 'a', 2),
    inGroup('t', 'b', 3, { lastModified: 'never' }),
    inGroup('t', 'c', 4),
    change('after', 5),
  ];
  const answer = await sync('phone', changes);
  expect(told(answer)).toEqual([
    'applied',
    'rejected transaction_rejected c3',
    'rejected invalid_date',
    'rejected transaction_rejected c3',
    'applied',
  ]);
  expect((await stored()).map(([id]) => id)).toEqual(['items:before', 'items:after']);
  expect(await ledger('phone')).toMatchObject({ seq: 5, outcomes: 'arrra' });
  expect(told(await sync('phone', changes)).map((text) => text.split(' ')[0])).toEqual([
    'duplicate',
    'rejected',
    'rejected',
    'rejected',
    'duplicate',
  ]);
});

it.each([
  ['a schema', { collection: 'checked', data: { text: 'no number' } }, 'schema_violation'],
  ['its scope', { scope: 'facility:9' }, 'scope_forbidden'],
])('%s can refuse it', async (_, wrong, code) => {
  const { sync, stored } = newUser();
  const answer = await sync('phone', [inGroup('t', 'a', 1), inGroup('t', 'b', 2, wrong)]);
  const [first, second] = told(answer);
  expect(second).toBe(`rejected ${code}`);
  expect(first).toMatch(/^rejected transaction_/);
  expect(await stored()).toEqual([]);
});

it('one change that loses refuses all: nothing of it is written, and the client gets what is stored', async () => {
  const { sync, stored } = newUser();
  await sync('tablet', [change('b', 1, { collection: 'stubborn', data: { by: 'tablet' }, changeId: 'x1' })]);
  const changes = [
    inGroup('t', 'a', 1),
    inGroup('t', 'b', 2, { collection: 'stubborn' }),
    inGroup('t', 'c', 3),
  ];
  const answer = await sync('phone', changes);
  expect(told(answer)).toEqual([
    'rejected transaction_rejected c2',
    'rejected transaction_rejected c2',
    'rejected transaction_rejected c2',
  ]);
  expect(answer.results.map(({ document }) => document?.data)).toEqual([null, { by: 'tablet' }, null]);
  expect(await stored()).toEqual([['stubborn:b', { by: 'tablet' }]]);
  // Once more, on what is stored now.
  const { version } = answer.results[1]!;
  const again = [
    inGroup('u', 'a', 4),
    inGroup('u', 'b', 5, { collection: 'stubborn', baseVersion: version }),
    inGroup('u', 'c', 6),
  ];
  expect(told(await sync('phone', again, { seq: 3, changeId: 'c3' }))).toEqual([
    'applied',
    'applied',
    'applied',
  ]);
});

it('a conflict that is settled otherwise keeps it whole, with the records in the same batch', async () => {
  const { sync, stored } = newUser();
  await sync('tablet', [
    change('a', 1, { data: { by: 'tablet' }, changeId: 'x1', lastModified: OLD }),
    change('b', 2, { collection: 'merged', data: { by: 'tablet', t: 1 }, changeId: 'x2' }),
  ]);
  gateway.emulator.requests.clear();
  const answer = await sync('phone', [
    inGroup('t', 'a', 1, { data: { by: 'phone' } }),
    inGroup('t', 'b', 2, { collection: 'merged', data: { by: 'phone' } }),
  ]);
  expect(told(answer)).toEqual(['applied', 'merged']);
  expect(
    gateway.emulator.requests.entries.map(({ operation, operations }) => `${operation} ${operations}`),
  ).toEqual(expect.arrayContaining(['batch 3', 'batch 5']));
  expect((await stored()).map(([id]) => id)).toEqual(['items:a', 'merged:b', '~conflict:c1', '~conflict:c2']);
});

it('a repeat after a lost answer is recognised whole', async () => {
  const { sync, stored } = newUser();
  const changes = [inGroup('t', 'a', 1), inGroup('t', 'b', 2)];
  await sync('phone', changes);
  const before = await stored();
  const repeat = await sync('phone', [...changes, change('c', 3)]);
  expect(told(repeat)).toEqual(['duplicate', 'duplicate', 'applied']);
  expect((await stored()).slice(0, 2)).toEqual(before);
});

it('a document that others keep changing fails all of it, and what follows for its documents', async () => {
  const { user, scope, stored, ledger } = newUser();
  let writes = 0;
  /** Another device is always a little faster, with older edits. */
  const contended = mapScopes(gateway.store, (opened) => ({
    batch: async (batch) => {
      if (batch.some((write) => 'item' in write && write.item.id === 'items:b')) {
        writes += 1;
        await gateway.container.items.upsert({
          ...{
            id: 'items:b',
            scope,
            collection: 'items',
            documentId: 'b',
            userId: user,
            deviceId: 'other',
          },
          ...{ seq: writes, lastModified: OLD, deleted: false, ttl: -1, data: { writes } },
        });
      }
      return opened.batch(batch);
    },
  }));
  const changes = [
    inGroup('t', 'a', 1),
    inGroup('t', 'b', 2),
    change('c', 3),
    change('a', 4, { baseVersion: 'live' }),
  ].map((each) => ({ ...each, scope }));
  const body = request('phone', changes, null, { streams: { [scope]: null }, collections: [] });
  const answer = await gateway.sync(user, body, { config }, contended);
  expect(told(answer)).toEqual(['failed contended c2', 'failed contended', 'applied', 'failed contended']);
  expect(await ledger('phone')).toMatchObject({ seq: 4, outcomes: 'ffaf' });
  expect((await stored()).map(([id]) => id)).toEqual(['items:b', 'items:c']);
  expect(told(await gateway.sync(user, body, { config }))).toEqual(
    Array.from({ length: 4 }, () => 'duplicate'),
  );
});

describe('A transaction that cannot be one batch', () => {
  it('is refused where its changes are in two scopes', async () => {
    const { sync, stored } = newUser();
    const answer = await sync('phone', [
      inGroup('t', 'a', 1),
      inGroup('t', 'b', 2, { scope: 'facility:1', collection: 'visits' }),
    ]);
    expect(told(answer)).toEqual(['rejected transaction_split', 'rejected transaction_split']);
    expect(await stored()).toEqual([]);
  });

  it('is refused where another change stands between', async () => {
    const { sync } = newUser();
    const answer = await sync('phone', [inGroup('t', 'a', 1), change('b', 2), inGroup('t', 'c', 3)]);
    expect(told(answer)).toEqual(['rejected transaction_split', 'applied', 'rejected transaction_split']);
  });

  it('is refused where it holds more documents than a batch', async () => {
    const { sync, stored } = newUser();
    const group = Array.from({ length: 150 }, (_, index) =>
      inGroup('t', `g${index}`, index + 1, { type: 'patch', baseVersion: 'live' }),
    );
    const answer = await sync('phone', [...group, change('after', 151)]);
    expect(new Set(told(answer))).toEqual(new Set(['rejected transaction_too_large', 'applied']));
    expect((await stored()).map(([id]) => id)).toEqual(['items:after']);
  });

  it('is refused where it holds more bytes than a batch', async () => {
    const { sync, stored } = newUser();
    const data = { text: 'x'.repeat(800_000) };
    const answer = await sync('phone', [
      ...['a', 'b', 'c'].map((id, index) => inGroup('t', id, index + 1, { data })),
      change('after', 4),
    ]);
    expect(told(answer)).toEqual([
      ...Array.from({ length: 3 }, () => 'rejected transaction_too_large'),
      'applied',
    ]);
    expect((await stored()).map(([id]) => id)).toEqual(['items:after']);
  });

  it('99 documents without conflict are one, 49 with conflicts too', async () => {
    const { sync, stored } = newUser();
    const ids = Array.from({ length: 99 }, (_, index) => `d${index}`);
    const first = ids.map((id, index) => inGroup('t', id, index + 1, { lastModified: OLD }));
    expect(new Set(told(await sync('tablet', first)))).toEqual(new Set(['applied']));
    const second = ids
      .slice(0, 49)
      .map((id, index) => inGroup('u', id, index + 1, { changeId: `p${index}` }));
    expect(new Set(told(await sync('phone', second)))).toEqual(new Set(['applied']));
    expect(await stored()).toHaveLength(99 + 49);
  });
});

it('changes without numbers can be one too', async () => {
  const { sync, stored } = newUser();
  const unnumbered = { seq: undefined, changeId: undefined, baseVersion: undefined };
  const plain = (id: string, fields = {}) => inGroup('t', id, 1, { ...unnumbered, ...fields });
  const changes = [plain('a'), plain('b')];
  expect(told(await sync('script', changes))).toEqual(['applied', 'applied']);
  expect(told(await sync('script', changes))).toEqual(['duplicate', 'duplicate']);
  expect(told(await sync('script', [plain('c'), plain('d', { lastModified: '?' })]))).toEqual([
    'rejected transaction_rejected',
    'rejected invalid_date',
  ]);
  expect(await stored()).toHaveLength(2);
});
