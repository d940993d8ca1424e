import {
  decide,
  guardsFields,
  isRepeat,
  mergePatch,
  type Conflict,
  type Decision,
  type DocumentState,
  type Earlier,
  type Held,
  type JsonObject,
} from '../conflict/index.ts';
import { itemId, type ChangeError, type Outcome } from '../protocol/index.ts';
import { fits } from '../stored/conflict-record.ts';
import { changeError, type Prepared, type PreparedChange } from './prepare.ts';

/**
 * Plans a run: as many leading changes as fit into one transactional batch, each with what becomes of it. Pure: it
 * decides on a snapshot and writes nothing; when the batch is refused the snapshot is renewed and the run planned
 * again. The changes of a transaction are in one run, or none of them is taken in.
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
  /** Is that what the user sent? A merge writes something else. */
  readonly asSent: boolean;
  /** ETag of that write, once it is known. */
  readonly etag: string | null;
  /** Number of the last change that was taken in, by an earlier request that sent the same. */
  readonly seq: number | null;
  /** What the user had before the eyes after the last change; null: nothing, or not known. */
  readonly content: JsonObject | null;
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
  /** Changes, by index, that Cosmos DB said it cannot take. */
  readonly unfit: ReadonlyMap<number, Unfit>;
  /** What the application's rules say of content that a patch or a merge made; undefined: they were not asked yet. */
  readonly judge: (change: PreparedChange, content: JsonObject) => ChangeError | null | undefined;
}

export interface Entry {
  readonly item: Prepared;
  /** Item id of the document; null where the change names none. */
  readonly id: string | null;
  readonly outcome: Outcome;
  readonly repeated: boolean;
  readonly error: ChangeError | null;
  readonly conflict: Conflict | null;
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
  readonly failed: ReadonlySet<string>;
  readonly rejected: ReadonlySet<string>;
}

/** A change cannot be decided from what its base says: read first. Or the application's rules must be asked first. */
export type Needs =
  | { readonly kind: 'read' }
  | { readonly kind: 'judge'; readonly change: PreparedChange; readonly content: JsonObject };

/** Why Cosmos DB cannot take a change: with its records it is too large for a batch, or it refuses the content. */
export type Unfit = 'document_too_large' | 'not_storable';

const UNFIT: Record<Unfit, string | undefined> = {
  document_too_large: 'It does not fit into one batch beside what it replaces.',
  not_storable: undefined,
};

type Placed = 'placed' | 'full' | Needs;

/** Room for the envelope around the content of a document, and for the frame of an operation. */
const ENVELOPE_BYTES = 2_000;

export function planRun(
  items: readonly Prepared[],
  from: number,
  snapshot: Snapshot,
  limits: RunLimits,
  now: number,
): Run | Needs {
  let plan = new Plan(snapshot, limits, now);
  for (let at = from; at < items.length;) {
    const unit = unitAt(items, at);
    const { length } = plan.entries;
    if (length > 0 && length + unit.length > limits.changes) break;
    const next = isTransaction(unit) ? plan.copy() : plan;
    const placed = next.placeAll(unit);
    if (placed === 'full' && length === 0) {
      plan.refuseAll(unit, 'rejected', 'transaction_too_large', null);
    } else if (placed === 'placed') {
      plan = next;
    } else if (typeof placed === 'object' && 'culprit' in placed) {
      plan.refuseGroup(unit, placed.culprit);
    } else {
      // What is already planned can go first; the next run starts with what this change needs.
      if (length > 0) break;
      if (placed !== 'full') return placed;
    }
    at += unit.length;
  }
  return plan.toRun();
}

/** A change, or all changes of a transaction. */
function unitAt(items: readonly Prepared[], at: number): readonly Prepared[] {
  const transaction = items[at]?.transaction ?? null;
  let end = at + 1;
  if (transaction !== null) while (items[end]?.transaction === transaction) end += 1;
  return items.slice(at, end);
}

const isTransaction = (unit: readonly Prepared[]): boolean => unit[0]?.transaction != null;

class Plan {
  readonly entries: Entry[] = [];
  readonly #snapshot: Snapshot;
  readonly #limits: RunLimits;
  readonly #now: number;
  readonly #writes = new Map<string, DocumentWrite>();
  readonly #states = new Map<string, DocumentState>();
  readonly #marks = new Map<string, Mark>();
  /** Documents as this run finds them. */
  readonly #found = new Map<string, DocumentState>();
  readonly #failed: Set<string>;
  readonly #rejected: Set<string>;
  #operations = 0;
  #bytes = 0;

  constructor(snapshot: Snapshot, limits: RunLimits, now: number) {
    this.#snapshot = snapshot;
    this.#limits = limits;
    this.#now = now;
    this.#failed = new Set(snapshot.failed);
    this.#rejected = new Set(snapshot.rejected);
  }

