import { describeError, TidemarkError } from '../errors.ts';
import type { SqlDriver } from '../sql/connection.ts';
import {
  asDatabase,
  openHere,
  OPERATIONS,
  type Database,
  type DatabaseClock,
  type DatabaseOpener,
  type DatabaseSetup,
  type OperationName,
} from '../sql/database.ts';

/** The part of a `Worker`, a `MessagePort` or a worker's own scope that is used. */
export interface Port {
  postMessage(message: unknown): void;
  /** `message` has `data`; `error` is of workers whose script fails. */
  addEventListener(type: 'message' | 'error', listener: (event: unknown) => void): void;
  /** Message ports wait for it; workers have none. */
  start?(): void;
}

type ToDatabase =
  | { readonly id: number; readonly open: DatabaseSetup }
  | { readonly id: number; readonly close: true }
  | { readonly id: number; readonly call: OperationName; readonly args: readonly unknown[] };

type FromDatabase =
  | { readonly id: number; readonly value: unknown }
  | { readonly id: number; readonly error: { code: string; message: string; retryable: boolean } }
  | { readonly changed: readonly string[] };

/** A database that runs behind a port. Each operation is one message there and one back. */
export function portDatabase(port: Port, database: string): DatabaseOpener {
  let broken: TidemarkError | null = null;
  let onBroken: (error: TidemarkError) => void = () => undefined;
  port.addEventListener('error', (event) => {
    const { message = 'its script was not loaded' } = event as { readonly message?: string };
    broken = new TidemarkError('storage_unavailable', `The worker of the database failed: ${message}`);
    onBroken(broken);
  });
  return {
    database,
    open: async (setup) => {
      let ids = 0;
      const waiting = new Map<
        number,
        { resolve: (value: unknown) => void; reject: (error: Error) => void }
      >();
      let onChange: (collections: readonly string[]) => void = () => undefined;
      onBroken = (error) => {
        for (const { reject } of waiting.values()) reject(error);
        waiting.clear();
      };
      port.addEventListener('message', (event) => {
        const message = dataOf(event) as FromDatabase;
        if ('changed' in message) {
          onChange(message.changed);
          return;
        }
        const call = waiting.get(message.id);
        waiting.delete(message.id);
        if ('value' in message) call?.resolve(message.value);
        else call?.reject(new TidemarkError(message.error.code, message.error.message, message.error));
      });
      port.start?.();
      type Body =
        { open: DatabaseSetup } | { close: true } | { call: OperationName; args: readonly unknown[] };
      const ask = (body: Body): Promise<unknown> =>
        new Promise((resolve, reject) => {
          if (broken !== null) throw broken;
          ids += 1;
          waiting.set(ids, { resolve, reject });
          port.postMessage({ id: ids, ...body });
        });
      await ask({ open: setup });
      return asDatabase(
        (call, args) => ask({ call, args }),
        (listener) => {
          onChange = listener;
        },
        async () => {
          await ask({ close: true });
        },
      );
    },
  };
}

/** The other tabs of the app, where they share the database. */
export interface Tabs {
  /** Tells them that rows of these collections have changed. */
  tell(collections: readonly string[]): void;
  onTold(listener: (collections: readonly string[]) => void): void;
  /** Works on the database while no other tab does. */
  inTurn<R>(work: () => R | Promise<R>): Promise<R>;
}

/** The other end: opens the driver's database when it is asked to, and answers. */
export function serveDatabase(port: Port, driver: SqlDriver, clock: DatabaseClock, tabs?: Tabs): void {
  let database: Promise<Database> | null = null;
  const inTurn = <R>(work: () => R | Promise<R>) => (tabs === undefined ? work() : tabs.inTurn(work));
  const tell = (changed: readonly string[]) => port.postMessage({ changed });
  tabs?.onTold(tell);
  const open = async (setup: DatabaseSetup): Promise<Database> => {
    const opened = await inTurn(() => openHere(driver, setup, clock));
    opened.onChange((changed) => {
      tell(changed);
      tabs?.tell(changed);
    });
    return opened;
  };
  const answer = async (message: ToDatabase): Promise<unknown> => {
    if ('open' in message) {
      database = open(message.open);
      await database;
      return null;
    }
    if (database === null) throw new TidemarkError('closed', 'The database was not opened.');
    const opened = await database;
    if ('close' in message) return opened.close();
    if (!OPERATIONS.includes(message.call)) throw new TidemarkError('closed', 'There is no such operation.');
    const operation = opened[message.call] as (...args: readonly unknown[]) => Promise<unknown>;
    return inTurn(() => operation(...message.args));
  };
  port.addEventListener('message', (event) => {
    const message = dataOf(event) as ToDatabase;
    answer(message).then(
      (value) => port.postMessage({ id: message.id, value }),
      (error: unknown) => {
        const { code = 'internal_error', retryable = false } = error instanceof TidemarkError ? error : {};
        port.postMessage({ id: message.id, error: { code, message: describeError(error), retryable } });
      },
    );
  });
  port.start?.();
}

const dataOf = (event: unknown): unknown => (event as { readonly data: unknown }).data;
