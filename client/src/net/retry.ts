import { TidemarkError } from '../errors.ts';
import { wait, type Runtime } from '../runtime.ts';

export interface RetryOptions {
  /** How often a request is sent before the sync gives up. */
  readonly attempts: number;
  /** Milliseconds; doubled each time. */
  readonly baseDelay: number;
  readonly maxDelay: number;
  /** A `Retry-After` beyond this many milliseconds ends the sync: it comes back then. */
  readonly maxRetryAfter: number;
}

export const RETRY: RetryOptions = { attempts: 4, baseDelay: 500, maxDelay: 30_000, maxRetryAfter: 20_000 };

/** Exponential backoff with full jitter: anything between nothing and the doubled delay. */
export const backoff = (failures: number, { baseDelay, maxDelay }: RetryOptions, random: number): number =>
  random * Math.min(maxDelay, baseDelay * 2 ** failures);

/** Repeats what may be repeated. What is thrown at last is the last failure. */
export async function withRetry<R>(
  work: () => Promise<R>,
  options: RetryOptions,
  runtime: Runtime,
  signal: AbortSignal,
): Promise<R> {
  for (let failures = 0; ; failures += 1) {
    try {
      return await work();
    } catch (error) {
      const retryable = error instanceof TidemarkError && error.retryable ? error : null;
      const asked = retryable?.retryAfter ?? 0;
      if (retryable === null || failures + 1 >= options.attempts || asked > options.maxRetryAfter)
        throw error;
      await wait(runtime, asked + backoff(failures, options, runtime.random()), signal);
    }
  }
}

export interface BreakerOptions {
  /** Syncs that failed in a row before the engine stops trying for a while. */
  readonly threshold: number;
  /** Milliseconds; doubled each time that the attempt after it fails too. */
  readonly cooldown: number;
  readonly maxCooldown: number;
}

export const BREAKER: BreakerOptions = { threshold: 5, cooldown: 30_000, maxCooldown: 600_000 };

/**
 * Spares a service that is down, and a battery: after some failures in a row nothing is sent until a pause is over, then
 * one attempt decides.
 *
 * ```
 *   closed ── threshold failures ──► open ── cooldown over ──► one attempt
 *     ▲                               ▲                         │      │
 *     └───────────── it succeeds ─────┼─────────────────────────┘      │
 *                                     └── it fails: a longer cooldown ─┘
 * ```
 */
export class CircuitBreaker {
  readonly #options: BreakerOptions;
  #failures = 0;
  #pause = 0;
  #since = 0;

  constructor(options: BreakerOptions) {
    this.#options = options;
  }

  /** Milliseconds until something may be sent; 0: now. */
  wait(now: number): number {
    // Somebody set the clock back: the pause is not longer for that.
    this.#since = Math.min(this.#since, now);
    return Math.max(0, this.#since + this.#pause - now);
  }

  succeeded(): void {
    this.#failures = 0;
    this.#pause = 0;
  }

  /** @param retryAfter what the service asked for, in milliseconds */
  failed(now: number, retryAfter: number | null): void {
    const { threshold, cooldown, maxCooldown } = this.#options;
    this.#failures += 1;
    const beyond = this.#failures - threshold;
    const pause = beyond < 0 ? 0 : Math.min(maxCooldown, cooldown * 2 ** beyond);
    this.#since = now;
    this.#pause = Math.max(pause, retryAfter ?? 0);
  }
}
