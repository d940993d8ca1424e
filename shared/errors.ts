import { ERRORS, type RequestErrorCode } from './protocol/index.ts';

/** Refuses a request: becomes a problem document with the code's status. */
export class RequestError extends Error {
  readonly code: RequestErrorCode;
  /** JSON Pointer into the request body. */
  readonly pointer: string | undefined;
  readonly headers: Readonly<Record<string, string>>;
  /** Further members of the problem document (RFC 9457, section 3.2). */
  readonly members: Readonly<Record<string, unknown>>;

  /** @param detail what is wrong with this request; it is sent, so it holds no secret */
  constructor(
    code: RequestErrorCode,
    options: {
      detail?: string;
      pointer?: string;
      headers?: Record<string, string>;
      members?: Record<string, unknown>;
      cause?: unknown;
    } = {},
  ) {
    super(options.detail ?? ERRORS[code].title, { cause: options.cause });
    this.name = 'RequestError';
    this.code = code;
    this.pointer = options.pointer;
    this.headers = options.headers ?? {};
    this.members = options.members ?? {};
  }
}

/** The code that an error is answered with. */
export const codeOf = (error: unknown): RequestErrorCode =>
  error instanceof RequestError
    ? error.code
    : error instanceof Unavailable
      ? 'unavailable'
      : 'internal_error';

/** Something this service leans on cannot answer now; the same request may be repeated later: becomes 503. */
export class Unavailable extends Error {
  readonly retryAfterSeconds: number;

  constructor(message: string, retryAfterSeconds = 1, options?: ErrorOptions) {
    super(message, options);
    this.name = 'Unavailable';
    this.retryAfterSeconds = retryAfterSeconds;
  }
}
