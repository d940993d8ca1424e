import { isJsonObject, sameJson, type JsonObject } from '../../shared/conflict/json.ts';
import { mergePatch } from '../../shared/conflict/merge-patch.ts';
import type { Change, ChangeResult, RemoteDocument } from '../../shared/protocol/sync.ts';

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
  /** The contents before and after a patch in flight, which itself says only what differs. */
  readonly whole: Whole | null;
  /** What arrived from others meanwhile: never shown while an edit is pending, and never its base. */
  readonly shadow: RemoteDocument | null;
}

export interface Whole {
  readonly data: JsonObject;
  readonly base: JsonObject;
}

export interface Edit {
  /** `patch`: every edit since the base was one, so only what differs from it is sent. */
  readonly type: 'upsert' | 'patch' | 'delete';
  /** The whole content, for a patch too; null for a delete. */
  readonly data: JsonObject | null;
  readonly baseVersion: string | null;
  /** The content the edit was made on; the gateway merges and logs with it. */
  readonly base: JsonObject | null;
  /** By the device's own clock, RFC 3339. */
  readonly lastModified: string;
  /** Edits with one name are sent as one transaction. */
  readonly transaction: string | null;
}

export const EMPTY_ROW: Row = {
  data: null,
  base: null,
  dirty: null,
  inFlight: null,
  whole: null,
  shadow: null,
};

export const isPending = (row: Row): boolean => row.dirty !== null || row.inFlight !== null;

/**
 * The user writes (`data`) or deletes (null). Edits that were not sent yet become one.
 *
 * @param type `patch` where `data` is what was there with some members changed, and the rest is to stay with others
 */
export function edit(
  row: Row,
  data: JsonObject | null,
  lastModified: string,
  type: 'upsert' | 'patch' = 'upsert',
): Row {
  const { baseVersion, base, transaction } = row.dirty ?? {
    baseVersion: row.base,
    base: row.data,
    transaction: null,
  };
  const folded = type === 'patch' && row.data !== null && (row.dirty?.type ?? 'patch') === 'patch';
  const kind = data === null ? 'delete' : folded ? 'patch' : 'upsert';
  return { ...row, data, dirty: { type: kind, data, baseVersion, base, lastModified, transaction } };
}

/** Freezes the waiting edit into a change. Null where nothing waits, or an earlier change is not answered yet. */
export function draw(
  row: Row,
  address: { scope: string; collection: string; documentId: string },
  drawn: { seq: number; changeId: string },
): Row | null {
  if (row.dirty === null || row.inFlight !== null) return null;
  const { type, data, baseVersion, base, lastModified, transaction } = row.dirty;
  const common = {
    ...drawn,
    ...address,
    baseVersion,
    lastModified,
    ...(transaction === null ? {} : { transaction }),
  };
  const patch = type === 'patch' && data !== null && base !== null ? difference(base, data) : null;
  if (patch !== null && data !== null && base !== null) {
    const inFlight: Change = { ...common, type: 'patch', data: patch, base: touched(base, patch) };
    return { ...row, dirty: null, inFlight, whole: { data, base } };
  }
  const whole = { ...common, ...(base === null ? {} : { base }) };
  const inFlight: Change = data === null ? { ...whole, type: 'delete' } : { ...whole, type: 'upsert', data };
  return { ...row, dirty: null, inFlight, whole: null };
}

/** The gateway answered the change in flight. */
export function answer(row: Row, result: ChangeResult): Row {
  const { inFlight, dirty } = row;
  if (inFlight === null) return row;
  if (result.status === 'failed' || result.outcome === 'failed') return release(row);

  // Refused before the gateway looked at the document: the row goes back to what the edit was made on. And where the
  // user has edited on, what was refused is in that edit too: a patch of it would leave the refused part out of sight.
  if (result.status === 'rejected' && (result.document === undefined || dirty !== null)) {
    return withdraw({ ...row, shadow: result.document ?? row.shadow }, inFlight);
  }

  const landed = { ...row, inFlight: null, whole: null, shadow: null };
  const { document } = result;
  if (document === undefined && !asSent(result, inFlight)) {
    // Something else is stored, and the answer had no room for it: what has arrived already is shown, or what the delta
    // will bring.
    const base = inFlight.type === 'delete' ? null : 'live';
    if (dirty !== null)
      return { ...landed, base, dirty: { ...dirty, baseVersion: base }, shadow: row.shadow };
    return row.shadow === null ? { ...landed, base } : receive({ ...landed, base }, row.shadow);
  }
  if (document === undefined) {
    // What is stored is what was sent: the next edit is made on it.
    const base = result.version ?? null;
    return { ...landed, base, dirty: dirty === null ? null : { ...dirty, baseVersion: base } };
  }
  if (dirty === null) return { ...landed, data: document.data, base: document.version };
  // The user went on from content that is not stored: of the stored one the device only knows that it is there. It is
  // kept aside for the case that this edit is withdrawn too: no delta brings what this very request wrote.
  const baseVersion = inFlight.type === 'delete' ? null : 'live';
  return { ...landed, base: baseVersion, dirty: { ...dirty, baseVersion }, shadow: document };
}

