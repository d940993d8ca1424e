import { createHash } from 'node:crypto';
import { parseVersion, type DocumentState, type JsonObject } from '../conflict/index.ts';
import { Unavailable } from '../errors.ts';
import {
  itemId,
  type ChangeError,
  type ChangeResult,
  type Outcome,
  type RemoteDocument,
  type StreamPosition,
} from '../protocol/index.ts';
import { conflictRecord } from '../stored/conflict-record.ts';
import { deletionRecord } from '../stored/deletion-record.ts';
import {
  appendOutcomes,
  ledgerId,
  newLedger,
  outcomeAt,
  parseLedger,
  samePosition,
  type Ledger,
} from '../stored/ledger.ts';
import { planRun, type Entry, type Mark, type Run, type RunLimits, type Unfit } from './plan-run.ts';
import { changeError, type Prepared, type PreparedChange } from './prepare.ts';
import type { Rules } from './rules.ts';
import { etagOf, toRemote, toState, toStored, type Address } from '../stored/document.ts';
import type { ScopeStore, Write } from './store.ts';

export interface PushContext {
  readonly store: ScopeStore;
  readonly scope: string;
  readonly userId: string;
  readonly deviceId: string;
  /** The application's rules for content that a patch or a merge made. */
  readonly rules: Rules;
  readonly now: () => number;
  /** Milliseconds since the epoch, by `now`: nothing is written after it. */
  readonly deadline: number;
  /** How long tombstones and conflict records are kept, in seconds. */
  readonly retention: number;
  /** Bytes of stored documents that the results may still carry; counted down. */
  readonly room: { bytes: number };
}

export interface Pushed {
  /** By the index of the change in the request. */
  readonly results: ReadonlyMap<number, ChangeResult>;
  /** Where the ledger of the writer stands now. */
  readonly position: StreamPosition | null;
  /** ETags that this request wrote: its own echo. */
  readonly written: ReadonlySet<string>;
  readonly conflicts: number;
}

/** Cosmos DB's limits for a batch are 100 operations, one of which is the ledger's, and 2 MB. */
export const FULL_RUN: RunLimits = { operations: 99, bytes: 2_060_000, changes: 1_000 };
/** A document that others keep changing is given up after so many refused batches. */
const MAX_TRIES = 5;
const READ_CHUNK = 99;

/**
 * Takes in the changes of one writer in one scope, in transactional batches, each a run of consecutive changes that
 * ends with the ledger:
 *
 * ```
 *            plan ──needs read──► read ──┐
 *             ▲ ◄─────────────────────────┘
 *             │
 *   ┌──────► run ──► batch ── written ──► answer, next run
 *   │                  │
 *   └── read again ◄── refused   (a document is not what its base says, or the ledger moved)
 * ```
 *
 * The usual run is written without reading anything. A refused batch wrote nothing; its documents and the ledger are
 * read with one query, then the run is planned anew from what is there. When the ledger has moved, this very request
 * was taken in before, wholly or in part (a lost answer, a parallel retry): what it covers is answered from its
 * records. A ledger that stands at a change this request does not know belongs to another store with the same device
 * id.
 *
 * @param items the changes of this scope, in the order of their numbers; or changes without numbers, which have no
 *   ledger
 * @param claim where the client believes its ledger to stand
 * @throws Unavailable when the store cannot answer or the deadline has passed; the same request may be repeated
 */
