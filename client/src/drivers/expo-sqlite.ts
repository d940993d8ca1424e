import type { SqlConnection, SqlDriver, SqlRow, SqlValue } from '../sql/connection.ts';
import { PRAGMAS } from './pragmas.ts';
import { keepStatements } from './statements.ts';

/** The part of a database of `expo-sqlite` that is used. */
export interface ExpoDatabase {
  execSync(sql: string): void;
  prepareSync(sql: string): ExpoStatement;
  closeSync(): void;
}
export interface ExpoStatement {
  executeSync(params: SqlValue[]): { readonly changes: number; getAllSync(): unknown[] };
  finalizeSync(): void;
}

/**
 * SQLite in an Expo app. Typed against expo-sqlite 15 and later; it was not run by this project.
 *
 * ```ts
 * database: expoSqlite('notes.db', () => SQLite.openDatabaseSync('notes.db'))
 * ```
 */
export const expoSqlite = (name: string, open: () => ExpoDatabase): SqlDriver => ({
  name: 'expo-sqlite',
  database: name,
  connect: () => {
    const database = open();
    database.execSync(PRAGMAS);
    return connection(database);
  },
});

function connection(database: ExpoDatabase): SqlConnection {
  const open = new Set<ExpoStatement>();
  const prepare = keepStatements(
    (sql) => {
      const statement = database.prepareSync(sql);
      open.add(statement);
      return statement;
    },
    (statement) => {
      open.delete(statement);
      statement.finalizeSync();
    },
  );
  return {
    run: (sql, params = []) => prepare(sql).executeSync([...params]).changes,
    all: (sql, params = []) =>
      prepare(sql)
        .executeSync([...params])
        .getAllSync() as SqlRow[],
    exec: (sql) => database.execSync(sql),
    close: () => {
      for (const statement of open) statement.finalizeSync();
      database.closeSync();
    },
  };
}
