import { thisRuntime } from '../runtime.ts';
import type { SqlConnection, SqlDriver, SqlRow, SqlValue } from '../sql/connection.ts';
import { serveDatabase, type Neighbours, type Port } from './port.ts';
import { keepStatements } from './statements.ts';

/** The part of `@sqlite.org/sqlite-wasm` that is used. */
interface Sqlite3 {
  readonly oo1: {
    readonly OpfsDb?: new (name: string, flags: string) => WasmDatabase;
    readonly DB: new (name: string, flags: string) => WasmDatabase;
  };
  installOpfsSAHPoolVfs(options: {
    readonly name: string;
  }): Promise<{ readonly OpfsSAHPoolDb: new (name: string) => WasmDatabase }>;
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
 * Serves a database of this name to the page that started this worker. Several tabs share it where the page is cross-origin
 * isolated (`Cross-Origin-Opener-Policy: same-origin`, `Cross-Origin-Embedder-Policy: require-corp`); elsewhere one tab has
 * it at a time, and the next one waits until that is closed.
 *
 * @param load gets SQLite; default: the package `@sqlite.org/sqlite-wasm`
 */
export function serveWasmSqlite(name: string, load: () => Promise<unknown> = loadPackage): void {
  serveDatabase(globalThis as unknown as Port, wasmDriver(name, load), thisRuntime(), neighboursOf(name));
}

async function loadPackage(): Promise<unknown> {
  const { default: init } = await import('@sqlite.org/sqlite-wasm');
  return init();
}

export function wasmDriver(name: string, load: () => Promise<unknown>): SqlDriver {
  return {
    name: 'sqlite-wasm',
    database: name,
    connect: async () => connection(await open((await load()) as Sqlite3, name)),
  };
}

async function open(sqlite3: Sqlite3, name: string): Promise<WasmDatabase> {
  const { OpfsDb } = sqlite3.oo1;
  if (OpfsDb !== undefined) {
    const database = new OpfsDb(`/${name}.db`, 'c');
    database.exec('PRAGMA busy_timeout = 10000');
    return database;
  }
  await onlyTab(name);
  const { OpfsSAHPoolDb } = await sqlite3.installOpfsSAHPoolVfs({ name: `tidemark-${name}` });
  return new OpfsSAHPoolDb(`/${name}.db`);
}

/** Resolves when no other tab has the database; it is this one's until the worker ends. */
function onlyTab(name: string): Promise<void> {
  const { locks } = thisRuntime().platform;
  if (locks === null) return Promise.resolve();
  return new Promise((resolve, reject) => {
    const held = () => {
      resolve();
      return new Promise<never>(() => undefined);
    };
    locks.request(`tidemark-file:${name}`, { signal: new AbortController().signal }, held).catch(reject);
  });
}

function connection(database: WasmDatabase): SqlConnection {
  const prepared = new Set<WasmStatement>();
  const prepare = keepStatements(
    (sql) => {
      const statement = database.prepare(sql);
      prepared.add(statement);
      return statement;
    },
    (statement) => {
      prepared.delete(statement);
      statement.finalize();
    },
  );
  const each = (
    sql: string,
    params: readonly SqlValue[],
    onRow: (statement: WasmStatement) => void,
  ): void => {
    const statement = prepare(sql);
    try {
      if (params.length > 0) statement.bind(params);
      while (statement.step()) onRow(statement);
    } finally {
      statement.reset();
    }
  };
  return {
    run: (sql, params = []) => {
      each(sql, params, () => undefined);
      return database.changes();
    },
    all: (sql, params = []) => {
      const rows: SqlRow[] = [];
      each(sql, params, (statement) => rows.push(statement.get({}) as SqlRow));
      return rows;
    },
    exec: (sql) => {
      database.exec(sql);
    },
    close: () => {
      for (const statement of prepared) statement.finalize();
      database.close();
    },
  };
}

function neighboursOf(name: string): Neighbours {
  const channel = new BroadcastChannel(`tidemark:${name}`);
  return {
    tell: (collections) => channel.postMessage(collections),
    onTold: (listener) => {
      channel.onmessage = (event) => listener((event as { readonly data: readonly string[] }).data);
    },
  };
}
