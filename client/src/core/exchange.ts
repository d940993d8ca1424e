import type {
  Change,
  ChangeResult,
  RemoteDocument,
  SyncRequest,
  SyncResponse,
} from '../../../shared/protocol/sync.ts';
import { PROTOCOL_VERSION } from '../../../shared/protocol/version.ts';
import { answer, draw, isPending, receive, release, type Row } from '../row.ts';
import type { Address, RowStore, ScopeState, SetAside } from './row-store.ts';

/** How much goes into one request. */
export interface BatchLimits {
  readonly maxChanges: number;
  /** Of all changes together, as JSON in UTF-8. One change may be larger than that: it goes alone. */
  readonly maxBytes: number;
}

export interface RequestOptions extends BatchLimits {
  readonly userId: string;
  readonly collections: readonly string[];
  /** Scopes to sync; absent: all that the token grants. */
  readonly scopes?: readonly string[];
  /** Documents asked for in one answer. */
  readonly limit?: number;
  /** The device's clock, in milliseconds since the epoch. */
  readonly now: number;
  /** A new change id each time. */
  readonly createId: () => string;
  /** Sends nothing that was never sent before. */
  readonly pullOnly?: boolean;
}

/** A request, and which of the requests made it is. */
export interface Composed {
  readonly attempt: number;
  readonly request: SyncRequest;
}

/** A change that the gateway will never take, kept for the user with its reason. */
export interface Rejected {
  readonly change: Change;
  readonly result: ChangeResult;
}

/** An own edit that met another's. */
export interface Conflict {
  readonly address: Address;
  /** `merged`: both are in what is stored now; `skipped`: the other's edit stays. */
  readonly outcome: 'merged' | 'skipped';
  readonly mine: Change;
  /** What is stored now. */
  readonly theirs: RemoteDocument;
}

/** What an answer brought about. */
export interface Taken {
  /** Is there more to fetch or to send at once? */
  readonly more: boolean;
  /** Is there more to fetch? */
  readonly hasMore: boolean;
  /** Was the answer dropped, because a later request was made? */
  readonly stale: boolean;
  readonly pushed: number;
  readonly skipped: number;
  readonly pulled: number;
  readonly rejected: readonly Rejected[];
  readonly conflicts: readonly Conflict[];
  readonly setAside: readonly SetAside[];
  /** Scopes that start over. */
  readonly resync: readonly string[];
  /** Did another store use this device id? Then there is a new one now. */
  readonly forked: boolean;
  /** Rows that are not as they were; an empty collection stands for all of the scope. */
  readonly touched: readonly Address[];
}

/**
 * Makes the next request: every unanswered change as it was, and new ones behind them as far as there is room. The store
 * has to keep what this wrote before the request is sent; then it may be repeated, by another process as well.
 */
export function composeRequest(store: RowStore, options: RequestOptions): Composed {
  const { userId, collections, scopes, limit, now, createId, pullOnly = false } = options;
  const changes = store.inFlight();
  if (!pullOnly) drawChanges(store, changes, options, createId);
  const { deviceId, seq, attempt } = store.device();
  store.setDevice({ deviceId, seq, attempt: attempt + 1 });
  const known = [...store.scopes()];
  const request: SyncRequest = {
    protocol: PROTOCOL_VERSION,
    userId,
    deviceId,
    clientTime: new Date(now).toISOString(),
    collections: [...collections],
    ...(scopes === undefined ? {} : { scopes: [...scopes] }),
    ...(limit === undefined ? {} : { limit }),
    checkpoints: Object.fromEntries(
      known.flatMap(([scope, { checkpoint }]) => (checkpoint === null ? [] : [[scope, checkpoint]])),
    ),
    streams: Object.fromEntries(
      known.flatMap(([scope, { stream }]) => (stream === undefined ? [] : [[scope, stream]])),
    ),
    changes,
  };
  return { attempt: attempt + 1, request };
}

