import { RequestError } from '../errors.ts';

export interface MintLimits {
  /** Request units of metadata that this process may spend each second; an account has 240 for all. */
  readonly requestUnitsPerSecond: number;
  /** Longest time that a mint is let wait for its turn, in milliseconds; twice that where the account slows down meanwhile. */
  readonly maxWait: number;
}

export interface LimiterDependencies {
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  /** From 0 to below 1. */
  readonly random: () => number;
  readonly sleep: (milliseconds: number) => Promise<void>;
}

/** What came of one mint. */
export interface Charged<T> {
  readonly value: T;
  /** Request units of metadata that it took. */
  readonly charge: number;
}

export interface MintLimiter {
  /**
   * Does the work when its turn comes.
   *
   * @throws RequestError `token_service_busy` with `Retry-After` where that would take too long
   */
  run<T>(work: () => Promise<Charged<T>>): Promise<T>;
}

/** The account has no metadata throughput left: thrown by the work. */
export class Throttled extends Error {
  readonly retryAfterMs: number;

  constructor(retryAfterMs: number, options?: ErrorOptions) {
    super('Cosmos DB throttles requests for metadata.', options);
    this.name = 'Throttled';
    this.retryAfterMs = retryAfterMs;
  }
}

/** What a mint is taken to cost before the first one is known: a permission, its user, and finding neither. */
const FIRST_GUESS = 12;
/** Requests that may start at once after a quiet while, in milliseconds of the budget. */
const BURST_MS = 500;
/** At least this part of the configured speed is kept, however often the account throttles. */
const SLOWEST = 1 / 16;
/** How long it takes to come back from the slowest to full speed, in milliseconds. */
const RECOVERY_MS = 60_000;
/** Longest time that a caller is told to stay away, in seconds. */
const MAX_RETRY_AFTER = 300;

/**
 * Spreads mints over time, so that a crowd of users after a restart cannot take the metadata of the account down: users
 * and permissions share 240 RU/s with everything else, and that cannot be raised. Mints start as the budget allows,
 * first come first served; who would have to wait too long is told when there will be room, each caller a little later
 * than the one before, so that the crowd does not come back as a crowd.
 *
 * Processes do not know of each other. Where the account throttles all the same, each halves its speed and comes back
 * to it within a minute.
 */
export function createMintLimiter(limits: MintLimits, dependencies: LimiterDependencies): MintLimiter {
  const { now, random, sleep } = dependencies;
  let guess = FIRST_GUESS;
  /** When the budget is free for the next mint, and how many wait for that. */
  let freeAt = -Infinity;
  let waiting = 0;
  let line: Promise<void> = Promise.resolve();
  /** Part of the configured speed. */
  let speed = 1;
  let speedAt = -Infinity;
  /** The time at which the next caller who is sent away should come back. */
  let comeBackAt = -Infinity;

  const currentSpeed = (time: number): number =>
    Math.min(1, speed + Math.max(0, time - speedAt) / RECOVERY_MS);
  const costMs = (charge: number, time: number): number =>
    (charge / (limits.requestUnitsPerSecond * currentSpeed(time))) * 1000;

  /** After a step back of the clock nothing is owed for a time that has not come. */
  const settle = (time: number): void => {
    if (freeAt - time > limits.maxWait + RECOVERY_MS) freeAt = time;
  };

  const busy = (from: number, time: number): RequestError => {
    comeBackAt = Math.min(Math.max(comeBackAt, from) + costMs(guess, time), time + MAX_RETRY_AFTER * 1000);
    const seconds = Math.ceil(((comeBackAt - time) / 1000) * (1 + 0.1 * random()));
    return new RequestError('token_service_busy', { headers: { 'retry-after': String(seconds) } });
  };

  /** One after the other: where timers come late, all at once, the mints still start one after the other. */
  const takeTurn = async (until: number): Promise<number> => {
    const before = now();
    settle(before);
    // It was expected to be free in time, and throttling has made it later.
    if (freeAt > until + limits.maxWait) throw busy(freeAt, before);
    if (freeAt > before) await sleep(freeAt - before);
    const time = now();
    freeAt = Math.max(freeAt, time - BURST_MS) + costMs(guess, time);
    return guess;
  };

  /** @param until the latest time to begin */
  const waitForTurn = (until: number): Promise<number> => {
    const time = now();
    settle(time);
    const start = Math.max(freeAt, time) + waiting * costMs(guess, time);
    if (start > until) throw busy(start, time);
    waiting += 1;
    const turn = line.then(() => takeTurn(until)).finally(() => (waiting -= 1));
    line = turn.then(
      () => undefined,
      () => undefined,
    );
    return turn;
  };

  const slowDown = (milliseconds: number): void => {
    const time = now();
    speed = Math.max(SLOWEST, currentSpeed(time) / 2);
    speedAt = time;
    freeAt = Math.max(freeAt, time + Math.min(milliseconds, RECOVERY_MS));
  };

  return {
    run: async (work) => {
      // One that is throttled queues again, and that counts as the same wait: nobody waits for ever.
      const until = now() + limits.maxWait;
      for (;;) {
        const reserved = await waitForTurn(Math.min(until, now() + limits.maxWait));
        try {
          const { value, charge } = await work();
          // What it really took is settled afterwards, and expected of the next one.
          freeAt += costMs(charge - reserved, now());
          guess = Math.max(1, guess + (charge - guess) / 8);
          return value;
        } catch (error) {
          if (!(error instanceof Throttled)) throw error;
          slowDown(error.retryAfterMs);
        }
      }
    },
  };
}
