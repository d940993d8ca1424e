import { createRemoteJWKSet, errors, jwtVerify, type JWTPayload, type JWTVerifyGetKey } from 'jose';
import { RequestError, Unavailable } from '../errors.ts';

export interface IssuerSettings {
  /** The `iss` of accepted tokens; its OpenID discovery document names the keys. */
  readonly issuer: string;
  /** The `aud` of accepted tokens. */
  readonly audience: string;
  /** Accepted signature algorithms; never one chosen by the token alone. */
  readonly algorithms: readonly string[];
  /** Where the keys are, when discovery is not wanted. */
  readonly jwksUri: string | null;
}

/** Asymmetric algorithms only: with a shared secret, whoever can verify could also sign. */
export const SAFE_ALGORITHMS = [
  'RS256',
  'RS384',
  'RS512',
  'PS256',
  'PS384',
  'PS512',
  'ES256',
  'ES384',
  'ES512',
  'EdDSA',
];

const CLOCK_TOLERANCE_SECONDS = 60;
const TIMEOUT_MS = 5_000;
/** Least time between two looks for a key that is not known: tokens with made-up key names cost no more than that. */
const LOOK_AGAIN_MS = 10_000;

/**
 * Verifies bearer tokens: signature, issuer, audience, expiry, algorithm. Keys are fetched when first needed, cached,
 * and fetched again when a token names one that is not known (key rollover).
 */
export function createVerifier(
  settings: IssuerSettings,
  now: () => number,
): (authorization: string | null) => Promise<JWTPayload> {
  const keys = createKeySource(settings, now);
  return async (authorization) => {
    const token = readBearer(authorization);
    try {
      const { payload } = await jwtVerify(token, await keys(), {
        issuer: settings.issuer,
        audience: settings.audience,
        algorithms: [...settings.algorithms],
        clockTolerance: CLOCK_TOLERANCE_SECONDS,
        currentDate: new Date(now()),
        // A token without an end would be good for ever.
        requiredClaims: ['exp'],
      });
      return payload;
    } catch (error) {
      throw toRefusal(error);
    }
  };
}

function readBearer(authorization: string | null): string {
  if (authorization === null || authorization === '') {
    throw new RequestError('missing_token', { headers: { 'www-authenticate': 'Bearer' } });
  }
  const [, token] = /^Bearer +([A-Za-z0-9._~+/=-]+)$/i.exec(authorization) ?? [];
  if (token === undefined) throw refuse('invalid_token', 'The Authorization header is not `Bearer <token>`.');
  return token;
}

const refuse = (code: 'invalid_token' | 'token_expired', detail?: string, cause?: unknown): RequestError =>
  new RequestError(code, {
    ...(detail === undefined ? {} : { detail }),
    headers: { 'www-authenticate': 'Bearer error="invalid_token"' },
    cause,
  });

/** Says no more than that the token was not accepted, or has expired: why a signature failed helps only a forger. */
function toRefusal(error: unknown): Error {
  if (error instanceof errors.JWTExpired) return refuse('token_expired', undefined, error);
  if (error instanceof Unavailable) return error;
  if (error instanceof errors.JWKSTimeout || error instanceof errors.JWKSInvalid)
    return new Unavailable('The identity provider did not give its keys.', 5, { cause: error });
  if (error instanceof errors.JOSEError && error.code !== 'ERR_JOSE_GENERIC')
    return refuse('invalid_token', undefined, error);
  // `jose` reports an answer other than 200 as a generic error, and a lost connection as the fetch's own.
  return new Unavailable('The identity provider did not give its keys.', 5, { cause: error });
}

/** One flight at a time; a failed discovery is tried again with the next request. */
function createKeySource(
  { issuer, jwksUri }: IssuerSettings,
  now: () => number,
): () => Promise<JWTVerifyGetKey> {
  let keys: Promise<JWTVerifyGetKey> | undefined;
  return () => {
    keys ??= (jwksUri === null ? discover(issuer) : Promise.resolve(jwksUri))
      .then((uri) => createKeySet(new URL(uri), now))
      .catch((error: unknown) => {
        keys = undefined;
        throw error;
      });
    return keys;
  };
}

/**
 * `jose` looks for an unknown key only 30 s after its last fetch, so an issuer that changes its key soon after the app
 * has started would lock its users out for that long. Here the first look is free, and later ones are bounded; any of
 * them brings all new keys, so tokens with made-up key names cannot keep a real one away.
 */
function createKeySet(uri: URL, now: () => number): JWTVerifyGetKey {
  const known = createRemoteJWKSet(uri, { timeoutDuration: TIMEOUT_MS, cooldownDuration: Infinity });
  let lookedAt = -Infinity;
  let look: Promise<void> | undefined;
  return async (header, token) => {
    try {
      return await known(header, token);
    } catch (error) {
      if (!(error instanceof errors.JWKSNoMatchingKey)) throw error;
      if (look === undefined) {
        if (Math.abs(now() - lookedAt) < LOOK_AGAIN_MS) throw error;
        lookedAt = now();
        look = known.reload().finally(() => (look = undefined));
      }
      await look;
      return await known(header, token);
    }
  };
}

/** OpenID Connect Discovery 1.0, section 4: the document must name the issuer it was asked for. */
async function discover(issuer: string): Promise<string> {
  const address = `${issuer.replace(/\/$/, '')}/.well-known/openid-configuration`;
  let document: unknown;
  try {
    const response = await fetch(address, { signal: AbortSignal.timeout(TIMEOUT_MS) });
    document = response.ok ? await response.json() : null;
  } catch (error) {
    throw new Unavailable('The identity provider cannot be reached.', 5, { cause: error });
  }
  const { issuer: named, jwks_uri: uri } = (document ?? {}) as { issuer?: unknown; jwks_uri?: unknown };
  if (named !== issuer || typeof uri !== 'string') {
    throw new Unavailable('The discovery document of the identity provider does not fit its issuer.', 5);
  }
  return uri;
}
