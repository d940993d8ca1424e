/**
 * What the app tells about itself, to whoever operates it. Nothing here can hold a document, a token or a key: fields
 * are codes, counts and times, and their names are a closed set. infra/queries/ asks for them by these names.
 */
export type Fields = Readonly<Record<string, string | number>>;

/** Things that happened, one by one. */
export type EventName =
  /** A sync was answered: its counts, request units and milliseconds. Sampled. */
  | 'SyncDone'
  /** Changes that met a concurrent one: how many, how many results were merged, how many skipped. */
  | 'Conflict'
  /** Changes that were refused for good, one event for each code. */
  | 'ChangesRejected'
  /** A request that was answered 4xx or 5xx. */
  | 'RequestRefused'
  /** Scopes whose delta had to start over. */
  | 'Resync'
  /** A resource token was minted, not taken from the cache. Sampled. */
  | 'TokenMinted';

/** Sums and distributions, added up in the process and sent once a minute: exact whatever the sampling. */
export type MetricName =
  /** Requests answered; by `operation` and `status`. */
  | 'tidemark.requests'
  /** Milliseconds of a phase of a request; by `operation` and `phase`: `authenticate`, `database`, `total`. */
  | 'tidemark.duration'
  /** Documents moved; by `direction`: `pushed`, `pulled`. */
  | 'tidemark.documents'
  /** Requests to Cosmos DB; by `call` and `status`. */
  | 'tidemark.cosmos.requests'
  /** Request units; by `call`. */
  | 'tidemark.cosmos.request_units'
  /** Requests that Cosmos DB answered 429. */
  | 'tidemark.cosmos.throttled'
  /** Seconds that the oldest edit of a request had waited on its device, by the device's own clock. */
  | 'tidemark.pending.age';

/** One request to Cosmos DB. */
export interface CosmosCall {
  /** `Batch docs`, `Read docs`, `Create permissions`: never a path, which would name documents and users. */
  readonly call: string;
  readonly host: string;
  /** 0 where there was no answer. */
  readonly status: number;
  readonly requestUnits: number;
  /** Milliseconds since the epoch. */
  readonly startedAt: number;
  readonly endedAt: number;
  /** W3C: of the trace that the request belongs to, and of this call in it. */
  readonly traceId: string;
  readonly parentSpanId: string;
  readonly spanId: string;
  /** How many calls this one stands for. */
  readonly weight: number;
}

/** Where it goes. Calls return at once and never throw. */
export interface TelemetrySink {
  event(name: EventName, fields: Fields, trace: TraceContext | null): void;
  metric(name: MetricName, value: number, dimensions: Fields): void;
  call(call: CosmosCall): void;
  /** Sends what is waiting. */
  flush(): Promise<void>;
}

/** Where in which trace something happens: W3C Trace Context. */
export interface TraceContext {
  /** 32 hexadecimal digits. */
  readonly traceId: string;
  /** 16 hexadecimal digits. */
  readonly spanId: string;
}

const TRACEPARENT = /^[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-[0-9a-f]{2}/;

/** @returns null for what is no `traceparent` (W3C Trace Context, section 3.2) */
export function readTraceparent(text: string | null | undefined): TraceContext | null {
  const [, traceId, spanId] = TRACEPARENT.exec(text ?? '') ?? [];
  return traceId === undefined || spanId === undefined ? null : { traceId, spanId };
}

/**
 * Is this trace among the sampled ones? All parts of a trace agree, in every process: the decision is made of its id,
 * of which the last seven bytes are random (W3C Trace Context Level 2).
 *
 * @param percent of traces to keep
 */
export const isSampled = (traceId: string, percent: number): boolean =>
  (parseInt(traceId.slice(-8), 16) / 0x1_0000_0000) * 100 < percent;
