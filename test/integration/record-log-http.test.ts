import { startStack, type Stack } from '../../local/stack.ts';
import type {
  ConflictPage,
  DeletionPage,
  IntegrityAnswer,
  RestoreAnswer,
} from '../../shared/protocol/index.ts';
import { call, expectProblem, synced } from '../support/api.ts';

/** The logs of conflicts and deletions over HTTP: routes, parameters, bodies. What they do is tested in process. */

let stack: Stack;
let alice: string;

const get = (path: string, token = alice) =>
  call(`${stack.api}/${path}`, { headers: { authorization: `Bearer ${token}` } });
const post = (path: string, body: string, token = alice) =>
  call(`${stack.api}/${path}`, {
    method: 'POST',
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
    body,
  });

beforeAll(async () => {
  stack = await startStack({ quiet: true });
  alice = await stack.issuerHandle.token({ sub: 'alice' });
  for (const [device, v] of [
    ['phone', 1],
    ['tablet', 2],
  ] as const) {
    const change = {
      changeId: `change-of.${device}`,
      seq: 1,
      type: 'upsert',
      collection: 'items',
      documentId: '7',
      baseVersion: device === 'phone' ? null : 'live',
      lastModified: `2026-11-22T10:00:0${v}.000Z`,
      data: { v },
    };
    await synced(stack, alice, { protocol: 1, deviceId: device, changes: [change] });
  }
}, 30_000);
afterAll(() => stack.dispose());

it('a conflict is listed, put back, and listed as put back', async () => {
  const listed = (await get('sync/conflicts?collection=items&limit=10')).body as unknown as ConflictPage;
  expect(listed).toMatchObject({
    conflicts: [{ id: 'change-of.tablet', lost: { data: { v: 1 } } }],
    continuation: null,
  });
  const id = listed.conflicts[0]?.id ?? '';
  const restored = await post(`sync/conflicts/${encodeURIComponent(id)}/restore`, '{}');
  expect(restored.status).toBe(200);
  expect(restored.body as unknown as RestoreAnswer).toMatchObject({
    status: 'applied',
    document: { data: { v: 1 } },
  });
  const again = (await get('sync/conflicts')).body as unknown as ConflictPage;
  expect(again.conflicts.map(({ lost, restored: done }) => [lost.data, done?.userId])).toEqual([
    [{ v: 2 }, undefined],
    [{ v: 1 }, 'alice'],
  ]);
});

it('the deletion log is there', async () => {
  const answer = await get('sync/deletions?scope=user:alice');
  expect(answer.body as unknown as DeletionPage).toEqual({ deletions: [], continuation: null });
});

it('checksums and the documents of their buckets are there', async () => {
  const { checkpoints } = await synced(stack, alice, { protocol: 1, deviceId: 'phone' });
  const checkpoint = encodeURIComponent(checkpoints['user:alice'] ?? '');
  const answer = (await get(`sync/integrity?collections=items&checkpoint=${checkpoint}`))
    .body as unknown as IntegrityAnswer;
  expect(answer).toMatchObject({ collections: { items: { count: 1, changed: [] } }, continuation: null });
  const buckets = Object.keys(answer.collections['items']?.buckets ?? {});
  const body = (await post('sync/integrity/documents', JSON.stringify({ collection: 'items', buckets })))
    .body;
  expect(body).toMatchObject({ versions: [{ documentId: '7' }], documents: [] });
});

it.each([
  ['sync/integrity', 400, 'invalid_request'],
  ['sync/integrity?checkpoint=x', 409, 'checkpoint_unusable'],
  ['sync/integrity?checkpoint=x&collections=items,items', 400, 'invalid_request'],
  ['sync/integrity?checkpoint=x&scope=user:bob', 403, 'scope_not_granted'],
  ['sync/conflicts?scope=nonsense', 400, 'invalid_request'],
  ['sync/conflicts?scope=user:bob', 403, 'scope_not_granted'],
  ['sync/conflicts?limit=201', 400, 'invalid_request'],
  ['sync/conflicts?continuation=x', 400, 'invalid_continuation'],
  ['sync/deletions?collection=1st', 400, 'invalid_request'],
  ['sync/deletions?before=2026', 400, 'invalid_request'],
])('GET %s is refused', async (path, status, code) => {
  expectProblem(await get(path), status, code);
});

it.each([
  ['sync/conflicts/none/restore', '{}', 404, 'conflict_not_found'],
  ['sync/conflicts/%2e%2e%2fx/restore', '{}', 404, 'conflict_not_found'],
  ['sync/conflicts/none/restore', '', 400, 'empty_body'],
  ['sync/conflicts/none/restore', '[]', 400, 'invalid_request'],
  ['sync/conflicts/none/restore', '{"scope":"user:bob"}', 403, 'scope_not_granted'],
  ['sync/conflicts/none/restore', '{"version":"mine"}', 400, 'invalid_request'],
  ['sync/conflicts/none/restore', '{"userId":"bob"}', 400, 'invalid_request'],
  ['sync/integrity/documents', '{"collection":"items"}', 400, 'invalid_request'],
  ['sync/integrity/documents', '{"collection":"none","buckets":["00"]}', 400, 'unknown_collection'],
])('POST %s with %j is refused', async (path, body, status, code) => {
  expectProblem(await post(path, body), status, code);
});
