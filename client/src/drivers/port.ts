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
  addEventListener(type: 'message', listener: (event: { readonly data: unknown }) => void): void;
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
  return {
    database,
    open: async (setup) => {
      let ids = 0;
      const waiting = new Map<
        number,
        { resolve: (value: unknown) => void; reject: (error: Error) => void }
      >();
      let onChange: (collections: readonly string[]) => void = () => undefined;
      port.addEventListener('message', ({ data }) => {
        const message = data as FromDatabase;
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

/** Tells other tabs of changes; `BroadcastChannel` where there is one. */
export interface Neighbours {
  tell(collections: readonly string[]): void;
  onTold(listener: (collections: readonly string[]) => void): void;
}

/** The other end: opens the driver's database when it is asked to, and answers. */
export function serveDatabase(
  port: Port,
  driver: SqlDriver,
  clock: DatabaseClock,
  neighbours?: Neighbours,
): void {
  let database: Promise<Database> | null = null;
  const tell = (changed: readonly string[]) => port.postMessage({ changed });
  const open = async (setup: DatabaseSetup): Promise<Database> => {
    const opened = await openHere(driver, setup, clock);
    opened.onChange((changed) => {
      tell(changed);
      neighbours?.tell(changed);
    });
    neighbours?.onTold(tell);
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
    return operation(...message.args);
  };
  port.addEventListener('message', ({ data }) => {
    const message = data as ToDatabase;
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
