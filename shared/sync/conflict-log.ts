import type { Identity } from '../auth/identity.ts';
import { isJsonObject } from '../conflict/index.ts';
import { OUTCOMES, type ConflictEntry, type ConflictPage, type ConflictVersion } from '../protocol/index.ts';
import { CONFLICT_PREFIX } from '../stored/conflict-record.ts';
import { listRecords } from './list-records.ts';
import type { RecordStore } from './record-store.ts';
import { parseRestored, restoredId } from '../stored/restored-record.ts';
import type { DocumentStore } from './store.ts';

/** How long a page may take to find out which of its conflicts were restored. */
const READ_MS = 20_000;

/**
 * A page of the conflict log.
 *
 * @param query the parameters, not yet checked
 * @throws RequestError, Unavailable
 */
export async function listConflicts(
  query: unknown,
  identity: Identity,
  stores: { readonly records: RecordStore; readonly documents: Pick<DocumentStore, 'open'> },
): Promise<ConflictPage> {
  const { records, continuation } = await listRecords(query, CONFLICT_PREFIX, identity, stores.records);
  const found = records.flatMap(({ scope, item }) => parseConflict(item, scope) ?? []);
  const signal = AbortSignal.timeout(READ_MS);
  const conflicts: ConflictEntry[] = [];
  for (const scope of new Set(found.map((entry) => entry.scope))) {
    const own = found.filter((entry) => entry.scope === scope);
    const partition = stores.documents.open(scope, null, { requests: 0, requestUnits: 0 }, signal);
    const marks = await partition.read(own.map(({ id }) => restoredId(id)));
    for (const entry of own)
      conflicts.push({ ...entry, restored: parseRestored(marks.get(restoredId(entry.id))) });
  }
  return { conflicts, continuation };
}

/**
 * Reads a conflict record. Older ones tell less; one that tells no version, or was written past the gateway and is no
 * record at all, gives null.
 */
export function parseConflict(item: unknown, scope: string): ConflictEntry | null {
  if (!isJsonObject(item)) return null;
  const { id, collection, documentId, outcome, base } = item;
  if (typeof id !== 'string' || !id.startsWith(CONFLICT_PREFIX)) return null;
  if (typeof collection !== 'string' || typeof documentId !== 'string') return null;
  const lost = parseVersion(item['lost']);
  if (lost === null) return null;
  return {
    id: id.slice(CONFLICT_PREFIX.length),
    scope,
    collection,
    documentId,
    at: textOf(item['at']),
    userId: textOf(item['userId']),
    deviceId: textOf(item['deviceId']),
    strategy: textOf(item['strategy']),
    outcome: OUTCOMES.find((name) => name === outcome) ?? null,
    lost,
    kept: parseVersion(item['kept']),
    bothLost: item['bothLost'] === true,
    base: isJsonObject(base) ? base : null,
    restored: null,
  };
}

function parseVersion(value: unknown): ConflictVersion | null {
  if (!isJsonObject(value)) return null;
  const { side, type, deleted, data, seq } = value;
  return {
    side: side === 'stored' ? 'stored' : 'incoming',
    type: type === 'patch' || type === 'delete' ? type : deleted === true ? 'delete' : 'upsert',
    data: isJsonObject(data) ? data : null,
    lastModified: textOf(value['lastModified']),
    userId: textOf(value['userId']),
    deviceId: textOf(value['deviceId']),
    seq: Number.isSafeInteger(seq) ? (seq as number) : null,
  };
}

const textOf = (value: unknown): string | null => (typeof value === 'string' ? value : null);