export async function push(
  items: readonly Prepared[],
  claim: StreamPosition | null,
  context: PushContext,
): Promise<Pushed> {
  const { store, scope, userId, deviceId, now } = context;
  const ledger = ledgerId(createHash('sha256').update(userId).digest(), deviceId);
  const results = new Map<number, ChangeResult>();
  const written = new Set<string>();
  const states = new Map<string, DocumentState>();
  const marks = new Map<string, Mark>();
  let failed = new Set<string>();
  const unfit = new Map<number, Unfit>();
  const verdicts = new Map<string, ChangeError | null>();
  const tries = new Map<string, number>();
  const awaitingDocument: { item: Prepared; outcome: Outcome | null }[] = [];
  let rejected = new Set<string>();
  /** Has the store answered a write? From then on its session makes every read see the ledger as it is. */
  let met = false;
  let position = claim;
  /** ETag of a ledger that a holder of a resource token has spoilt: a new one takes its place. */
  let unreadable: string | null = null;
  /** Letters already in the ledger that must stay, then those of this request. */
  let outcomes = '';
  let limits = FULL_RUN;
  let conflicts = 0;
  let at = 0;
  /** Where a document is met for the last time: behind it, it need not be kept in memory. */
  const lastUse = new Map(
    items.flatMap(({ address }, index) => (address === null ? [] : [[idOf(address), index]])),
  );

  while (at < items.length) {
    const run = planRun(items, at, { states, marks, failed, rejected, unfit, judge }, limits, now());
    if (run.kind === 'read') {
      await readWindow(documentIds(items.slice(at)).slice(0, READ_CHUNK));
      continue;
    }
    if (run.kind === 'judge') {
      const { change, content } = run;
      verdicts.set(verdictKey(change, content), await context.rules.check(change, content));
      continue;
    }
    const { writes, about, moves } = toWrites(run);
    if (writes.length > 0) {
      const result = await write(writes);
      if (result.kind === 'too-large') {
        // Sizes are estimated. A change, or a transaction, that still does not fit alone never will.
        const [first] = run.entries;
        const alone =
          run.entries.length === 1 ||
          (first?.item.transaction != null &&
            run.entries.every(({ item }) => item.transaction === first.item.transaction));
        if (alone) for (const { item } of run.entries) unfit.set(item.index, 'document_too_large');
        else limits = { ...limits, changes: Math.ceil(run.entries.length / 2) };
        continue;
      }
      if (result.kind === 'unstorable') {
        const culprit = run.writes.get(about[result.culprit] ?? '');
        if (culprit === undefined) throw new Unavailable('Cosmos DB does not take a ledger.');
        unfit.set(culprit.change.index, 'not_storable');
        continue;
      }
      if (result.kind === 'refused') {
        blame(about[result.culprit] ?? ledger);
        await readWindow(documentIds(run.entries.map(({ item }) => item)));
        continue;
      }
      commit(run, result.etags);
      if (moves !== null) {
        position = moves.to;
        outcomes = moves.outcomes;
      }
    } else {
      commit(run, []);
    }
    at += run.entries.length;
    for (const { id } of run.entries) if (id !== null && (lastUse.get(id) ?? 0) < at) states.delete(id);
  }

  await attachDocuments();
  return { results, position, written, conflicts };

  function write(writes: readonly Write[]): ReturnType<ScopeStore['batch']> {
    if (now() >= context.deadline) throw new Unavailable('The deadline of the request has passed.');
    met = true;
    return store.batch(writes);
  }

  /** The writes of a run: documents, the records of conflicts and deletions that tell of them, and last the ledger. */
  function toWrites(run: Run) {
    const writes: Write[] = [...run.writes.values()].map(({ change, ifMatch, held }): Write => {
      const item = toStored(change.address, held, context.retention);
      return ifMatch === null ? { kind: 'create', item } : { kind: 'replace', item, ifMatch };
    });
    /** The document, or ledger, that each write is about. */
    const about = [...run.writes.keys()];
    for (const { item, id, conflict, erased, outcome } of run.entries) {
      if (id === null || item.rejection !== null) continue;
      const common = {
        address: item.address,
        recordId: item.position?.changeId ?? unnumberedId(item.address, item.incoming.time, context),
        userId,
        deviceId,
        now: now(),
        retention: context.retention,
      };
      const strategy = item.strategy.name;
      const records = [
        conflict && conflictRecord({ ...common, strategy, outcome, conflict, base: item.base }),
        erased && deletionRecord({ ...common, data: erased }),
      ];
      for (const record of records) {
        if (record === null) continue;
        // Without a number there is no ledger to tell a repeat: the same record is simply written again.
        writes.push({ kind: item.position === null ? 'upsert' : 'create', item: record });
        about.push(id);
      }
    }
    const numbered = run.entries.filter(({ item }) => item.position !== null);
    const to = numbered.at(-1)?.item.position ?? null;
    if (to === null) return { writes, about, moves: null };
    const letters = appendOutcomes(
      outcomes,
      numbered.map(({ outcome }) => outcome),
    );
    writes.push(
      position === null
        ? {
            ...(unreadable === null ? { kind: 'create' } : { kind: 'replace', ifMatch: unreadable }),
            item: newLedger(ledger, scope, to, letters),
          }
        : { kind: 'move-ledger', id: ledger, expected: position, to, outcomes: letters },
    );
    about.push(ledger);
    return { writes, about, moves: { to, outcomes: letters } };
  }

  /** A written run becomes results, and what is known for the runs behind it. */
  function commit(run: Run, etags: readonly string[]): void {
    [...run.writes].forEach(([id, { held }], index) => {
      const etag = etags[index] ?? null;
      states.set(id, { ...held, etag });
      if (etag !== null) written.add(etag);
    });
    for (const [id, mark] of run.marks) {
      const state = states.get(id);
      const etag = state === undefined || state.kind === 'absent' ? null : state.etag;
      marks.set(id, mark.wrote && mark.etag === null ? { ...mark, etag } : mark);
    }
    rejected = new Set(run.rejected);
    failed = new Set(run.failed);
    for (const entry of run.entries) {
      const { item, id, outcome, conflict } = entry;
      if (conflict !== null) conflicts += 1;
      results.set(item.index, resultOf(entry));
      if (outcome === 'rejected' && id !== null) awaitingDocument.push({ item, outcome: null });
    }
  }

  function resultOf({ item, id, outcome, repeated, error }: Entry): ChangeResult {
    const { changeId, address } = item;
    if (error !== null || address === null || id === null) {
      return { changeId, status: outcome, ...(error === null ? {} : { error }) };
    }
    const document = remoteOf(id, address);
    const { version, lastModified } = document;
    if (repeated) return { changeId, status: 'duplicate', outcome, version, lastModified };
    if (outcome === 'applied') return { changeId, status: outcome, version, lastModified };
    return { changeId, status: outcome, ...carry(document) };
  }

  function remoteOf(id: string, address: Address): RemoteDocument {
    const state = states.get(id);
    return toRemote(address, state === undefined || state.kind === 'absent' ? null : state);
  }

  /**
   * The stored document for a result; without it, and without a version, where the answer is full: a request for a
   * thousand large documents must not become an answer of a gigabyte. The device then shows what it holds of the
   * document until the delta brings it, so a write of this request is no echo in that case.
   */
  function carry(document: RemoteDocument): Pick<ChangeResult, 'version' | 'lastModified' | 'document'> {
    const { version, lastModified, data } = document;
    const size = data === null ? 0 : Buffer.byteLength(JSON.stringify(data));
    if (size <= context.room.bytes) {
      context.room.bytes -= size;
      return { version, lastModified, document };
    }
    const etag = version === null ? undefined : parseVersion(version)?.etag;
    if (etag !== undefined) written.delete(etag);
    return { version: null, lastModified: null };
  }

  function judge(change: PreparedChange, content: JsonObject): ChangeError | null | undefined {
    const verdict = context.rules.checkNow(change, content);
    return verdict === undefined ? verdicts.get(verdictKey(change, content)) : verdict;
  }

  /** Counts a refusal against the document it is about; a document that is never let in is given up. */
  function blame(id: string): void {
    const count = (tries.get(id) ?? 0) + 1;
    tries.set(id, count);
    if (count < MAX_TRIES) return;
    if (id === ledger) throw new Unavailable('Another request of this device is being taken in.');
    failed.add(id);
  }

  /** Renews what is known of some documents and of the ledger, with one query. */
  async function readWindow(ids: readonly string[]): Promise<void> {
    const numbered = items.some((item) => item.position !== null);
    let found = await store.read([...ids, ledger]);
    if (numbered && !met && position !== null && isBefore(parseLedger(found.get(ledger)), position)) {
      // A ledger behind what the client heard of it is an old copy, of a replica that lags, or truly another one. A
      // write never meets a replica: this one moves nothing, and what is read after it is at least as new.
      await write([{ kind: 'move-ledger', id: ledger, expected: position, to: position, outcomes: '' }]);
      found = await store.read([...ids, ledger]);
    }
    for (const id of ids) states.set(id, toState(found.get(id), scope, now()));
    if (numbered) reconcile(found.get(ledger));
  }

  /** Meets the ledger as it is: at the expected change, ahead within this request, or another store's. */
  function reconcile(item: unknown): void {
    const actual = parseLedger(item);
    unreadable = actual === null ? etagOf(item) : null;
    if (samePosition(actual, position)) return;
    const last = actual === null ? -1 : items.findIndex((item) => samePosition(item.position, actual));
    const taken = items.slice(at, last + 1).map((item, index, all) => ({
      item,
      outcome: actual === null ? null : outcomeAt(actual, all.length - 1 - index),
    }));
    if (actual === null || last < at || taken.some(({ outcome }) => outcome === null)) {
      for (const { index, changeId } of items.slice(at)) {
        results.set(index, { changeId, status: 'failed', error: changeError('device_forked') });
      }
      at = items.length;
      position = positionOf(actual);
      return;
    }
    for (const { item, outcome } of taken) {
      awaitingDocument.push({ item, outcome });
      if (item.address === null) continue;
      if (outcome === 'rejected') rejected.add(idOf(item.address));
      if (outcome === 'failed') failed.add(idOf(item.address));
      if (outcome !== 'applied' && outcome !== 'merged') continue;
      if (item.rejection === null && item.incoming.type !== 'patch') rejected.delete(idOf(item.address));
      const { type, data } = item.rejection === null ? item.incoming : { type: 'patch', data: null };
      marks.set(idOf(item.address), {
        left: type === 'delete' ? 'nothing' : 'live',
        wrote: true,
        asSent: outcome === 'applied',
        etag: null,
        seq: item.position?.seq ?? null,
        content: type === 'upsert' ? data : null,
      });
    }
    position = positionOf(actual);
    outcomes = actual.outcomes;
    at = last + 1;
  }

  /** Rejected changes and repeats are answered with what is stored, which is read, some at a time. */
  async function attachDocuments(): Promise<void> {
    for (let index = 0; index < awaitingDocument.length; index += READ_CHUNK) {
      const some = awaitingDocument.slice(index, index + READ_CHUNK);
      const unread = documentIds(some.map(({ item }) => item)).filter((id) => !states.has(id));
      const found = unread.length === 0 ? new Map<string, unknown>() : await store.read(unread);
      for (const id of unread) states.set(id, toState(found.get(id), scope, now()));
      for (const { item, outcome } of some) {
        const document = item.address === null ? null : remoteOf(idOf(item.address), item.address);
        const known = results.get(item.index);
        if (outcome !== null) results.set(item.index, repeatOf(item, outcome, document));
        else if (known !== undefined && document !== null)
          results.set(item.index, { ...known, ...carry(document) });
      }
      states.clear();
    }
  }

  function repeatOf(item: Prepared, outcome: Outcome, document: RemoteDocument | null): ChangeResult {
    const { changeId } = item;
    if (outcome === 'rejected') {
      const error = item.rejection ?? changeError('rejected_earlier');
      return { changeId, status: 'rejected', error, ...(document === null ? {} : carry(document)) };
    }
    if (document === null)
      return { changeId, status: 'duplicate', outcome, version: null, lastModified: null };
    if (outcome !== 'applied' || !holdsOwn(item))
      return { changeId, status: 'duplicate', outcome, ...carry(document) };
    const { version, lastModified } = document;
    return { changeId, status: 'duplicate', outcome, version, lastModified };
  }

  /** Is what is stored what this change, or a later one of the same document in this request, sent? */
  function holdsOwn(item: Prepared): boolean {
    if (item.rejection !== null) return false;
    const id = idOf(item.address);
    const state = states.get(id);
    if (state === undefined || state.kind === 'absent') return item.incoming.type === 'delete';
    const mark = marks.get(id);
    if (mark?.etag != null) return mark.etag === state.etag;
    const { writer } = state;
    return writer?.userId === userId && writer.deviceId === deviceId && writer.seq === mark?.seq;
  }
}

const isBefore = (actual: Ledger | null, position: StreamPosition): boolean =>
  actual === null || actual.seq < position.seq;

const verdictKey = (change: PreparedChange, content: JsonObject): string =>
  `${change.index} ${JSON.stringify(content)}`;

const positionOf = (ledger: Ledger | null): StreamPosition | null =>
  ledger === null ? null : { seq: ledger.seq, changeId: ledger.changeId };

const idOf = ({ collection, documentId }: Address): string => itemId(collection, documentId);

const documentIds = (items: readonly Prepared[]): string[] => [
  ...new Set(items.flatMap(({ address }) => (address === null ? [] : [idOf(address)]))),
];

/** Names a change without a number by what it is, under its own writer: nobody can take another's record away. */
const unnumberedId = (address: Address, time: number, { userId, deviceId }: PushContext): string =>
  createHash('sha256')
    .update(JSON.stringify([userId, deviceId, address.collection, address.documentId, time]))
    .digest('base64url');
