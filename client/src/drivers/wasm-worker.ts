import { describeError, TidemarkError } from '../errors.ts';
import { thisRuntime, wait, type Runtime } from '../runtime.ts';
import type { SqlConnection, SqlRow, SqlValue } from '../sql/connection.ts';
import { serveDatabase, type Port } from './port.ts';
import { keepStatements } from './statements.ts';
import { TabTurns, type TabFile } from './tab-turns.ts';

/** The part of `@sqlite.org/sqlite-wasm` that is used. */
interface Sqlite3 {
  readonly version: { readonly libVersion: string; readonly libVersionNumber: number };
  installOpfsSAHPoolVfs(options: {
    readonly name: string;
    readonly initialCapacity: number;
    readonly forceReinitIfPreviouslyFailed: boolean;
    readonly preserveOnInitFailure: boolean;
  }): Promise<Pool>;
}
interface Pool {
  readonly OpfsSAHPoolDb: new (name: string) => WasmDatabase;
  reserveMinimumCapacity(files: number): Promise<unknown>;
  pauseVfs(): unknown;
  unpauseVfs(): Promise<unknown>;
}
interface WasmDatabase {
  exec(sql: string): unknown;
  prepare(sql: string): WasmStatement;
  changes(): number;
  close(): void;
}
interface WasmStatement {
  bind(values: readonly SqlValue[]): unknown;
  step(): boolean;
  get(target: Record<string, never>): unknown;
  reset(): unknown;
  finalize(): unknown;
}

/**
 * Serves a database of this name to the page that started this worker. It lies in the browser's private file system (OPFS),
 * and the tabs of the app share it by turns.
 *
 * @param load gets SQLite; default: the package `@sqlite.org/sqlite-wasm`
 */
export function serveWasmSqlite(name: string, load: () => Promise<unknown> = loadPackage): void {
  const runtime = thisRuntime();
  const { locks } = runtime.platform;
  const file = new WasmFile(name, load, runtime);
  const channel = new BroadcastChannel(`tidemark:${name}`);
  const turns =
    locks === null
      ? null
      : new TabTurns({
          name,
          file,
          locks,
          ask: () => channel.postMessage('wanted'),
          now: runtime.now,
          setTimer: runtime.setTimer,
        });
  const told = new Set<(collections: readonly string[]) => void>();
  channel.addEventListener('message', (event) => {
    const { data } = event as unknown as { readonly data: 'wanted' | readonly string[] };
    if (data === 'wanted') turns?.noteWanted();
    else for (const listener of told) listener(data);
  });
  const connect = () => file.connect(() => turns?.leave());
  const driver = { name: 'sqlite-wasm', database: name, connect };
  serveDatabase(globalThis as unknown as Port, driver, runtime, {
    tell: (collections) => channel.postMessage(collections),
    onTold: (listener) => {
      told.add(listener);
    },
    inTurn: (work) => {
      if (turns !== null) return turns.run(work);
      return Promise.reject(unavailable('there are no Web Locks here; is this page served by https?'));
    },
  });
}

async function loadPackage(): Promise<unknown> {
  const { default: init } = await import('@sqlite.org/sqlite-wasm');
  return init();
}

const unavailable = (reason: string, cause?: unknown): TidemarkError =>
  new TidemarkError(
    'storage_unavailable',
    `There is no database in this browser: ${reason}`,
    cause === undefined ? {} : { cause },
  );

/** Only this tab has the file while it is open, so nothing of it has to be read again or locked between transactions. */
const PRAGMAS = 'PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = TRUNCATE; PRAGMA temp_store = MEMORY';

/** The database, its journal, and one to spare. */
const FILES = 3;

/** Before it, a pool whose files could not be opened at first was deleted, with everything in it. */
const MIN_VERSION = 3_054_000;

/** Files of a tab that was closed a moment ago may still be held: so often, and so many milliseconds apart, they are tried. */
const ATTEMPTS = 100;
const PAUSE = 20;

