import { operationRecord, toOperationEntry, type SyncOperation } from '../../../shared/activity/operation.ts';
import type { ChangeResult, SyncResponse } from '../../../shared/protocol/index.ts';

const answer = (statuses: ChangeResult['status'][], fields: Partial<SyncResponse> = {}): SyncResponse => ({
  serverTime: '2026-11-22T10:00:00.000Z',
  results: statuses.map((status, index) => ({ changeId: `c${index}`, status })),
  delta: { documents: [], hasMore: false },
  checkpoints: { 'user:alice': 'x', 'facility:12': 'y' },
  streams: {},
  scopes: ['user:alice', 'facility:12'],
  resync: [],
  nextSyncRecommended: '2026-11-22T10:05:00.000Z',
  stats: {
    changes: statuses.length,
    documents: 0,
    conflicts: 2,
    requests: 3,
    requestUnits: 12.5,
    milliseconds: 40,
  },
  ...fields,
});
const operation = (result: SyncResponse | string, body: unknown = { deviceId: 'phone' }): SyncOperation => ({
  userId: 'alice',
  body,
  requestId: 'request-1',
  result,
  milliseconds: 41,
  endedAt: Date.parse('2026-11-22T10:00:00.000Z'),
});
const settings = { level: 'changes', ttl: 60, newId: () => 'id-1' } as const;

it('tells who, on which device, when, what became of the changes, what it cost and how long it took', () => {
  const record = operationRecord(operation(answer(['applied', 'applied', 'skipped', 'failed'])), settings);
  expect(record).toEqual({
    id: 'sync.id-1',
    kind: 'sync',
    ttl: 60,
    at: '2026-11-22T10:00:00.000Z',
    userId: 'alice',
    deviceId: 'phone',
    requestId: 'request-1',
    result: 'ok',
    milliseconds: 41,
    changes: { applied: 2, merged: 0, skipped: 1, duplicate: 0, rejected: 0, failed: 1 },
    documents: 0,
    conflicts: 2,
    scopes: 2,
    requests: 3,
    requestUnits: 12.5,
  });
  expect(record && toOperationEntry({ ...record })).not.toHaveProperty('ttl');
});

it('holds no content: neither documents nor ids of them', () => {
  const secret = {
    scope: 'user:alice',
    collection: 'items',
    documentId: 'SECRET',
    version: 'v',
    lastModified: null,
    deleted: false,
    userId: null,
    deviceId: null,
    data: { text: 'SECRET' },
  };
  const record = operationRecord(
    operation(answer(['merged'], { delta: { documents: [secret], hasMore: false } })),
    settings,
  );
  expect(record).toMatchObject({ documents: 1 });
  expect(JSON.stringify(record)).not.toContain('SECRET');
});

it('a refused sync is told with the code of its error', () => {
  expect(operationRecord(operation('unavailable'), settings)).toMatchObject({
    result: 'unavailable',
    deviceId: 'phone',
    changes: null,
    requests: null,
  });
});

it.each([null, [], 'text', { deviceId: 5 }, { deviceId: '../../etc' }, { deviceId: 'x'.repeat(65) }])(
  'does not repeat %j as a device id',
  (body) => {
    expect(operationRecord(operation('invalid_request', body), settings)).toMatchObject({ deviceId: null });
  },
);

it.each([
  ['a sync with nothing to do', answer([]), [false, false, true]],
  ['a sync with a change', answer(['duplicate']), [false, true, true]],
  ['a delta that starts over', answer([], { resync: ['user:alice'] }), [false, true, true]],
  ['an error', 'unavailable', [false, true, true]],
])('%s is logged as the level says', (_, result, logged) => {
  const levels = ['off', 'changes', 'all'] as const;
  expect(levels.map((level) => operationRecord(operation(result), { ...settings, level }) !== null)).toEqual(
    logged,
  );
});
