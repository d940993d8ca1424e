import { resolve } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import type { SqlConnection, SqlDriver, SqlValue } from '../sql/connection.ts';
import { fingerprintOf } from './fingerprint.ts';
import { PRAGMAS } from './pragmas.ts';
import { keepStatements } from './statements.ts';

/**
 * SQLite as Node.js has it built in, 22.13 or later.
 *
 * @param path of the database file, or `:memory:`
 */
export function nodeSqlite(path: string): SqlDriver {
  return {
    name: 'node:sqlite',
    database: path === ':memory:' ? path : resolve(path),
    connect: () => {
      const database = new DatabaseSync(path);
      database.exec(PRAGMAS);
      return connection(database);
    },
    fingerprint: () => fingerprintOf(path),
  };
}

function connection(database: DatabaseSync): SqlConnection {
  const prepare = keepStatements((sql) => database.prepare(sql));
  return {
    run: (sql: string, params: readonly SqlValue[] = []) => Number(prepare(sql).run(...params).changes),
    all: (sql: string, params: readonly SqlValue[] = []) => prepare(sql).all(...params),
    exec: (sql) => {
      database.exec(sql);
    },
    close: () => {
      database.close();
    },
  };
}
