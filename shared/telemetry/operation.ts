import { AsyncLocalStorage } from 'node:async_hooks';
import { randomBytes } from 'node:crypto';
import { readTraceparent, type TraceContext } from './telemetry.ts';

/** One request to this app, as everything that is done for it sees it. */
export interface Operation {
  readonly name: string;
  /** Null where the host names no trace. */
  readonly trace: TraceContext | null;
  /** Milliseconds spent waiting for Cosmos DB, and its answers with 429. */
  readonly database: { milliseconds: number; throttled: number };
}

const current = new AsyncLocalStorage<Operation>();

/** The request that is being worked on; undefined outside one, in the background for example. */
export const currentOperation = (): Operation | undefined => current.getStore();

/** @param traceparent as the Functions host gives it: it continues the client's trace */
export const runOperation = <T>(
  name: string,
  traceparent: string | undefined,
  run: (operation: Operation) => Promise<T>,
): Promise<T> => {
  const operation: Operation = {
    name,
    trace: readTraceparent(traceparent),
    database: { milliseconds: 0, throttled: 0 },
  };
  return current.run(operation, () => run(operation));
};

/** The id of a span: 16 hexadecimal digits. */
export const newSpanId = (): string => randomBytes(8).toString('hex');
