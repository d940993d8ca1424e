import type { Random } from './random.ts';

/**
 * Interleaves what runs at the same time: every call waits until its turn comes, one call at a time is under way, and
 * the random numbers choose whose. So what is parallel can be played again from the seed.
 */
export interface Turns {
  readonly take: <T>(work: () => Promise<T>) => Promise<T>;
  /** Runs the tasks until all have ended. */
  readonly run: (tasks: readonly (() => Promise<void>)[]) => Promise<void>;
}

export function createTurns(random: Random): Turns {
  let waiting: (() => Promise<void>)[] = [];
  return {
    take: (work) =>
      new Promise((resolve, reject) => {
        waiting.push(() => work().then(resolve, reject));
      }),
    run: async (tasks) => {
      let running = tasks.length;
      const all = Promise.all(tasks.map((task) => task().finally(() => (running -= 1))));
      // It is awaited below; until then a task that fails must not count as unhandled.
      all.catch(() => undefined);
      while (running > 0) {
        // Everything that can go on without a call has gone on when this comes back.
        await new Promise(setImmediate);
        if (waiting.length === 0) continue;
        const next = random.pick(waiting);
        waiting = waiting.filter((other) => other !== next);
        await next();
      }
      await all;
    },
  };
}
