import type { JsonObject } from '../../shared/conflict/index.ts';
import type { Change, ChangeResult, RemoteDocument } from '../../shared/protocol/index.ts';

/**
 * One document as a device holds it: what the user sees, what waits to be sent, what is on its way.
 *
 * ```
 *            edit                  draw                 answer
 *   clean ─────────► dirty ─────────────────► in flight ────────► clean
 *                      ▲                        │  │
 *                      │         failed         │  │ edit
 *                      └────────────────────────┘  ▼
 *                      ◄───── answer ────── in flight and dirty
 * ```
 *
 * The functions here are pure; any store can keep rows.
 */
export interface Row {
  /** What the user sees; null: no document. */
  readonly data: JsonObject | null;
  /** What the next edit is made on, as `baseVersion` says it. */
  readonly base: string | null;
  /** The user's edit that waits to be sent. */
  readonly dirty: Edit | null;
  /** The change that was sent and is not answered: frozen, repeated as it is. */
  readonly inFlight: Change | null;
  /** What arrived from others meanwhile: never shown while an edit is pending, and never its base. */
  readonly shadow: RemoteDocument | null;
}

export interface Edit {
  readonly type: 'upsert' | 'delete';
  readonly data: JsonObject | null;
  readonly baseVersion: string | null;
  /** The content the edit was made on; the gateway merges and logs with it. */
  readonly base: JsonObject | null;
  /** By the device's own clock, RFC 3339. */
  readonly lastModified: string;
}

export const EMPTY_ROW: Row = { data: null, base: null, dirty: null, inFlight: null, shadow: null };

export const isPending = (row: Row): boolean => row.dirty !== null || row.inFlight !== null;

/** The user writes (`data`) or deletes (null). Edits that were not sent yet become one. */
export function edit(row: Row, data: JsonObject | null, lastModified: string): Row {
  const { baseVersion, base } = row.dirty ?? { baseVersion: row.base, base: row.data };
  return {
    ...row,
    data,
    dirty: { type: data === null ? 'delete' : 'upsert', data, baseVersion, base, lastModified },
  };
}

/** Freezes the waiting edit into a change. Null where nothing waits, or an earlier change is not answered yet. */
export function draw(
  row: Row,
  address: { scope: string; collection: string; documentId: string },
  drawn: { seq: number; changeId: string },
): Row | null {
  if (row.dirty === null || row.inFlight !== null) return null;
  const { type, data, baseVersion, base, lastModified } = row.dirty;
  const common = { ...drawn, ...address, baseVersion, lastModified, ...(base === null ? {} : { base }) };
  const inFlight: Change = type === 'upsert' ? { ...common, type, data: data ?? {} } : { ...common, type };
  return { ...row, dirty: null, inFlight };
}

/** The gateway answered the change in flight. */
export function answer(row: Row, result: ChangeResult): Row {
  const { inFlight, dirty } = row;
  if (inFlight === null) return row;
  if (result.status === 'failed' || result.outcome === 'failed') return release(row);

  // Refused before the gateway looked at the document: the row goes back to what the edit was made on.
  if (result.status === 'rejected' && result.document === undefined) return withdraw(row, inFlight);

  const landed = { ...row, inFlight: null, shadow: null };
  const { document } = result;
  if (document === undefined && !asSent(result, inFlight)) {
    // Something else is stored, and the answer had no room for it: what has arrived already is shown, or what the delta
    // will bring.
    const base = inFlight.type === 'delete' ? null : 'live';
    const waiting = { ...landed, base, dirty: dirty === null ? null : { ...dirty, baseVersion: base } };
    return row.shadow === null || dirty !== null ? waiting : receive(waiting, row.shadow);
  }
  if (document === undefined) {
    // What is stored is what was sent: the next edit is made on it.
    const base = result.version ?? null;
    return { ...landed, base, dirty: dirty === null ? null : { ...dirty, baseVersion: base } };
  }
  if (dirty === null) return { ...landed, data: document.data, base: document.version };
  // The user went on from content that is not stored: of the stored one the device only knows that it is there.
  const unseen = inFlight.type === 'delete' ? null : 'live';
  const baseVersion = result.status === 'rejected' ? (inFlight.baseVersion ?? null) : unseen;
  return { ...landed, base: baseVersion, dirty: { ...dirty, baseVersion } };
}

/** Does the result say that what was sent is what is stored? A delete may have left no version. */
const asSent = ({ status, outcome, version }: ChangeResult, { type }: Change): boolean =>
  (outcome ?? status) === 'applied' && (version != null || type === 'delete');

/** Undoes a change that will never be taken in; an edit behind it keeps the base they share. */
function withdraw(row: Row, change: Change): Row {
  const { dirty, shadow } = row;
  const { baseVersion = null } = change;
  const base = change.base ?? null;
  if (dirty !== null) return { ...row, inFlight: null, dirty: { ...dirty, baseVersion, base } };
  const clean = { ...row, inFlight: null, data: base, base: baseVersion };
  return shadow === null ? clean : receive({ ...clean, shadow: null }, shadow);
}

/** Takes a change back that was certainly not taken in: it will be drawn anew, with the edits made since. */
export function release(row: Row): Row {
  const { inFlight, dirty } = row;
  if (inFlight === null) return row;
  const baseVersion = inFlight.baseVersion ?? null;
  const base = inFlight.base ?? null;
  const again: Edit = dirty
    ? { ...dirty, baseVersion, base }
    : {
        type: inFlight.type === 'delete' ? 'delete' : 'upsert',
        data: inFlight.type === 'delete' ? null : inFlight.data,
        baseVersion,
        base,
        lastModified: inFlight.lastModified,
      };
  return { ...row, inFlight: null, dirty: again };
}

/** A document came with the delta. Beside a pending edit it waits in the shadow. */
export const receive = (row: Row, document: RemoteDocument): Row =>
  isPending(row) ? { ...row, shadow: document } : { ...row, data: document.data, base: document.version };
