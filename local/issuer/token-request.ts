/** What a token is to say. */
export interface TokenRequest {
  readonly sub: string;
  readonly roles?: readonly string[];
  /** Seconds. Negative: a token that has already expired, to see what happens then. */
  readonly lifetime?: number;
  /** Further claims, for example `facilities` for the scopes of a team, or another `aud`. */
  readonly [claim: string]: unknown;
}

/** A request that no token can be made from; its message goes to the caller. */
export class TokenRequestError extends Error {}

/** Bytes of a token request. */
export const MAX_REQUEST_BYTES = 65_536;

const MAX_SUBJECT = 255;
const MAX_LIFETIME = 365 * 86_400;
const MAX_DEPTH = 8;

/** The issuer says these itself. */
const OWN_CLAIMS = ['iss', 'iat', 'nbf', 'exp', 'jti'] as const;

/** What OAuth clients send along and an issuer without passwords has no use for. */
const IGNORED = new Set(['grant_type', 'client_id', 'client_secret', 'username', 'password']);

/**
 * Reads the body of `POST /token`, JSON or a form.
 *
 * In a form `roles` may be repeated or separated with commas; another claim becomes a list when it is repeated or
 * written as a JSON list: `facilities=["12"]`.
 *
 * @throws TokenRequestError
 */
export function parseTokenRequest(contentType: string, body: string): TokenRequest {
  const mediaType = contentType.split(';')[0]?.trim().toLowerCase();
  if (mediaType === 'application/json') return checkTokenRequest(parseJson(body));
  if (mediaType === 'application/x-www-form-urlencoded') return checkTokenRequest(parseForm(body));
  throw new TokenRequestError('Send application/json or application/x-www-form-urlencoded.');
}

/**
 * Checks a token request that has been read.
 *
 * @throws TokenRequestError
 */
export function checkTokenRequest(content: unknown): TokenRequest {
  if (typeof content !== 'object' || content === null || Array.isArray(content)) {
    throw new TokenRequestError('The body is not a JSON object.');
  }
  const entries = Object.entries(content).filter(([name]) => !IGNORED.has(name));
  const claims: Record<string, unknown> = Object.fromEntries(entries);
  const { sub, roles, lifetime } = claims;
  if (typeof sub !== 'string' || sub === '' || sub.length > MAX_SUBJECT) {
    throw new TokenRequestError(`"sub", the user's name, must be a text of 1 to ${MAX_SUBJECT} characters.`);
  }
  if (roles !== undefined && !isTextList(roles))
    throw new TokenRequestError('"roles" must be a list of texts.');
  if (lifetime !== undefined && !isLifetime(lifetime)) {
    throw new TokenRequestError(`"lifetime" must be a whole number of seconds, at most ${MAX_LIFETIME}.`);
  }
  const own = OWN_CLAIMS.find((name) => name in claims);
  if (own !== undefined) throw new TokenRequestError(`"${own}" is set by the issuer.`);
  if (Object.hasOwn(claims, '__proto__')) throw new TokenRequestError('"__proto__" is no claim.');
  if (!isShallow(claims, MAX_DEPTH)) throw new TokenRequestError(`Claims nest ${MAX_DEPTH} levels at most.`);
  return {
    ...claims,
    sub,
    ...(roles === undefined ? {} : { roles }),
    ...(lifetime === undefined ? {} : { lifetime }),
  };
}

function parseJson(body: string): unknown {
  try {
    return JSON.parse(body);
  } catch {
    throw new TokenRequestError('The body is not JSON.');
  }
}

function parseForm(body: string): Record<string, unknown> {
  const form = new URLSearchParams(body);
  const claims = [...new Set(form.keys())].map((name): [string, unknown] => {
    const values = form.getAll(name);
    const text = values.join(',');
    if (name === 'roles') return [name, text.split(',').filter((role) => role !== '')];
    if (name === 'lifetime') return [name, /^-?\d+$/.test(text) ? Number(text) : text];
    if (values.length > 1) return [name, values];
    return [name, text.startsWith('[') ? parseJson(text) : text];
  });
  return Object.fromEntries(claims);
}

function isTextList(value: unknown): value is string[] {
  return Array.isArray(value) && value.every((item) => typeof item === 'string');
}

function isLifetime(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && Math.abs(value) <= MAX_LIFETIME;
}

function isShallow(value: unknown, depth: number): boolean {
  if (typeof value !== 'object' || value === null) return true;
  return depth > 0 && Object.values(value).every((inner) => isShallow(inner, depth - 1));
}
