import { resolve } from 'node:path';
import Database from 'better-sqlite3';
import type { SqlConnection, SqlDriver, SqlRow, SqlValue } from '../sql/connection.ts';
import { fingerprintOf } from './fingerprint.ts';
import { PRAGMAS } from './pragmas.ts';
import { keepStatements } from './statements.ts';

/**
 * SQLite through the package `better-sqlite3`, 13 or later: for Node.js, and Electron.
 *
 * @param path of the database file, or `:memory:`
 */
export function betterSqlite3(path: string): SqlDriver {
  return {
    name: 'better-sqlite3',
    database: path === ':memory:' ? path : resolve(path),
    connect: () => {
      const database = new Database(path);
      database.exec(PRAGMAS);
      return connection(database);
    },
    fingerprint: () => fingerprintOf(path),
  };
}

function connection(database: Database.Database): SqlConnection {
  const prepare = keepStatements((sql) => database.prepare(sql));
  return {
    run: (sql: string, params: readonly SqlValue[] = []) => prepare(sql).run(...params).changes,
    all: (sql: string, params: readonly SqlValue[] = []) => prepare(sql).all(...params) as SqlRow[],
    exec: (sql) => {
      database.exec(sql);
    },
    close: () => {
      database.close();
    },
  };
}
