import type { Container, Database } from '@azure/cosmos';
import { userScope } from '../protocol/index.ts';
import { ACTIVITY, DOCUMENTS } from './containers.ts';

/** Operations of a transactional batch, at most. */
const BATCH = 100;

/** What was erased. */
export interface Erased {
  readonly documents: number;
  readonly activity: number;
  /** Names of the Cosmos DB users; null where they cannot be looked at, because the account knows no keys. */
  readonly users: readonly string[] | null;
}

/**
 * Erases everything that is kept of a user: documents, tombstones, ledgers and conflict records of the private scope,
 * everything in the activity log, and the Cosmos DB users that tokens were minted for. What the user wrote into shared
 * scopes belongs to these and stays. It goes on where it was interrupted when it is called again.
 *
 * The service can delete a partition by itself, but only as a preview that an account has to be opened for; this deletes
 * item by item, in batches.
 *
 * @param database opened with a master key, or as somebody who may read and delete items
 * @param userId as it is stored
 * @param hasKey Cosmos DB users can only be deleted with a master key
 */
export async function eraseUser(database: Database, userId: string, hasKey = true): Promise<Erased> {
  const documents = await clear(database.container(DOCUMENTS), userScope(userId));
  const activity = await clear(database.container(ACTIVITY), userId);
  if (!hasKey) return { documents, activity, users: null };
  const { resources } = await database.users.readAll().fetchAll();
  const users = resources.map(({ id }) => id).filter((id) => id === userId || id.startsWith(`${userId}~`));
  for (const name of users) await database.user(name).delete();
  return { documents, activity, users };
}

/** @returns how many items were deleted */
async function clear(container: Container, partitionKey: string): Promise<number> {
  let count = 0;
  let failures = 0;
  for (;;) {
    const { resources } = await container.items
      .query<{ id: string }>('SELECT c.id FROM c', { partitionKey, maxItemCount: BATCH })
      .fetchNext();
    if (resources.length === 0) return count;
    const { result = [] } = await container.items.batch(
      resources.map(({ id }) => ({ operationType: 'Delete', id })),
      [partitionKey],
    );
    const refused = result.find(({ statusCode }) => statusCode >= 400 && statusCode !== 424);
    if (refused === undefined) {
      count += resources.length;
      failures = 0;
    } else if (![404, 429].includes(refused.statusCode) || (failures += 1) > 20) {
      // 404: one of them has expired meanwhile; what is there is asked for again.
      throw new Error(`Cosmos DB refused to delete items: ${refused.statusCode}. Call it again to go on.`);
    }
  }
}
