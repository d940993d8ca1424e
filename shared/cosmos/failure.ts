import { Unavailable } from '../errors.ts';

/** What a failed call to Cosmos DB says of itself. */
export interface Failure {
  /** HTTP status; null where no answer came. */
  readonly status: number | null;
  readonly subStatus: number | null;
  readonly retryAfterMs: number | null;
}

/** Reads an error of the SDK. `items.batch` wraps the real one in `cause`. */
export function readFailure(error: unknown): Failure {
  const source = error instanceof Error && error.cause !== undefined && !hasCode(error) ? error.cause : error;
  if (typeof source !== 'object' || source === null)
    return { status: null, subStatus: null, retryAfterMs: null };
  const { code, substatus, retryAfterInMs } = source as {
    code?: unknown;
    substatus?: unknown;
    retryAfterInMs?: unknown;
  };
  return { status: toNumber(code), subStatus: toNumber(substatus), retryAfterMs: toNumber(retryAfterInMs) };
}

/** Every failure the caller does not expect means: not now. The message says what, never with which credentials. */
export function toUnavailable(error: unknown, doing: string): Unavailable {
  // The key could not be had, for one: that tells more than that Cosmos DB gave no answer.
  if (error instanceof Unavailable) return error;
  const { status, subStatus, retryAfterMs } = readFailure(error);
  const answer = status === null ? 'no answer' : `status ${status}${subStatus ? `/${subStatus}` : ''}`;
  return new Unavailable(
    `Cosmos DB, ${doing}: ${answer}`,
    retryAfterMs === null ? 1 : Math.max(1, Math.ceil(retryAfterMs / 1000)),
    { cause: error },
  );
}

const hasCode = (error: Error): boolean => toNumber((error as { code?: unknown }).code) !== null;

const toNumber = (value: unknown): number | null => {
  const number = typeof value === 'string' && value !== '' ? Number(value) : value;
  return typeof number === 'number' && Number.isFinite(number) ? number : null;
};
