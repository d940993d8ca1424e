import { decide, type Decision, type DocumentState, type Held } from '../../../shared/conflict/decide.ts';
import { formatVersion, parseBase } from '../../../shared/conflict/version.ts';
import { formatDateTime, parseDateTime } from '../../../shared/protocol/date-time.ts';
import { isDocumentId, itemId } from '../../../shared/protocol/ids.ts';
import type { ScopeToken } from '../../../shared/protocol/token.ts';
import type {
  Change,
  ChangeResult,
  Outcome,
  RemoteDocument,
  StreamPosition,
  SyncRequest,
  SyncResponse,
} from '../../../shared/protocol/sync.ts';
import { conflictRecord } from '../../../shared/stored/conflict-record.ts';
import {
  parseStored,
  SYSTEM_PREFIX,
  etagOf,
  toHeld,
  toRemote,
  toState,
  toStored,
  type Address,
} from '../../../shared/stored/document.ts';
import {
  appendOutcomes,
  ledgerId,
  newLedger,
  outcomeAt,
  parseLedger,
  samePosition,
  type Ledger,
} from '../../../shared/stored/ledger.ts';
import { TidemarkError } from '../errors.ts';
import { thisRuntime, type Runtime } from '../runtime.ts';
import type { Transport } from '../sync/transport.ts';
import type { TokenProvider } from '../tokens/token-provider.ts';
import { CosmosPartition, type Meter, type Operation } from './container.ts';

export interface DirectTransportOptions {
  /** Gives resource tokens of the user's own scope: a `CachedTokenProvider` around an `HttpTokenProvider`. */
  readonly tokens: TokenProvider<ScopeToken>;
  /** Seconds that a tombstone lives: `TOMBSTONE_RETENTION_DAYS` of the service. Default: 90 days. */
  readonly retention?: number;
  /** Milliseconds between syncs in the background. Default 300,000. */
  readonly interval?: number;
  /** Milliseconds that one request may take. Default 30,000. */
  readonly timeout?: number;
  readonly runtime?: Partial<Runtime>;
}

const DAY = 86_400_000;
/** Cosmos DB takes 100 operations and 2 MB in a batch; the ledger is one of them, and a change may come with its record. */
const MAX_OPERATIONS = 100;
const MAX_CHANGES = 49;
const MAX_BYTES = 1_500_000;
const MAX_DOCUMENT_BYTES = 921_600;
const MAX_ATTEMPTS = 8;

/**
 * Straight to Cosmos DB with a resource token, past the gateway: for the user's own scope, where the service gives tokens
 * that write (every private collection `direct` and `last_write_wins`). It keeps the gateway's envelope and ledger, so a
 * change is taken in once whichever way it is sent, and its conflicts are logged; times are as the device has them.
 */
export function directTransport(options: DirectTransportOptions): Transport {
  const runtime = thisRuntime(options.runtime);
  const partition = new CosmosPartition(options.tokens, runtime, options.timeout ?? 30_000);
  const { retention = 90 * 86_400, interval = 300_000 } = options;
  return {
    name: 'direct',
    send: async (request, signal) => {
      const token = await partition.token(signal);
      requireUser(request, token);
      const meter: Meter = { requests: 0, bytesSent: 0, bytesReceived: 0 };
      const exchange = new DirectExchange(partition, token, request, { retention, runtime, meter, signal });
      return { response: await exchange.run(interval), ...meter };
    },
  };
}

function requireUser({ userId, changes = [] }: SyncRequest, token: ScopeToken): void {
  if (userId !== undefined && userId !== token.userId && `user:${userId}` !== token.scope) {
    throw new TidemarkError('user_mismatch', 'The token is not of the user whose edits these are.');
  }
  if (token.mode === 'read' && changes.length > 0) {
    throw new TidemarkError(
      'direct_write_forbidden',
      'The service gives tokens that only read: mark every private collection `direct`, or sync through the gateway.',
    );
  }
}

interface ExchangeContext {
  readonly retention: number;
  readonly runtime: Runtime;
  readonly meter: Meter;
  readonly signal: AbortSignal;
}

