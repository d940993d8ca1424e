import { isJsonObject } from '../conflict/index.ts';
import { codeOf } from '../errors.ts';
import { DEVICE_ID_PATTERN, OperationEntry, type SyncResponse } from '../protocol/index.ts';
import type { ActivityRecord, StoredRecord } from './record.ts';

/** The kind of the operation log's records. */
export const SYNC_OPERATION = 'sync';

/**
 * Which syncs are logged. `changes`: those that changed or delivered something, started a delta over, or were refused.
 * `all`: also those that had nothing to do.
 */
export type OperationLogLevel = 'off' | 'changes' | 'all';

/** A sync that has ended. */
export interface SyncOperation {
  readonly userId: string;
  /** The body as it came: what it says of the device is not checked yet. */
  readonly body: unknown;
  readonly requestId: string;
  /** The answer, or the code of the error. */
  readonly result: SyncResponse | string;
  readonly milliseconds: number;
  /** Milliseconds since the epoch. */
  readonly endedAt: number;
}

/**
 * The record of a sync; null where none is wanted.
 *
 * @param settings.ttl seconds until the record expires
 * @param settings.newId names the record: request ids come from clients, who may use one twice
 */
export function operationRecord(
  operation: SyncOperation,
  settings: { readonly level: OperationLogLevel; readonly ttl: number; readonly newId: () => string },
): (ActivityRecord & OperationEntry) | null {
  const { userId, body, requestId, result, milliseconds, endedAt } = operation;
  const answer = typeof result === 'string' ? null : result;
  if (settings.level === 'off' || (settings.level === 'changes' && answer !== null && isIdle(answer))) {
    return null;
  }
  return {
    id: `${SYNC_OPERATION}.${settings.newId()}`,
    userId,
    kind: SYNC_OPERATION,
    at: new Date(endedAt).toISOString(),
    ttl: settings.ttl,
    deviceId: deviceOf(body),
    requestId,
    result: typeof result === 'string' ? result : 'ok',
    milliseconds,
    ...countsOf(typeof result === 'string' ? null : result),
  };
}

const isIdle = ({ results, delta, resync }: SyncResponse): boolean =>
  results.length === 0 && delta.documents.length === 0 && resync.length === 0;

const UNKNOWN = {
  changes: null,
  documents: null,
  conflicts: null,
  scopes: null,
  requests: null,
  requestUnits: null,
};

/** What a sync did, in numbers; a refused one did nothing that is known. */
function countsOf(answer: SyncResponse | null): Pick<OperationEntry, keyof typeof UNKNOWN> {
  if (answer === null) return UNKNOWN;
  const changes = { applied: 0, merged: 0, skipped: 0, duplicate: 0, rejected: 0, failed: 0 };
  for (const { status } of answer.results) changes[status] += 1;
  const { conflicts, requests, requestUnits } = answer.stats;
  return {
    changes,
    documents: answer.delta.documents.length,
    conflicts,
    scopes: Object.keys(answer.checkpoints).length,
    requests,
    requestUnits,
  };
}

const DEVICE_ID = new RegExp(DEVICE_ID_PATTERN);

function deviceOf(body: unknown): string | null {
  const deviceId = isJsonObject(body) ? body['deviceId'] : undefined;
  return typeof deviceId === 'string' && DEVICE_ID.test(deviceId) ? deviceId : null;
}

/**
 * Runs a sync and has it recorded, however it ends. Nothing is waited for: the record is written later.
 *
 * @throws what the sync throws
 */
export async function recorded(
  run: () => Promise<SyncResponse>,
  about: Pick<SyncOperation, 'userId' | 'body' | 'requestId'>,
  { record, now }: { readonly record: (operation: SyncOperation) => void; readonly now: () => number },
): Promise<SyncResponse> {
  const startedAt = now();
  const end = (result: SyncResponse | string): void => {
    const endedAt = now();
    record({ ...about, result, endedAt, milliseconds: endedAt - startedAt });
  };
  try {
    const answer = await run();
    end(answer);
    return answer;
  } catch (error) {
    end(codeOf(error));
    throw error;
  }
}

/** A record as the log answers with it: what the store needs is left out. */
export function toOperationEntry(record: StoredRecord): OperationEntry {
  const own = Object.entries(record).filter(([name]) => Object.hasOwn(OperationEntry.properties, name));
  return Object.fromEntries(own) as OperationEntry;
}
