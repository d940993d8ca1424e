import { PermissionMode, type CosmosClient } from '@azure/cosmos';
import { DATABASE } from '../../local/provision.ts';
import { DOCUMENTS } from '../../shared/cosmos/containers.ts';
import type { ScopeToken } from '../../shared/protocol/index.ts';

/** A resource token for a user's own scope, as the token service mints it. */
export async function mintOwn(
  admin: CosmosClient,
  endpoint: string,
  user: string,
  mode: PermissionMode,
): Promise<ScopeToken> {
  const database = admin.database(DATABASE);
  const scope = `user:${user}`;
  await database.users.upsert({ id: user });
  const { resource } = await database.user(user).permissions.upsert({
    id: 'own',
    permissionMode: mode,
    resource: `dbs/${DATABASE}/colls/${DOCUMENTS}`,
    resourcePartitionKey: [scope],
  });
  const token = (resource as unknown as { _token: string })._token;
  const expiresAt = new Date(Date.now() + 3_600_000).toISOString();
  return {
    token,
    endpoint,
    database: DATABASE,
    container: DOCUMENTS,
    partitionKey: [scope],
    scope,
    userId: user,
    mode: mode === PermissionMode.All ? 'all' : 'read',
    expiresAt,
    refreshAfter: expiresAt,
  };
}
