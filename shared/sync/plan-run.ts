import {
  decide,
  isRepeat,
  type DocumentState,
  type Earlier,
  type Held,
  type Incoming,
  type JsonObject,
  type Loser,
} from '../conflict/index.ts';
import { itemId, type ChangeError, type Outcome } from '../protocol/index.ts';
import { MAX_BASE_BYTES } from './conflict-record.ts';
import { changeError, type Prepared, type PreparedChange } from './prepare.ts';

/**
 * Plans a run: as many leading changes as fit into one transactional batch, each with what becomes of it. Pure: it
 * decides on a snapshot and writes nothing; when the batch is refused the snapshot is renewed and the run planned
 * again.
 */

/** What one batch may hold; Cosmos DB's limits are 100 operations and 2 MB, and the ledger needs one of them. */
export interface RunLimits {
  readonly operations: number;
  readonly bytes: number;
  readonly changes: number;
}

/** What the earlier changes of this request left of a document. */
export interface Mark {
  readonly left: 'live' | 'nothing';
  /** Did a change of this request write it, or find it written as it says? A delete of nothing does neither. */
  readonly wrote: boolean;
  /** ETag of that write, once it is known. */
  readonly etag: string | null;
  /** Number of the last change that was taken in, by an earlier request that sent the same. */
  readonly seq: number | null;
}

/** What is known when a run is planned, by item id. */
export interface Snapshot {
  /** Documents as they were last read or written. */
  readonly states: ReadonlyMap<string, DocumentState>;
  readonly marks: ReadonlyMap<string, Mark>;
  /** Documents whose changes fail for the rest of the request. */
  readonly failed: ReadonlySet<string>;
  /** Documents with a rejected change, and none accepted whole since. */
  readonly rejected: ReadonlySet<string>;
}

export interface Entry {
  readonly item: Prepared;
  /** Item id of the document; null where the change names none. */
  readonly id: string | null;
  readonly outcome: Outcome;
  readonly repeated: boolean;
  readonly error: ChangeError | null;
  readonly loser: Loser | null;
  /** What a delete in an audited collection removed. */
  readonly erased: JsonObject | null;
}

export interface DocumentWrite {
  readonly change: PreparedChange;
  /** Null: the document is not there yet. */
  readonly ifMatch: string | null;
  readonly held: Held;
}

export interface Run {
  readonly kind: 'run';
  readonly entries: readonly Entry[];
  readonly writes: ReadonlyMap<string, DocumentWrite>;
  readonly states: ReadonlyMap<string, DocumentState>;
  readonly marks: ReadonlyMap<string, Mark>;
  readonly rejected: Set<string>;
}

/** A change cannot be decided from what its base says: read first. */
export interface NeedsRead {
  readonly kind: 'read';
}

/** Room for the envelope around the content of a document, and for the frame of an operation. */
const ENVELOPE_BYTES = 2_000;

