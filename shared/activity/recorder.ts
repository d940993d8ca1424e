import type { ActivityRecord } from './record.ts';
import type { ActivityStore } from './store.ts';

/** Takes records in without holding anybody up, and writes them later. */
export interface Recorder {
  /** Never waits, never throws. */
  readonly add: (record: ActivityRecord) => void;
  /** Writes what waits. Resolves when that was tried; what could not be written goes on waiting. */
  readonly flush: () => Promise<void>;
}

export interface RecorderOptions {
  readonly store: Pick<ActivityStore, 'append'>;
  /** Milliseconds until records are written: the batches of a user grow with it, and what a crash takes away. */
  readonly interval: number;
  /** How many records may wait. Beyond it the oldest are dropped. */
  readonly capacity: number;
  /** Told how many records were dropped since it was last told. */
  readonly onDropped: (count: number) => void;
  /** Calls back once after so many milliseconds; a pending call must not keep the process alive. */
  readonly schedule: (callback: () => void, milliseconds: number) => void;
}

/** Records of a user that one request writes: the operations that Cosmos DB takes in a batch. */
const BATCH = 100;
/** Requests on the way at once: a log must not crowd out the work it tells of. */
const PARALLEL = 4;

/**
 * A log that costs the work it tells of nothing: records are kept in memory and written in batches, one for each user,
 * a moment later.
 *
 * - A crash loses the records of the last interval.
 * - Where the store cannot be written, records wait for the next try; beyond the capacity the oldest are dropped.
 * - A record is written with its own id, so that a batch whose answer was lost is written again without a trace.
 */
export function createRecorder(options: RecorderOptions): Recorder {
  const { store, interval, capacity, onDropped, schedule } = options;
  let waiting: ActivityRecord[] = [];
  let scheduled = false;
  let flushing: Promise<void> | undefined;

  const arm = (): void => {
    if (scheduled || waiting.length === 0) return;
    scheduled = true;
    schedule(() => {
      scheduled = false;
      void flush();
    }, interval);
  };

  /** The oldest go first: what happens now is what is looked for. */
  const trim = (): void => {
    const excess = waiting.length - capacity;
    if (excess <= 0) return;
    waiting = waiting.slice(excess);
    onDropped(excess);
  };

  const write = async (): Promise<void> => {
    const batches = toBatches(waiting);
    waiting = [];
    const failed: ActivityRecord[] = [];
    const work = async (): Promise<void> => {
      let batch = batches.shift();
      while (batch !== undefined) {
        const records = batch;
        await store.append(records).catch(() => failed.push(...records));
        batch = batches.shift();
      }
    };
    await Promise.all(Array.from({ length: PARALLEL }, work));
    waiting = [...failed, ...waiting];
    trim();
  };

  const flush = async (): Promise<void> => {
    if (flushing !== undefined) await flushing;
    if (waiting.length === 0) return;
    flushing ??= write().finally(() => {
      flushing = undefined;
      arm();
    });
    await flushing;
  };

  return {
    add: (record) => {
      waiting.push(record);
      // Trimmed in steps, so that a full buffer costs little.
      if (waiting.length >= capacity * 1.1) trim();
      arm();
    },
    flush,
  };
}

function toBatches(records: readonly ActivityRecord[]): ActivityRecord[][] {
  const byUser = new Map<string, ActivityRecord[]>();
  for (const record of records) {
    const own = byUser.get(record.userId);
    if (own === undefined) byUser.set(record.userId, [record]);
    else own.push(record);
  }
  return [...byUser.values()].flatMap((own) =>
    Array.from({ length: Math.ceil(own.length / BATCH) }, (_, index) =>
      own.slice(index * BATCH, (index + 1) * BATCH),
    ),
  );
}
