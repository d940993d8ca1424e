import type { Store } from './store.ts';

/** Document numbers looked at in one step, which takes a few milliseconds where each has a document. */
const step = 2_000;

/**
 * Removes expired documents from the file, a few thousand document numbers at a time and round and round. Nobody can
 * tell from outside: expired documents are invisible from the second they expire.
 */
export class Sweeper {
  readonly #store: Store;
  readonly #now: () => number;
  #at = 0;

  constructor(store: Store, now: () => number) {
    this.#store = store;
    this.#now = now;
  }

  /** One step; true where it ended a round. */
  sweep(): boolean {
    const more = this.#store.sweepExpired(this.#at, this.#at + step, Math.floor(this.#now() / 1000));
    this.#at = more ? this.#at + step : 0;
    return !more;
  }

  /** Steps at this pace until the returned function is called; keeps no process alive. */
  start(intervalMs: number): () => void {
    const timer = setInterval(() => {
      try {
        this.sweep();
      } catch {
        // A full disk, say: whoever writes next is told. What is not swept now is swept in the next round.
      }
    }, intervalMs);
    timer.unref();
    return () => clearInterval(timer);
  }
}
