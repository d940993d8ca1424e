import type { DocumentState, Held } from '../conflict/decide.ts';
import { isJsonObject, type JsonObject } from '../conflict/json.ts';
import { formatVersion } from '../conflict/version.ts';
import { formatDateTime, parseDateTime } from '../protocol/date-time.ts';
import { isDocumentId, itemId } from '../protocol/ids.ts';
import type { RemoteDocument } from '../protocol/sync.ts';

/** How items look in the container `documents`, whoever writes them: the gateway, or a device with a resource token. */

/** A document as Cosmos DB holds it. `data` is null in a tombstone. */
export interface StoredDocument {
  readonly id: string;
  readonly scope: string;
  readonly collection: string;
  readonly documentId: string;
  readonly userId: string;
  readonly deviceId: string;
  readonly seq: number | null;
  /** The gateway's stamp: UTC with milliseconds. */
  readonly lastModified: string;
  readonly deleted: boolean;
  /** Seconds, or -1. Always written together with `deleted`: an undelete that left one behind would expire. */
  readonly ttl: number;
  readonly data: JsonObject | null;
}

/** An item to be written, with the id that addresses it in its scope. */
export interface Item {
  readonly id: string;
  readonly scope: string;
}

/** What the store adds to every item. */
export type Stored<T> = T & { readonly _etag: string };

/** Ids that start so are the system's own: ledgers, conflict records. They are in no delta. */
export const SYSTEM_PREFIX = '~';

/** One address for a document within a scope. */
export interface Address {
  readonly scope: string;
  readonly collection: string;
  readonly documentId: string;
}

/** @param retention how long a tombstone is kept, in seconds */
export const toStored = (address: Address, held: Held, retention: number): StoredDocument => ({
  id: itemId(address.collection, address.documentId),
  scope: address.scope,
  collection: address.collection,
  documentId: address.documentId,
  userId: held.writer?.userId ?? '',
  deviceId: held.writer?.deviceId ?? '',
  seq: held.writer?.seq ?? null,
  lastModified: formatDateTime(held.stamp),
  deleted: held.kind === 'tombstone',
  ttl: held.kind === 'tombstone' ? retention : -1,
  data: held.kind === 'tombstone' ? null : held.data,
});

/**
 * Reads an item that should be a document. What a holder of a resource token wrote is not trusted: an item that does
 * not keep the envelope gives null, and the next valid change replaces it.
 */
export function parseStored(item: unknown, scope: string): Stored<StoredDocument> | null {
  if (!isJsonObject(item)) return null;
  const { id, collection, documentId, userId, deviceId, seq, lastModified, deleted, ttl, data, _etag } = item;
  if (typeof collection !== 'string' || typeof documentId !== 'string' || !isDocumentId(documentId))
    return null;
  if (id !== itemId(collection, documentId) || item['scope'] !== scope || typeof _etag !== 'string')
    return null;
  if (typeof userId !== 'string' || typeof deviceId !== 'string' || typeof deleted !== 'boolean') return null;
  if (typeof lastModified !== 'string' || parseDateTime(lastModified) === null) return null;
  if (!deleted && !isJsonObject(data)) return null;
  return {
    id,
    scope,
    collection,
    documentId,
    userId,
    deviceId,
    seq: typeof seq === 'number' ? seq : null,
    lastModified,
    deleted,
    ttl: typeof ttl === 'number' ? ttl : -1,
    data: !deleted && isJsonObject(data) ? data : null,
    _etag,
  };
}

export const toHeld = (document: Stored<StoredDocument>): Held => ({
  kind: document.deleted ? 'tombstone' : 'live',
  etag: document._etag,
  stamp: parseDateTime(document.lastModified) ?? 0,
  writer: { userId: document.userId, deviceId: document.deviceId, seq: document.seq },
  data: document.data,
});

/** How far the clocks of writers may lie apart: a stamp that far ahead is still one of theirs. */
const CLOCK_DRIFT_MS = 86_400_000;

/**
 * What a change meets. What is not a document of ours can be replaced, and wins against nothing. A stamp far ahead of
 * the clock was written past the gateway, and counts as now: nobody writes in the future.
 *
 * @param item undefined: nothing is stored
 * @param now milliseconds since the epoch
 */
export function toState(item: unknown, scope: string, now: number): DocumentState {
  if (item === undefined) return { kind: 'absent' };
  const document = parseStored(item, scope);
  if (document !== null) {
    const held = toHeld(document);
    return held.stamp > now + CLOCK_DRIFT_MS ? { ...held, stamp: now } : held;
  }
  return { kind: 'live', etag: etagOf(item), stamp: 0, writer: null, data: {} };
}

/** Null where there is no item. */
export function etagOf(item: unknown): string | null {
  const etag = isJsonObject(item) ? item['_etag'] : undefined;
  return typeof etag === 'string' ? etag : null;
}

/** A document as clients see it; `held` null: there is none. */
export function toRemote(address: Address, held: Held | null): RemoteDocument {
  const { scope, collection, documentId } = address;
  if (held?.etag == null) {
    const nothing = {
      version: null,
      lastModified: null,
      deleted: true,
      userId: null,
      deviceId: null,
      data: null,
    };
    return { scope, collection, documentId, ...nothing };
  }
  return {
    scope,
    collection,
    documentId,
    version: formatVersion({ etag: held.etag, stamp: held.stamp, live: held.kind === 'live' }),
    lastModified: formatDateTime(held.stamp),
    deleted: held.kind === 'tombstone',
    userId: held.writer?.userId ?? null,
    deviceId: held.writer?.deviceId ?? null,
    data: held.kind === 'live' ? held.data : null,
  };
}
