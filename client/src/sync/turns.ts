import { TidemarkError } from '../errors.ts';
import { wait, type Runtime } from '../runtime.ts';
import type { Database } from '../sql/database.ts';
import type { Lease } from '../sql/local-database.ts';

/** A process that dies holding the lease keeps others waiting so long. Milliseconds. */
const LEASE = 6_000;
const RENEW = 2_000;
const POLL = 200;

export interface Turn {
  readonly name: string;
  /** Milliseconds to wait for the turn. */
  readonly patience: number;
  readonly owner: string;
}

/**
 * Runs work while no other tab or process syncs the same user in the same database. In a browser the Web Locks see to
 * that; elsewhere a lease in the database, renewed while the work runs, and checked in each of its transactions.
 *
 * @param work gets the lease to check (null where there is none), and a signal that also ends with the lease
 * @throws TidemarkError `busy`
 */
export async function inTurn<R>(
  { name, patience, owner }: Turn,
  database: Database,
  runtime: Runtime,
  signal: AbortSignal,
  work: (lease: Lease | null, signal: AbortSignal) => Promise<R>,
): Promise<R> {
  const { locks } = runtime.platform;
  const busy = new TidemarkError('busy', 'Another tab or process syncs this user now.', { retryable: true });
  if (locks !== null) {
    const waiting = new AbortController();
    const stop = () => waiting.abort(signal.reason);
    signal.addEventListener('abort', stop, { once: true });
    const cancel = runtime.setTimer(() => waiting.abort(busy), patience);
    try {
      return await locks.request(`tidemark:${name}`, { signal: waiting.signal }, () => {
        cancel();
        return work(null, signal);
      });
    } finally {
      cancel();
      signal.removeEventListener('abort', stop);
    }
  }

  const lease: Lease = { name, owner, duration: LEASE };
  const until = runtime.now() + patience;
  while (!(await database.lock(lease))) {
    if (runtime.now() >= until) throw busy;
    await wait(runtime, POLL, signal);
  }
  const lost = new AbortController();
  const stop = () => lost.abort(signal.reason);
  signal.addEventListener('abort', stop, { once: true });
  let cancel: () => void = () => undefined;
  let over = false;
  const beat = (): void => {
    cancel = runtime.setTimer(() => {
      database.lock(lease).then(
        (held) => {
          if (!held) lost.abort(busy);
          else if (!over) beat();
        },
        (error: unknown) => lost.abort(error),
      );
    }, RENEW);
  };
  beat();
  try {
    return await work(lease, lost.signal);
  } finally {
    over = true;
    cancel();
    signal.removeEventListener('abort', stop);
    await database.unlock(lease).catch(() => undefined);
  }
}
