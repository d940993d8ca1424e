import { isJsonObject } from '../../../shared/conflict/json.ts';
import { describeError, TidemarkError } from '../errors.ts';
import type { ExpiringToken, TokenProvider, TokenRequest } from './token-provider.ts';

export interface SampleTokenOptions {
  /** The development issuer that `npm start` runs: `http://127.0.0.1:7072`. */
  readonly issuer: string;
  /** Who to be. */
  readonly user: string;
  /** More claims, such as `{ facilities: ['12'] }`. */
  readonly claims?: Readonly<Record<string, unknown>>;
  readonly fetch?: typeof fetch;
  /** Milliseconds since the epoch. */
  readonly now?: () => number;
}

/**
 * Gets JWTs from the development issuer, which believes whoever asks. A template for your own provider: replace the
 * request below by a call of your identity library, such as `acquireTokenSilent` of MSAL, and keep the rest.
 */
export class SampleTokenProvider implements TokenProvider {
  readonly #options: SampleTokenOptions;

  constructor(options: SampleTokenOptions) {
    this.#options = options;
  }

  async getToken({ signal }: TokenRequest = {}): Promise<ExpiringToken> {
    const { issuer, user, claims, fetch: send = fetch, now = Date.now } = this.#options;
    try {
      const response = await send(`${issuer.replace(/\/+$/, '')}/token`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ ...claims, sub: user }),
        ...(signal === undefined ? {} : { signal }),
      });
      const answer: unknown = await response.json();
      if (!isJsonObject(answer) || typeof answer['access_token'] !== 'string') {
        throw new Error(`it answered ${response.status}`);
      }
      const { access_token: token, expires_in: seconds } = answer;
      return typeof seconds === 'number'
        ? { token, expiresAt: new Date(now() + seconds * 1000).toISOString() }
        : { token };
    } catch (cause) {
      throw new TidemarkError('no_token', `The issuer ${issuer} gave no token: ${describeError(cause)}.`, {
        cause,
        retryable: true,
      });
    }
  }
}
