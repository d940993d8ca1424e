import type { Identity } from '../auth/identity.ts';
import { isJsonObject } from '../conflict/index.ts';
import type { DeletionEntry, DeletionPage } from '../protocol/index.ts';
import { DELETION_PREFIX } from '../stored/deletion-record.ts';
import { listRecords } from './list-records.ts';
import type { RecordStore } from './record-store.ts';

/**
 * A page of the deletion log.
 *
 * @param query the parameters, not yet checked
 * @throws RequestError, Unavailable
 */
export async function listDeletions(
  query: unknown,
  identity: Identity,
  store: RecordStore,
): Promise<DeletionPage> {
  const { records, continuation } = await listRecords(query, DELETION_PREFIX, identity, store);
  return { deletions: records.flatMap(({ scope, item }) => parseDeletion(item, scope) ?? []), continuation };
}

function parseDeletion(item: unknown, scope: string): DeletionEntry | null {
  if (!isJsonObject(item)) return null;
  const { id, collection, documentId, at, userId, deviceId, data } = item;
  if (typeof id !== 'string' || typeof collection !== 'string' || typeof documentId !== 'string') return null;
  if (!isJsonObject(data)) return null;
  return {
    id: id.slice(DELETION_PREFIX.length),
    scope,
    collection,
    documentId,
    at: typeof at === 'string' ? at : null,
    userId: typeof userId === 'string' ? userId : null,
    deviceId: typeof deviceId === 'string' ? deviceId : null,
    data,
  };
}
