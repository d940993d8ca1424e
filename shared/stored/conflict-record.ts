import type { Conflict, ConflictSide } from '../conflict/decide.ts';
import type { JsonObject } from '../conflict/json.ts';
import { formatDateTime } from '../protocol/date-time.ts';
import type { Outcome } from '../protocol/sync.ts';
import { SYSTEM_PREFIX, type Address, type Item } from './document.ts';

/** Ids of conflict records start so. */
export const CONFLICT_PREFIX = `${SYSTEM_PREFIX}conflict:`;

/** Cosmos DB takes 2 MB in a batch, which two large documents nearly fill: larger content beside the loser is left out. */
const MAX_BESIDE_BYTES = 100_000;

/** Does content of this size go into a record beside the side that lost? */
export const fits = (bytes: number): boolean => bytes <= MAX_BESIDE_BYTES;

/**
 * The two sides of a conflict, kept for people: in the same batch as the write it tells of, so there is exactly one,
 * whatever crashes. What lost is kept whole. The other side and the base are kept where they are small; a merge of
 * which both sides lost something keeps both whole.
 *
 * @param conflict.recordId names the change the record tells of
 */
export function conflictRecord(conflict: {
  readonly address: Address;
  readonly recordId: string;
  readonly strategy: string;
  readonly outcome: Outcome;
  readonly conflict: Conflict;
  readonly base: JsonObject | undefined;
  readonly userId: string;
  readonly deviceId: string;
  readonly now: number;
  readonly retention: number;
}): Item & JsonObject {
  const { address, recordId, strategy, outcome, base, userId, deviceId, now, retention } = conflict;
  const { lost, kept, bothLost } = conflict.conflict;
  return {
    id: `${CONFLICT_PREFIX}${recordId}`,
    scope: address.scope,
    collection: address.collection,
    documentId: address.documentId,
    strategy,
    outcome,
    lost: toSide(lost, lost.data),
    kept: kept && toSide(kept, bothLost ? kept.data : ifSmall(kept.data)),
    bothLost,
    ...(base !== undefined && isSmall(base) ? { base } : {}),
    userId,
    deviceId,
    at: formatDateTime(now),
    ttl: retention,
  };
}

/** @param data null where it is left out, or there is none */
const toSide = ({ side, type, stamp, writer }: ConflictSide, data: JsonObject | null): JsonObject => ({
  side,
  type,
  deleted: type === 'delete',
  data,
  lastModified: formatDateTime(stamp),
  userId: writer?.userId ?? null,
  deviceId: writer?.deviceId ?? null,
  seq: writer?.seq ?? null,
});

const isSmall = (content: JsonObject): boolean =>
  fits(new TextEncoder().encode(JSON.stringify(content)).length);

const ifSmall = (content: JsonObject | null): JsonObject | null =>
  content !== null && isSmall(content) ? content : null;