function drawChanges(
  store: RowStore,
  changes: Change[],
  { maxChanges, maxBytes }: BatchLimits,
  createId: () => string,
): void {
  let bytes = changes.reduce((sum, change) => sum + sizeOf(change), 0);
  const room = maxChanges - changes.length;
  // All of a transaction goes together, so it waits until no change of its documents is in flight.
  const held = room > 0 ? store.heldTransactions() : [];
  const gone = new Set<string>();
  for (const entry of room > 0 ? store.waiting(room, held) : []) {
    const transaction = entry.row.dirty?.transaction ?? null;
    if (transaction !== null && gone.has(transaction)) continue;
    const unit = transaction === null ? [entry] : store.inTransaction(transaction);
    const { seq, ...device } = store.device();
    const drawn = unit.flatMap(({ address, row }, index) => {
      const next = draw(row, address, { seq: seq + 1 + index, changeId: createId() });
      return next?.inFlight == null ? [] : [{ address, row: next, change: next.inFlight }];
    });
    if (drawn.length === 0) continue;
    bytes += drawn.reduce((sum, { change }) => sum + sizeOf(change), 0);
    // What is too much by itself goes alone.
    const tooMuch = bytes > maxBytes || changes.length + drawn.length > maxChanges;
    if (tooMuch && changes.length > 0) return;
    store.setDevice({ ...device, seq: seq + drawn.length });
    for (const { address, row, change } of drawn) {
      store.setRow(address, row);
      changes.push(change);
    }
    if (transaction !== null) gone.add(transaction);
  }
}

/** Takes a change back. An edit that is in another transaction by now ties the two together. */
function takeRowBack(store: RowStore, address: Address): void {
  const row = store.row(address);
  const [sent, waits] = [row.inFlight?.transaction, row.dirty?.transaction];
  store.setRow(address, release(row));
  if (sent != null && waits != null && sent !== waits) store.joinTransactions(waits, sent);
}

const encoder = new TextEncoder();
const sizeOf = (change: Change): number => encoder.encode(JSON.stringify(change)).length + 1;

/**
 * The gateway refused the request before it looked at any change, because it is too large. Changes that never went out
 * before are taken back, to go in smaller requests; those that did have to stay as they are.
 *
 * @param sentBefore changes that were already unanswered when the request was made
 * @returns whether anything was taken back; otherwise a smaller request cannot be made
 */
export function takeBack(store: RowStore, request: SyncRequest, sentBefore: number): boolean {
  const fresh = (request.changes ?? []).slice(sentBefore);
  for (const change of fresh) {
    const address = addressOf(change);
    if (address !== null) takeRowBack(store, address);
  }
  return fresh.length > 0;
}

/**
 * Takes in the answer to the last request made. That of an earlier one, which was given up, is dropped: the later one
 * has moved the ledger on, and the earlier may have met it there and taken it for another store's.
 */
export function takeAnswer(
  store: RowStore,
  { attempt, request }: Composed,
  response: SyncResponse,
  createId: () => string,
): Taken {
  if (attempt !== store.device().attempt) return { ...NOTHING, more: true, hasMore: true, stale: true };
  const rejected: Rejected[] = [];
  const conflicts: Conflict[] = [];
  const touched: Address[] = [];
  const counts = { pushed: 0, skipped: 0 };
  let forked = false;

  for (const scope of response.resync) {
    store.setScope(scope, { ...stateOf(store, scope), resync: true });
    store.startPass(scope);
  }
  for (const [index, result] of response.results.entries()) {
    const change = request.changes?.[index];
    const address = change === undefined ? null : addressOf(change);
    if (change === undefined || address === null) continue;
    const row = store.row(address);
    if (row.inFlight?.changeId !== change.changeId) continue;
    forked ||= result.error?.code === 'device_forked';
    const { document } = result;
    const outcome = result.outcome ?? result.status;
    if (result.status === 'rejected') rejected.push({ change: wholeChange(change, row.whole?.data), result });
    if (outcome === 'applied' || outcome === 'merged') counts.pushed += 1;
    if (outcome === 'skipped') counts.skipped += 1;
    if ((outcome === 'merged' || outcome === 'skipped') && document !== undefined) {
      conflicts.push({ address, outcome, mine: wholeChange(change, row.whole?.data), theirs: document });
    }
    if (result.status === 'failed' || result.outcome === 'failed') {
      takeRowBack(store, address);
    } else {
      const next = answer(row, result);
      store.setRow(address, next, stampOf(next, document ?? result));
    }
    store.markBrought(address);
    touched.push(address);
  }
  for (const document of response.delta.documents) {
    const { scope, collection, documentId } = document;
    const address = { scope, collection, documentId };
    const next = receive(store.row(address), document);
    store.setRow(address, next, stampOf(next, document));
    store.markBrought(address);
    touched.push(address);
  }
  const setAside = dropLostScopes(store, response.scopes, touched);
  keepPositions(store, response);
  if (!response.delta.hasMore) finishResync(store, request.scopes, touched);
  if (forked) startOver(store, response.scopes, createId);
  // An answer counts once: taken in again, its resync would remove the rows that its results had acknowledged.
  store.setDevice({ ...store.device(), attempt: attempt + 1 });
  return {
    more: response.delta.hasMore || forked || store.hasWaiting(),
    hasMore: response.delta.hasMore || forked,
    stale: false,
    ...counts,
    pulled: response.delta.documents.length,
    rejected,
    conflicts,
    setAside,
    resync: response.resync,
    forked,
    touched,
  };
}

