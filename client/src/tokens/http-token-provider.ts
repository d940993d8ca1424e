import type { TokenResponse } from '../../../shared/protocol/token.ts';
import { TidemarkError } from '../errors.ts';
import { callService, type HttpOptions } from '../net/http.ts';
import { HTTP } from '../net/thin-transport.ts';
import { thisRuntime, type Runtime } from '../runtime.ts';
import { toProvider, type TokenProvider, type TokenRequest, type TokenSource } from './token-provider.ts';

export interface HttpTokenOptions extends Partial<HttpOptions> {
  /** Where the functions of the service are: `https://my-app.azurewebsites.net/api`. */
  readonly url: string;
  /** Gives the JWT of the identity provider. */
  readonly identity: TokenSource;
  /** Whose documents the token is to open; absent: the user's own. */
  readonly scope?: string;
  readonly runtime?: Partial<Runtime>;
}

/**
 * Gets Cosmos DB resource tokens from the token service, `GET <url>/GetCosmosToken`. A JWT that is refused is replaced
 * once. Put a `CachedTokenProvider` around it: each call is a request.
 */
export class HttpTokenProvider implements TokenProvider<TokenResponse> {
  readonly #url: string;
  readonly #identity: TokenProvider;
  readonly #http: HttpOptions;
  readonly #runtime: Runtime;

  constructor(options: HttpTokenOptions) {
    const query = options.scope === undefined ? '' : `?scopes=${encodeURIComponent(options.scope)}`;
    this.#url = `${options.url.replace(/\/+$/, '')}/GetCosmosToken${query}`;
    this.#identity = toProvider(options.identity);
    this.#http = { timeout: options.timeout ?? HTTP.timeout, compressAbove: Infinity };
    this.#runtime = thisRuntime(options.runtime);
  }

  async getToken({ signal }: TokenRequest = {}): Promise<TokenResponse> {
    const never = new AbortController().signal;
    const { body } = await callService(
      this.#url,
      undefined,
      this.#identity,
      this.#http,
      this.#runtime,
      signal ?? never,
    );
    if (typeof body['token'] !== 'string' || typeof body['endpoint'] !== 'string') {
      throw new TidemarkError('not_the_service', `${this.#url} gave an answer that holds no token.`);
    }
    return body as TokenResponse;
  }

  async clear(): Promise<void> {
    await this.#identity.clear?.();
  }
}
