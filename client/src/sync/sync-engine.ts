import type { Change } from '../../../shared/protocol/sync.ts';
import type { Taken } from '../core/exchange.ts';
import type { Emitter } from '../emitter.ts';
import { describeError, TidemarkError } from '../errors.ts';
import {
  backoff,
  BREAKER,
  CircuitBreaker,
  RETRY,
  withRetry,
  type BreakerOptions,
  type RetryOptions,
} from '../net/retry.ts';
import type { Runtime } from '../runtime.ts';
import type { Database } from '../sql/database.ts';
import type { Lease } from '../sql/local-database.ts';
import { compare } from './integrity.ts';
import type { SyncEvents, SyncOutcome, SyncReport, SyncStatus } from './events.ts';
import type { Transport } from './transport.ts';
import { inTurn } from './turns.ts';

export interface EngineOptions {
  /**
   * Milliseconds between syncs in the background. Default: as the service recommends. What the service recommends is a
   * lower bound in any case.
   */
  readonly interval?: number;
  /** Milliseconds that the engine waits for more edits before it sends one. Default 1,000. */
  readonly debounce?: number;
  /** Changes in one request, at most. Default 990: ten batches of the service. */
  readonly maxBatchChanges?: number;
  /** Bytes of changes in one request, before compression. Default 4,000,000. */
  readonly maxBatchBytes?: number;
  /** Documents asked for in one answer. Default: as the service has it. */
  readonly pageSize?: number;
  /** Scopes to sync. Default: all that the token grants. */
  readonly scopes?: () => readonly string[] | undefined;
  /**
   * Milliseconds between comparisons of what device and service hold, in the background. They set right what differs. Each
   * costs the service about what a first sync costs. Default: seven days; Infinity: never.
   */
  readonly repairInterval?: number;
  /** Milliseconds to wait while another tab or process syncs. Default 10,000. */
  readonly patience?: number;
  readonly retry?: Partial<RetryOptions>;
  readonly breaker?: Partial<BreakerOptions>;
}

export interface SyncOptions {
  /** Ends the sync where it stands; what was taken in stays. */
  readonly signal?: AbortSignal;
  /** Fetch, and send nothing that was never sent. */
  readonly pullOnly?: boolean;
  /** Try even where too many syncs failed in a row. */
  readonly force?: boolean;
}

/** What the engine needs of its client. */
export interface EngineContext {
  readonly database: () => Promise<Database>;
  /** Names the database among tabs and processes. */
  readonly databaseName: string;
  readonly collections: readonly string[];
  readonly transport: Transport;
  readonly events: Emitter<SyncEvents>;
  readonly runtime: Runtime;
  readonly userId: string;
  /** Told when the user is another one, before anything is read for that one. */
  readonly onUser: (userId: string) => void | Promise<void>;
}

/** Rounds in a row that got nowhere, before a sync is given up: all changes `contended`, say. */
const MAX_STALLS = 3;

/** Edits that follow each other are told together. Milliseconds. */
const STATUS_DELAY = 50;

/** Seven days, in milliseconds. */
const REPAIR_INTERVAL = 604_800_000;

/** Where neither the app nor the service says how often to sync. Milliseconds. */
const DEFAULT_INTERVAL = 300_000;

/**
 * Keeps the local database and the service in step.
 *
 * - One sync at a time for a user and a database, across tabs and processes.
 * - What is sent is written down first, and an answer is taken in as one transaction: a crash at any moment loses nothing and
 *   sends nothing twice in effect.
 * - A sync that cannot be done is a report and a status, never an exception.
 */
export class SyncEngine {
  readonly #options: EngineOptions;
  readonly #context: EngineContext;
  readonly #breaker: CircuitBreaker;
  readonly #retry: RetryOptions;
  readonly #owner: string;
  #userId: string;
  #limits: { maxChanges: number; maxBytes: number };
  #running: { readonly promise: Promise<SyncReport>; readonly abort: AbortController } | null = null;
  #queued: Promise<SyncReport> | null = null;
  #offline = false;
  /** Milliseconds that the service asked to wait, by its own clock. */
  #recommended: number | null = null;
  #failures = 0;
  #started: (() => void)[] | null = null;
  #cancelTimer: () => void = () => undefined;
  #nextSync: number | null = null;
  #statusDue = false;

