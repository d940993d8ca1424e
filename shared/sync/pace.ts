import { Unavailable } from '../errors.ts';

/** Syncs in flight in a process from which on it counts as busy, and at which it counts as fully so. */
const BUSY_FROM = 16;
const BUSY_AT = 64;
/** How much one throttled call to the store adds to its heat, which is at most 1 and halves in this time. */
const HEAT_OF_ONE = 0.1;
const HALF_LIFE_MS = 30_000;
/** Mean wait between two pages of a delta under full pressure, in milliseconds. */
const PAGE_WAIT_MS = 10_000;
/** Longest time that pressure adds to the wait after a 503, in seconds. */
const REFUSAL_WAIT_S = 20;

/** What a process knows of its load. */
export interface Load {
  /** Counts a sync in; the function it gives counts it out. */
  readonly begin: () => () => void;
  /** The store asked to wait, or gave no answer. */
  readonly throttled: () => void;
  /** From 0, nothing to notice, to 1. */
  readonly pressure: () => number;
}

/** @param now milliseconds since the epoch */
export function createLoad(now: () => number): Load {
  let inFlight = 0;
  let heat = 0;
  let heatAt = now();
  const cool = (): number => {
    const time = now();
    heat *= 0.5 ** (Math.max(0, time - heatAt) / HALF_LIFE_MS);
    heatAt = time;
    return heat;
  };
  return {
    begin: () => {
      inFlight += 1;
      let isOver = false;
      return () => {
        if (!isOver) inFlight -= 1;
        isOver = true;
      };
    },
    throttled: () => {
      heat = Math.min(1, cool() + HEAT_OF_ONE);
    },
    pressure: () => {
      const crowd = Math.min(1, Math.max(0, (inFlight - BUSY_FROM) / (BUSY_AT - BUSY_FROM)));
      return Math.max(crowd, cool());
    },
  };
}

/**
 * For how long a client should stay away after a sync, in milliseconds. Without pressure: the configured interval, and
 * up to a tenth more, so that devices that came together do not come back together; not at all where there is more to
 * fetch. Under full pressure: three to four intervals, and 5 to 15 s between two pages. Edits of the user need not wait
 * for it.
 *
 * @param interval as configured, in milliseconds
 * @param pressure 0 to 1
 * @param random 0 to 1
 */
export function waitAfterSync(hasMore: boolean, interval: number, pressure: number, random: number): number {
  if (hasMore) return Math.round(pressure * PAGE_WAIT_MS * (0.5 + random));
  return Math.round(interval * (1 + 2 * pressure + (0.1 + 0.9 * pressure) * random));
}

/**
 * `Retry-After` of a 503: what was asked for, and under pressure up to 20 s more, so that those who were refused
 * together do not come back together.
 *
 * @param seconds that the store asked to wait, or a guess
 * @param pressure 0 to 1
 * @param random 0 to 1
 */
export const waitAfterRefusal = (seconds: number, pressure: number, random: number): number =>
  Math.max(1, Math.ceil(seconds + pressure * REFUSAL_WAIT_S * random));

/**
 * Runs a sync, counted among those in flight. Under pressure one that has to be repeated is asked to wait for longer.
 *
 * @throws what the sync throws
 */
export async function paced<T>(work: () => Promise<T>, load: Load, random: () => number): Promise<T> {
  const end = load.begin();
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof Unavailable)) throw error;
    const seconds = waitAfterRefusal(error.retryAfterSeconds, load.pressure(), random());
    throw new Unavailable(error.message, seconds, { cause: error.cause });
  } finally {
    end();
  }
}
