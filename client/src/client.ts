import { COLLECTION_PATTERN } from '../../shared/protocol/ids.ts';
import type { JsonObject } from '../../shared/conflict/json.ts';
import { Emitter } from './emitter.ts';
import { TidemarkError } from './errors.ts';
import { thinTransport } from './net/thin-transport.ts';
import type { HttpOptions } from './net/http.ts';
import { thisRuntime, type Runtime } from './runtime.ts';
import type { SqlDriver } from './sql/connection.ts';
import { openHere, type Database, type DatabaseOpener } from './sql/database.ts';
import type { ConflictEntry, PendingEdit, RejectedEdit, SetAsideEdit } from './sql/local-database.ts';
import type { Collection, Collections, DocumentOf } from './store/collection.ts';
import { SqliteStore } from './store/sqlite-store.ts';
import type { SyncEvents, SyncReport, SyncStatus } from './sync/events.ts';
import { SyncEngine, type EngineOptions, type SyncOptions } from './sync/sync-engine.ts';
import type { Transport } from './sync/transport.ts';
import { toProvider, type TokenProvider, type TokenSource } from './tokens/token-provider.ts';

export interface ClientOptions<C extends Collections> {
  /** Where the functions of the service are: `https://my-app.azurewebsites.net/api`. */
  readonly url: string;
  /** The user's JWT, or who gives it. Asked again once when the service refuses it. */
  readonly token: TokenSource;
  /** Whose documents these are: the claim by which the service knows the user, as the token spells it. */
  readonly userId: string;
  /** Where documents are kept: `nodeSqlite('notes.db')`, `wasmSqlite(worker)` … */
  readonly database: SqlDriver | DatabaseOpener;
  /** By name, as in the service's `sync.config.json`. */
  readonly collections: C;
  readonly sync?: EngineOptions;
  readonly http?: Partial<HttpOptions>;
  /** Another way to the documents than the sync gateway. */
  readonly transport?: (token: TokenProvider, runtime: Runtime) => Transport;
  /** Time, chance, network and platform, for tests and unusual platforms. */
  readonly runtime?: Partial<Runtime>;
}

/**
 * Opens a client. Nothing is read or sent before it is used.
 *
 * ```ts
 * const client = createClient({
 *   url: 'https://my-app.azurewebsites.net/api',
 *   token: () => signIn.accessToken(),
 *   userId: 'alice',
 *   database: nodeSqlite('notes.db'),
 *   collections: { notes: collection<{ id: string; title: string }>() },
 * });
 * await client.store('notes').upsert({ id: '1', title: 'Hello, tide' });
 * client.start();
 * ```
 */
export const createClient = <C extends Collections>(options: ClientOptions<C>): Client<C> =>
  new Client(options);

/** One app's documents on one device: stores to read and write, and the engine that syncs them. */
export class Client<C extends Collections> {
  /** For what the shortcuts below do not offer. */
  readonly engine: SyncEngine;
  readonly #options: ClientOptions<C>;
  readonly #runtime: Runtime;
  readonly #token: TokenProvider;
  readonly #events: Emitter<SyncEvents>;
  readonly #watchers = new Set<(collections: readonly string[] | null) => void>();
  #opening: Promise<Database> | null = null;
  #closed = false;

