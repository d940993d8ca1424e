import { readFailure, toUnavailable } from './failure.ts';

/**
 * Makes a call of the SDK, and stops waiting for it when the signal says so: not every call of the SDK heeds one.
 *
 * @param expected a status that is an answer rather than a failure: the result is null then
 * @throws Unavailable
 */
export async function attempt<T>(
  doing: string,
  signal: AbortSignal,
  call: (signal: AbortSignal) => Promise<T>,
): Promise<T>;
export async function attempt<T>(
  doing: string,
  signal: AbortSignal,
  call: (signal: AbortSignal) => Promise<T>,
  expected: number,
): Promise<T | null>;
export async function attempt<T>(
  doing: string,
  signal: AbortSignal,
  call: (signal: AbortSignal) => Promise<T>,
  expected?: number,
): Promise<T | null> {
  let giveUp: (() => void) | undefined;
  try {
    signal.throwIfAborted();
    const given = new Promise<never>((_, reject) => {
      giveUp = () => reject(new Error('The deadline passed.'));
      signal.addEventListener('abort', giveUp);
    });
    return await Promise.race([call(signal), given]);
  } catch (error) {
    if (expected !== undefined && readFailure(error).status === expected) return null;
    throw toUnavailable(error, doing);
  } finally {
    if (giveUp !== undefined) signal.removeEventListener('abort', giveUp);
  }
}
