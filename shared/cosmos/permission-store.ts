import { PermissionMode, type Database } from '@azure/cosmos';
import type { PermissionStore } from '../tokens/broker.ts';
import { Throttled } from '../tokens/mint-limiter.ts';
import { readFailure, toUnavailable } from './failure.ts';

/** How long to wait where the account throttles and does not say for how long. */
export const RETRY_AFTER_MS = 1_000;

/**
 * Users and permissions of Cosmos DB. Writing a permission mints a new token each time, and an old one lives on until
 * it expires: the service has no revocation.
 *
 * @param open the database, through a client that does not repeat throttled requests by itself
 */
export const createPermissionStore = (open: () => Promise<Database>): PermissionStore => ({
  async mint({ user: userId, scope, container, mode, lifetime }) {
    try {
      const database = await open();
      const user = database.user(userId);
      const permission = {
        id: container,
        permissionMode: mode === 'all' ? PermissionMode.All : PermissionMode.Read,
        resource: `dbs/${database.id}/colls/${container}`,
        resourcePartitionKey: [scope],
      };
      let charge = 0;
      const upsert = async () => {
        const answer = await user.permissions.upsert(permission, { resourceTokenExpirySeconds: lifetime });
        charge += answer.requestCharge;
        return answer.resource as { _token?: unknown } | undefined;
      };
      // The user is nearly always there: a token costs one request, and three only the first time.
      const resource = await upsert().catch(async (error: unknown) => {
        if (readFailure(error).status !== 404) throw error;
        charge += chargeOf(error) + (await database.users.upsert({ id: userId })).requestCharge;
        return upsert();
      });
      const token = resource?._token;
      if (typeof token !== 'string') throw new Error('The permission came without a token.');
      return { value: token, charge };
    } catch (error) {
      const { status, retryAfterMs } = readFailure(error);
      if (status === 429) throw new Throttled(retryAfterMs ?? RETRY_AFTER_MS, { cause: error });
      throw toUnavailable(error, 'minting a token');
    }
  },
});

function chargeOf(error: unknown): number {
  const headers = (error as { headers?: unknown } | null)?.headers as Record<string, unknown> | undefined;
  const charge = Number(headers?.['x-ms-request-charge'] ?? 0);
  return Number.isFinite(charge) ? charge : 0;
}
