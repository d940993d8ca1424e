import { SecretClient, type SecretClientOptions } from '@azure/keyvault-secrets';
import type { TokenCredential } from '@azure/identity';
import { Unavailable } from '../errors.ts';

/** Gives the Cosmos DB master key. It never leaves the process. */
export interface KeyProvider {
  /** @throws Unavailable when the key cannot be had now */
  get(): Promise<string>;
  /**
   * Told that Cosmos DB refused a key: looks for a better one, with one new look at the secret in use and one at the
   * other.
   *
   * @returns the key to try next; null where there is none
   */
  refused(key: string): Promise<string | null>;
}

export type KeySource =
  | {
      readonly kind: 'setting';
      /** The primary key, then the secondary one where it is set. */
      readonly keys: readonly string[];
    }
  | {
      readonly kind: 'vault';
      readonly uri: string;
      /** Names of the secrets with the primary and the secondary key. */
      readonly secrets: readonly string[];
      readonly credential: TokenCredential;
      /** Of the client: its transport, its retries. */
      readonly options?: SecretClientOptions;
    };

export interface KeyProviderDependencies {
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  /** From 0 to below 1. */
  readonly random: () => number;
  /** Told whenever another key than before is in use: tokens made with the old one may have ended with it. */
  readonly onChange?: () => void;
}

const MINUTE = 60_000;
/** A key from the vault is read anew when it is this old, less up to a fifth, in the background. */
const FRESH_MS = 10 * MINUTE;
const JITTER = 0.2;
/** While the vault is down the kept key is used, and the vault is asked again after so long: asking takes seconds. */
const RETRY_MS = MINUTE;
/** How old a key may get while the vault cannot be reached. */
const LAST_GOOD_MS = 24 * 60 * MINUTE;
/** Without any key: so long requests are refused without asking the vault, which takes seconds to fail. */
const FAIL_FAST_MS = 2_000;
/** Longest time of one look at a secret, repeats included. */
const READ_MS = 10_000;
/** After a key was refused and nothing better found, so long passes before the vault is asked again. */
const REFUSED_PAUSE_MS = 5_000;

interface Known {
  readonly key: string;
  /** Index of its secret. */
  readonly slot: number;
  readonly readAt: number;
}

/**
 * Keys of settings are what Key Vault references resolve to; the platform renews those within a day. From the vault
 * itself a key is read when first needed, by one flight at a time, and again before it is ten minutes old, without
 * holding up anybody. While the vault is down the last good key goes on being used for a day; without one requests
 * are refused, and the vault is asked again every other second.
 */
export function createKeyProvider(source: KeySource, dependencies: KeyProviderDependencies): KeyProvider {
  const { now, random, onChange } = dependencies;
  const readSecret = createReader(source);
  const slots = source.kind === 'vault' ? source.secrets.length : source.keys.length;
  let known: Known | undefined;
  let refreshAt = -Infinity;
  let flight: Promise<string> | undefined;
  let search: { readonly key: string; readonly found: Promise<string | null> } | undefined;
  let failedAt = -Infinity;
  let searchedInVainAt = -Infinity;
  const refusals = new Map<string, number>();

  const use = (key: string, slot: number): string => {
    const isChange = known !== undefined && known.key !== key;
    known = { key, slot, readAt: now() };
    refreshAt = known.readAt + FRESH_MS * (1 - JITTER * random());
    if (isChange) onChange?.();
    return key;
  };

  /** Was it refused a moment ago? Two bad keys must not be tried in turn for ever. */
  const isRefused = (key: string): boolean =>
    Math.abs(now() - (refusals.get(key) ?? -Infinity)) < REFUSED_PAUSE_MS;

  const read = (): Promise<string> =>
    (flight ??= (async () => {
      try {
        const slot = known?.slot ?? 0;
        const key = await readSecret(slot);
        // Read before Cosmos DB refused it: what was found instead since then is better.
        if (known !== undefined && known.key !== key && isRefused(key)) return known.key;
        return use(key, slot);
      } catch (error) {
        failedAt = now();
        refreshAt = failedAt + RETRY_MS;
        throw new Unavailable('The master key cannot be read from Key Vault.', 5, { cause: error });
      } finally {
        flight = undefined;
      }
    })());

  const findOther = async (): Promise<string | null> => {
    const slot = known?.slot ?? 0;
    // First the secret in use, which may have been renewed, then the other one.
    for (let step = 0; step < slots; step += 1) {
      const at = (slot + step) % slots;
      const key = await readSecret(at).catch(() => null);
      if (key !== null && !isRefused(key)) return use(key, at);
    }
    searchedInVainAt = now();
    return null;
  };

  return {
    get: () => {
      const time = now();
      if (known === undefined || Math.abs(time - known.readAt) > LAST_GOOD_MS) {
        if (flight === undefined && Math.abs(time - failedAt) < FAIL_FAST_MS) {
          return Promise.reject(new Unavailable('The master key cannot be read from Key Vault.', 5));
        }
        return read();
      }
      // A clock that was set back says nothing about the age of the key: it is read anew.
      if (time >= refreshAt || time < known.readAt) read().catch(() => undefined);
      return Promise.resolve(known.key);
    },

    refused: (key) => {
      if (known !== undefined && known.key !== key) return Promise.resolve(known.key);
      if (search?.key === key) return search.found;
      if (Math.abs(now() - searchedInVainAt) < REFUSED_PAUSE_MS) return Promise.resolve(null);
      if (refusals.size > 10) refusals.clear();
      refusals.set(key, now());
      const found = findOther().finally(() => {
        search = undefined;
      });
      search = { key, found };
      return found;
    },
  };
}

function createReader(source: KeySource): (slot: number) => Promise<string> {
  if (source.kind === 'setting') {
    return (slot) => {
      const key = source.keys[slot];
      return key === undefined ? Promise.reject(new Error('No key is set.')) : Promise.resolve(key);
    };
  }
  const client = new SecretClient(source.uri, source.credential, {
    retryOptions: { maxRetries: 2, retryDelayInMs: 300, maxRetryDelayInMs: 2_000 },
    ...source.options,
  });
  return async (slot) => {
    const { value } = await client.getSecret(source.secrets[slot] ?? '', {
      abortSignal: AbortSignal.timeout(READ_MS),
    });
    if (!value) throw new Error('The secret is empty.');
    return value;
  };
}
