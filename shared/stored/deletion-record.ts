import type { JsonObject } from '../conflict/json.ts';
import { formatDateTime } from '../protocol/date-time.ts';
import { SYSTEM_PREFIX, type Address, type Item } from './document.ts';

/** Ids of deletion records start so. */
export const DELETION_PREFIX = `${SYSTEM_PREFIX}deletion:`;

/**
 * What a delete in an audited collection removed, kept for people: in the same batch as the tombstone. Beside it, not
 * in it: tombstones are read by every device that pulls, an undelete would wipe it out, and they cannot be listed
 * without reading the whole scope.
 *
 * @param deletion.recordId names the change that deleted
 */
export function deletionRecord(deletion: {
  readonly address: Address;
  readonly recordId: string;
  readonly data: JsonObject;
  readonly userId: string;
  readonly deviceId: string;
  readonly now: number;
  readonly retention: number;
}): Item & JsonObject {
  const { address, recordId, data, userId, deviceId, now, retention } = deletion;
  return {
    id: `${DELETION_PREFIX}${recordId}`,
    scope: address.scope,
    collection: address.collection,
    documentId: address.documentId,
    data,
    userId,
    deviceId,
    at: formatDateTime(now),
    ttl: retention,
  };
}
