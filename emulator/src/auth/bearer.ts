import { createPublicKey, verify } from 'node:crypto';
import type { JsonWebKey, KeyObject } from 'node:crypto';
import { CosmosError } from '../errors.ts';
import { isObject } from '../json.ts';
import type { JsonObject } from '../json.ts';

/** Where Microsoft Entra tokens come from, and what their holders may do. */
export interface IdentityOptions {
  /** The `iss` of its tokens; its keys are found through `<issuer>/.well-known/openid-configuration`. */
  readonly issuer: string;
  /** Accepted `aud`; absent: any. */
  readonly audience?: string;
  readonly assignments: readonly RoleAssignment[];
}

/** A data-plane role: Cosmos DB Built-in Data Reader or Data Contributor, or one of your own. */
export type Role =
  | 'reader'
  | 'contributor'
  | {
      /** Whole names, as `Microsoft.DocumentDB/databaseAccounts/readMetadata`; the last part may be `*`. */
      readonly dataActions: readonly string[];
    };

export interface RoleAssignment {
  /** `oid` of the token, or `sub` where there is none. */
  readonly principal: string;
  readonly role: Role;
  /** `/` (the account), `/dbs/<name>` or `/dbs/<name>/colls/<name>`. */
  readonly scope: string;
}

/** A token with a key that is not among the known ones makes them be read again, but not more often than this. */
const refreshEveryMs = 30_000;

/** Verifies bearer tokens: RS256 and ES256 by the issuer's published keys. */
export class BearerVerifier {
  readonly #options: IdentityOptions;
  #keys = new Map<string, KeyObject>();
  #readAt = -Infinity;

  constructor(options: IdentityOptions) {
    this.#options = options;
  }

  /** The principal of a token, or 401. */
  async principalOf(token: string, now: number): Promise<string> {
    const [head, body, signature, ...rest] = token.split('.');
    if (head === undefined || body === undefined || signature === undefined || rest.length > 0)
      throw refused('it is not a JWT');
    const header = decode(head);
    const claims = decode(body);
    const { alg, kid } = header;
    if (alg !== 'RS256' && alg !== 'ES256') throw refused('its algorithm is none of RS256 and ES256');
    const key = await this.#key(typeof kid === 'string' ? kid : '', now);
    // The key decides which algorithm is meant; the header only has to agree.
    if ((key.asymmetricKeyType === 'rsa') !== (alg === 'RS256')) throw refused('its key is of another kind');
    const parameters = alg === 'ES256' ? { key, dsaEncoding: 'ieee-p1363' as const } : key;
    const good = verify(
      'sha256',
      Buffer.from(`${head}.${body}`),
      parameters,
      Buffer.from(signature, 'base64url'),
    );
    if (!good) throw refused('its signature is wrong');
    return this.#check(claims, now / 1000);
  }

  #check(claims: JsonObject, nowSeconds: number): string {
    const { iss, aud, exp, nbf, oid, sub } = claims;
    const { issuer, audience } = this.#options;
    if (iss !== issuer) throw refused('it is from another issuer');
    const audiences = Array.isArray(aud) ? aud : [aud];
    if (audience !== undefined && !audiences.includes(audience)) throw refused('it is for another audience');
    if (typeof exp !== 'number' || exp <= nowSeconds) throw refused('it has expired');
    if (typeof nbf === 'number' && nbf > nowSeconds + 300) throw refused('it is not valid yet');
    const principal = oid ?? sub;
    if (typeof principal !== 'string' || principal === '') throw refused('it names no principal');
    return principal;
  }

  async #key(kid: string, now: number): Promise<KeyObject> {
    if (!this.#keys.has(kid) && now - this.#readAt >= refreshEveryMs) {
      this.#keys = await readKeys(this.#options.issuer);
      this.#readAt = now;
    }
    const key = this.#keys.get(kid);
    if (key === undefined) throw refused('its key is not one of the issuer');
    return key;
  }
}

const refused = (why: string): CosmosError =>
  new CosmosError(401, `The Microsoft Entra token is not accepted: ${why}.`);

function decode(part: string): JsonObject {
  try {
    const parsed: unknown = JSON.parse(Buffer.from(part, 'base64url').toString('utf8'));
    if (isObject(parsed)) return parsed;
  } catch {
    // The refusal below says it.
  }
  throw refused('it is not a JWT');
}

async function readKeys(issuer: string): Promise<Map<string, KeyObject>> {
  const base = issuer.endsWith('/') ? issuer : `${issuer}/`;
  try {
    const discovery = await readJson(`${base}.well-known/openid-configuration`);
    const { jwks_uri: uri } = discovery;
    const { keys } = await readJson(typeof uri === 'string' ? uri : '');
    const found = Array.isArray(keys) ? keys.filter(isObject) : [];
    return new Map(
      found
        .filter(({ kid, kty }) => typeof kid === 'string' && (kty === 'RSA' || kty === 'EC'))
        .map((key) => [key['kid'] as string, createPublicKey({ key: key as JsonWebKey, format: 'jwk' })]),
    );
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new CosmosError(503, `The keys of the issuer ${issuer} cannot be read: ${reason}`);
  }
}

async function readJson(url: string): Promise<JsonObject> {
  const response = await fetch(url, { signal: AbortSignal.timeout(10_000) });
  const parsed: unknown = await response.json();
  if (!response.ok || !isObject(parsed)) throw new Error(`${url} answers ${response.status}`);
  return parsed;
}
