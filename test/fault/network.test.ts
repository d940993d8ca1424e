import type { FaultAction } from '../../emulator/src/index.ts';
import { Unavailable } from '../../shared/errors.ts';
import { change, request, startGateway, type Gateway } from '../support/gateway.ts';

/** Cosmos DB answers late, twice, with an error or not at all: at worst the request is repeated, and nothing happens twice. */

let gateway: Gateway;
beforeAll(async () => {
  gateway = await startGateway();
  await gateway.sync('warm', { ...request('up'), streams: {} });
});
afterAll(() => gateway.dispose());

let users = 0;
const setUp = async () => {
  users += 1;
  const user = `n${users}`;
  const streams = { [`user:${user}`]: null };
  const ids = Array.from({ length: 110 }, (_, index) => `d${index}`);
  await gateway.sync(user, { ...request('tablet', [change('d5', 1, { changeId: `${user}t` })]), streams });
  const body = {
    ...request(
      'phone',
      ids.map((id, index) => change(id, index + 1, { changeId: `${user}p${index}` })),
    ),
    streams,
  };
  return { user, body };
};

const faults: [string, 'batch' | 'query', FaultAction][] = [
  ['a batch is cut off before it arrives', 'batch', { kind: 'cut' }],
  ['the answer to a batch is lost', 'batch', { kind: 'loseAnswer' }],
  ['a batch arrives twice', 'batch', { kind: 'duplicate' }],
  ['a batch is throttled', 'batch', { kind: 'status', status: 429, retryAfterMs: 1 }],
  ['the service is busy at a batch', 'batch', { kind: 'status', status: 503 }],
  ['a batch times out at the service', 'batch', { kind: 'status', status: 408 }],
  ['a read is throttled', 'query', { kind: 'status', status: 429, retryAfterMs: 1 }],
  ['the service is busy at a read', 'query', { kind: 'status', status: 503 }],
];

it.each(faults)('%s', async (_, operation, action) => {
  for (const skip of operation === 'batch' ? [0, 1, 2] : [0]) {
    const { user, body } = await setUp();
    gateway.emulator.faults.add({ operation, partitionKey: `user:${user}`, skip, action });
    const answer = await gateway.sync(user, body).catch((error: unknown) => {
      expect(error).toBeInstanceOf(Unavailable);
      return gateway.sync(user, body);
    });
    expect(answer.results.map(({ status, outcome }) => outcome ?? status)).toEqual(
      body.changes.map(() => 'applied'),
    );
    const items = await gateway.items(`user:${user}`);
    // Each document once, one record of the one conflict, two ledgers.
    expect(items).toHaveLength(110 + 1 + 2);
    expect(items.filter(({ id }) => String(id).startsWith('~conflict:'))).toHaveLength(1);
    expect(items.find(({ id }) => id === 'items:d5')).toMatchObject({ deviceId: 'phone' });
  }
});

it('throttling that does not end gives a clear answer with a time to come back', async () => {
  const { user, body } = await setUp();
  gateway.emulator.faults.add({
    operation: 'batch',
    partitionKey: `user:${user}`,
    times: 100,
    action: { kind: 'status', status: 429, retryAfterMs: 2 },
  });
  await expect(gateway.sync(user, body)).rejects.toMatchObject({ name: 'Unavailable', retryAfterSeconds: 1 });
  gateway.emulator.faults.clear();
  expect((await gateway.sync(user, body)).results.every(({ status }) => status === 'applied')).toBe(true);
});

it('a store that does not answer is given up at the deadline', async () => {
  const { user, body } = await setUp();
  gateway.emulator.faults.add({
    operation: 'batch',
    partitionKey: `user:${user}`,
    action: { kind: 'delay', ms: 1500 },
  });
  await expect(gateway.sync(user, body, { deadline: 200 })).rejects.toBeInstanceOf(Unavailable);
  expect(
    (await gateway.sync(user, body)).results.map(({ status, outcome }) => outcome ?? status),
  ).not.toContain('failed');
});

it('a session token or position in a checkpoint that the store refuses costs a new start at most', async () => {
  const { user, body } = await setUp();
  const { checkpoints } = await gateway.sync(user, body);
  const scope = `user:${user}`;
  const again = { ...body, changes: [], checkpoints };
  gateway.emulator.faults.add({
    operation: 'changeFeed',
    partitionKey: scope,
    action: { kind: 'status', status: 400 },
  });
  expect(await gateway.sync(user, again)).toMatchObject({
    resync: [],
    delta: { documents: [], hasMore: false },
  });
  gateway.emulator.faults.add({
    operation: 'changeFeed',
    partitionKey: scope,
    times: 2,
    action: { kind: 'status', status: 400 },
  });
  const restarted = await gateway.sync(user, again);
  expect(restarted.resync).toEqual([scope]);
  expect(restarted.delta.documents).toHaveLength(110);
});
