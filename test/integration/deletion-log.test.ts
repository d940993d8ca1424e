import { change, freezeTime, request, startGateway, type Gateway } from '../support/gateway.ts';

/** The collection `papers` is audited: what a delete removes stays in the deletion log for a while. */

let gateway: Gateway;
beforeEach(async () => {
  freezeTime();
  gateway = await startGateway();
});
afterEach(async () => {
  await gateway.dispose();
  jest.useRealTimers();
});

const records = async () => (await gateway.items()).filter(({ id }) => String(id).startsWith('~deletion:'));
const papers = { collection: 'papers' };
const gone = { ...papers, type: 'delete' };
const claim = (seq: number) => ({ seq, changeId: `c${seq}` });

it('a delete leaves the last content in the log, and a tombstone without it', async () => {
  const { results } = await gateway.sync('alice', request('phone', [change('1', 1, papers)]));
  await gateway.sync(
    'alice',
    request('phone', [change('1', 2, { ...gone, baseVersion: results[0]?.version })], claim(1)),
  );
  expect(await records()).toMatchObject([
    {
      id: '~deletion:c2',
      collection: 'papers',
      documentId: '1',
      data: { value: '1' },
      userId: 'alice',
      deviceId: 'phone',
      at: '2026-11-22T10:00:00.000Z',
      ttl: 90 * 86_400,
    },
  ]);
  expect(await gateway.items()).toContainEqual(
    expect.objectContaining({ id: 'papers:1', deleted: true, data: null }),
  );
});

it('no device is sent what was deleted', async () => {
  const { results } = await gateway.sync('alice', request('phone', [change('1', 1, papers)]));
  await gateway.sync(
    'alice',
    request('phone', [change('1', 2, { ...gone, baseVersion: results[0]?.version })], claim(1)),
  );
  const { delta } = await gateway.sync('alice', { protocol: 1, deviceId: 'tablet' });
  expect(delta.documents).toMatchObject([{ documentId: '1', deleted: true, data: null }]);
});

it('only what a delete removed is logged: not a delete of nothing, not the delete that lost, not an unaudited one', async () => {
  const phone = await gateway.sync(
    'alice',
    request('phone', [change('1', 1, papers), change('2', 2, { collection: 'items' })]),
  );
  await gateway.sync(
    'alice',
    request('tablet', [
      change('nothing', 1, { ...gone, changeId: 't1' }),
      change('1', 2, { ...gone, changeId: 't2', baseVersion: 'live', lastModified: '2020-01-01T00:00:00Z' }),
      change('2', 3, { changeId: 't3', type: 'delete', baseVersion: phone.results[1]?.version }),
    ]),
  );
  expect(await records()).toEqual([]);
});

it('every delete of a document has its own record, an undelete takes none away', async () => {
  await gateway.sync(
    'alice',
    request('phone', [
      change('1', 1, { ...papers, data: { v: 1 } }),
      change('1', 2, gone),
      change('1', 3, { ...papers, data: { v: 2 } }),
      change('1', 4, gone),
      change('1', 5, { ...papers, data: { v: 3 } }),
    ]),
  );
  expect((await records()).map(({ id, data }) => [id, data])).toEqual([
    ['~deletion:c2', { v: 1 }],
    ['~deletion:c4', { v: 2 }],
  ]);
});

it('a delete that wins over a concurrent edit is in both logs', async () => {
  await gateway.sync('alice', request('phone', [change('1', 1, { ...papers, data: { v: 'phone' } })]));
  jest.setSystemTime(Date.now() + 1000);
  const answer = await gateway.sync(
    'alice',
    request('tablet', [change('1', 1, { ...gone, changeId: 't1', baseVersion: 'live' })]),
  );
  expect(answer.results).toMatchObject([{ status: 'applied' }]);
  const ids = (await gateway.items()).map(({ id }) => id);
  expect(ids).toEqual(expect.arrayContaining(['~conflict:t1', '~deletion:t1']));
  expect(await records()).toMatchObject([{ data: { v: 'phone' } }]);
});

it('repeating a request adds no record, with a number or without', async () => {
  await gateway.sync('alice', request('phone', [change('1', 1, papers), change('2', 2, papers)]));
  jest.setSystemTime(Date.now() + 1000);
  const numbered = request('phone', [change('1', 3, { ...gone, baseVersion: 'live' })], claim(2));
  const unnumbered = {
    protocol: 1,
    deviceId: 'script',
    changes: [{ ...gone, documentId: '2', lastModified: new Date().toISOString() }],
  };
  for (const body of [numbered, numbered, unnumbered, unnumbered]) await gateway.sync('alice', body);
  expect(await records()).toHaveLength(2);
});

it('a delete costs one query more than in other collections', async () => {
  const cost = async (collection: string) => {
    const made = await gateway.sync(
      collection,
      request('phone', [change('1', 1, { collection })], null, { streams: {} }),
    );
    gateway.emulator.requests.clear();
    const deletion = change('1', 2, { collection, type: 'delete', baseVersion: made.results[0]?.version });
    await gateway.sync(collection, {
      ...request('phone', [deletion]),
      streams: made.streams,
      collections: [],
    });
    return gateway.emulator.requests.entries.map(({ operation }) => operation).sort();
  };
  expect(await cost('items')).toEqual(['batch']);
  expect(await cost('papers')).toEqual(['batch', 'query', 'queryPlan']);
});
