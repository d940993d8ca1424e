import type { Database } from '@azure/cosmos';
import { RETRY_AFTER_MS } from './permission-store.ts';
import type { TokenUserStore } from '../tokens/unused-users.ts';
import { Throttled } from '../tokens/mint-limiter.ts';
import { readFailure, toUnavailable } from './failure.ts';

/**
 * The users that the broker made, for clearing up. Reading a permission makes a token, which is dropped here.
 *
 * @param open the database, through a client that does not repeat throttled requests by itself
 * @param container the one that permissions of the broker are for
 */
export function createTokenUserStore(open: () => Promise<Database>, container: string): TokenUserStore {
  const attempt = async <T>(doing: string, call: (database: Database) => Promise<T>): Promise<T> => {
    try {
      return await call(await open());
    } catch (error) {
      const { status, retryAfterMs } = readFailure(error);
      if (status === 429) throw new Throttled(retryAfterMs ?? RETRY_AFTER_MS, { cause: error });
      throw toUnavailable(error, doing);
    }
  };
  const toMilliseconds = (seconds: unknown): number => (typeof seconds === 'number' ? seconds * 1000 : 0);

  return {
    list: (continuation, max) =>
      attempt('listing users', async (database) => {
        const { resources, continuationToken } = await database.users
          .readAll({
            maxItemCount: max,
            ...(continuation === null ? {} : { continuationToken: continuation }),
          })
          .fetchNext();
        return {
          users: resources.map((user) => ({ id: user.id, madeAt: toMilliseconds(user._ts) })),
          continuation: continuationToken || null,
        };
      }),

    lastMint: (user) =>
      attempt('reading permissions', async (database) => {
        const { resources } = await database.user(user).permissions.readAll({ maxItemCount: 10 }).fetchNext();
        if (resources.some(({ id }) => id !== container)) return 'foreign';
        const last = resources.map(({ _ts: at }) => toMilliseconds(at));
        return last.length === 0 ? null : Math.max(...last);
      }),

    remove: (user) =>
      attempt('removing a user', async (database) => {
        // Gone already is as good as removed.
        await database
          .user(user)
          .delete()
          .catch((error: unknown) => {
            if (readFailure(error).status !== 404) throw error;
          });
      }),
  };
}
