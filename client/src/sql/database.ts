import { TidemarkError } from '../errors.ts';
import type { SqlDriver } from './connection.ts';
import { LocalDatabase } from './local-database.ts';
import type { Model } from './model.ts';

type Operations = Omit<LocalDatabase, 'onChange' | 'close'>;
export type OperationName = keyof Operations;

/** The local database as the rest of the client sees it, wherever it runs: every operation is one transaction. */
export type Database = {
  readonly [K in OperationName]: (...args: Parameters<Operations[K]>) => Promise<ReturnType<Operations[K]>>;
} & {
  /** Calls back after each transaction that changed rows, with their collections. @returns how to end that */
  onChange(listener: (collections: readonly string[]) => void): () => void;
  close(): Promise<void>;
};

export interface DatabaseSetup {
  readonly models: readonly Model[];
  /** Whose the rows of an older layout without users are. */
  readonly userId: string;
}

export interface DatabaseClock {
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  readonly createId: () => string;
}

/** Opens a database that runs elsewhere, as behind a worker's message port. */
export interface DatabaseOpener {
  /** See `SqlDriver.database`. */
  readonly database: string;
  open(setup: DatabaseSetup): Promise<Database>;
}

/** The operations by name: what a message port may call. */
export const OPERATIONS: readonly OperationName[] = [
  'openUser',
  'ownScope',
  'get',
  'find',
  'select',
  'write',
  'pending',
  'discardPending',
  'rejected',
  'dropRejected',
  'resendRejected',
  'setAside',
  'dropSetAside',
  'conflicts',
  'dropConflict',
  'facts',
  'noteOutcome',
  'compose',
  'take',
  'takeBack',
  'lock',
  'unlock',
  'positions',
  'checksum',
  'versions',
  'mend',
  'restartScope',
  'noteComparison',
  'isComparisonDue',
  'wipe',
  'forget',
  'users',
];

/** Opens the database in this very thread. */
export async function openHere(
  driver: SqlDriver,
  setup: DatabaseSetup,
  clock: DatabaseClock,
): Promise<Database> {
  const connection = await driver.connect();
  const fingerprint = driver.fingerprint?.() ?? null;
  const local = new LocalDatabase(connection, setup.models, setup.userId, { ...clock, fingerprint });
  let closed = false;
  return asDatabase(
    (name, args) => {
      if (closed) throw new TidemarkError('closed', 'The client was closed.');
      return invoke(local, name, args);
    },
    (listener) => {
      local.onChange(listener);
    },
    () => {
      closed = true;
      local.close();
    },
  );
}

/** Calls an operation by name. */
export function invoke(local: LocalDatabase, name: OperationName, args: readonly unknown[]): unknown {
  const operations = local as unknown as Record<OperationName, (...args: readonly unknown[]) => unknown>;
  return operations[name](...args);
}

/** Makes a `Database` of a way to call operations, to hear of changes, and to close. */
export function asDatabase(
  call: (name: OperationName, args: readonly unknown[]) => unknown,
  listen: (listener: (collections: readonly string[]) => void) => void,
  close: () => void | Promise<void>,
): Database {
  const listeners = new Set<(collections: readonly string[]) => void>();
  listen((collections) => {
    for (const listener of [...listeners]) listener(collections);
  });
  const operations = Object.fromEntries(
    OPERATIONS.map((name) => [name, (...args: unknown[]) => begin(() => call(name, args))]),
  );
  return {
    ...operations,
    onChange: (listener: (collections: readonly string[]) => void) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    close: async () => {
      listeners.clear();
      await close();
    },
  } as unknown as Database;
}

/** What is thrown at once becomes a rejection too. */
const begin = <R>(work: () => R): Promise<Awaited<R>> =>
  new Promise<R>((resolve) => resolve(work())) as Promise<Awaited<R>>;
