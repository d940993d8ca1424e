import { TidemarkError } from '../errors.ts';
import type { Locks } from '../runtime.ts';

/** A file that one tab can have open at a time. */
export interface TabFile {
  open(): Promise<void>;
  close(): void;
}

export interface TabTurnsOptions {
  readonly name: string;
  readonly file: TabFile;
  readonly locks: Locks;
  /** Tells the other tabs that this one waits for the file. */
  readonly ask: () => void;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  readonly setTimer: (callback: () => void, milliseconds: number) => () => void;
}

/** Milliseconds without work after which the file is given back. */
const IDLE = 2_000;
/**
 * Milliseconds that a tab has the file at least, if it likes: enough to read and to write what follows from that. Tabs that
 * got one step at a time would take each other's reads back for ever.
 */
const HOLD = 40;
/** Milliseconds to wait for a tab that has the file and does not answer. */
const PATIENCE = 15_000;

interface Work {
  readonly run: () => Promise<void>;
  readonly reject: (error: unknown) => void;
}

/**
 * Lets the tabs of an app work on one file by turns. A tab keeps it until another asks for it, so one that is alone hardly
 * ever waits; and no longer than it has something to do, so one that the browser freezes in the background is in nobody's
 * way.
 *
 * ```
 *   away ── there is work: wait for the lock, ask, open ──► here
 *     ▲                                                      │
 *     └──── another tab asks, or idle: close, unlock ────────┘
 * ```
 */
export class TabTurns {
  readonly #options: TabTurnsOptions;
  #waiting: Work[] = [];
  #working = false;
  #wanted = false;
  /** Gives the lock back; null: away. */
  #unlock: (() => void) | null = null;
  #since = 0;
  #cancelLeave: () => void = () => undefined;

  constructor(options: TabTurnsOptions) {
    this.#options = options;
  }

  /**
   * Works on the open file, one piece of work after the other.
   *
   * @throws TidemarkError `busy` when another tab does not give it back
   */
  run<R>(work: () => R | Promise<R>): Promise<R> {
    return new Promise<R>((resolve, reject) => {
      const run = () => Promise.resolve().then(work).then(resolve, reject);
      this.#waiting.push({ run, reject });
      void this.#work();
    });
  }

  /** Another tab asks. */
  noteWanted(): void {
    this.#wanted = true;
    if (!this.#working) this.#leaveInTime();
  }

  /** Closes the file, if it is open here. */
  leave(): void {
    this.#cancelLeave();
    this.#wanted = false;
    const unlock = this.#unlock;
    this.#unlock = null;
    if (unlock === null) return;
    try {
      this.#options.file.close();
    } finally {
      unlock();
    }
  }

  async #work(): Promise<void> {
    if (this.#working) return;
    this.#working = true;
    this.#cancelLeave();
    while (this.#waiting.length > 0) {
      try {
        if (this.#unlock === null) await this.#come();
      } catch (error) {
        for (const { reject } of this.#waiting.splice(0)) reject(error);
        break;
      }
      // What comes meanwhile waits for the next round: a busy tab does not keep the others out.
      for (const { run } of this.#waiting.splice(0)) await run();
      if (this.#wanted && this.#left() <= 0) this.leave();
    }
    this.#working = false;
    this.#leaveInTime();
  }

  #leaveInTime(): void {
    this.#cancelLeave();
    const delay = this.#wanted ? this.#left() : IDLE;
    if (delay <= 0) this.leave();
    else if (this.#unlock !== null) this.#cancelLeave = this.#options.setTimer(() => this.leave(), delay);
  }

  /** Milliseconds that this tab may go on. A clock that was set back gives it no more than the usual. */
  #left(): number {
    return Math.min(HOLD, this.#since + HOLD - this.#options.now());
  }

  #come(): Promise<void> {
    const { name, file, locks, ask, setTimer } = this.#options;
    return new Promise((resolve, reject) => {
      const giveUp = new AbortController();
      const cancel = setTimer(() => {
        giveUp.abort(
          new TidemarkError(
            'busy',
            'Another tab has the database and does not give it back: close that one.',
            {
              retryable: true,
            },
          ),
        );
      }, PATIENCE);
      locks
        .request(`tidemark-file:${name}`, { signal: giveUp.signal }, async () => {
          cancel();
          await file.open();
          await new Promise<void>((unlock) => {
            this.#unlock = unlock;
            this.#since = this.#options.now();
            resolve();
          });
        })
        .catch(reject)
        .finally(cancel);
      ask();
    });
  }
}
