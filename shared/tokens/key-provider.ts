import { SecretClient, type SecretClientOptions } from '@azure/keyvault-secrets';
import type { TokenCredential } from '@azure/identity';
import { Unavailable } from '../errors.ts';

/** Gives the Cosmos DB master key. It never leaves the process. */
export interface KeyProvider {
  /** @throws Unavailable when the key cannot be had now */
  get(): Promise<string>;
  /** Forgets the key, for instance after Cosmos DB refused it. */
  forget(): void;
}

export type KeySource =
  | { readonly kind: 'setting'; readonly key: string }
  | {
      readonly kind: 'vault';
      readonly uri: string;
      readonly secret: string;
      readonly credential: TokenCredential;
      /** Of the client: its transport, its retries. */
      readonly options?: SecretClientOptions;
    };

/** How long a key from the vault is used before it is read again. */
const KEY_LIFETIME_MS = 10 * 60_000;
/** While the vault is down the kept key is used so long before it is asked again: asking takes seconds. */
const RETRY_MS = 60_000;

/**
 * The key of a setting is what a Key Vault reference resolves to; the platform renews those within a day. From the
 * vault itself the key is read when first needed, kept for ten minutes, and read by one flight at a time. While the
 * vault is down the last good key goes on being used.
 */
export function createKeyProvider(source: KeySource, now: () => number): KeyProvider {
  if (source.kind === 'setting') return { get: () => Promise.resolve(source.key), forget: () => undefined };

  const client = new SecretClient(source.uri, source.credential, source.options);
  let known: { readonly key: string; readonly readAt: number } | undefined;
  let flight: Promise<string> | undefined;

  const read = async (): Promise<string> => {
    try {
      const { value } = await client.getSecret(source.secret);
      if (!value) throw new Error('The secret is empty.');
      known = { key: value, readAt: now() };
      return value;
    } catch (error) {
      if (known !== undefined) {
        known = { ...known, readAt: now() - KEY_LIFETIME_MS + RETRY_MS };
        return known.key;
      }
      throw new Unavailable('The master key cannot be read from Key Vault.', 5, { cause: error });
    } finally {
      flight = undefined;
    }
  };

  return {
    get: () => {
      if (known !== undefined && now() - known.readAt < KEY_LIFETIME_MS) return Promise.resolve(known.key);
      flight ??= read();
      return flight;
    },
    forget: () => {
      known = undefined;
    },
  };
}
