import { existsSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { CliError } from './exit-codes.ts';

/** What a database holds, read without changing anything in it. */
export interface Peek {
  /** Collections with their tables. */
  readonly models: readonly (readonly [string, string])[];
  readonly users: readonly string[];
}

/**
 * Looks into a database before it is opened for good: a client removes the collections that it is not told of.
 *
 * @returns null where there is none
 * @throws CliError for a file that is no SQLite database
 */
export function peek(path: string): Peek | null {
  if (!existsSync(path)) return null;
  let database: DatabaseSync | undefined;
  try {
    database = new DatabaseSync(path, { readOnly: true });
    database.exec('PRAGMA busy_timeout = 10000');
    const tables = database
      .prepare(`SELECT name FROM sqlite_schema WHERE name LIKE 'Tidemark\\_%' ESCAPE '\\'`)
      .all();
    const has = (name: string) => tables.some((table) => table['name'] === name);
    const models = has('Tidemark_Meta')
      ? database.prepare(`SELECT Value FROM Tidemark_Meta WHERE Key = 'models'`).get()
      : undefined;
    const users = has('Tidemark_Users')
      ? database.prepare('SELECT UserId FROM Tidemark_Users ORDER BY UserId').all()
      : [];
    return {
      models: JSON.parse(typeof models?.['Value'] === 'string' ? models['Value'] : '[]') as [
        string,
        string,
      ][],
      users: users.map(({ UserId }) => String(UserId)),
    };
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new CliError('local', 'database_unreadable', `${path} cannot be read as a database: ${reason}.`, {
      cause,
    });
  } finally {
    database?.close();
  }
}
