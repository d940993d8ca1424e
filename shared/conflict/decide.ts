import { sameJson, type JsonObject } from './json.ts';
import { mergePatch } from './merge-patch.ts';
import { keepGuarded, mergeDocuments, mergePatchInto } from './merge.ts';
import { GATEWAY_DEVICE, compareWrites, type Writer } from './order.ts';
import { LAST_WRITE_WINS, guardsFields, uniformRule, type FieldRule, type Strategy } from './strategy.ts';
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
  /** The content the edit was made on, as the client tells it; null: not told. Merges are three-way with it. */
  readonly baseContent: JsonObject | null;
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
  /** Does the store still hold what they wrote, and nothing but that? Then this change follows it. */
  readonly holds: boolean;
  /** The content that the last of them sent, which this change was made on; null: a patch or a delete. */
  readonly content: JsonObject | null;
}

/** One of the two versions that met. */
export interface ConflictSide {
  readonly side: 'stored' | 'incoming';
  /** How it is put back: a patch holds only what it touches. */
  readonly type: 'upsert' | 'patch' | 'delete';
  readonly data: JsonObject | null;
  readonly stamp: number;
  readonly writer: Writer | null;
}

/** Content that lost against a concurrent write; it goes to the conflict log. */
export interface Conflict {
  readonly lost: ConflictSide;
  /** Null: nothing was stored, not even a tombstone. */
  readonly kept: ConflictSide | null;
  /** Did the other side lose something too? A merge takes some from each. */
  readonly bothLost: boolean;
}

export interface Decision {
  readonly outcome: 'applied' | 'merged' | 'skipped';
  /** Null: there is nothing to write. */
  readonly write: Held | null;
  readonly conflict: Conflict | null;
}

/**
 * Decides what becomes of one change.
 *
 * 1. The base is what is stored: sequential, accepted, whatever the clocks say.
 * 2. What is stored is this writer's previous change of the same request: sequential.
 * 3. Otherwise concurrent: the strategy of the collection decides, and what loses goes to the conflict log. A client
 *    that states no base goes by time, whatever the strategy.
 *
 * A document that is not there was deleted, and its tombstone has expired: only an edit made on nothing, on a
 * tombstone, or by a client that states no base creates it. A patch never creates and never undeletes. Deletes are
 * settled as wholes: against a delete, or for one, the side with priority wins, and under `field_level_merge` the later.
 */
export function decide(
  current: DocumentState,
  change: Incoming,
  earlier: Earlier | null = null,
  strategy: Strategy = LAST_WRITE_WINS,
): Decision {
  if (current.kind !== 'live' && change.type === 'delete')
    return { outcome: 'applied', write: null, conflict: null };
  if (current.kind === 'absent') {
    return change.type !== 'patch' && mayCreate(change.base, earlier)
      ? accept(null, change, strategy)
      : skip(null, change);
  }
  if (current.kind === 'tombstone' && change.type === 'patch') return skip(current, change);
  const sequential =
    earlier?.holds === true || (change.base.kind === 'version' && change.base.etag === current.etag);
  if (sequential) return accept(current, change, strategy);
  const newer = compareTo(current, change) > 0;
  // A client that states no base claims nothing about what it replaces: what is older is simply replaced.
  if (change.base.kind === 'unstated')
    return newer ? beside(accept(current, change, strategy), change) : skip(current, change);
  const rule = mergeRule(strategy);
  if (rule !== null && current.kind === 'live' && change.type !== 'delete') {
    return merge(current, change, earlier?.content ?? change.baseContent, newer, rule);
  }
  if (!incomingWins(strategy, newer)) return skip(current, change);
  const conflict = { lost: sideOf(current), kept: sideOf(change), bothLost: false };
  return { ...beside(accept(current, change, strategy), change), conflict };
}

/**
 * Is the change, sent without a number by a client that goes by time alone, the very one that is stored? Such a repeat
 * is harmless, and is answered as one. Another edit of the same millisecond is none.
 */
export function isRepeat(
  current: DocumentState,
  change: Incoming,
  strategy: Strategy = LAST_WRITE_WINS,
): boolean {
  if (current.kind === 'absent' || change.base.kind !== 'unstated' || change.writer.seq !== null)
    return false;
  if (compareTo(current, change) !== 0) return false;
  if (change.type === 'delete' || current.kind === 'tombstone')
    return change.type === 'delete' && current.kind === 'tombstone';
  return sameJson(current.data, contentOf(current.data, change, strategy));
}

/** Positive where the change comes after what is stored; what nobody is known to have written comes first. */
const compareTo = ({ stamp, writer }: Held, change: Incoming): number =>
  writer === null ? 1 : compareWrites(change, { time: stamp, writer });

function mayCreate(base: Base, earlier: Earlier | null): boolean {
  if (earlier !== null) return earlier.left === 'nothing';
  return base.kind === 'nothing' || base.kind === 'unstated' || (base.kind === 'version' && !base.live);
}