export function planRun(
  items: readonly Prepared[],
  from: number,
  snapshot: Snapshot,
  limits: RunLimits,
  now: number,
): Run | NeedsRead {
  const entries: Entry[] = [];
  const writes = new Map<string, DocumentWrite>();
  const states = new Map<string, DocumentState>();
  const marks = new Map<string, Mark>();
  /** Documents as this run finds them. */
  const found = new Map<string, DocumentState>();
  const rejected = new Set(snapshot.rejected);
  let operations = 0;
  let bytes = 0;

  for (const item of items.slice(from, from + limits.changes)) {
    const id = item.address === null ? null : itemId(item.address.collection, item.address.documentId);
    const refuse = (outcome: 'rejected' | 'failed', error: ChangeError): void => {
      entries.push({ item, id, outcome, error, repeated: false, loser: null, erased: null });
      if (outcome === 'rejected' && id !== null) rejected.add(id);
    };
    if (item.rejection !== null) {
      refuse('rejected', item.rejection);
      continue;
    }
    const key = itemId(item.address.collection, item.address.documentId);
    if (snapshot.failed.has(key)) {
      refuse('failed', changeError('contended'));
      continue;
    }
    if (rejected.has(key) && item.incoming.type === 'patch') {
      refuse('rejected', changeError('dependency'));
      continue;
    }

    // Behind a repeat the base says nothing of what is stored: that one has written since.
    const assumed = snapshot.marks.has(key) ? null : assume(item, now);
    const before = found.get(key) ?? snapshot.states.get(key) ?? assumed;
    if (before === null) {
      // What is already planned can go first; the next run starts with the read.
      if (entries.length > 0) break;
      return { kind: 'read' };
    }
    found.set(key, before);
    const current = states.get(key) ?? before;
    const repeated = isRepeat(current, item.incoming);
    const earlier = earlierOf(marks.get(key), snapshot.marks.get(key), current, item.incoming);
    const decision = repeated
      ? ({ outcome: 'applied', write: null, loser: null } as const)
      : decide(current, item.incoming, earlier);

    if (item.incoming.type === 'patch' && sizeOf(decision.write?.data) > item.maxBytes) {
      refuse('rejected', changeError('document_too_large', '/data', 'The patch would make it so.'));
      continue;
    }

    const erases = item.audited && current.kind === 'live' && decision.write?.kind === 'tombstone';
    const erased = erases ? (current.data ?? {}) : null;
    const cost = costOf(decision, erased, writes.has(key), item);
    const full = operations + cost.operations > limits.operations || bytes + cost.bytes > limits.bytes;
    if (full && entries.length > 0) break;
    operations += cost.operations;
    bytes += cost.bytes;
    const { outcome, loser } = decision;
    entries.push({ item, id, outcome, error: null, repeated, loser, erased });
    if (decision.outcome === 'skipped') continue;
    if (item.incoming.type !== 'patch') rejected.delete(key);
    if (decision.write !== null) {
      const ifMatch = before.kind === 'absent' ? null : before.etag;
      writes.set(key, { change: item, ifMatch, held: decision.write });
      states.set(key, decision.write);
    }
    const known = marks.get(key) ?? snapshot.marks.get(key);
    const left = item.incoming.type === 'delete' ? 'nothing' : 'live';
    const wrote = decision.write !== null || repeated;
    marks.set(
      key,
      wrote ? { left, wrote, etag: null, seq: null } : { wrote, etag: null, seq: null, ...known, left },
    );
  }
  return { kind: 'run', entries, writes, states, marks, rejected };
}

/**
 * What a change's base says of the stored document, so that the usual change is written without a read; the write is
 * conditional on it. Null where that is not enough: nothing is known, the content matters, nothing would be written
 * that could be conditional, or the stamp cannot be right.
 */
function assume({ incoming: { base, type }, audited }: PreparedChange, now: number): DocumentState | null {
  if (type === 'patch' || (type === 'delete' && audited)) return null;
  if (base.kind === 'nothing') return type === 'upsert' ? { kind: 'absent' } : null;
  if (base.kind !== 'version' || base.stamp > now) return null;
  if (!base.live && type === 'delete') return null;
  const { etag, stamp, live } = base;
  return { kind: live ? 'live' : 'tombstone', etag, stamp, writer: null, data: null };
}

function earlierOf(
  inRun: Mark | undefined,
  before: Mark | undefined,
  current: DocumentState,
  { writer }: Incoming,
): Earlier | null {
  if (inRun?.wrote === true) return { left: inRun.left, holds: true };
  const mark = inRun ?? before;
  if (mark === undefined) return null;
  if (current.kind === 'absent') return { left: mark.left, holds: mark.left === 'nothing' };
  const own = current.writer?.userId === writer.userId && current.writer.deviceId === writer.deviceId;
  const holds =
    (mark.etag !== null && mark.etag === current.etag) ||
    (own && mark.seq !== null && current.writer.seq === mark.seq);
  return { left: mark.left, holds };
}

function costOf(
  decision: { readonly write: Held | null; readonly loser: Loser | null },
  erased: JsonObject | null,
  alreadyWritten: boolean,
  { base, incoming, bytes }: PreparedChange,
): { operations: number; bytes: number } {
  const known = (content: JsonObject | null): number => (content === incoming.data ? bytes : sizeOf(content));
  const write = decision.write === null ? 0 : ENVELOPE_BYTES + known(decision.write.data);
  const record =
    decision.loser === null
      ? 0
      : ENVELOPE_BYTES + known(decision.loser.data) + (base === undefined ? 0 : MAX_BASE_BYTES);
  const log = erased === null ? 0 : ENVELOPE_BYTES + sizeOf(erased);
  return {
    operations:
      (decision.write !== null && !alreadyWritten ? 1 : 0) +
      (decision.loser !== null ? 1 : 0) +
      (erased === null ? 0 : 1),
    bytes: write + record + log,
  };
}

const sizeOf = (content: JsonObject | null | undefined): number =>
  content == null ? 0 : Buffer.byteLength(JSON.stringify(content));
