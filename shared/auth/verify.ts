import { decodeJwt, errors, jwtVerify, type JWTPayload } from 'jose';
import { RequestError, Unavailable } from '../errors.ts';
import { createKeySet, type KeyAddress, type KeySetDependencies } from './key-set.ts';

export interface IssuerSettings extends KeyAddress {
  /** The `aud` of accepted tokens. */
  readonly audience: string;
  /** Accepted signature algorithms; never one chosen by the token alone. */
  readonly algorithms: readonly string[];
  /** Words that must all be among those of `scp` or `scope`. */
  readonly requiredScopes: readonly string[];
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
/** Characters of a bearer token; a directory that puts two hundred groups into one stays below. */
const MAX_TOKEN = 16_384;

/** What a verified token says, and which of the issuers says it. */
export interface Verified<I extends IssuerSettings> {
  readonly issuer: I;
  readonly claims: JWTPayload;
}

/**
 * Verifies bearer tokens: signature, issuer, audience, algorithm, expiry, beginning, required scopes. The `iss` of the
 * token picks the issuer whose keys and rules it is then held against.
 *
 * @param issuers each with an `iss` of its own
 * @throws RequestError, Unavailable
 */
export function createVerifier<I extends IssuerSettings>(
  issuers: readonly I[],
  dependencies: KeySetDependencies,
): (authorization: string | null) => Promise<Verified<I>> {
  const known = new Map(
    issuers.map((issuer) => [issuer.issuer, { issuer, keys: createKeySet(issuer, dependencies) }]),
  );
  return async (authorization) => {
    const token = readBearer(authorization);
    try {
      const { issuer, keys } = known.get(decodeJwt(token).iss ?? '') ?? {};
      if (issuer === undefined || keys === undefined) throw refuse('invalid_token');
      const { payload } = await jwtVerify(token, keys, {
        issuer: issuer.issuer,
        audience: issuer.audience,
        algorithms: [...issuer.algorithms],
        clockTolerance: CLOCK_TOLERANCE_SECONDS,
        currentDate: new Date(dependencies.now()),
        // A token without an end would be good for ever.
        requiredClaims: ['exp'],
      });
      requireScopes(payload, issuer.requiredScopes);
      return { issuer, claims: payload };
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
  if (token.length > MAX_TOKEN) throw refuse('invalid_token');
  return token;
}

/**
 * `scp` is how Microsoft Entra ID names what RFC 8693 calls `scope`; one text with spaces, or a list.
 *
 * @throws RequestError `insufficient_scope`
 */
export function requireScopes(claims: JWTPayload, required: readonly string[]): void {
  const granted = new Set(
    [claims['scp'], claims['scope']]
      .flat()
      .flatMap((value) => (typeof value === 'string' ? value.split(' ') : [])),
  );
  if (required.every((scope) => granted.has(scope))) return;
  throw new RequestError('insufficient_scope', {
    headers: {
      'www-authenticate': `Bearer error="insufficient_scope", scope="${required.join(' ')}"`,
    },
  });
}

/** A refusal of who is calling, with the challenge of RFC 6750. */
export const refuse = (
  code: 'invalid_token' | 'token_expired',
  detail?: string,
  cause?: unknown,
): RequestError =>
  new RequestError(code, {
    ...(detail === undefined ? {} : { detail }),
    headers: { 'www-authenticate': 'Bearer error="invalid_token"' },
    cause,
  });

/** Says no more than that the token was not accepted, or has expired: why a signature failed helps only a forger. */
function toRefusal(error: unknown): Error {
  if (error instanceof RequestError || error instanceof Unavailable) return error;
  if (error instanceof errors.JWTExpired) return refuse('token_expired', undefined, error);
  if (error instanceof errors.JWKSInvalid)
    return new Unavailable('The identity provider did not give its keys.', 5, { cause: error });
  if (error instanceof errors.JOSEError) return refuse('invalid_token', undefined, error);
  // A key that no signature can be checked with, for one.
  return refuse('invalid_token', undefined, error);
}