/** Who wins where versions are settled as wholes. */
function incomingWins(strategy: Strategy, newer: boolean): boolean {
  switch (strategy.name) {
    case 'last_write_wins':
    case 'field_level_merge':
      return newer;
    case 'server_wins':
    case 'merge_with_server_priority':
      return false;
    case 'client_wins':
    case 'merge_with_client_priority':
      return true;
  }
}

const STORED_FIRST = uniformRule('stored');
const INCOMING_FIRST = uniformRule('client');

/** How fields are settled; null where the strategy settles versions as wholes. */
function mergeRule(strategy: Strategy): FieldRule | null {
  switch (strategy.name) {
    case 'merge_with_server_priority':
      return STORED_FIRST;
    case 'merge_with_client_priority':
      return INCOMING_FIRST;
    case 'field_level_merge':
      return strategy.root;
    default:
      return null;
  }
}

/** What the document holds after the change, were it alone: a client does not write what is the server's. */
function contentOf(stored: JsonObject | null, { type, data }: Incoming, strategy: Strategy): JsonObject {
  const content = type === 'patch' ? mergePatch(stored, data ?? {}) : (data ?? {});
  return strategy.name === 'field_level_merge' ? keepGuarded(content, stored, strategy.root) : content;
}

/** @param current null where there is no document */
function accept(current: Held | null, change: Incoming, strategy: Strategy): Decision {
  const { type, time, writer, data } = change;
  const stamp = current === null ? time : Math.max(time, current.stamp + 1);
  if (type === 'delete') {
    return {
      outcome: 'applied',
      write: { kind: 'tombstone', etag: null, stamp, writer, data: null },
      conflict: null,
    };
  }
  const stored = current?.kind === 'live' ? current.data : null;
  const content = contentOf(stored, change, strategy);
  const sent = type === 'patch' ? mergePatch(stored, data ?? {}) : data;
  const asSent = !guardsFields(strategy) || sameJson(content, sent);
  return {
    outcome: asSent ? 'applied' : 'merged',
    write: { kind: 'live', etag: null, stamp, writer: asSent ? writer : mergedBy(change), data: content },
    conflict: null,
  };
}

/** A patch beside another's edit makes a document that is nobody's own words. */
function beside(decision: Decision, change: Incoming): Decision {
  if (change.type !== 'patch' || decision.write === null) return decision;
  return { ...decision, outcome: 'merged', write: { ...decision.write, writer: mergedBy(change) } };
}

/** Two versions become one, field by field. */
function merge(
  current: Held,
  change: Incoming,
  base: JsonObject | null,
  newer: boolean,
  rule: FieldRule,
): Decision {
  const stored = current.data ?? {};
  const sent = change.data ?? {};
  const combine = change.type === 'patch' ? mergePatchInto : mergeDocuments;
  const { data, lost } = combine(sent, { stored, base, rule, newer });
  const result = keepGuarded(data, stored, rule);
  const conflict =
    lost.stored || lost.incoming
      ? {
          lost: lost.stored ? sideOf(current) : sideOf(change),
          kept: lost.stored ? sideOf(change) : sideOf(current),
          bothLost: lost.stored && lost.incoming,
        }
      : null;
  const asSent = change.type === 'upsert' && sameJson(result, sent);
  if (sameJson(result, stored)) {
    // Both sides say the same: what is stored is what was sent, and there is nothing to write.
    const agreed =
      asSent || (change.type === 'patch' && sameJson(mergePatch(stored, change.data ?? {}), stored));
    return { outcome: agreed ? 'applied' : 'skipped', write: null, conflict };
  }
  const writer = asSent ? change.writer : mergedBy(change);
  const stamp = Math.max(change.time, current.stamp + 1);
  return {
    outcome: asSent ? 'applied' : 'merged',
    write: { kind: 'live', etag: null, stamp, writer, data: result },
    conflict,
  };
}

/** The gateway wrote it; but a client that goes by time alone knows its repeat by the writer. */
const mergedBy = ({ base, writer }: Incoming): Writer =>
  base.kind === 'unstated' ? writer : { ...writer, deviceId: GATEWAY_DEVICE };

/** @param current null where there is nothing, or nothing any more */
const skip = (current: Held | null, change: Incoming): Decision => ({
  outcome: 'skipped',
  write: null,
  conflict: { lost: sideOf(change), kept: current === null ? null : sideOf(current), bothLost: false },
});

const sideOf = (version: Held | Incoming): ConflictSide =>
  'kind' in version
    ? {
        side: 'stored',
        type: version.kind === 'tombstone' ? 'delete' : 'upsert',
        data: version.data,
        stamp: version.stamp,
        writer: version.writer,
      }
    : {
        side: 'incoming',
        type: version.type,
        data: version.data,
        stamp: version.time,
        writer: version.writer,
      };
