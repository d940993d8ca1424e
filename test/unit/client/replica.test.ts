import { Replica } from '../../../client/src/index.ts';
import type { RemoteDocument, SyncRequest, SyncResponse } from '../../../shared/protocol/index.ts';

const SCOPE = 'user:alice';
const at = (documentId: string) => ({ scope: SCOPE, collection: 'items', documentId });
const NOW = '2026-11-22T10:00:00.000Z';

function createReplica(): Replica {
  let ids = 0;
  return new Replica({
    userId: 'alice',
    deviceId: 'phone',
    collections: ['items'],
    now: () => Date.parse(NOW),
    createId: () => `id${(ids += 1)}`,
  });
}

const remote = (documentId: string): RemoteDocument => ({
  ...at(documentId),
  version: `v-${documentId}`,
  lastModified: NOW,
  deleted: false,
  userId: 'alice',
  deviceId: 'tablet',
  data: { of: documentId },
});

/** An answer that takes every change in and brings some documents. */
const answerTo = (request: SyncRequest, fields: Partial<SyncResponse> = {}): SyncResponse => {
  const last = request.changes?.at(-1);
  return {
    serverTime: NOW,
    results: (request.changes ?? []).map(({ changeId = null, documentId }) => ({
      changeId,
      status: 'applied',
      version: `v-${documentId}`,
      lastModified: NOW,
    })),
    delta: { documents: [], hasMore: false },
    checkpoints: { [SCOPE]: 'checkpoint' },
    streams: last === undefined ? {} : { [SCOPE]: { seq: last.seq ?? 0, changeId: last.changeId ?? '' } },
    scopes: [SCOPE],
    resync: [],
    nextSyncRecommended: NOW,
    stats: { changes: 0, documents: 0, conflicts: 0, requests: 0, requestUnits: 0, milliseconds: 0 },
    ...fields,
  };
};

const forked = (request: SyncRequest): Partial<SyncResponse> => ({
  results: (request.changes ?? []).map(({ changeId = null }) => ({
    changeId,
    status: 'failed',
    error: { code: 'device_forked', message: '', retryable: false },
  })),
  streams: { [SCOPE]: { seq: 99, changeId: 'other' } },
});

it('drops the answer to a request that was given up: it may take the later one for another store', () => {
  const replica = createReplica();
  replica.put(at('1'), { n: 1 });
  const early = replica.request();
  replica.put(at('2'), { n: 2 });
  const late = replica.request();
  expect(late.changes).toHaveLength(2);
  // The early request met the ledger where the late one had left it.
  expect(replica.take(early, answerTo(early, forked(early)))).toBe(true);
  expect(replica.deviceId).toBe('phone');
  expect(replica.request().changes).toEqual(late.changes);

  const again = replica.request();
  replica.take(again, answerTo(again));
  expect(replica.pending).toBe(0);
  replica.take(early, answerTo(early));
  expect(replica.request().streams).toEqual(answerTo(again).streams);
});

it('after a fork sends its edits as another device, and drops rows that the store no longer has', () => {
  const replica = createReplica();
  const first = replica.request();
  const documents = [remote('1'), remote('2')];
  replica.take(first, answerTo(first, { delta: { documents, hasMore: false } }));
  replica.put(at('3'), { n: 3 });
  const request = replica.request();
  replica.take(request, answerTo(request, forked(request)));

  const anew = replica.request();
  expect(anew).toMatchObject({ streams: {}, checkpoints: {}, changes: [{ documentId: '3' }] });
  expect(anew.deviceId).not.toBe('phone');
  // Document 2 was deleted so long ago that its tombstone is gone as well.
  replica.take(anew, answerTo(anew, { delta: { documents: [remote('1')], hasMore: false } }));
  expect([...replica.documents().keys()]).toEqual([`${SCOPE}/items/1`, `${SCOPE}/items/3`]);
});
