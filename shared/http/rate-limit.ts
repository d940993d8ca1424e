export interface RateLimit {
  /** Requests a second that a user may send in the long run; 0: no limit. */
  readonly perSecond: number;
  /** Requests that may come at once. */
  readonly burst: number;
}

/** Users that are remembered; one entry takes about 100 bytes. */
const MAX_USERS = 100_000;

/**
 * A token bucket for each user, held as one number (the generic cell rate algorithm): the time at which the bucket is
 * full again. It is per process: with several instances of the app a user has as many buckets.
 *
 * Past `maxUsers` the one who has not called for longest is forgotten, which gives that user a full bucket.
 *
 * @param now milliseconds since the epoch; where it jumps back, nobody waits longer than for a whole bucket
 * @returns takes a request of a user; answers 0, or for how many milliseconds the user has to wait
 */
export function createRateLimiter(
  { perSecond, burst }: RateLimit,
  now: () => number,
  maxUsers = MAX_USERS,
): (user: string) => number {
  if (perSecond === 0) return () => 0;
  const interval = 1000 / perSecond;
  const whole = burst * interval;
  const fullAt = new Map<string, number>();
  return (user) => {
    const time = now();
    const held = Math.min(Math.max(fullAt.get(user) ?? 0, time), time + whole);
    const wait = held + interval - time - whole;
    // Less than a millisecond is what floating point made of nothing.
    const isTaken = wait < 1;
    // Entries stand in the order of the last call: the first one is the oldest.
    fullAt.delete(user);
    fullAt.set(user, isTaken ? held + interval : held);
    const [oldest] = fullAt.keys();
    if (fullAt.size > maxUsers && oldest !== undefined) fullAt.delete(oldest);
    return isTaken ? 0 : wait;
  };
}
