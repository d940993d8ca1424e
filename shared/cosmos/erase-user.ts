import type { Database } from '@azure/cosmos';
import { userScope } from '../protocol/index.ts';
import { ACTIVITY, DOCUMENTS } from './containers.ts';

/**
 * Erases everything that is kept of a user: documents, tombstones, ledgers and conflict records of the private scope,
 * everything in the activity log, and the Cosmos DB users that tokens were minted for. What the user wrote into shared
 * scopes belongs to these and stays. The items of a partition are deleted by the service in the background; they are
 * invisible at once.
 *
 * @param database opened with a master key: users can only be deleted with one
 * @param userId as it is stored
 * @returns the names of the Cosmos DB users that were deleted
 */
export async function eraseUser(database: Database, userId: string): Promise<string[]> {
  await database.container(DOCUMENTS).deleteAllItemsForPartitionKey(userScope(userId));
  await database.container(ACTIVITY).deleteAllItemsForPartitionKey(userId);
  const { resources } = await database.users.readAll().fetchAll();
  const names = resources.map(({ id }) => id).filter((id) => id === userId || id.startsWith(`${userId}~`));
  for (const name of names) await database.user(name).delete();
  return names;
}
