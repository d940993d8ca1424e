import type { ScopeToken } from '../../../shared/protocol/token.ts';
import type { TokenProvider } from '../tokens/token-provider.ts';

/** What `new CosmosClient(…)` of `@azure/cosmos` takes: the token is asked for anew with each request. */
export interface CosmosAccess {
  readonly endpoint: string;
  readonly tokenProvider: () => Promise<string>;
}

/** A client of Cosmos DB, and the one partition that its tokens open. */
export interface CosmosPartitionAccess<Client> {
  readonly client: Client;
  readonly database: string;
  readonly container: string;
  readonly partitionKey: readonly string[];
  readonly scope: string;
}

/**
 * Clients of `@azure/cosmos` for apps that query their own partition themselves. One client for each account, whatever the
 * number of tokens that come and go: its connections, and what it has read about the container, stay.
 *
 * ```ts
 * const open = cosmosClients(tokens, (access) => new CosmosClient(access));
 * const { client, database, container, partitionKey } = await open();
 * ```
 *
 * @param tokens a `CachedTokenProvider` around an `HttpTokenProvider`: it is asked with every request
 * @param create makes a client of the version of `@azure/cosmos` that the app has
 * @returns opens the partition of the present token; rejects as `tokens` does
 */
export function cosmosClients<Client>(
  tokens: TokenProvider<ScopeToken>,
  create: (access: CosmosAccess) => Client,
): () => Promise<CosmosPartitionAccess<Client>> {
  const clients = new Map<string, Client>();
  const tokenProvider = async (): Promise<string> => (await tokens.getToken()).token;
  return async () => {
    const { endpoint, database, container, partitionKey, scope } = await tokens.getToken();
    const client = clients.get(endpoint) ?? create({ endpoint, tokenProvider });
    clients.set(endpoint, client);
    return { client, database, container, partitionKey, scope };
  };
}
