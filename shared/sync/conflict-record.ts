import type { JsonObject, Loser } from '../conflict/index.ts';
import type { Outcome } from '../protocol/index.ts';
import { formatDateTime } from './clock.ts';
import { SYSTEM_PREFIX, type Address } from './stored.ts';
import type { Item } from './store.ts';

/** Cosmos DB takes 2 MB in a batch, which two large documents nearly fill: a larger base is left out of the record. */
export const MAX_BASE_BYTES = 100_000;

/**
 * The losing side of a conflict, kept for people: in the same batch as the write it tells of, so there is exactly one,
 * whatever crashes.
 *
 * @param conflict.recordId names the change the record tells of
 */
export function conflictRecord(conflict: {
  readonly address: Address;
  readonly recordId: string;
  readonly strategy: string;
  readonly outcome: Outcome;
  readonly loser: Loser;
  readonly base: JsonObject | undefined;
  readonly userId: string;
  readonly deviceId: string;
  readonly now: number;
  readonly retention: number;
}): Item & JsonObject {
  const { address, recordId, strategy, outcome, loser, base, userId, deviceId, now, retention } = conflict;
  const baseFits = base !== undefined && Buffer.byteLength(JSON.stringify(base)) <= MAX_BASE_BYTES;
  return {
    id: `${SYSTEM_PREFIX}conflict:${recordId}`,
    scope: address.scope,
    collection: address.collection,
    documentId: address.documentId,
    strategy,
    outcome,
    lost: {
      side: loser.side,
      deleted: loser.deleted,
      data: loser.data,
      lastModified: formatDateTime(loser.stamp),
      userId: loser.writer?.userId ?? null,
      deviceId: loser.writer?.deviceId ?? null,
      seq: loser.writer?.seq ?? null,
    },
    ...(baseFits ? { base } : {}),
    userId,
    deviceId,
    at: formatDateTime(now),
    ttl: retention,
  };
}