interface Entry {
  readonly index: number;
  readonly change: Change;
  readonly address: Address;
  readonly id: string;
}

/** One request and its answer. */
class DirectExchange {
  readonly #partition: CosmosPartition;
  readonly #token: ScopeToken;
  readonly #request: SyncRequest;
  readonly #context: ExchangeContext;
  readonly #results: ChangeResult[] = [];
  /** ETags of what this request wrote: the delta leaves them out. */
  readonly #written = new Set<string>();
  /** Indexes of changes that do not fit into a batch, what they log included. */
  readonly #unfit = new Set<number>();

  constructor(partition: CosmosPartition, token: ScopeToken, request: SyncRequest, context: ExchangeContext) {
    this.#partition = partition;
    this.#token = token;
    this.#request = request;
    this.#context = context;
  }

  async run(interval: number): Promise<SyncResponse> {
    const { scope } = this.#token;
    const { changes = [], streams = {} } = this.#request;
    const own: Entry[] = [];
    for (const [index, change] of changes.entries()) {
      const { collection, documentId } = change;
      const address = { scope: change.scope ?? scope, collection, documentId };
      if (address.scope === scope) {
        own.push({ index, change, address, id: itemId(collection, documentId) });
      } else {
        this.#results[index] = refusal(change, 'scope_forbidden', 'The token does not open this scope.');
      }
    }
    const claim = streams[scope] ?? null;
    const position = own.length > 0 ? await this.#push(own, claim) : (streams[scope] ?? null);
    const started = this.#context.runtime.now();
    const delta = await this.#pull();
    const now = this.#context.runtime.now();
    return {
      serverTime: formatDateTime(now),
      results: this.#results,
      delta: { documents: delta.documents, hasMore: delta.hasMore },
      checkpoints: { [scope]: delta.checkpoint },
      streams: own.length > 0 || streams[scope] !== undefined ? { [scope]: position } : {},
      scopes: [scope],
      resync: delta.resync ? [scope] : [],
      nextSyncRecommended: formatDateTime(now + (delta.hasMore ? 0 : interval)),
      stats: {
        changes: changes.length,
        documents: delta.documents.length,
        conflicts: 0,
        requests: this.#context.meter.requests,
        requestUnits: 0,
        milliseconds: now - started,
      },
    };
  }