  copy(): Plan {
    const known = { ...this.#snapshot, failed: this.#failed, rejected: this.#rejected };
    const copy = new Plan(known, this.#limits, this.#now);
    copy.entries.push(...this.entries);
    for (const [id, write] of this.#writes) copy.#writes.set(id, write);
    for (const [id, state] of this.#states) copy.#states.set(id, state);
    for (const [id, mark] of this.#marks) copy.#marks.set(id, mark);
    for (const [id, state] of this.#found) copy.#found.set(id, state);
    copy.#operations = this.#operations;
    copy.#bytes = this.#bytes;
    return copy;
  }

  toRun(): Run {
    return {
      kind: 'run',
      entries: this.entries,
      writes: this.#writes,
      states: this.#states,
      marks: this.#marks,
      failed: this.#failed,
      rejected: this.#rejected,
    };
  }

  /** Places a change, or a whole transaction; tells the member that keeps a transaction from being taken in. */
  placeAll(unit: readonly Prepared[]): Placed | { readonly culprit: Entry } {
    const group = isTransaction(unit);
    // Asked before anything is read for it: what cannot fit is not resolved first.
    if (group && countDocuments(unit) > this.#limits.operations) return 'full';
    for (const item of unit) {
      if (group && this.#snapshot.unfit.get(item.index) === 'document_too_large') return 'full';
      const placed = this.#place(item);
      if (placed !== 'placed') return placed;
      const entry = this.entries.at(-1);
      if (group && entry !== undefined && entry.outcome !== 'applied' && entry.outcome !== 'merged') {
        return { culprit: entry };
      }
    }
    return 'placed';
  }

  /** All changes of a transaction share the fate of the one that cannot be taken in. */
  refuseGroup(unit: readonly Prepared[], culprit: Entry): void {
    if (culprit.outcome === 'failed') this.refuseAll(unit, 'failed', 'contended', culprit);
    else this.refuseAll(unit, 'rejected', 'transaction_rejected', culprit);
  }

  refuseAll(
    unit: readonly Prepared[],
    outcome: 'rejected' | 'failed',
    code: 'contended' | 'transaction_rejected' | 'transaction_too_large',
    culprit: Entry | null,
  ): void {
    const named = culprit?.item.changeId ?? null;
    const shared = { ...changeError(code), ...(named === null ? {} : { culprit: named }) };
    for (const item of unit) {
      const own = item === culprit?.item ? culprit.error : item.rejection;
      this.#refuse(item, outcome, own ?? shared);
    }
  }

  #refuse(item: Prepared, outcome: 'rejected' | 'failed', error: ChangeError): 'placed' {
    const id = item.address === null ? null : itemId(item.address.collection, item.address.documentId);
    this.entries.push({ item, id, outcome, error, repeated: false, conflict: null, erased: null });
    if (id !== null) (outcome === 'rejected' ? this.#rejected : this.#failed).add(id);
    return 'placed';
  }

  /** Rules that could not be asked reject nothing: the change may be sent again. */
  #refuseFor(item: Prepared, error: ChangeError): 'placed' {
    return this.#refuse(item, error.retryable ? 'failed' : 'rejected', error);
  }

  #place(item: Prepared): Placed {
    if (item.rejection !== null) return this.#refuseFor(item, item.rejection);
    const { incoming, strategy, address } = item;
    const key = itemId(address.collection, address.documentId);
    if (this.#failed.has(key)) return this.#refuse(item, 'failed', changeError('contended'));
    const unfit = this.#snapshot.unfit.get(item.index);
    if (unfit !== undefined)
      return this.#refuse(item, 'rejected', changeError(unfit, undefined, UNFIT[unfit]));
    if (this.#rejected.has(key) && incoming.type === 'patch') {
      return this.#refuse(item, 'rejected', changeError('dependency'));
    }

    // Behind a repeat the base says nothing of what is stored: that one has written since.
    const known = this.#marks.get(key) ?? this.#snapshot.marks.get(key);
    const assumed = this.#snapshot.marks.has(key) ? null : assume(item, this.#now);
    const before = this.#found.get(key) ?? this.#snapshot.states.get(key) ?? assumed;
    if (before === null) return { kind: 'read' };
    const current = this.#states.get(key) ?? before;
    const repeated = isRepeat(current, incoming, strategy);
    const earlier = earlierOf(this.#marks.get(key), this.#snapshot.marks.get(key), current, item);
    const decision: Decision = repeated
      ? { outcome: 'applied', write: null, conflict: null }
      : decide(current, incoming, earlier, strategy);

    const made = decision.write?.data ?? null;
    if (made !== null && made !== incoming.data) {
      if (sizeOf(made) > item.maxBytes) {
        const detail = 'Together with what is stored it would be so.';
        return this.#refuse(item, 'rejected', changeError('document_too_large', '/data', detail));
      }
      const verdict = this.#snapshot.judge(item, made);
      if (verdict === undefined) return { kind: 'judge', change: item, content: made };
      if (verdict !== null) return this.#refuseFor(item, verdict);
    }

    const erases = item.audited && current.kind === 'live' && decision.write?.kind === 'tombstone';
    const erased = erases ? (current.data ?? {}) : null;
    const cost = costOf(decision, erased, this.#writes.has(key), item);
    const full =
      this.#operations + cost.operations > this.#limits.operations ||
      this.#bytes + cost.bytes > this.#limits.bytes;
    if (full && this.entries.length > 0) return 'full';
    this.#operations += cost.operations;
    this.#bytes += cost.bytes;
    this.#found.set(key, before);
    const { outcome, conflict } = decision;
    this.entries.push({ item, id: key, outcome, error: null, repeated, conflict, erased });
    if (outcome === 'skipped') return 'placed';
    if (incoming.type !== 'patch') this.#rejected.delete(key);
    if (decision.write !== null) {
      const ifMatch = before.kind === 'absent' ? null : before.etag;
      this.#writes.set(key, { change: item, ifMatch, held: decision.write });
      this.#states.set(key, decision.write);
    }
    const wrote = decision.write !== null || repeated;
    const left = incoming.type === 'delete' ? 'nothing' : 'live';
    const content = contentAfter(item, known);
    const nothingYet = { etag: null, seq: null, asSent: false };
    this.#marks.set(
      key,
      wrote
        ? { left, wrote, content, etag: null, seq: null, asSent: outcome === 'applied' }
        : { wrote, ...nothingYet, ...known, left, content },
    );
    return 'placed';
  }
}

const countDocuments = (unit: readonly Prepared[]): number =>
  new Set(unit.map(({ address }) => (address === null ? '' : itemId(address.collection, address.documentId))))
    .size;

/** What the user has before the eyes after a change, as far as the changes themselves tell. */
function contentAfter(
  { incoming: { type, data } }: PreparedChange,
  before: Mark | undefined,
): JsonObject | null {
  if (type !== 'patch') return data;
  return before?.content == null ? null : mergePatch(before.content, data ?? {});
}

/**
 * What a change's base says of the stored document, so that the usual change is written without a read; the write is
 * conditional on it. Null where that is not enough: nothing is known, the content matters, nothing would be written
 * that could be conditional, or the stamp cannot be right.
 */
function assume(
  { incoming: { base, type }, strategy, audited }: PreparedChange,
  now: number,
): DocumentState | null {
  if (type === 'patch' || (type === 'delete' && audited)) return null;
  if (base.kind === 'nothing') return type === 'upsert' ? { kind: 'absent' } : null;
  if (base.kind !== 'version' || base.stamp > now) return null;
  if (!base.live && type === 'delete') return null;
  if (type === 'upsert' && base.live && guardsFields(strategy)) return null;
  const { etag, stamp, live } = base;
  return { kind: live ? 'live' : 'tombstone', etag, stamp, writer: null, data: null };
}

function earlierOf(
  inRun: Mark | undefined,
  before: Mark | undefined,
  current: DocumentState,
  { incoming: { writer } }: PreparedChange,
): Earlier | null {
  const mark = inRun ?? before;
  if (mark === undefined) return null;
  const { left, content, asSent } = mark;
  if (inRun?.wrote === true) return { left, content, holds: asSent };
  if (current.kind === 'absent') return { left, content, holds: left === 'nothing' };
  const own = current.writer?.userId === writer.userId && current.writer.deviceId === writer.deviceId;
  const holds =
    (mark.etag !== null && mark.etag === current.etag) ||
    (own && mark.seq !== null && current.writer.seq === mark.seq);
  return { left, content, holds: holds && asSent };
}

function costOf(
  { write, conflict }: Decision,
  erased: JsonObject | null,
  alreadyWritten: boolean,
  { base, incoming, bytes }: PreparedChange,
): { operations: number; bytes: number } {
  const size = (content: JsonObject | null): number => (content === incoming.data ? bytes : sizeOf(content));
  const beside = (content: JsonObject | null): number => {
    const held = size(content);
    return fits(held) ? held : 0;
  };
  let total = write === null ? 0 : ENVELOPE_BYTES + size(write.data);
  if (conflict !== null) {
    const { lost, kept, bothLost } = conflict;
    total +=
      ENVELOPE_BYTES + size(lost.data) + (kept === null ? 0 : bothLost ? size(kept.data) : beside(kept.data));
    total += base === undefined ? 0 : beside(base);
  }
  if (erased !== null) total += ENVELOPE_BYTES + sizeOf(erased);
  const written = [write !== null && !alreadyWritten, conflict !== null, erased !== null];
  return { operations: written.filter(Boolean).length, bytes: total };
}

const sizeOf = (content: JsonObject | null | undefined): number =>
  content == null ? 0 : Buffer.byteLength(JSON.stringify(content));