  constructor(options: ClientOptions<C>) {
    for (const [name, { table }] of Object.entries(options.collections)) {
      const pattern = new RegExp(COLLECTION_PATTERN);
      if (!pattern.test(name) || !pattern.test(table ?? name) || /^(tidemark|sqlite)_/i.test(table ?? name)) {
        throw new TidemarkError(
          'unknown_collection',
          `\`${table ?? name}\` names no collection: a letter, then letters, digits and _, at most 64 in all.`,
        );
      }
    }
    this.#options = options;
    this.#runtime = thisRuntime(options.runtime);
    this.#token = toProvider(options.token);
    this.#events = new Emitter((error, event) => {
      // A listener for errors that throws itself has nobody to tell.
      if (event !== 'error') this.#events.emit('error', error);
    });
    const makeTransport =
      options.transport ??
      ((token, runtime) => thinTransport({ ...options.http, url: options.url, token }, runtime));
    this.engine = new SyncEngine(options.sync ?? {}, {
      database: () => this.#database(),
      databaseName: options.database.database,
      collections: Object.keys(options.collections),
      transport: makeTransport(this.#token, this.#runtime),
      events: this.#events,
      runtime: this.#runtime,
      userId: options.userId,
      onUser: async () => {
        await this.#token.clear?.();
        for (const watcher of [...this.#watchers]) watcher(null);
      },
    });
  }

  get userId(): string {
    return this.engine.userId;
  }

  /**
   * The documents of a collection.
   *
   * @param options.scope which shared scope, such as `facility:12`; absent: the user's own
   * @throws TidemarkError `unknown_collection`; `scope_needed` where a collection is shared and no scope is given
   */
  store<K extends keyof C & string>(
    name: K,
    options: { readonly scope?: string } = {},
  ): SqliteStore<DocumentOf<C[K]>> {
    const collection = this.#options.collections[name] as Collection<DocumentOf<C[K]>> | undefined;
    if (collection === undefined) {
      throw new TidemarkError('unknown_collection', `The client has no collection \`${name}\`.`);
    }
    const { scope: kind = 'user' } = collection;
    const { scope } = options;
    if ((kind !== 'user' && scope === undefined) || (scope !== undefined && !scope.startsWith(`${kind}:`))) {
      throw new TidemarkError(
        'scope_needed',
        `Documents of \`${name}\` live in scopes of the kind \`${kind}\`: ask for one, such as { scope: '${kind}:…' }.`,
      );
    }
    return new SqliteStore(name, collection, scope ?? null, {
      userId: () => this.engine.userId,
      database: () => this.#database(),
      onEdit: () => this.engine.noteEdit(),
      onChange: (changed, listener) => this.#watch(changed, listener),
      onError: (error) => this.#events.emit('error', error),
    });
  }

  /** See `SyncEngine.sync`. */
  sync(options?: SyncOptions): Promise<SyncReport> {
    return this.engine.sync(options);
  }

  /** See `SyncEngine.start`. */
  start(): void {
    this.engine.start();
  }

  /** See `SyncEngine.stop`. */
  stop(): Promise<void> {
    return this.engine.stop();
  }

  /** See `SyncEngine.status`. */
  status(): Promise<SyncStatus> {
    return this.engine.status();
  }

  /** See `SyncEngine.updateUserId`. */
  updateUserId(userId: string, options?: { readonly leave?: 'keep' | 'wipe' }): Promise<void> {
    return this.engine.updateUserId(userId, options);
  }

  /** @returns how to stop listening */
  on<K extends keyof SyncEvents>(name: K, listener: (event: SyncEvents[K]) => void): () => void {
    return this.#events.on(name, listener);
  }

  /** Edits of the current user that the service has not answered, of all collections and scopes. */
  async pending(): Promise<PendingEdit[]> {
    return (await this.#database()).pending(this.userId);
  }

  /** Edits that the service will never take as they are, with its reason. */
  async rejected(): Promise<RejectedEdit[]> {
    return (await this.#database()).rejected(this.userId);
  }

  /**
   * Makes a rejected edit again, on what is there now; the other edits of its transaction with it.
   *
   * @param content corrected, whole; absent: as it was
   * @returns whether there was such a rejected edit
   */
  async resendRejected(changeId: string, content?: JsonObject): Promise<boolean> {
    const found = await (await this.#database()).resendRejected(this.userId, changeId, content);
    if (found) this.engine.noteEdit();
    return found;
  }

  /** Drops a rejected edit, and the others of its transaction. @returns whether there was such an edit */
  async dropRejected(changeId: string): Promise<boolean> {
    return (await this.#database()).dropRejected(this.userId, changeId);
  }

  /** Edits in scopes or collections that the user no longer has. */
  async setAside(): Promise<SetAsideEdit[]> {
    return (await this.#database()).setAside(this.userId);
  }

  /** @returns whether there was such an edit */
  async dropSetAside(number: number): Promise<boolean> {
    return (await this.#database()).dropSetAside(this.userId, number);
  }

  /** Own edits that met another's, the newest first; the last 1,000 are kept. */
  async conflicts(limit = 100): Promise<ConflictEntry[]> {
    return (await this.#database()).conflicts(this.userId, limit);
  }

  /** Forgets a conflict that the user has seen. @returns whether there was such a conflict */
  async dropConflict(number: number): Promise<boolean> {
    return (await this.#database()).dropConflict(this.userId, number);
  }

  /** Who has documents or edits on this device. */
  async users(): Promise<{ readonly userId: string; readonly pending: number }[]> {
    return (await this.#database()).users();
  }

  /**
   * Removes everything of a user from this device, edits that were never sent included.
   *
   * @throws TidemarkError `user_changed` for the current user: switch first
   */
  async forgetUser(userId: string): Promise<void> {
    if (userId === this.userId) {
      throw new TidemarkError('user_changed', 'This is the current user: call updateUserId first.');
    }
    await (await this.#database()).forget(userId);
  }

  /** Ends a sync that runs, and closes the database. */
  async close(): Promise<void> {
    if (this.#closed) return;
    await this.engine.stop();
    this.#closed = true;
    this.#watchers.clear();
    await (await this.#opening)?.close();
  }

  #database(): Promise<Database> {
    if (this.#closed) return Promise.reject(new TidemarkError('closed', 'The client was closed.'));
    this.#opening ??= this.#open().catch((error: unknown) => {
      // The next call tries again.
      this.#opening = null;
      throw error;
    });
    return this.#opening;
  }

  async #open(): Promise<Database> {
    const { database, collections } = this.#options;
    const models = Object.entries(collections).map(([collection, { table = collection, indexes = [] }]) => ({
      collection,
      table,
      indexes,
    }));
    const setup = { models, userId: this.userId };
    const opened =
      'open' in database ? await database.open(setup) : await openHere(database, setup, this.#runtime);
    opened.onChange((changed) => {
      for (const watcher of [...this.#watchers]) watcher(changed);
      this.#events.emit('change', { collections: changed });
      // By another tab, maybe: what is pending is another number then.
      this.engine.noteChange();
    });
    await opened.openUser(this.userId);
    return opened;
  }

  #watch(collection: string, listener: () => void): () => void {
    const watcher = (changed: readonly string[] | null) => {
      if (changed === null || changed.includes(collection)) listener();
    };
    this.#watchers.add(watcher);
    return () => this.#watchers.delete(watcher);
  }
}
