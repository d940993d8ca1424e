import type { Conflict, ConflictSide, Held } from '../../../shared/conflict/decide.ts';
import { isJsonObject, type JsonObject } from '../../../shared/conflict/json.ts';
import { formatVersion } from '../../../shared/conflict/version.ts';
import { isDocumentId, itemId } from '../../../shared/protocol/ids.ts';
import type { Change, Outcome, RemoteDocument } from '../../../shared/protocol/sync.ts';
import type { Address } from '../core/row-store.ts';

/** How items look in the container `documents`: as the gateway writes them, so that either may read the other's. */

export const SYSTEM_PREFIX = '~';
const time = (milliseconds: number): string => new Date(milliseconds).toISOString();

export const toItem = (
  { scope, collection, documentId }: Address,
  held: Held,
  retention: number,
): JsonObject => ({
  id: itemId(collection, documentId),
  scope,
  collection,
  documentId,
  userId: held.writer?.userId ?? '',
  deviceId: held.writer?.deviceId ?? '',
  seq: held.writer?.seq ?? null,
  lastModified: time(held.stamp),
  deleted: held.kind === 'tombstone',
  ttl: held.kind === 'tombstone' ? retention : -1,
  data: held.kind === 'tombstone' ? null : held.data,
});

/** Null for an item that does not keep the envelope: whoever holds a token may have written anything. */
export function parseItem(
  item: JsonObject,
  scope: string,
): { address: Address; held: Held & { etag: string } } | null {
  const { collection, documentId, userId, deviceId, seq, lastModified, deleted, data, _etag: etag } = item;
  if (typeof collection !== 'string' || typeof documentId !== 'string' || !isDocumentId(documentId))
    return null;
  if (item['id'] !== itemId(collection, documentId) || item['scope'] !== scope) return null;
  if (typeof userId !== 'string' || typeof deviceId !== 'string' || typeof etag !== 'string') return null;
  const stamp = typeof lastModified === 'string' ? Date.parse(lastModified) : NaN;
  if (Number.isNaN(stamp) || typeof deleted !== 'boolean' || (!deleted && !isJsonObject(data))) return null;
  return {
    address: { scope, collection, documentId },
    held: {
      kind: deleted ? 'tombstone' : 'live',
      etag,
      stamp,
      writer: { userId, deviceId, seq: typeof seq === 'number' ? seq : null },
      data: !deleted && isJsonObject(data) ? data : null,
    },
  };
}

/** A document as the protocol tells it; null: there is none. */
export function toRemote(address: Address, held: Held | null): RemoteDocument {
  if (held?.etag == null) {
    const nothing = {
      version: null,
      lastModified: null,
      deleted: true,
      userId: null,
      deviceId: null,
      data: null,
    };
    return { ...address, ...nothing };
  }
  return {
    ...address,
    version: formatVersion({ etag: held.etag, stamp: held.stamp, live: held.kind === 'live' }),
    lastModified: time(held.stamp),
    deleted: held.kind === 'tombstone',
    userId: held.writer?.userId ?? null,
    deviceId: held.writer?.deviceId ?? null,
    data: held.data,
  };
}

/** The losing side of a conflict, kept for people. */
export function conflictItem(
  change: Change,
  address: Address,
  outcome: Outcome,
  { lost, kept, bothLost }: Conflict,
  context: {
    readonly userId: string;
    readonly deviceId: string;
    readonly now: number;
    readonly retention: number;
  },
): JsonObject {
  const { userId, deviceId, now, retention } = context;
  return {
    id: `${SYSTEM_PREFIX}conflict:${change.changeId ?? ''}`,
    ...address,
    strategy: 'last_write_wins',
    outcome,
    lost: toSide(lost),
    kept: toSide(bothLost ? kept : { ...kept, data: ifSmall(kept.data) }),
    bothLost,
    ...(change.base !== undefined && ifSmall(change.base) !== null ? { base: change.base } : {}),
    userId,
    deviceId,
    at: time(now),
    ttl: retention,
  };
}

const toSide = ({ side, type, data, stamp, writer }: ConflictSide): JsonObject => ({
  side,
  type,
  deleted: type === 'delete',
  data,
  lastModified: time(stamp),
  userId: writer?.userId ?? null,
  deviceId: writer?.deviceId ?? null,
  seq: writer?.seq ?? null,
});

/** A batch holds 2 MB, which two large documents nearly fill. */
const ifSmall = (data: JsonObject | null): JsonObject | null =>
  data === null || JSON.stringify(data).length > 50_000 ? null : data;

export interface Ledger {
  readonly seq: number;
  readonly changeId: string;
  /** One letter for each of the last changes, to be read from the end. */
  readonly outcomes: string;
  readonly etag: string;
}

/** One for each user and device. */
export async function ledgerId(userId: string, deviceId: string): Promise<string> {
  const hash = await crypto.subtle.digest('SHA-256', new TextEncoder().encode(userId));
  const text = btoa(String.fromCharCode(...new Uint8Array(hash)));
  return `${SYSTEM_PREFIX}ledger:${text.replaceAll('+', '-').replaceAll('/', '_').slice(0, 16)}.${deviceId}`;
}

export function parseLedger(item: JsonObject | undefined): Ledger | null {
  const { seq, changeId, outcomes, _etag: etag } = item ?? {};
  if (typeof seq !== 'number' || typeof changeId !== 'string' || typeof outcomes !== 'string') return null;
  return typeof etag === 'string' ? { seq, changeId, outcomes, etag } : null;
}

const LETTERS = { applied: 'a', merged: 'm', skipped: 's', rejected: 'r', failed: 'f' } as const;
export const letterOf = (outcome: Outcome): string => LETTERS[outcome];
export const outcomeOf = (letter: string | undefined): Outcome | null =>
  (Object.keys(LETTERS) as Outcome[]).find((outcome) => LETTERS[outcome] === letter) ?? null;
