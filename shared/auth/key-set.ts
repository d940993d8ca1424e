import { createLocalJWKSet, errors, type JSONWebKeySet, type JWTVerifyGetKey } from 'jose';
import { Unavailable } from '../errors.ts';

/** Where the keys of an issuer are found. */
export interface KeyAddress {
  /** The `iss` of its tokens; its OpenID discovery document names the keys. */
  readonly issuer: string;
  /** Where the keys are, when discovery is not wanted. */
  readonly jwksUri: string | null;
}

export interface KeySetDependencies {
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  /** From 0 to below 1. */
  readonly random: () => number;
  readonly fetch: (address: string, init: RequestInit) => Promise<Response>;
}

const MINUTE = 60_000;
/** Keys are fetched again when they are this old, less up to a fifth: many processes do not ask in one moment. */
const FRESH_MS = 10 * MINUTE;
const JITTER = 0.2;
/** After a refresh that failed the keys at hand are used for so long before the issuer is asked again. */
const RETRY_MS = MINUTE / 2;
/** While the issuer cannot be reached its last keys are good for this long: an outage of a working day's part. */
const LAST_GOOD_MS = 6 * 60 * MINUTE;
/** Least time between two looks for a key that is not known: tokens with made-up key names cost no more than that. */
const LOOK_AGAIN_MS = 10_000;
/** Without any good keys: so long after a failure requests are refused without asking the issuer. */
const FAIL_FAST_MS = 1_000;
const TIMEOUT_MS = 5_000;
const MAX_BYTES = 512 * 1024;

interface Known {
  readonly find: JWTVerifyGetKey;
  readonly fetchedAt: number;
}

/**
 * The public keys of one issuer: fetched when first needed, by one flight at a time; fetched again in the background
 * after ten minutes; looked for anew when a token names a key that is not known (rollover), at most every ten seconds.
 * Any look brings all new keys, so tokens with made-up key names cannot keep a real one away. While the issuer is out
 * of reach its last good keys go on being used for six hours.
 *
 * @throws JOSEError where the token's key is not among them; Unavailable when that cannot be told now
 */
export function createKeySet(
  address: KeyAddress,
  { now, random, fetch }: KeySetDependencies,
): JWTVerifyGetKey {
  let known: Known | undefined;
  let refreshAt = -Infinity;
  let lookedAt = -Infinity;
  let lastLookFailed = false;
  let failedAt = -Infinity;
  let flight: Promise<Known> | undefined;

  const load = (): Promise<Known> =>
    (flight ??= (async () => {
      try {
        const find = createLocalJWKSet(await fetchKeys(address, fetch));
        const fetchedAt = now();
        known = { find, fetchedAt };
        refreshAt = fetchedAt + FRESH_MS * (1 - JITTER * random());
        lastLookFailed = false;
        return known;
      } catch (error) {
        failedAt = now();
        refreshAt = failedAt + RETRY_MS;
        lastLookFailed = true;
        throw error instanceof Unavailable ? error : noKeys(error);
      } finally {
        flight = undefined;
      }
    })());

  const current = async (): Promise<Known> => {
    const time = now();
    const age = known === undefined ? Infinity : Math.abs(time - known.fetchedAt);
    if (known === undefined || age > LAST_GOOD_MS) {
      if (flight === undefined && Math.abs(time - failedAt) < FAIL_FAST_MS) throw noKeys();
      return load();
    }
    // A clock that was set back says nothing about the age of the keys: they are fetched anew.
    if (time >= refreshAt || time < known.fetchedAt) load().catch(() => undefined);
    return known;
  };

  return async (header, token) => {
    const keys = await current();
    try {
      return await keys.find(header, token);
    } catch (error) {
      if (!(error instanceof errors.JWKSNoMatchingKey)) throw error;
      if (flight === undefined) {
        if (Math.abs(now() - lookedAt) < LOOK_AGAIN_MS) {
          if (lastLookFailed) throw noKeys();
          throw error;
        }
        lookedAt = now();
      }
      // One that is under way may have begun before the key was there: it does not count as a look for it.
      return (await load()).find(header, token);
    }
  };
}

const noKeys = (cause?: unknown): Unavailable =>
  new Unavailable('The identity provider did not give its keys.', 5, { cause });

/**
 * Fetches the keys of an issuer, past every cache.
 *
 * @throws Unavailable
 */
export const fetchKeys = async (
  { issuer, jwksUri }: KeyAddress,
  fetch: KeySetDependencies['fetch'],
): Promise<JSONWebKeySet> =>
  (await readJson(jwksUri ?? (await discover(issuer, fetch)), fetch)) as JSONWebKeySet;

/** OpenID Connect Discovery 1.0, section 4: the document must name the issuer it was asked for. */
async function discover(issuer: string, fetch: KeySetDependencies['fetch']): Promise<string> {
  const address = `${issuer.replace(/\/$/, '')}/.well-known/openid-configuration`;
  const { issuer: named, jwks_uri: uri } = (await readJson(address, fetch)) as {
    issuer?: unknown;
    jwks_uri?: unknown;
  };
  if (named !== issuer || typeof uri !== 'string' || !isAsSafe(uri, issuer)) {
    throw new Unavailable('The discovery document of the identity provider does not fit its issuer.', 5);
  }
  return uri;
}

/** Keys come over https, from wherever the issuer says; over http only where the issuer itself is on this machine. */
function isAsSafe(uri: string, issuer: string): boolean {
  if (!URL.canParse(uri)) return false;
  const { protocol, hostname } = new URL(uri);
  if (protocol === 'https:') return true;
  return protocol === 'http:' && new URL(issuer).protocol === 'http:' && isLoopback(hostname);
}

const isLoopback = (name: string): boolean => ['127.0.0.1', 'localhost', '[::1]'].includes(name);

/** @throws Unavailable for anything but a JSON object of moderate size, given at once and at this very address */
async function readJson(address: string, fetch: KeySetDependencies['fetch']): Promise<object> {
  let body: unknown;
  try {
    const response = await fetch(address, {
      headers: { accept: 'application/json' },
      redirect: 'manual',
      signal: AbortSignal.timeout(TIMEOUT_MS),
    });
    if (response.status !== 200) {
      // Its connection is free again, whatever it goes on to say.
      await response.body?.cancel();
      throw new Error(`It answered ${response.status}.`);
    }
    body = JSON.parse(await readText(response));
    if (typeof body !== 'object' || body === null) throw new Error('It answered no JSON object.');
    return body;
  } catch (error) {
    throw new Unavailable('The identity provider cannot be reached.', 5, { cause: error });
  }
}

async function readText(response: Response): Promise<string> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of (response.body ?? []) as AsyncIterable<Uint8Array>) {
    bytes += chunk.length;
    if (bytes > MAX_BYTES) throw new Error(`It answered more than ${MAX_BYTES} bytes.`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}
