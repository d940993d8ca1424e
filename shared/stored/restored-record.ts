import { isJsonObject, type JsonObject } from '../conflict/json.ts';
import { formatDateTime } from '../protocol/date-time.ts';
import type { ConflictEntry } from '../protocol/record-log.ts';
import { SYSTEM_PREFIX, type Item } from './document.ts';

export const restoredId = (conflictId: string): string => `${SYSTEM_PREFIX}restored:${conflictId}`;

/**
 * Says that the losing version of a conflict was put back. A record of its own, in the same batch as that write: the
 * conflict record stays as it is, in its place of the log, and a second restore finds this one and changes nothing.
 */
export const restoredRecord = (restored: {
  readonly conflictId: string;
  readonly scope: string;
  readonly userId: string;
  readonly now: number;
  readonly retention: number;
}): Item & JsonObject => ({
  id: restoredId(restored.conflictId),
  scope: restored.scope,
  userId: restored.userId,
  at: formatDateTime(restored.now),
  ttl: restored.retention,
});

export function parseRestored(item: unknown): ConflictEntry['restored'] {
  if (!isJsonObject(item)) return null;
  const { at, userId } = item;
  return typeof at === 'string' && typeof userId === 'string' ? { at, userId } : null;
}