/** A database of sqlite-wasm in the pool of files that it keeps open in OPFS: the fastest way there, and without headers. */
class WasmFile implements TabFile {
  readonly #name: string;
  readonly #load: () => Promise<unknown>;
  readonly #runtime: Runtime;
  #sqlite3: Promise<Sqlite3> | null = null;
  #pool: Pool | null = null;
  #database: WasmDatabase | null = null;
  #statements = new Set<WasmStatement>();
  #prepare: (sql: string) => WasmStatement = () => this.#closed();
  #generation = 0;

  constructor(name: string, load: () => Promise<unknown>, runtime: Runtime) {
    this.#name = name;
    this.#load = load;
    this.#runtime = runtime;
  }

  /** Good while the file is open, whenever it is. @param leave called when nobody needs it any more */
  connect(leave: () => void): SqlConnection {
    const each = (
      sql: string,
      params: readonly SqlValue[],
      onRow: (statement: WasmStatement) => void,
    ): void => {
      const statement = this.#prepare(sql);
      try {
        if (params.length > 0) statement.bind(params);
        while (statement.step()) onRow(statement);
      } finally {
        statement.reset();
      }
    };
    const generation = () => this.#generation;
    return {
      get generation() {
        return generation();
      },
      run: (sql, params = []) => {
        each(sql, params, () => undefined);
        return this.#opened().changes();
      },
      all: (sql, params = []) => {
        const rows: SqlRow[] = [];
        each(sql, params, (statement) => rows.push(statement.get({}) as SqlRow));
        return rows;
      },
      exec: (sql) => {
        this.#opened().exec(sql);
      },
      close: leave,
    };
  }

  async open(): Promise<void> {
    const pool = await this.#acquire();
    try {
      this.#database = new pool.OpfsSAHPoolDb(`/${this.#name}.db`);
      this.#database.exec(PRAGMAS);
    } catch (error) {
      this.close();
      throw error;
    }
    const database = this.#database;
    this.#prepare = keepStatements(
      (sql) => {
        const statement = database.prepare(sql);
        this.#statements.add(statement);
        return statement;
      },
      (statement) => {
        this.#statements.delete(statement);
        statement.finalize();
      },
    );
    this.#generation += 1;
  }

  close(): void {
    for (const statement of this.#statements) statement.finalize();
    this.#statements.clear();
    this.#prepare = () => this.#closed();
    this.#database?.close();
    this.#database = null;
    this.#pool?.pauseVfs();
  }

  async #acquire(): Promise<Pool> {
    this.#sqlite3 ??= this.#load() as Promise<Sqlite3>;
    const sqlite3 = await this.#sqlite3.catch((cause: unknown) => {
      this.#sqlite3 = null;
      throw unavailable(`SQLite was not loaded: ${describeError(cause)}`, cause);
    });
    const { libVersion, libVersionNumber } = sqlite3.version;
    if (libVersionNumber < MIN_VERSION) {
      throw unavailable(`@sqlite.org/sqlite-wasm is ${libVersion}; 3.54 or later keeps what is stored.`);
    }
    for (let attempt = 1; ; attempt += 1) {
      try {
        if (this.#pool !== null) await this.#pool.unpauseVfs();
        this.#pool ??= await sqlite3.installOpfsSAHPoolVfs({
          name: `tidemark-${this.#name}`,
          initialCapacity: FILES,
          forceReinitIfPreviouslyFailed: true,
          preserveOnInitFailure: true,
        });
        // A tab that ended while it made them may have made fewer.
        await this.#pool.reserveMinimumCapacity(FILES);
        return this.#pool;
      } catch (cause) {
        if (!isHeld(cause) || attempt >= ATTEMPTS) throw unavailable(describeError(cause), cause);
        await wait(this.#runtime, PAUSE, new AbortController().signal);
      }
    }
  }

  #opened(): WasmDatabase {
    return this.#database ?? this.#closed();
  }

  #closed(): never {
    throw new TidemarkError('closed', 'The database is not open in this tab.');
  }
}

const isHeld = (error: unknown): boolean =>
  error instanceof Error && error.name === 'NoModificationAllowedError';