/** Does the result say that what was sent is what is stored? A delete may have left no version. */
const asSent = ({ status, outcome, version }: ChangeResult, { type }: Change): boolean =>
  (outcome ?? status) === 'applied' && (version != null || type === 'delete');

/** Undoes a change that will never be taken in; an edit behind it keeps the base they share. */
function withdraw(row: Row, change: Change): Row {
  const { dirty, shadow } = row;
  const { baseVersion = null } = change;
  const base = baseOf(row, change);
  const behind = dirty === null ? null : { ...dirty, type: foldedType(dirty, change), baseVersion, base };
  if (behind !== null) return { ...row, inFlight: null, whole: null, dirty: behind };
  const clean = { ...row, inFlight: null, whole: null, data: base, base: baseVersion };
  return shadow === null ? clean : receive({ ...clean, shadow: null }, shadow);
}

/** Takes a change back that was certainly not taken in: it will be drawn anew, with the edits made since. */
export function release(row: Row): Row {
  const { inFlight, dirty } = row;
  if (inFlight === null) return row;
  const baseVersion = inFlight.baseVersion ?? null;
  const base = baseOf(row, inFlight);
  const transaction = inFlight.transaction ?? dirty?.transaction ?? null;
  const again: Edit = dirty
    ? { ...dirty, type: foldedType(dirty, inFlight), baseVersion, base, transaction }
    : {
        type: inFlight.type,
        data: dataOf(row, inFlight),
        baseVersion,
        base,
        lastModified: inFlight.lastModified,
        transaction,
      };
  return { ...row, inFlight: null, whole: null, dirty: again };
}

/** The user takes back what was not sent yet: the row shows again what it was made on. */
export function discard(row: Row): Row {
  const { dirty, inFlight, shadow } = row;
  if (dirty === null) return row;
  if (inFlight !== null) return { ...row, data: dataOf(row, inFlight), dirty: null };
  const clean = { ...row, data: dirty.base, base: dirty.baseVersion, dirty: null };
  return shadow === null ? clean : receive({ ...clean, shadow: null }, shadow);
}

/** A document came with the delta. Beside a pending edit it waits in the shadow. */
export const receive = (row: Row, document: RemoteDocument): Row =>
  isPending(row) ? { ...row, shadow: document } : { ...row, data: document.data, base: document.version };

const baseOf = ({ whole }: Row, { base }: Change): JsonObject | null => whole?.base ?? base ?? null;
const dataOf = ({ whole }: Row, change: Change): JsonObject | null =>
  change.type === 'delete' ? null : (whole?.data ?? change.data);

/** An edit that takes in an earlier one is a patch only where both were. */
const foldedType = (later: Edit, { type }: Change): Edit['type'] =>
  later.type === 'patch' && type !== 'patch' ? 'upsert' : later.type;

/** The merge patch that makes `to` of `from`; null where there is none, as for a member that is to hold null. */
function difference(from: JsonObject, to: JsonObject): JsonObject | null {
  const patch = diff(from, to);
  return sameJson(mergePatch(from, patch), to) ? patch : null;
}

function diff(from: JsonObject, to: JsonObject): JsonObject {
  const changed = Object.entries(to).flatMap(([key, value]): [string, unknown][] => {
    const old = Object.hasOwn(from, key) ? from[key] : undefined;
    if (sameJson(old, value)) return [];
    return [[key, isJsonObject(old) && isJsonObject(value) ? diff(old, value) : value]];
  });
  const gone = Object.keys(from).filter((key) => !Object.hasOwn(to, key));
  return Object.fromEntries([...changed, ...gone.map((key): [string, unknown] => [key, null])]);
}

/** The old values of what a patch touches. */
const touched = (base: JsonObject, patch: JsonObject): JsonObject =>
  Object.fromEntries(
    Object.entries(base)
      .filter(([key]) => Object.hasOwn(patch, key))
      .map(([key, old]) => {
        const change = patch[key];
        return [key, isJsonObject(old) && isJsonObject(change) ? touched(old, change) : old];
      }),
  );
