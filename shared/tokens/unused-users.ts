import type { ActivityStore } from '../activity/store.ts';
import { formatDateTime } from '../protocol/index.ts';
import { Throttled } from './mint-limiter.ts';

/** A user of the database, as the list shows it. */
export interface TokenUser {
  readonly id: string;
  /** When it was last written itself, in milliseconds: when it was made. */
  readonly madeAt: number;
}

/** Users and permissions of Cosmos DB, for clearing up. Every method throws Unavailable or Throttled. */
export interface TokenUserStore {
  list(
    continuation: string | null,
    max: number,
  ): Promise<{ readonly users: readonly TokenUser[]; readonly continuation: string | null }>;
  /**
   * When the last token of a user was made, in milliseconds; null where it never had one. `foreign`: it has
   * permissions that this service did not make.
   */
  lastMint(user: string): Promise<number | null | 'foreign'>;
  remove(user: string): Promise<void>;
}

export interface CleanUpDependencies {
  readonly users: TokenUserStore;
  readonly activity: ActivityStore;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  readonly sleep: (milliseconds: number) => Promise<void>;
}

export interface CleanUp {
  /** Users that were looked at. */
  readonly seen: number;
  readonly removed: number;
  /** Was this the end of the list? */
  readonly finished: boolean;
}

const PAGE = 100;
/** Metadata requests of a run, each second: a small part of what an account has. */
const PER_SECOND = 10;
/** Longest time of a run. */
const RUN_MS = 4 * 60_000;
/** Where the next run goes on. */
const PLACE = { userId: '~system', id: 'unused-users', kind: 'place' };
const PLACE_TTL = 30 * 86_400;

/**
 * Removes the Cosmos DB users, and with them their permissions, whose last token was made long ago. A user that comes
 * back is made anew with the next token; a token that is still out lives on. A run ends after four minutes, or when
 * the account throttles, and the next one goes on where it ended: any number of users is gone through in the end.
 *
 * @param unused how long ago the last token was made, in milliseconds
 */
export async function removeUnusedUsers(
  unused: number,
  { users, activity, now, sleep }: CleanUpDependencies,
): Promise<CleanUp> {
  const started = now();
  const before = started - unused;
  const place = await activity.get(PLACE.userId, PLACE.id);
  const saved = place?.['continuation'];
  let continuation = typeof saved === 'string' ? saved : null;
  let seen = 0;
  let removed = 0;
  const remember = (at: string | null): Promise<void> =>
    activity.put({
      ...PLACE,
      at: formatDateTime(now()),
      ttl: PLACE_TTL,
      ...({ continuation: at } as object),
    });

  const isUnused = async ({ id, madeAt }: TokenUser): Promise<boolean> => {
    if (madeAt >= before) return false;
    await sleep(1000 / PER_SECOND);
    const last = await users.lastMint(id);
    return last !== 'foreign' && (last ?? madeAt) < before;
  };

  do {
    try {
      const page = await users.list(continuation, PAGE);
      for (const user of page.users) {
        seen += 1;
        if (!(await isUnused(user))) continue;
        await users.remove(user.id);
        removed += 1;
      }
      continuation = page.continuation;
    } catch (error) {
      if (error instanceof Throttled) break;
      // A place that the account no longer knows would end every run: the next one begins at the beginning.
      if (continuation !== null) await remember(null);
      throw error;
    }
  } while (continuation !== null && now() - started < RUN_MS);

  await remember(continuation);
  return { seen, removed, finished: continuation === null };
}
