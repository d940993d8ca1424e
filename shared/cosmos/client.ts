import { CosmosClient, type CosmosClientOptions } from '@azure/cosmos';
import type { TokenCredential } from '@azure/identity';

/** How the app opens Cosmos DB: with the master key, or with an identity that has a data-plane role. */
export type Credential = { readonly key: string } | { readonly identity: TokenCredential };

/**
 * Settings every client here shares. Partition-level failover makes the SDK read partition key ranges, which is
 * metadata throughput (240 RU/s for a whole account) and is closed to resource tokens. Throttled requests are
 * repeated by the SDK for a bounded time; past it the caller repeats the whole request.
 */
const CONNECTION: NonNullable<CosmosClientOptions['connectionPolicy']> = {
  requestTimeout: 20_000,
  enablePartitionLevelFailover: false,
  enablePartitionLevelCircuitBreaker: false,
  retryOptions: { maxRetryAttemptCount: 9, fixedRetryIntervalInMilliseconds: 0, maxWaitTimeInSeconds: 15 },
};

export const openCosmos = (endpoint: string, credential: Credential): CosmosClient =>
  new CosmosClient({
    endpoint,
    connectionPolicy: CONNECTION,
    ...('key' in credential ? { key: credential.key } : { aadCredentials: credential.identity }),
  });
