import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startStack, type Stack } from '../../local/stack.ts';
import type { OperationPage } from '../../shared/protocol/index.ts';
import { call, expectProblem, postSync, synced } from '../support/api.ts';

/** The operation log over the whole product: written in the background, read through `GET /api/sync/operations`. */

let dataDir: string;
let stack: Stack;
let alice: string;
let bob: string;
let admin: string;

const list = (token: string, query = '') =>
  call(`${stack.api}/sync/operations${query}`, { headers: { authorization: `Bearer ${token}` } });
async function listed(token: string, query = ''): Promise<OperationPage> {
  const answer = await list(token, query);
  expect(answer.status).toBe(200);
  return answer.body as unknown as OperationPage;
}

beforeAll(async () => {
  dataDir = await mkdtemp(join(tmpdir(), 'tidemark-operations-'));
  stack = await startStack({ quiet: true, dataDir });
  alice = await stack.issuerHandle.token({ sub: 'alice', facilities: ['12'] });
  bob = await stack.issuerHandle.token({ sub: 'bob' });
  admin = await stack.issuerHandle.token({ sub: 'root', roles: ['admin'] });
  const change = {
    type: 'upsert',
    collection: 'items',
    lastModified: '2026-11-22T10:00:00.000Z',
    data: { a: 1 },
  };
  for (let index = 0; index < 5; index += 1) {
    await synced(stack, alice, {
      protocol: 1,
      deviceId: 'phone',
      collections: [],
      changes: [{ ...change, documentId: String(index) }],
    });
  }
  await synced(stack, alice, { protocol: 1, deviceId: 'phone', collections: [] }); // nothing to do: not logged
  await postSync(stack, alice, { protocol: 7, deviceId: 'tablet' }, { 'x-request-id': 'refused-1' });
  await synced(stack, bob, {
    protocol: 1,
    deviceId: 'laptop',
    changes: [
      { ...change, documentId: 'b' },
      { ...change, documentId: 'a/b' },
    ],
  });
  // Nobody waits for the log: what is in memory is written when the app ends.
  await stack.dispose();
  stack = await startStack({ quiet: true, dataDir });
  // The issuer has another port now.
  alice = await stack.issuerHandle.token({ sub: 'alice', facilities: ['12'] });
  bob = await stack.issuerHandle.token({ sub: 'bob' });
  admin = await stack.issuerHandle.token({ sub: 'root', roles: ['admin'] });
}, 60_000);
afterAll(async () => {
  await stack.dispose();
  await rm(dataDir, { recursive: true, force: true });
});

it('tells each user of the own syncs, newest first, the refused ones included', async () => {
  const { operations, continuation } = await listed(alice);
  expect(continuation).toBeNull();
  expect(operations).toHaveLength(6);
  expect(operations[0]).toMatchObject({
    userId: 'alice',
    deviceId: 'tablet',
    requestId: 'refused-1',
    result: 'unsupported_protocol',
    changes: null,
  });
  expect(operations[5]).toMatchObject({
    userId: 'alice',
    deviceId: 'phone',
    result: 'ok',
    changes: { applied: 1, merged: 0, skipped: 0, duplicate: 0, rejected: 0, failed: 0 },
    documents: 0,
    scopes: 2,
  });
  expect(operations[5]?.requestUnits).toBeGreaterThan(5);
  expect((await listed(bob)).operations).toMatchObject([
    { userId: 'bob', changes: { applied: 1, rejected: 1 } },
  ]);
});

it('is paged', async () => {
  const ids: string[] = [];
  let query = '?limit=4';
  for (;;) {
    const { operations, continuation } = await listed(alice, query);
    ids.push(...operations.map(({ id }) => id));
    if (continuation === null) break;
    query = `?limit=4&continuation=${encodeURIComponent(continuation)}`;
  }
  expect(new Set(ids).size).toBe(6);
  expect(ids).toEqual((await listed(alice)).operations.map(({ id }) => id));
});

it("an administrator sees everybody's, or one user's", async () => {
  expect((await listed(admin)).operations).toHaveLength(7);
  expect((await listed(admin, '?userId=bob')).operations).toMatchObject([{ userId: 'bob' }]);
});

it('nobody else sees those of another', async () => {
  expectProblem(await list(bob, '?userId=alice'), 403, 'role_insufficient');
  expect((await listed(bob, '?userId=bob')).operations).toHaveLength(1);
  const { continuation } = await listed(alice, '?limit=1');
  const stolen = await listed(bob, `?continuation=${continuation ?? ''}`);
  expect(stolen.operations.filter(({ userId }) => userId !== 'bob')).toEqual([]);
  expectProblem(await call(`${stack.api}/sync/operations`), 401, 'missing_token');
});

it.each([
  ['?limit=0', 'invalid_request'],
  ['?limit=1000', 'invalid_request'],
  ['?limit=ten', 'invalid_request'],
  ['?limit=1&limit=2', 'invalid_request'],
  ['?sort=up', 'invalid_request'],
  ['?userId=', 'invalid_request'],
  ['?continuation=nonsense', 'invalid_continuation'],
  [`?continuation=${Buffer.from('["2026", 5]').toString('base64url')}`, 'invalid_continuation'],
])('%s is refused', async (query, code) => {
  expectProblem(await list(alice, query), 400, code);
});