  /** Takes the changes in, some at a time, each time together with the ledger. @returns where the ledger stands */
  async #push(entries: readonly Entry[], claim: StreamPosition | null): Promise<StreamPosition | null> {
    const { meter, signal } = this.#context;
    const userId = new TextEncoder().encode(this.#token.userId);
    const userHash = await crypto.subtle.digest('SHA-256', userId);
    const ledgerKey = ledgerId(new Uint8Array(userHash), this.#request.deviceId);
    let position = claim;
    let most = MAX_CHANGES;
    for (let from = 0; from < entries.length;) {
      let some = take(entries, from, most);
      let done = 0;
      for (let attempt = 0; done === 0; attempt += 1) {
        if (attempt === MAX_ATTEMPTS) {
          throw new TidemarkError('unavailable', 'Others kept writing these documents.', { retryable: true });
        }
        const found = await this.#partition.read([ledgerKey, ...some.map(({ id }) => id)], meter, signal);
        const ledger = parseLedger(found.get(ledgerKey));
        const last = some.findLastIndex(({ change }) => samePosition(ledger, change));
        if (!samePosition(ledger, position) && last === -1) {
          const later = entries.findIndex(({ change }) => samePosition(ledger, change));
          if (later === -1) return this.#forked(entries.slice(from), ledger);
          // The ledger stands at a change behind these: all of them are repeats.
          this.#repeats(some, found, ledger, entries.slice(from, later + 1).length);
          done = some.length;
        } else if (last >= 0) {
          this.#repeats(some.slice(0, last + 1), found, ledger, last + 1);
          position = standing(ledger);
          done = last + 1;
        } else {
          const written = await this.#write(some, found, ledgerKey, ledger);
          if (written === 'too-large') {
            // Sizes are estimated, and what a conflict logs is known late. A change that does not fit alone never will.
            if (unitAt(some, 0).length === some.length) for (const { index } of some) this.#unfit.add(index);
            most = Math.ceil(some.length / 2);
            some = take(entries, from, most);
          } else if (written) {
            position = positionOf(some);
            done = some.length;
          }
        }
      }
      from += done;
    }
    return position;
  }

  /** @returns whether the conditions held; otherwise, and where it is too much, nothing was written */
  async #write(
    entries: readonly Entry[],
    found: ReadonlyMap<string, unknown>,
    ledgerKey: string,
    ledger: Ledger | null,
  ): Promise<boolean | 'too-large'> {
    const { retention, runtime, meter, signal } = this.#context;
    const { userId, scope } = this.#token;
    const { deviceId } = this.#request;
    const operations: Operation[] = [];
    const planned: { entry: Entry; result: ChangeResult; held: Held | null; operation: number | null }[] = [];
    const outcomes: Outcome[] = [];
    const broken = this.#brokenTransactions(entries, found);
    for (const entry of entries) {
      const { change, address, id } = entry;
      const refused = this.#unfit.has(entry.index)
        ? tooLarge(change)
        : (broken.get(entry) ?? invalid(change));
      if (refused !== null) {
        planned.push({ entry, result: refused, held: null, operation: null });
        outcomes.push('rejected');
        continue;
      }
      const item = found.get(id);
      const state = toState(item, scope, runtime.now());
      const { outcome, write, conflict } = this.#decide(change, state);
      outcomes.push(outcome);
      let operation: number | null = null;
      if (write !== null) {
        operation = operations.length;
        const resourceBody = { ...toStored(address, write, retention) };
        const etag = etagOf(item);
        operations.push(
          etag !== null
            ? { operationType: 'Replace', id, ifMatch: etag, resourceBody }
            : { operationType: 'Create', resourceBody },
        );
      }
      if (conflict !== null) {
        const resourceBody = conflictRecord({
          address,
          recordId: change.changeId ?? '',
          strategy: 'last_write_wins',
          outcome,
          conflict,
          base: change.base,
          userId,
          deviceId,
          now: runtime.now(),
          retention,
        });
        operations.push({ operationType: 'Upsert', resourceBody });
      }
      const held = write ?? known(state);
      planned.push({
        entry,
        result: { changeId: change.changeId ?? null, status: outcome },
        held,
        operation,
      });
    }
    const letters = appendOutcomes(ledger?.outcomes ?? '', outcomes);
    const resourceBody = { ...newLedger(ledgerKey, scope, positionOf(entries), letters) };
    const ledgerEtag = etagOf(found.get(ledgerKey));
    operations.push(
      ledgerEtag === null
        ? { operationType: 'Create', resourceBody }
        : { operationType: 'Replace', id: ledgerKey, ifMatch: ledgerEtag, resourceBody },
    );
    if (operations.length > MAX_OPERATIONS) return 'too-large';
    const etags = await this.#partition.batch(operations, meter, signal);
    if (etags === 'too-large') return etags;
    if (etags === 'refused') return false;
    for (const { entry, result, held, operation } of planned) {
      const etag = operation === null ? (held?.etag ?? null) : (etags[operation] ?? null);
      if (operation !== null && etag !== null) this.#written.add(etag);
      this.#results[entry.index] =
        result.status === 'rejected'
          ? result
          : describe(result, entry, held === null ? null : { ...held, etag });
    }
    return true;
  }

  #decide(change: Change, state: DocumentState): Decision {
    return decide(state, {
      type: change.type,
      base: parseBase(change.baseVersion),
      baseContent: change.base ?? null,
      time: parseDateTime(change.lastModified) ?? 0,
      writer: { userId: this.#token.userId, deviceId: this.#request.deviceId, seq: change.seq ?? null },
      data: change.type === 'delete' ? null : change.data,
    });
  }

