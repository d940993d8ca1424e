/**
 * An answer that is not a success. Cosmos DB sends `{code, message}` and a sub-status header; the JavaScript SDK
 * reads `message` from the body of every error and throws a TypeError when there is no body, so there always is one.
 */
export class CosmosError extends Error {
  readonly status: number;
  readonly subStatus: number;
  readonly code: string;
  readonly headers: Readonly<Record<string, string>>;
  /** Goes into the body next to code and message; the query pipeline of the SDK looks for additionalErrorInfo. */
  readonly details: Readonly<Record<string, unknown>>;

  constructor(
    status: number,
    message: string,
    more: {
      subStatus?: number;
      code?: string;
      headers?: Record<string, string>;
      details?: Record<string, unknown>;
    } = {},
  ) {
    super(message);
    this.name = 'CosmosError';
    this.status = status;
    this.subStatus = more.subStatus ?? 0;
    this.code = more.code ?? codeOfStatus(status);
    this.headers = more.headers ?? {};
    this.details = more.details ?? {};
  }
}

const codes: Readonly<Record<number, string>> = {
  400: 'BadRequest',
  401: 'Unauthorized',
  403: 'Forbidden',
  404: 'NotFound',
  405: 'MethodNotAllowed',
  408: 'RequestTimeout',
  409: 'Conflict',
  410: 'Gone',
  412: 'PreconditionFailed',
  413: 'RequestEntityTooLarge',
  424: 'FailedDependency',
  429: 'TooManyRequests',
  449: 'RetryWith',
  500: 'InternalServerError',
  501: 'NotImplemented',
  503: 'ServiceUnavailable',
};

export function codeOfStatus(status: number): string {
  return codes[status] ?? 'Unknown';
}

export const badRequest = (message: string, subStatus = 0): CosmosError =>
  new CosmosError(400, message, { subStatus });
/** In words that the SDKs' own tests look for. */
export const badContinuation = (token: string): CosmosError =>
  badRequest(`Invalid Continuation Token: '${token.slice(0, 100)}' was not given out by this request.`);
export const notFound = (): CosmosError =>
  new CosmosError(404, 'Entity with the specified id does not exist in the system.');
export const conflict = (): CosmosError =>
  new CosmosError(409, 'Entity with the specified id already exists in the system.');
export const preconditionFailed = (): CosmosError =>
  new CosmosError(412, 'One of the specified pre-condition is not met');
export const notSupported = (what: string): CosmosError =>
  new CosmosError(501, `The emulator does not support ${what}.`);
