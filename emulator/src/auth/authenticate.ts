import { CosmosError } from '../errors.ts';
import type { Route } from '../http/route.ts';
import { signatureMatches } from './master-key.ts';
import { readToken } from './resource-token.ts';
import type { Grant } from './resource-token.ts';

/** Who is calling, proven. */
export type Caller =
  | { readonly kind: 'master' }
  | { readonly kind: 'readOnly' }
  | { readonly kind: 'token'; readonly grant: Grant }
  | { readonly kind: 'principal'; readonly principal: string };

export interface Keys {
  /** The primary key. Regenerated while running. */
  master: Buffer;
  /** The other key that opens everything, for the time while the first is changed. */
  secondary: Buffer;
  readonly readOnly: Buffer;
  /** True: only Microsoft Entra tokens are taken, as with disableLocalAuth on an account. */
  readonly localAuthDisabled: boolean;
}

export interface Credentials {
  readonly authorization: string | undefined;
  readonly date: string | undefined;
  /** What a bearer token proved, found out beforehand because the issuer's keys may have to be fetched. */
  readonly bearer: string | CosmosError | undefined;
}

/** A signed request is good for this long before and after its date. */
const dateSkewMs = 15 * 60 * 1000;

const unauthorized = (message: string): CosmosError => new CosmosError(401, message);

/**
 * Proves who is calling or throws 401 (no or wrong credentials) or 403 (right ones at the wrong time). It looks at
 * nothing but the request, so a stranger learns nothing about what exists.
 */
export function authenticate(
  keys: Keys,
  credentials: Credentials,
  verb: string,
  route: Route,
  rawLink: string,
  now: number,
): Caller {
  if (credentials.authorization === undefined || credentials.authorization === '')
    throw unauthorized(
      'Required Header authorization is missing. Ensure a valid Authorization token is passed.',
    );
  const token = decodeToken(credentials.authorization);
  if (token.startsWith(bearerPrefix)) return principal(credentials.bearer);
  if (keys.localAuthDisabled)
    throw new CosmosError(
      401,
      'Local Authorization is disabled. Use an AAD token to authorize all requests.',
      { subStatus: 5202 },
    );
  if (token.startsWith('type=master&'))
    return master(keys, token, credentials.date, verb, route, rawLink, now);
  if (token.startsWith('type=resource&')) return resource(keys, token, now);
  throw unauthorized(
    'The authorization header is none of the kinds this account takes: type=master, type=resource and type=aad.',
  );
}

const bearerPrefix = 'type=aad&ver=1.0&sig=';

/** The bearer token of an authorization header, or undefined where it holds none. */
export function bearerToken(header: string | undefined): string | undefined {
  if (header === undefined) return undefined;
  try {
    const token = decodeToken(header);
    return token.startsWith(bearerPrefix) ? token.slice(bearerPrefix.length) : undefined;
  } catch {
    return undefined;
  }
}

function principal(bearer: string | CosmosError | undefined): Caller {
  if (bearer === undefined)
    throw unauthorized('This account takes no Microsoft Entra tokens: it has no issuer.');
  if (bearer instanceof CosmosError) throw bearer;
  return { kind: 'principal', principal: bearer };
}

function decodeToken(header: string): string {
  if (!header.includes('%')) return header;
  try {
    return decodeURIComponent(header);
  } catch {
    throw unauthorized('The authorization header is not percent-encoded text.');
  }
}

function master(
  keys: Keys,
  token: string,
  date: string | undefined,
  verb: string,
  route: Route,
  rawLink: string,
  now: number,
): Caller {
  if (date === undefined || date === '')
    throw unauthorized('Required header x-ms-date is missing. A master key signature is over a date.');
  const signature = /^type=master&ver=1\.0&sig=(.+)$/.exec(token)?.[1];
  if (signature === undefined) throw unauthorized('The authorization token is not well formed.');
  const matches = (key: Buffer): boolean => signatureMatches(key, verb, route, rawLink, date, signature);
  const kind =
    matches(keys.master) || matches(keys.secondary)
      ? 'master'
      : matches(keys.readOnly)
        ? 'readOnly'
        : undefined;
  if (kind === undefined)
    throw unauthorized(
      "The input authorization token can't serve the request. The wrong key is being used or the expected payload is not " +
        `built as per the protocol. Server used the following payload to sign: '${verb.toLowerCase()}\\n${route.type}\\n${route.link}\\n${date.toLowerCase()}\\n\\n'`,
    );
  const time = Date.parse(date);
  if (Number.isNaN(time)) throw unauthorized('The date header is not a date in RFC 1123 form.');
  if (Math.abs(time - now) > dateSkewMs)
    throw new CosmosError(
      403,
      `The authorization token is not valid at the current time. Please create another token and retry (token time: ${date}, ` +
        `server time: ${new Date(now).toUTCString()}).`,
    );
  return { kind };
}

function resource(keys: Keys, token: string, now: number): Caller {
  const grant = readToken(keys.master, token);
  if (grant === undefined)
    throw unauthorized('The resource token was not issued by this account or has been altered.');
  if (now >= grant.expires)
    throw new CosmosError(
      403,
      `The authorization token is not valid at the current time: it expired at ${new Date(grant.expires).toUTCString()}.`,
    );
  return { kind: 'token', grant };
}
