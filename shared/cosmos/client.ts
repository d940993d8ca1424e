import { createDefaultHttpClient, type HttpClient } from '@azure/core-rest-pipeline';
import {
  CosmosClient,
  PluginOn,
  ResourceType,
  setAuthorizationTokenHeaderUsingMasterKey,
  type CosmosClientOptions,
  type Plugin,
  type PluginConfig,
  type RequestContext,
} from '@azure/cosmos';
import type { TokenCredential } from '@azure/identity';
import type { Reporter } from '../telemetry/reporter.ts';
import { readFailure } from './failure.ts';

/** A master key that may change while the app runs. */
export interface ChangingKey {
  get(): Promise<string>;
  /** Told of a key that Cosmos DB refused; answers the key to try next, or null. */
  refused(key: string): Promise<string | null>;
}

/** How the app opens Cosmos DB: with the master key, or with an identity that has a data-plane role. */
export type Credential =
  { readonly key: string } | { readonly keys: ChangingKey } | { readonly identity: TokenCredential };

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

export interface CosmosOptions {
  /**
   * Told of every answer that asks to wait (429) or says that the service is not up to it (503, 449), also of those that
   * the SDK repeats by itself.
   */
  readonly onPressure?: () => void;
  /** How often the SDK repeats a throttled request; 9 by default. */
  readonly retries?: number;
  /** Told of every request that is sent, repeated ones included. */
  readonly reporter?: Pick<Reporter, 'cosmos'>;
}

export const openCosmos = (
  endpoint: string,
  credential: Credential,
  { onPressure = () => undefined, retries, reporter }: CosmosOptions = {},
): CosmosClient =>
  new CosmosClient({
    endpoint,
    connectionPolicy: {
      ...CONNECTION,
      retryOptions: {
        ...CONNECTION.retryOptions,
        ...(retries === undefined ? {} : { maxRetryAttemptCount: retries }),
      },
    },
    httpClient: watch(onPressure),
    ...credentialOptions(credential, reporter),
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

function credentialOptions(
  credential: Credential,
  reporter: CosmosOptions['reporter'],
): Partial<CosmosClientOptions> {
  const telling = reporter === undefined ? [] : [tellTo(reporter)];
  // The SDK leaves plugins out of the types of its options.
  const withPlugins = (options: object, more: Plugin<unknown>[] = []): Partial<CosmosClientOptions> => {
    const plugins = [...telling, ...more].map((plugin): PluginConfig => ({ on: PluginOn.request, plugin }));
    return plugins.length === 0 ? options : ({ ...options, plugins } as Partial<CosmosClientOptions>);
  };
  if ('key' in credential) return withPlugins({ key: credential.key });
  if ('identity' in credential) return withPlugins({ aadCredentials: credential.identity });
  // The plugin signs each request; the SDK wants a credential of its own.
  return withPlugins({ tokenProvider: () => Promise.resolve('') }, [signWith(credential.keys)]);
}

const tellTo =
  (reporter: Pick<Reporter, 'cosmos'>): Plugin<unknown> =>
  (context, _node, next) => {
    const { operationType = 'read', resourceType = '', endpoint = '' } = context;
    const host = URL.canParse(endpoint) ? new URL(endpoint).hostname : '';
    return reporter.cosmos(`${operationType} ${resourceType || 'account'}`, host, (traceparent) => {
      if (traceparent !== null) context.headers = { ...context.headers, traceparent };
      return next(context);
    });
  };

/** The key that is refused, the same secret read again, and the other secret: no more than that for one request. */
const KEYS_TRIED = 3;

/**
 * Signs every request with the key of the moment, and repeats one that Cosmos DB answers 401 with the next key. A
 * refused request was not carried out, so a repeat is safe for writes too. The SDK itself never repeats a 401, and
 * keeps the key that it was made with: with this, a key is changed without a new client and without a lost request.
 */
const signWith =
  (keys: ChangingKey): Plugin<unknown> =>
  async (context, _node, next) => {
    let key = await keys.get();
    for (let tried = 1; ; tried += 1) {
      await sign(context, key);
      try {
        return await next(context);
      } catch (error) {
        if (readFailure(error).status !== 401 || tried === KEYS_TRIED) throw error;
        const other = await keys.refused(key);
        if (other === null) throw error;
        key = other;
      }
    }
  };

async function sign(context: RequestContext, key: string): Promise<void> {
  const { method, resourceId, resourceType } = context;
  const headers = (context.headers ??= {});
  await setAuthorizationTokenHeaderUsingMasterKey(
    method,
    resourceId ?? '',
    resourceType ?? ResourceType.none,
    headers,
    key,
  );
}