  /** All changes of a transaction are refused with the first that is refused, or that would be skipped. */
  #brokenTransactions(
    entries: readonly Entry[],
    found: ReadonlyMap<string, unknown>,
  ): Map<Entry, ChangeResult> {
    const broken = new Map<Entry, ChangeResult>();
    for (let at = 0; at < entries.length;) {
      const unit = unitAt(entries, at);
      at += unit.length;
      if (unit[0]?.change.transaction === undefined) continue;
      const culprit = unit.find(({ change, id }) => {
        const state = toState(found.get(id), this.#token.scope, this.#context.runtime.now());
        return invalid(change) !== null || this.#decide(change, state).outcome === 'skipped';
      });
      if (culprit === undefined) continue;
      for (const entry of unit) broken.set(entry, invalid(entry.change) ?? notTogether(entry, culprit));
    }
    return broken;
  }

  /** Changes that were taken in by an earlier request, the last of them `behind` letters before the ledger's end. */
  #repeats(
    entries: readonly Entry[],
    found: ReadonlyMap<string, unknown>,
    ledger: Ledger | null,
    behind: number,
  ): void {
    for (const [index, entry] of entries.entries()) {
      const { change, id } = entry;
      const outcome = (ledger && outcomeAt(ledger, behind - 1 - index)) ?? 'skipped';
      const { changeId = null } = change;
      if (outcome === 'rejected') {
        this.#results[entry.index] =
          invalid(change) ??
          refusal(change, 'rejected_earlier', 'The change was rejected when it was first sent.');
        continue;
      }
      const held = known(toState(found.get(id), this.#token.scope, this.#context.runtime.now()));
      const mine =
        held?.writer?.deviceId === this.#request.deviceId &&
        held.writer.userId === this.#token.userId &&
        held.writer.seq === change.seq;
      const result: ChangeResult = { changeId, status: 'duplicate', outcome };
      this.#results[entry.index] = outcome === 'failed' ? result : describe(result, entry, held, !mine);
    }
  }

  #forked(entries: readonly Entry[], ledger: Ledger | null): StreamPosition | null {
    for (const { index, change } of entries) {
      this.#results[index] = {
        ...refusal(change, 'device_forked', 'Another store uses the same device id.'),
        status: 'failed',
      };
    }
    return standing(ledger);
  }

  async #pull(): Promise<{
    documents: RemoteDocument[];
    hasMore: boolean;
    checkpoint: string;
    resync: boolean;
  }> {
    const { runtime, retention, meter, signal } = this.#context;
    const { scope } = this.#token;
    const { collections = [], limit = 1000 } = this.#request;
    const kept = parseCheckpoint(this.#request.checkpoints?.[scope], collections);
    const now = runtime.now();
    // The smaller of then and now: a tombstone lives as long as was said when it was written.
    const tooOld = kept !== null && now - kept.seen > Math.min(kept.retention, retention) * 1000 - DAY;
    const lived = kept === null || tooOld ? retention : Math.min(kept.retention, retention);
    let resync = this.#request.checkpoints?.[scope] !== undefined && (kept === null || tooOld);
    let continuation = resync ? null : (kept?.continuation ?? null);
    let seen = resync || kept === null ? now : kept.seen;
    const documents: RemoteDocument[] = [];
    let drained = false;
    while (!drained && documents.length < limit) {
      const page = await this.#partition.changes(continuation, Math.min(limit, 1000), meter, signal);
      if (page === null) {
        if (continuation === null) {
          throw new TidemarkError('unavailable', 'Cosmos DB gives no change feed.', { retryable: true });
        }
        [resync, continuation, seen] = [true, null, now];
        documents.length = 0;
        continue;
      }
      ({ continuation, drained } = page);
      for (const item of page.items) {
        if (String(item['id']).startsWith(SYSTEM_PREFIX)) continue;
        const stored = parseStored(item, scope);
        if (stored === null || !collections.includes(stored.collection)) continue;
        if (!this.#written.has(stored._etag)) documents.push(toRemote(stored, toHeld(stored)));
      }
    }
    const checkpoint = JSON.stringify([
      continuation,
      drained ? now : seen,
      [...collections].sort(),
      drained ? retention : lived,
    ]);
    return { documents, hasMore: !drained, checkpoint, resync };
  }
}

/** A change, or all changes of a transaction. */
function unitAt(entries: readonly Entry[], at: number): Entry[] {
  const name = entries[at]?.change.transaction;
  let end = at + 1;
  while (name !== undefined && entries[end]?.change.transaction === name) end += 1;
  return entries.slice(at, end);
}

const notTogether = ({ change }: Entry, culprit: Entry): ChangeResult => ({
  changeId: change.changeId ?? null,
  status: 'rejected',
  error: {
    code: 'transaction_rejected',
    message: 'Another change of the transaction cannot be taken in.',
    retryable: false,
    culprit: culprit.change.changeId ?? '',
  },
});

/** As many entries as fit into a batch; no document twice, so that each change meets what is stored. */
function take(entries: readonly Entry[], from: number, most: number): Entry[] {
  const some: Entry[] = [];
  const ids = new Set<string>();
  let bytes = 0;
  for (let at = from; at < entries.length;) {
    const unit = unitAt(entries, at);
    bytes += unit.reduce((sum, { change }) => sum + JSON.stringify(change).length, 0);
    const tooMuch = some.length + unit.length > most || bytes > MAX_BYTES;
    if (some.length > 0 && (tooMuch || unit.some(({ id }) => ids.has(id)))) break;
    for (const { id } of unit) ids.add(id);
    some.push(...unit);
    at += unit.length;
  }
  return some;
}

/** Where the ledger stands once these are taken in. */
function positionOf(entries: readonly Entry[]): StreamPosition {
  const { seq = 0, changeId = '' } = entries.at(-1)?.change ?? {};
  return { seq, changeId };
}

const known = (state: DocumentState): Held | null => (state.kind === 'absent' ? null : state);

const standing = (ledger: Ledger | null): StreamPosition | null =>
  ledger === null ? null : { seq: ledger.seq, changeId: ledger.changeId };

/** What is stored now, beside the result; the document where it is not what was sent. */
function describe(
  result: ChangeResult,
  { change, address }: Entry,
  held: Held | null,
  other = false,
): ChangeResult {
  const outcome = result.outcome ?? result.status;
  const remote = toRemote(address, held);
  const gone = change.type === 'delete' && held?.kind !== 'live';
  const asSent = outcome === 'applied' && (!other || gone);
  const version =
    held?.etag == null
      ? null
      : formatVersion({ etag: held.etag, stamp: held.stamp, live: held.kind === 'live' });
  return {
    ...result,
    version,
    lastModified: remote.lastModified,
    ...(asSent ? {} : { document: remote }),
  };
}

function invalid(change: Change): ChangeResult | null {
  if (!isDocumentId(change.documentId))
    return refusal(change, 'invalid_id', 'The document id cannot be stored.');
  if (parseDateTime(change.lastModified) === null)
    return refusal(change, 'invalid_date', 'The time is none.');
  const size = change.type === 'delete' ? 0 : new TextEncoder().encode(JSON.stringify(change.data)).length;
  return size > MAX_DOCUMENT_BYTES
    ? refusal(
        change,
        'document_too_large',
        `The document has ${size} bytes; ${MAX_DOCUMENT_BYTES} is the limit.`,
      )
    : null;
}

const tooLarge = (change: Change): ChangeResult =>
  change.transaction === undefined
    ? refusal(change, 'document_too_large', 'The change does not fit into a batch with what it has to log.')
    : refusal(change, 'transaction_too_large', 'The transaction does not fit into a batch.');

const refusal = (change: Change, code: string, message: string): ChangeResult => ({
  changeId: change.changeId ?? null,
  status: 'rejected',
  error: { code, message, retryable: false },
});

/** @returns null for a checkpoint that is none, or that covers other collections */
function parseCheckpoint(
  text: string | undefined,
  collections: readonly string[],
): { readonly continuation: string | null; readonly seen: number; readonly retention: number } | null {
  if (text === undefined) return null;
  try {
    const [continuation, seen, covered, retention] = JSON.parse(text) as unknown[];
    if (continuation !== null && typeof continuation !== 'string') return null;
    if (typeof seen !== 'number' || typeof retention !== 'number') return null;
    return JSON.stringify(covered) === JSON.stringify([...collections].sort())
      ? { continuation, seen, retention }
      : null;
  } catch {
    return null;
  }
}
