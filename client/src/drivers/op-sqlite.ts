import type { SqlConnection, SqlDriver, SqlRow, SqlValue } from '../sql/connection.ts';
import { PRAGMAS } from './pragmas.ts';

/** The part of a database of `@op-engineering/op-sqlite` that is used. */
export interface OpDatabase {
  executeSync(
    sql: string,
    params?: SqlValue[],
  ): { readonly rowsAffected: number; readonly rows: readonly Record<string, unknown>[] };
  close(): void;
}

/**
 * SQLite in a React Native app. Typed against op-sqlite 15 and later; it was not run by this project.
 *
 * ```ts
 * database: opSqlite('notes.db', () => open({ name: 'notes.db' }))
 * ```
 */
export const opSqlite = (name: string, open: () => OpDatabase): SqlDriver => ({
  name: 'op-sqlite',
  database: name,
  connect: () => {
    const database = open();
    const connection: SqlConnection = {
      run: (sql, params = []) => database.executeSync(sql, [...params]).rowsAffected,
      all: (sql, params = []) => [...database.executeSync(sql, [...params]).rows] as SqlRow[],
      exec: (sql) => {
        for (const statement of splitStatements(sql)) database.executeSync(statement);
      },
      close: () => database.close(),
    };
    connection.exec(PRAGMAS);
    return connection;
  },
});

/** The statements of this library hold no semicolon but the one between them. */
const splitStatements = (sql: string): string[] =>
  sql
    .split(';')
    .map((statement) => statement.trim())
    .filter((statement) => statement !== '');
