import { sameJson, type JsonObject } from './json.ts';
import { mergePatch } from './merge-patch.ts';
import { GATEWAY_DEVICE, compareWrites, type Writer } from './order.ts';
import type { Base } from './version.ts';

/** A document as the store holds it, or as a client's base says it does. */
export interface Held {
  readonly kind: 'live' | 'tombstone';
  readonly etag: string | null;
  /** Milliseconds since the epoch. */
  readonly stamp: number;
  /** Null where only a client's base speaks of the document. */
  readonly writer: Writer | null;
  /** Null for a tombstone, and where only a client's base speaks of the document. */
  readonly data: JsonObject | null;
}

export type DocumentState = { readonly kind: 'absent' } | Held;

/** A change as the gateway takes it in: checked, with its time corrected. */
export interface Incoming {
  readonly type: 'upsert' | 'patch' | 'delete';
  readonly base: Base;
  /** Milliseconds since the epoch, never later than the gateway's own clock. */
  readonly time: number;
  readonly writer: Writer;
  /** The content or the patch; null for a delete. */
  readonly data: JsonObject | null;
}

/** What the earlier changes of the same request did to this document, where they were taken in. */
export interface Earlier {
  /** What the user had before the eyes after them: it stands in for the base where the document is gone. */
  readonly left: 'live' | 'nothing';
  /** Does the store still hold what they wrote? Then this change follows it. */
  readonly holds: boolean;
}

/** Content that lost against a concurrent write; it goes to the conflict log. */
export interface Loser {
  readonly side: 'stored' | 'incoming';
  readonly deleted: boolean;
  readonly data: JsonObject | null;
  readonly stamp: number;
  readonly writer: Writer | null;
}

interface Accepted {
  readonly outcome: 'applied' | 'merged';
  /** Null: there is nothing to write. */
  readonly write: Held | null;
  readonly loser: Loser | null;
}

export type Decision =
  Accepted | { readonly outcome: 'skipped'; readonly write: null; readonly loser: Loser };

/**
 * Decides what becomes of one change, under last-write-wins.
 *
 * 1. The base is what is stored: sequential, accepted, whatever the clocks say.
 * 2. What is stored is this writer's previous change of the same request: sequential.
 * 3. Otherwise concurrent: the later time wins, then the writer; the loser goes to the conflict log.
 *
 * A document that is not there was deleted, and its tombstone has expired: only an edit made on nothing, on a
 * tombstone, or by a client that states no base creates it. A patch never creates and never undeletes.
 */
export function decide(current: DocumentState, change: Incoming, earlier: Earlier | null = null): Decision {
  if (current.kind !== 'live' && change.type === 'delete')
    return { outcome: 'applied', write: null, loser: null };
  if (current.kind !== 'live' && change.type === 'patch') return skip(change);
  if (current.kind === 'absent') {
    return mayCreate(change.base, earlier) ? accept(current, change) : skip(change);
  }
  const sequential =
    earlier?.holds === true || (change.base.kind === 'version' && change.base.etag === current.etag);
  if (sequential) return accept(current, change);
  if (compareTo(current, change) <= 0) return skip(change);
  // A client that states no base claims nothing about what it replaces: what is older is simply replaced.
  const loser = change.base.kind === 'unstated' ? null : lost(current);
  return { ...accept(current, change, loser), ...(change.type === 'patch' ? { outcome: 'merged' } : {}) };
}

/**
 * Is the change, sent without a number by a client that goes by time alone, the very one that is stored? Such a repeat
 * is harmless, and is answered as one. Another edit of the same millisecond is none.
 */
export const isRepeat = (current: DocumentState, change: Incoming): boolean =>
  current.kind !== 'absent' &&
  change.base.kind === 'unstated' &&
  change.writer.seq === null &&
  compareTo(current, change) === 0 &&
  (change.type === 'delete') === (current.kind === 'tombstone') &&
  sameJson(current.data, change.type === 'patch' ? mergePatch(current.data, change.data ?? {}) : change.data);

/** Positive where the change comes after what is stored; what nobody is known to have written comes first. */
const compareTo = ({ stamp, writer }: Held, change: Incoming): number =>
  writer === null ? 1 : compareWrites(change, { time: stamp, writer });

function mayCreate(base: Base, earlier: Earlier | null): boolean {
  if (earlier !== null) return earlier.left === 'nothing';
  return base.kind === 'nothing' || base.kind === 'unstated' || (base.kind === 'version' && !base.live);
}

function accept(current: DocumentState, change: Incoming, loser: Loser | null = null): Accepted {
  const { type, time, writer, data } = change;
  const stamp = current.kind === 'absent' ? time : Math.max(time, current.stamp + 1);
  const write = ((): Held => {
    const written = { etag: null, stamp, writer };
    if (type === 'delete') return { ...written, kind: 'tombstone', data: null };
    if (type === 'upsert') return { ...written, kind: 'live', data: data ?? {} };
    const target = current.kind === 'live' ? current.data : null;
    // A patch beside another's edit makes a document that is nobody's own words.
    const author = loser === null ? writer : { ...writer, deviceId: GATEWAY_DEVICE };
    return { ...written, writer: author, kind: 'live', data: mergePatch(target, data ?? {}) };
  })();
  return { outcome: 'applied', write, loser };
}

const skip = (change: Incoming): Decision => ({
  outcome: 'skipped',
  write: null,
  loser: {
    side: 'incoming',
    deleted: change.type === 'delete',
    data: change.data,
    stamp: change.time,
    writer: change.writer,
  },
});

const lost = (current: Held): Loser => ({
  side: 'stored',
  deleted: current.kind === 'tombstone',
  data: current.data,
  stamp: current.stamp,
  writer: current.writer,
});
