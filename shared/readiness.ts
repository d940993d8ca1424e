import { RequestError, Unavailable } from './errors.ts';
import type { DependencyCheck, Readiness } from './protocol/index.ts';

/** Something that the service leans on. */
export interface Dependency {
  readonly name: string;
  /** Uses it, as cheaply as shows that it works. Fails when it does not. */
  readonly attempt: (signal: AbortSignal) => Promise<unknown>;
}

/** Longest time of one attempt, in milliseconds: a probe must not hang with what it probes. */
const LIMIT_MS = 5_000;

/**
 * Tries all of them at once.
 *
 * @param now milliseconds
 * @param timeLimit gives a signal that ends an attempt
 * @throws RequestError `not_ready`, with what was tried
 */
export async function checkReadiness(
  dependencies: readonly Dependency[],
  now: () => number,
  timeLimit: () => AbortSignal = () => AbortSignal.timeout(LIMIT_MS),
): Promise<Readiness> {
  const checks = await Promise.all(
    dependencies.map(async ({ name, attempt }): Promise<DependencyCheck> => {
      const started = now();
      const detail = await failureOf(attempt, timeLimit());
      const milliseconds = Math.round(now() - started);
      return { name, ok: detail === null, milliseconds, ...(detail === null ? {} : { detail }) };
    }),
  );
  const broken = checks.filter(({ ok }) => !ok).map(({ name }) => name);
  if (broken.length === 0) return { status: 'ready', checks };
  throw new RequestError('not_ready', {
    detail: `Does not work: ${broken.join(', ')}.`,
    headers: { 'retry-after': '10' },
    members: { checks },
  });
}

/** Null, or what went wrong. Only messages of ours are told: others may name addresses, and hold what was sent. */
async function failureOf(attempt: Dependency['attempt'], signal: AbortSignal): Promise<string | null> {
  const late = new Promise<never>((_, reject) => {
    signal.addEventListener('abort', () => reject(new Unavailable('No answer in time.')), { once: true });
  });
  try {
    await Promise.race([attempt(signal), late]);
    return null;
  } catch (error) {
    return error instanceof Unavailable ? error.message : 'It failed; the log of the service may say why.';
  }
}
