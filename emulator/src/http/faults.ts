import type { Operation, Resource } from './route.ts';

/** What goes wrong, for the next requests that match. Absent fields match everything. */
export interface Fault {
  readonly method?: string;
  readonly resource?: Resource;
  readonly operation?: Operation;
  /** The partition key header's JSON text, or its only value. */
  readonly partitionKey?: string;
  /** How many requests it hits; default 1. */
  readonly times?: number;
  /** How many matching requests pass first; default 0. */
  readonly skip?: number;
  readonly action: FaultAction;
}

export type FaultAction =
  /** Answered without being processed. */
  | {
      readonly kind: 'status';
      readonly status: number;
      readonly subStatus?: number;
      readonly retryAfterMs?: number;
    }
  /** Processed after a while. */
  | { readonly kind: 'delay'; readonly ms: number }
  /** Processed and durable, but the caller never hears of it. */
  | { readonly kind: 'loseAnswer' }
  /** The connection ends before anything is processed. */
  | { readonly kind: 'cut' }
  /** Processed twice, as a network that repeats a request would; answered with the first result. */
  | { readonly kind: 'duplicate' };

export interface FaultSubject {
  readonly method: string;
  readonly resource: Resource;
  readonly operation: Operation;
  readonly partitionKey: string | null;
}

export interface FaultControl {
  add(fault: Fault): void;
  clear(): void;
}

interface Armed {
  readonly fault: Fault;
  skip: number;
  times: number;
}

/** Faults in the order they were added; one request meets at most one. */
export class FaultPlan implements FaultControl {
  #armed: Armed[] = [];

  add(fault: Fault): void {
    this.#armed.push({ fault, skip: fault.skip ?? 0, times: fault.times ?? 1 });
  }

  clear(): void {
    this.#armed = [];
  }

  /** The fault this request meets. Counts the request. */
  next(subject: FaultSubject): FaultAction | undefined {
    for (const armed of this.#armed) {
      if (!matches(armed.fault, subject)) continue;
      if (armed.skip > 0) {
        armed.skip--;
        continue;
      }
      armed.times--;
      if (armed.times <= 0) this.#armed = this.#armed.filter((other) => other !== armed);
      return armed.fault.action;
    }
    return undefined;
  }
}

function matches(fault: Fault, subject: FaultSubject): boolean {
  return (
    (fault.method === undefined || fault.method.toUpperCase() === subject.method) &&
    (fault.resource === undefined || fault.resource === subject.resource) &&
    (fault.operation === undefined || fault.operation === subject.operation) &&
    (fault.partitionKey === undefined || keyMatches(fault.partitionKey, subject.partitionKey))
  );
}

function keyMatches(wanted: string, header: string | null): boolean {
  return header !== null && (header === wanted || header === JSON.stringify([wanted]));
}
