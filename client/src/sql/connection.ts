/** What a statement takes and gives. */
export type SqlValue = string | number | bigint | null | Uint8Array;
export type SqlRow = Readonly<Record<string, SqlValue>>;

/**
 * An open SQLite database, 3.38 or later. All of it is synchronous: a transaction is one piece of code that nothing can
 * come between. Statements are worth keeping prepared: the same few texts come again and again.
 */
export interface SqlConnection {
  /** Runs a statement that gives no rows. Parameters are `?`. @returns how many rows it changed */
  run(sql: string, params?: readonly SqlValue[]): number;
  /** Every row of a query. */
  all(sql: string, params?: readonly SqlValue[]): SqlRow[];
  /** Runs statements without parameters. */
  exec(sql: string): void;
  close(): void;
  /** Another number after the database was closed and opened again, as a tab does that shares it. */
  readonly generation?: number;
}

/** Opens SQLite on one platform. */
export interface SqlDriver {
  /** For messages: `node:sqlite`. */
  readonly name: string;
  /** Which database it is: tabs and processes that share it take turns by this name. */
  readonly database: string;
  connect(): SqlConnection | Promise<SqlConnection>;
  /**
   * What changes when the database is copied or restored, and is in no backup: the file's inode, say. A store that finds
   * another one than it left takes a new device id.
   */
  fingerprint?(): string | null;
}

/** Runs statements all together or not at all. */
export function transaction<R>(connection: SqlConnection, work: () => R): R {
  connection.run('BEGIN IMMEDIATE');
  try {
    const result = work();
    connection.run('COMMIT');
    return result;
  } catch (error) {
    try {
      connection.run('ROLLBACK');
    } catch {
      // SQLite has rolled back by itself, as it does when the disk is full.
    }
    throw error;
  }
}

export const quoteName = (name: string): string => `"${name.replaceAll('"', '""')}"`;
export const quoteText = (text: string): string => `'${text.replaceAll("'", "''")}'`;
export const textOf = (value: SqlValue | undefined): string | null =>
  typeof value === 'string' ? value : null;
export const numberOf = (value: SqlValue | undefined): number => Number(value ?? 0);