  constructor(options: EngineOptions, context: EngineContext) {
    this.#options = options;
    this.#context = context;
    this.#userId = context.userId;
    this.#breaker = new CircuitBreaker({ ...BREAKER, ...options.breaker });
    this.#retry = { ...RETRY, ...options.retry };
    this.#owner = context.runtime.createId();
    this.#limits = {
      maxChanges: options.maxBatchChanges ?? 990,
      maxBytes: options.maxBatchBytes ?? 4_000_000,
    };
  }

  get userId(): string {
    return this.#userId;
  }

  /**
   * Sends what waits and fetches what is new, until neither is left. While one runs, a call waits for it and runs another:
   * what was written before the call is in it.
   */
  sync(options: SyncOptions = {}): Promise<SyncReport> {
    if (this.#running === null) return this.#start(options);
    // The one that waits already begins after this call as well.
    this.#queued ??= this.#running.promise.then(() => {
      this.#queued = null;
      return this.#start(options);
    });
    return this.#queued;
  }

  /**
   * Fetches everything, where nothing was ever fetched for this user. Edits wait for the next sync. Ended early, it goes on
   * where it was.
   *
   * @returns null where there was no need
   */
  async initialPull(options: Omit<SyncOptions, 'pullOnly'> = {}): Promise<SyncReport | null> {
    const database = await this.#context.database();
    const { fetched } = await database.facts(this.#userId);
    return fetched ? null : this.sync({ ...options, pullOnly: true });
  }

  /**
   * Syncs, and compares what device and service hold: `diverged` of the report says in how many documents they differ.
   *
   * @throws TidemarkError `not_comparable` where the transport cannot: straight to Cosmos DB there are no checksums
   */
  verify(options: SyncOptions = {}): Promise<SyncReport> {
    if (this.#context.transport.integrity === undefined) {
      return Promise.reject(
        new TidemarkError(
          'not_comparable',
          'Only the gateway gives checksums: repair() fetches everything anew.',
        ),
      );
    }
    return this.#alone(options, 'verify');
  }

  /**
   * The same, and sets right what differs. Edits that wait stay as they are. Where the transport gives no checksums,
   * everything is fetched anew, and what that does not bring is removed.
   */
  repair(options: SyncOptions = {}): Promise<SyncReport> {
    return this.#alone(options, 'repair');
  }

  /** Not together with a sync that somebody else asked for. */
  async #alone(options: SyncOptions, extra: Extra): Promise<SyncReport> {
    while (this.#running !== null) await this.#running.promise;
    return this.#start(options, extra);
  }

  /**
   * Syncs by itself from now on: at once, at intervals, after edits, when the network comes back, when the app comes to the
   * foreground.
   */
  start(): void {
    if (this.#started !== null) return;
    const { platform } = this.#context.runtime;
    const soon = () => this.#schedule(0);
    this.#started = [platform.onOnline(soon), platform.onVisible(soon)];
    soon();
  }

  /** Syncs only when told to. A sync that runs is ended. */
  async stop(): Promise<void> {
    for (const end of this.#started ?? []) end();
    this.#started = null;
    this.#cancelTimer();
    this.#nextSync = null;
    this.#running?.abort.abort();
    await this.#running?.promise;
  }

  /** Told of an edit: it is sent soon, together with those that follow at once. */
  noteEdit(): void {
    if (this.#started !== null) this.#schedule(this.#options.debounce ?? 1_000);
    this.noteChange();
  }

  /** Told that rows are not as they were, by whomever. */
  noteChange(): void {
    // A thousand edits are one news: counting what is pending after each would cost more than the edit.
    if (this.#statusDue || !this.#context.events.has('status')) return;
    this.#statusDue = true;
    this.#context.runtime.setTimer(() => {
      this.#statusDue = false;
      this.#tellStatus();
    }, STATUS_DELAY);
  }

  /** Without the network by the app's own will: nothing is sent until it is set back. */
  setOffline(offline: boolean): void {
    this.#offline = offline;
    if (offline) this.#running?.abort.abort();
    else if (this.#started !== null) this.#schedule(0);
    this.#tellStatus();
  }

  /**
   * Goes on as another user. Rows and edits of the one who leaves are out of sight, and their edits wait for them.
   *
   * @param options.leave `keep` (default): they find everything when they are back; `wipe`: what the service can give them
   *   again is removed from the device. Edits that were not sent stay either way; `forgetUser` of the client removes them.
   */
  async updateUserId(userId: string, options: { readonly leave?: 'keep' | 'wipe' } = {}): Promise<void> {
    if (userId === this.#userId) return;
    const before = this.#userId;
    this.#running?.abort.abort(new TidemarkError('user_changed', 'The user was switched.'));
    await this.#running?.promise;
    const database = await this.#context.database();
    await database.openUser(userId);
    this.#userId = userId;
    this.#breaker.succeeded();
    this.#failures = 0;
    this.#recommended = null;
    await this.#context.onUser(userId);
    if (options.leave === 'wipe') await database.wipe(before);
    if (this.#started !== null) this.#schedule(0);
    this.#tellStatus();
  }

  /** The truth about this user's sync, read from the database. */
  async status(): Promise<SyncStatus> {
    const database = await this.#context.database();
    const { fetched, ...facts } = await database.facts(this.#userId);
    return {
      ...facts,
      fetched,
      state: this.#stateOf(facts.lastError?.code),
      userId: this.#userId,
      nextSync: this.#nextSync === null ? null : new Date(this.#nextSync).toISOString(),
    };
  }

  #stateOf(lastError: string | undefined): SyncStatus['state'] {
    if (this.#running !== null) return 'syncing';
    if (this.#offline || !this.#context.runtime.platform.isOnline()) return 'offline';
    if (lastError === undefined || lastError === 'busy') return 'idle';
    return OFFLINE_CODES.has(lastError) ? 'offline' : 'error';
  }

  #tellStatus(): void {
    if (!this.#context.events.has('status')) return;
    this.status().then(
      (status) => this.#context.events.emit('status', status),
      (error: unknown) => {
        if (!(error instanceof TidemarkError && error.code === 'closed')) {
          this.#context.events.emit('error', error);
        }
      },
    );
  }

  #start(options: SyncOptions, extra: Extra = null): Promise<SyncReport> {
    this.#cancelTimer();
    this.#nextSync = null;
    const abort = new AbortController();
    const stop = () => abort.abort(options.signal?.reason);
    if (options.signal?.aborted === true) stop();
    options.signal?.addEventListener('abort', stop, { once: true });
    const promise = this.#run(options, extra, abort.signal).finally(() => {
      options.signal?.removeEventListener('abort', stop);
      this.#running = null;
    });
    this.#running = { promise, abort };
    this.#tellStatus();
    promise.then(
      (report) => this.#ended(report),
      (error: unknown) => this.#context.events.emit('error', error),
    );
    return promise;
  }

  #ended(report: SyncReport): void {
    const { events } = this.#context;
    if (report.error !== null && report.outcome === 'failed') events.emit('error', report.error);
    events.emit('synced', report);
    if (this.#started !== null && this.#queued === null) this.#schedule(this.#delayAfter(report));
    this.#tellStatus();
  }

  /** Never rejects for what may happen: a report says it. */
  async #run(options: SyncOptions, extra: Extra, signal: AbortSignal): Promise<SyncReport> {
    const { runtime, databaseName } = this.#context;
    const userId = this.#userId;
    const started = runtime.now();
    const totals = emptyTotals();
    const report = (outcome: SyncOutcome, error: TidemarkError | null): SyncReport => ({
      ...totals,
      outcome,
      error,
      duration: runtime.now() - started,
    });
    try {
      signal.throwIfAborted();
      this.#requireNetwork(options.force === true);
      const database = await this.#context.database();
      await database.openUser(userId);
      await inTurn(
        {
          name: `${databaseName}:${userId}`,
          owner: this.#owner,
          patience: this.#options.patience ?? 10_000,
        },
        database,
        runtime,
        signal,
        async (lease, turn) => {
          const exchangeAll = () => this.#exchangeAll(database, userId, options, lease, turn, totals);
          await exchangeAll();
          const what = extra ?? ((await this.#isRepairDue(database, userId)) ? 'repair' : null);
          if (what === null) return;
          if (await this.#compare(database, userId, what, lease, turn, totals)) await exchangeAll();
        },
      );
      this.#breaker.succeeded();
      this.#failures = 0;
      await database.noteOutcome(userId, null);
      return report('synced', null);
    } catch (cause) {
      const error = toTidemarkError(cause, signal);
      const outcome = outcomeOf(error);
      if (outcome === 'offline' || outcome === 'failed') {
        this.#failures += 1;
        if (error.code !== 'circuit_open') this.#breaker.failed(runtime.now(), error.retryAfter);
        const database = await this.#context.database().catch(() => null);
        // In plain words: an Error that crosses a message port leaves its code behind.
        const { code, message } = error;
        await database?.noteOutcome(userId, { code, message }).catch(() => undefined);
      }
      return report(outcome, error);
    }
  }

  #requireNetwork(force: boolean): void {
    const { runtime } = this.#context;
    if (this.#offline) throw new TidemarkError('offline', 'The app has switched the network off.');
    if (!runtime.platform.isOnline()) throw new TidemarkError('offline', 'The device has no network.');
    const pause = this.#breaker.wait(runtime.now());
    if (pause > 0 && !force) {
      throw new TidemarkError(
        'circuit_open',
        `Too many syncs failed in a row: the next is tried in ${pause} ms.`,
        {
          retryable: true,
          retryAfter: pause,
        },
      );
    }
  }

  async #exchangeAll(
    database: Database,
    userId: string,
    { pullOnly = false }: SyncOptions,
    lease: Lease | null,
    signal: AbortSignal,
    totals: Totals,
  ): Promise<void> {
    const { transport, collections, runtime } = this.#context;
    const { pageSize } = this.#options;
    for (let stalls = 0; stalls < MAX_STALLS;) {
      signal.throwIfAborted();
      const scopes = this.#options.scopes?.();
      const { composed, sentBefore } = await database.compose(
        userId,
        {
          ...this.#limits,
          collections,
          pullOnly,
          ...(scopes === undefined ? {} : { scopes }),
          ...(pageSize === undefined ? {} : { limit: pageSize }),
        },
        transport.name,
        lease,
      );
      let exchange;
      try {
        exchange = await withRetry(
          () => transport.send(composed.request, signal),
          this.#retry,
          runtime,
          signal,
        );
      } catch (error) {
        if (!isTooLarge(error) || !(await database.takeBack(userId, composed, sentBefore))) throw error;
        // Refused for its size before anything was looked at. One change alone cannot be made smaller.
        const size = (composed.request.changes?.length ?? 0) - sentBefore;
        if (size <= 1) throw error;
        this.#limits = {
          maxChanges: Math.max(1, Math.floor(size / 2)),
          maxBytes: Math.max(1, Math.floor(this.#limits.maxBytes / 2)),
        };
        continue;
      }
      const { response, requests, bytesSent, bytesReceived } = exchange;
      const taken = await database.take(userId, composed, response, lease);
      const waits = Date.parse(response.nextSyncRecommended) - Date.parse(response.serverTime);
      this.#recommended = Number.isFinite(waits) ? Math.max(0, waits) : null;
      totals.requests += requests;
      totals.bytesSent += bytesSent;
      totals.bytesReceived += bytesReceived;
      await this.#tell(database, userId, taken, totals);
      if (!(pullOnly ? taken.hasMore : taken.more)) return;
      stalls = gotSomewhere(taken, sentBefore) ? 0 : stalls + 1;
    }
    throw new TidemarkError('contended', 'Others keep writing what is to be sent. It is tried again later.', {
      retryable: true,
    });
  }

  /** From time to time a sync in the background compares, too. */
  async #isRepairDue(database: Database, userId: string): Promise<boolean> {
    const { repairInterval = REPAIR_INTERVAL } = this.#options;
    const wanted = this.#started !== null && repairInterval !== Infinity;
    if (!wanted || this.#context.transport.integrity === undefined) return false;
    return database.isComparisonDue(userId, repairInterval);
  }

  /** @returns whether something is to be fetched anew */
  async #compare(
    database: Database,
    userId: string,
    what: 'verify' | 'repair',
    lease: Lease | null,
    signal: AbortSignal,
    totals: Totals,
  ): Promise<boolean> {
    const { transport, collections, events, runtime } = this.#context;
    const { integrity } = transport;
    if (integrity === undefined) {
      for (const { scope } of await database.positions(userId)) {
        await database.restartScope(userId, scope, lease);
      }
      return true;
    }
    const patient = <R>(work: () => Promise<R>): Promise<R> => {
      totals.requests += 1;
      return withRetry(work, this.#retry, runtime, signal);
    };
    const { diverged, repaired, restarted } = await compare({
      database,
      questions: {
        checksums: (query, ending) => patient(() => integrity.checksums(query, ending)),
        documents: (request, ending) => patient(() => integrity.documents(request, ending)),
      },
      userId,
      collections,
      lease,
      signal,
      repair: what === 'repair',
    });
    const anew = diverged.filter(({ address }) => restarted.includes(address.scope)).length;
    totals.diverged += diverged.length;
    totals.repaired += repaired + anew;
    await database.noteComparison(userId, repaired + anew);
    if (diverged.length > 0) events.emit('diverged', { documents: diverged, repaired: repaired + anew });
    return restarted.length > 0;
  }

  async #tell(database: Database, userId: string, taken: Taken, totals: Totals): Promise<void> {
    const { events } = this.#context;
    totals.pushed += taken.pushed;
    totals.pulled += taken.pulled;
    totals.skipped += taken.skipped;
    totals.conflicts += taken.conflicts.length;
    totals.rejected += taken.rejected.length;
    totals.resync.push(...taken.resync);
    for (const { address, outcome, mine, theirs } of taken.conflicts) {
      events.emit('conflict', { address, outcome, mine: contentOf(mine), theirs: theirs.data });
    }
    for (const { change, result } of taken.rejected) {
      const { changeId = '', scope = '', collection, documentId } = change;
      const error = result.error ?? { code: 'rejected', message: 'No reason was given.', retryable: false };
      events.emit('rejected', {
        changeId,
        address: { scope, collection, documentId },
        content: contentOf(change),
        error,
        transaction: change.transaction ?? null,
      });
    }
    for (const { address, data } of taken.setAside) events.emit('setAside', { address, content: data });
    const { pending } = await database.facts(userId);
    events.emit('progress', {
      pushed: totals.pushed,
      pulled: totals.pulled,
      pending,
      requests: totals.requests,
    });
  }

  /** An earlier appointment stands, unless something is to be done at once. */
  #schedule(delay: number): void {
    const { runtime } = this.#context;
    const at = runtime.now() + delay;
    if (this.#running !== null && delay > 0) {
      this.#scheduleBehind(delay);
      return;
    }
    // One that should have come already is held up by a clock that was set forward: timers do not follow it.
    if (this.#nextSync !== null && this.#nextSync >= runtime.now() && this.#nextSync <= at) return;
    this.#cancelTimer();
    this.#nextSync = at;
    this.#cancelTimer = runtime.setTimer(() => {
      this.#nextSync = null;
      void this.sync();
    }, delay);
  }

  /** An edit made while a sync runs may have come too late for it. */
  #scheduleBehind(delay: number): void {
    void this.#running?.promise.then(() => {
      if (this.#started !== null) this.#schedule(delay);
    });
  }

  #delayAfter({ outcome, error }: SyncReport): number {
    const { runtime } = this.#context;
    const { interval } = this.#options;
    const usual = Math.max(
      interval ?? 0,
      this.#recommended ?? (interval === undefined ? DEFAULT_INTERVAL : 0),
    );
    // Many devices that woke together must not come back together.
    const spread = usual * (0.9 + 0.2 * runtime.random());
    if (outcome === 'synced' || outcome === 'aborted') return spread;
    const pause = Math.max(this.#breaker.wait(runtime.now()), error?.retryAfter ?? 0);
    const soon =
      this.#retry.baseDelay +
      backoff(this.#failures + 2, { ...this.#retry, maxDelay: 300_000 }, runtime.random());
    return Math.max(pause, Math.min(spread, soon));
  }
}

/** What a sync does beside exchanging. */
type Extra = 'verify' | 'repair' | null;

type Totals = {
  -readonly [K in keyof Omit<SyncReport, 'outcome' | 'error' | 'duration' | 'resync'>]: number;
} & {
  readonly resync: string[];
};

const emptyTotals = (): Totals => ({
  pushed: 0,
  pulled: 0,
  skipped: 0,
  conflicts: 0,
  rejected: 0,
  requests: 0,
  bytesSent: 0,
  bytesReceived: 0,
  diverged: 0,
  repaired: 0,
  resync: [],
});

const OFFLINE_CODES: ReadonlySet<string> = new Set(['offline', 'circuit_open', 'unavailable']);

function outcomeOf({ code, retryable }: TidemarkError): SyncOutcome {
  if (code === 'aborted' || code === 'user_changed') return 'aborted';
  if (code === 'busy') return 'busy';
  return OFFLINE_CODES.has(code) || (retryable && code !== 'contended') ? 'offline' : 'failed';
}

function toTidemarkError(cause: unknown, signal: AbortSignal): TidemarkError {
  if (cause instanceof TidemarkError) return cause;
  if (signal.aborted) return new TidemarkError('aborted', 'The sync was ended.', { cause });
  return new TidemarkError('internal_error', describeError(cause), { cause });
}

const isTooLarge = (error: unknown): boolean =>
  error instanceof TidemarkError && (error.status === 413 || error.code === 'too_many_changes');

const gotSomewhere = (taken: Taken, sentBefore: number): boolean =>
  taken.pushed + taken.pulled + taken.skipped + taken.rejected.length + taken.resync.length + sentBefore >
    0 ||
  taken.forked ||
  taken.hasMore;

const contentOf = (change: Change) => (change.type === 'delete' ? null : change.data);
