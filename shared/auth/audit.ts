import type { ActivityRecord } from '../activity/record.ts';
import { nextCursor, formatCursor, parseCursor } from '../activity/cursor.ts';
import type { Recorder } from '../activity/recorder.ts';
import type { ActivityStore } from '../activity/store.ts';
import { RequestError } from '../errors.ts';
import type { AuditEntry, AuditQuery, AuditResponse } from '../protocol/manage.ts';
import { formatDateTime } from '../protocol/index.ts';

/** Something worth a line: who did or wanted what, from where, and what came of it. Never a token. */
export type AuditEvent = Omit<AuditEntry, 'id' | 'at' | 'count'>;

export interface AuditSettings {
  /** How long lines are kept, in seconds. */
  readonly retention: number;
}

export interface AuditDependencies {
  readonly recorder: Recorder;
  readonly store: Pick<ActivityStore, 'list'>;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  readonly createId: () => string;
  /** Calls back once after so many milliseconds; a pending call must not keep the process alive. */
  readonly schedule: (callback: () => void, milliseconds: number) => void;
}

export interface Audit {
  /** Takes an event in. It is written within seconds, in the background. */
  record(event: AuditEvent): void;
  /** Writes what waits. Resolves when that was tried; what could not be written goes on waiting. */
  flush(): Promise<void>;
  /**
   * Lines of the audit, newest first.
   *
   * @throws RequestError, Unavailable
   */
  list(query: AuditQuery): Promise<AuditResponse>;
}

/** Whose partition holds what nobody is proven to have done. */
export const NOBODY = '~nobody';

const KIND = 'audit';
/** How long refusals are counted before the count is written. */
const COUNT_MS = 2_000;
/** Different refusals that are counted at once. Those beyond it are only counted by their code. */
const MAX_COUNTED = 1_000;
const LIMIT = 50;

interface Counted {
  readonly event: AuditEvent;
  at: number;
  count: number;
}

/**
 * The audit of the token service: every resource token made, every request refused, every change of the deny list.
 *
 * Lines are written in the background, so that they cost no caller a request. Refusals that are alike, of one user from
 * one place, become one line with a count: a flood of them cannot become a flood of writes. What is waiting when a
 * process dies is lost, a few seconds at most; the platform's own log of requests still has them.
 */
export function createAudit({ retention }: AuditSettings, dependencies: AuditDependencies): Audit {
  const { recorder, store, now, createId, schedule } = dependencies;
  let counted = new Map<string, Counted>();

  const write = ({ event, at, count }: Counted): void => {
    const line: ActivityRecord & AuditEntry = {
      ...event,
      id: `${KIND}:${createId()}`,
      kind: KIND,
      at: formatDateTime(at),
      ttl: retention,
      count,
    };
    recorder.add(line);
  };

  const writeCounted = (): void => {
    const all = counted;
    counted = new Map();
    for (const each of all.values()) write(each);
  };

  const count = (event: AuditEvent, at: number): void => {
    if (counted.size === 0) schedule(writeCounted, COUNT_MS);
    const { event: kind, code } = event;
    const rest: AuditEvent = { event: kind, userId: NOBODY, ...(code === undefined ? {} : { code }) };
    const own = keyOf(event);
    const isRoom = counted.has(own) || counted.size < MAX_COUNTED;
    const key = isRoom ? own : keyOf(rest);
    const same = counted.get(key);
    if (same === undefined) counted.set(key, { event: isRoom ? event : rest, at, count: 1 });
    else {
      same.count += 1;
      same.at = at;
    }
  };

  return {
    record: (event) => {
      if (event.event === 'refused' || event.event === 'denied') count(event, now());
      else write({ event, at: now(), count: 1 });
    },

    flush: () => {
      writeCounted();
      return recorder.flush();
    },

    list: async ({ userId, limit = LIMIT, continuation }) => {
      const cursor = continuation === undefined ? null : parseCursor(continuation);
      if (continuation !== undefined && cursor === null) throw new RequestError('invalid_continuation');
      const page = await store.list({ kind: KIND, userId: userId ?? null, limit, cursor });
      const next = page.length < limit ? null : nextCursor(cursor, page);
      return {
        entries: page.map((record) => without(record, ['kind', 'ttl']) as unknown as AuditEntry),
        continuation: next === null ? null : formatCursor(next),
      };
    },
  };
}

const without = (record: object, names: readonly string[]): object =>
  Object.fromEntries(Object.entries(record).filter(([name]) => !names.includes(name)));

/** The same for events that are alike in everything. */
const keyOf = (event: AuditEvent): string => JSON.stringify(Object.entries(event).sort());
