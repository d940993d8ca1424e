import type { Operation, Resource } from './route.ts';

/** One request as it was answered. */
export interface RequestRecord {
  /** Milliseconds since the epoch. */
  at: number;
  method: string;
  path: string;
  resource: Resource;
  operation: Operation;
  /** data: document operations. Everything else, query plans included, is metadata. */
  kind: 'data' | 'metadata';
  /** The partition key header's JSON text. */
  partitionKey: string | null;
  /** 0 where the connection was cut before an answer. */
  status: number;
  subStatus: number;
  charge: number;
  durationMs: number;
  /** The caller's W3C trace header, as it was sent. */
  traceparent: string | null;
  /** For a batch: operations in it, else 1. */
  operations: number;
  /** For a caller with a Microsoft Entra token: the data actions that it needed. */
  dataActions: readonly string[];
}

export interface RequestLogView {
  readonly entries: readonly RequestRecord[];
  clear(): void;
}

/** The last requests, oldest first. Bounded: a server that runs for weeks must not grow. */
export class RequestLog implements RequestLogView {
  readonly #limit: number;
  #entries: RequestRecord[] = [];

  constructor(limit = 50_000) {
    this.#limit = limit;
  }

  get entries(): readonly RequestRecord[] {
    return this.#entries.length > this.#limit ? this.#entries.slice(-this.#limit) : this.#entries;
  }

  add(record: RequestRecord): void {
    this.#entries.push(record);
    // Cutting in large steps keeps the cost of one request constant.
    if (this.#entries.length >= this.#limit * 2) this.#entries = this.#entries.slice(-this.#limit);
  }

  clear(): void {
    this.#entries = [];
  }
}
