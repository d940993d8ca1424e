/** What an app can meet, beside the codes of the service (docs/errors.md). */
export type ClientErrorCode =
  /** The network did not carry the request, or no answer came in time. */
  | 'offline'
  /** Too many requests in a row failed: the engine waits before it tries again. */
  | 'circuit_open'
  /** What answered is not the service: a sign-in page of a network, a wrong address. */
  | 'not_the_service'
  /** The token callback failed, or gave none. */
  | 'no_token'
  /** The service refused the token twice. */
  | 'unauthorized'
  /** The caller's signal ended it. */
  | 'aborted'
  /** Another tab or process syncs this user now. */
  | 'busy'
  /** The user was switched while it ran. */
  | 'user_changed'
  /** A query with a comparison that there is not. */
  | 'invalid_query'
  /** A document the store cannot hold: no id, not JSON, refused by its schema. */
  | 'invalid_document'
  /** No such collection in the client's options. */
  | 'unknown_collection'
  /** The collection lives in shared scopes: say which. */
  | 'scope_needed'
  /** A document that was to be patched is not there. */
  | 'not_found'
  /** The transport gives no checksums. */
  | 'not_comparable'
  /** A transaction of more documents than can be sent as one. */
  | 'transaction_too_large'
  /** Others kept changing what a transaction had read. */
  | 'contended'
  /** The database was written by a newer version of this library. */
  | 'database_too_new'
  /** The browser has no place for a database, as in some private windows, or SQLite could not be loaded there. */
  | 'storage_unavailable'
  /** The client was closed. */
  | 'closed';

/** The one class of errors this library throws. `code` is stable; the message says what to do. */
export class TidemarkError extends Error {
  override readonly name = 'TidemarkError';
  /** One of ours, or of the service. */
  readonly code: string;
  /** HTTP status, where the service said no. */
  readonly status: number | null;
  /** May the same be tried again unchanged? */
  readonly retryable: boolean;
  /** Milliseconds to wait before that, where the service said so. */
  readonly retryAfter: number | null;

  /** By name: the package may be loaded twice, as ES modules and as CommonJS, or in a worker. */
  static override [Symbol.hasInstance](value: unknown): boolean {
    return value instanceof Error && value.name === 'TidemarkError';
  }

  constructor(
    code: ClientErrorCode | (string & {}),
    message: string,
    options: {
      readonly cause?: unknown;
      readonly status?: number;
      readonly retryable?: boolean;
      readonly retryAfter?: number | null;
    } = {},
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.status = options.status ?? null;
    this.retryable = options.retryable ?? false;
    this.retryAfter = options.retryAfter ?? null;
  }
}

export const describeError = (error: unknown): string =>
  error instanceof Error ? error.message : String(error);
