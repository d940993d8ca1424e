import { CosmosClient, type CosmosClientOptions } from '@azure/cosmos';
import { createDefaultHttpClient, type HttpClient } from '@azure/core-rest-pipeline';
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

/**
 * @param onPressure told of every answer that asks to wait (429) or says that the service is not up to it (503, 449),
 *   also of those that the SDK repeats by itself
 */
export const openCosmos = (
  endpoint: string,
  credential: Credential,
  onPressure: () => void = () => undefined,
): CosmosClient =>
  new CosmosClient({
    endpoint,
    connectionPolicy: CONNECTION,
    httpClient: watch(onPressure),
    ...('key' in credential ? { key: credential.key } : { aadCredentials: credential.identity }),
  });

const PRESSURE: ReadonlySet<number> = new Set([429, 449, 503]);

/** One for the process: its agents hold the open connections. */
let network: HttpClient | undefined;

const watch = (onPressure: () => void): HttpClient => ({
  sendRequest: async (request) => {
    const response = await (network ??= createDefaultHttpClient()).sendRequest(request);
    if (PRESSURE.has(response.status)) onPressure();
    return response;
  },
});
