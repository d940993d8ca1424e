import { PermissionMode, type Database } from '@azure/cosmos';
import type { PermissionStore } from '../tokens/broker.ts';
import { readFailure, toUnavailable } from './failure.ts';

/**
 * Users and permissions of Cosmos DB. Writing a permission mints a new token each time, and an old one lives on until
 * it expires: the service has no revocation.
 */
export const createPermissionStore = (
  open: () => Promise<Database>,
  /** Told when Cosmos DB refused the master key. */
  onKeyRefused: () => void,
): PermissionStore => ({
  async mint({ user: userId, scope, container, mode, lifetime }) {
    const database = await open();
    const user = database.user(userId);
    const permission = {
      id: container,
      permissionMode: mode === 'all' ? PermissionMode.All : PermissionMode.Read,
      resource: `dbs/${database.id}/colls/${container}`,
      resourcePartitionKey: [scope],
    };
    const upsert = () => user.permissions.upsert(permission, { resourceTokenExpirySeconds: lifetime });
    try {
      // The user is nearly always there: a token costs one request, and two only the first time.
      const { resource } = await upsert().catch(async (error: unknown) => {
        if (readFailure(error).status !== 404) throw error;
        await database.users.upsert({ id: userId });
        return upsert();
      });
      const token: unknown = (resource as { _token?: unknown } | undefined)?._token;
      if (typeof token !== 'string') throw new Error('The permission came without a token.');
      return token;
    } catch (error) {
      if (readFailure(error).status === 401) onKeyRefused();
      throw toUnavailable(error, 'minting a token');
    }
  },
});