const NOTHING: Taken = {
  more: false,
  hasMore: false,
  stale: false,
  pushed: 0,
  skipped: 0,
  pulled: 0,
  rejected: [],
  conflicts: [],
  setAside: [],
  resync: [],
  forked: false,
  touched: [],
};

/** The gateway's stamp is that of what the user sees only where nothing is pending. */
const stampOf = (row: Row, { lastModified }: { readonly lastModified?: string | null }) =>
  isPending(row) ? undefined : lastModified;

/** A patch is kept for the user with the whole content it led to. */
const wholeChange = (change: Change, whole: Record<string, unknown> | undefined): Change =>
  change.type === 'patch' && whole !== undefined ? { ...change, type: 'upsert', data: whole } : change;

const NEW_SCOPE: ScopeState = { checkpoint: null, stream: undefined, resync: false };
const stateOf = (store: RowStore, scope: string): ScopeState => store.scopes().get(scope) ?? NEW_SCOPE;

const addressOf = ({ scope, collection, documentId }: Change): Address | null =>
  scope === undefined ? null : { scope, collection, documentId };

/** Scopes that the user may no longer see leave the device; edits that wait there are set aside. */
function dropLostScopes(store: RowStore, granted: readonly string[], touched: Address[]): SetAside[] {
  const lost = [...store.scopes()].filter(([scope]) => !granted.includes(scope));
  return lost.flatMap(([scope, state]) => {
    const pending = store.pendingIn(scope);
    if (store.dropScope(scope)) touched.push({ scope, collection: '', documentId: '' });
    // The entry of the stream stays: the ledger there stands where it stood, and the scope may come back.
    store.setScope(scope, { ...state, checkpoint: null, resync: false });
    return pending.map(({ address, row }) => ({ address, data: row.data }));
  });
}

function keepPositions(store: RowStore, { checkpoints, streams }: SyncResponse): void {
  for (const scope of new Set([...Object.keys(checkpoints), ...Object.keys(streams)])) {
    const { [scope]: checkpoint } = checkpoints;
    const { [scope]: stream } = streams;
    const state = stateOf(store, scope);
    store.setScope(scope, {
      ...state,
      checkpoint: checkpoint ?? state.checkpoint,
      stream: stream === undefined ? state.stream : stream,
    });
  }
}

/** At the end of a resync, what it did not bring is gone; pending edits stay. */
function finishResync(store: RowStore, asked: readonly string[] | undefined, touched: Address[]): void {
  for (const [scope, state] of store.scopes()) {
    if (!state.resync || asked?.includes(scope) === false) continue;
    for (const { address, row } of store.unbrought(scope)) {
      if (isPending(row)) store.setRow(address, { ...row, shadow: null });
      else store.remove(address);
      touched.push(address);
    }
    store.setScope(scope, { ...state, resync: false });
  }
}

/**
 * Another store uses this device id: take a new one and send the pending edits under it. The rows may be as old as the
 * backup they came from: those that the delta from the beginning does not bring are gone.
 *
 * @param scopes all that the user may see
 */
export function startOver(store: RowStore, scopes: readonly string[], createId: () => string): void {
  for (const change of store.inFlight()) {
    const address = addressOf(change);
    if (address !== null) takeRowBack(store, address);
  }
  store.setDevice({ ...store.device(), deviceId: createId() });
  for (const scope of store.scopes().keys()) {
    store.setScope(scope, { ...NEW_SCOPE });
  }
  for (const scope of scopes) {
    store.setScope(scope, { ...NEW_SCOPE, resync: true });
    store.startPass(scope);
  }
}
