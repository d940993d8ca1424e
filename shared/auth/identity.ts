import { RequestError } from '../errors.ts';
import { encodeName, userScope } from '../protocol/index.ts';

export const ROLES = ['reader', 'writer', 'admin'] as const;
/** `reader` reads and never writes, `writer` does both, `admin` does both in every scope of the kind. */
export type Role = (typeof ROLES)[number];

/** What the claims of a token say about roles. */
export interface RoleGrants {
  /** Holds for every kind of scope that `kinds` does not name. */
  readonly general: Role;
  /** Kind of scope to the role there; it goes before the general one, also where it is the lower one. */
  readonly kinds: ReadonlyMap<string, Role>;
}

/** How claim texts become roles: `roles` in sync.config.json. */
export interface RoleMapping {
  /** The claim that holds a text or a list of texts. */
  readonly claim: string;
  /** Where no text of the token says anything. */
  readonly default: Role;
  /** Claim text to role; `kind: null` for one that holds for all kinds. */
  readonly map: ReadonlyMap<string, { readonly kind: string | null; readonly role: Role }>;
}

/** Who is calling, and where they may go: from the verified token only. */
export interface Identity {
  /** The user id as it is stored: encoded so that it fits scopes and ids. */
  readonly userId: string;
  /** The user id as the token spells it, behind the alias of its issuer where that has one. */
  readonly claimedId: string;
  /** The id of the token itself, by which one token can be locked out; null where it has none. */
  readonly tokenId: string | null;
  readonly ownScope: string;
  /** Every scope the token grants, the own one first. */
  readonly scopes: readonly string[];
  /** Ask `roleIn`: what may be done depends on the scope. */
  readonly roles: RoleGrants;
}

export interface ClaimMapping {
  /** The claim that names the user. */
  readonly userClaim: string;
  /** Stands before the user id, with a dot: users of two issuers never become one. */
  readonly alias: string | null;
  /** Aliases of the other issuers; without an alias of its own, no user id may look as if it had one of these. */
  readonly otherAliases: readonly string[];
  /** Kind of shared scope to the claim that lists its ids. */
  readonly sharedScopes: ReadonlyMap<string, string>;
  readonly roles: RoleMapping;
}

const SCOPE_FORM = /^([a-z][a-z0-9-]{0,31}):[A-Za-z0-9._@=-]{1,200}$/;

/**
 * Reads the identity out of the claims of a verified token.
 *
 * @throws RequestError where the claims name no usable user
 */
export function toIdentity(claims: Readonly<Record<string, unknown>>, mapping: ClaimMapping): Identity {
  const { alias, otherAliases } = mapping;
  const claim = claims[mapping.userClaim];
  if (typeof claim !== 'string' || claim === '') throw new RequestError('user_id_unusable');
  if (alias === null && otherAliases.some((other) => claim.startsWith(`${other}.`))) {
    throw new RequestError('user_id_unusable');
  }
  // An alias holds no dot, so the first one ends it.
  const claimedId = alias === null ? claim : `${alias}.${claim}`;
  const userId = encodeName(claimedId);
  if (userId === null) throw new RequestError('user_id_unusable');
  const ownScope = userScope(userId);
  const shared = [...mapping.sharedScopes].flatMap(([kind, claim]) =>
    textsOf(claims[claim]).flatMap((id) => {
      const name = encodeName(id);
      return name === null ? [] : [`${kind}:${name}`];
    }),
  );
  return {
    userId,
    claimedId,
    tokenId: tokenIdOf(claims),
    ownScope,
    scopes: [ownScope, ...new Set(shared)],
    roles: toGrants(textsOf(claims[mapping.roles.claim]), mapping.roles),
  };
}

/** `jti`, or `uti` as Microsoft Entra ID names it. */
function tokenIdOf({ jti, uti }: Readonly<Record<string, unknown>>): string | null {
  const id = jti ?? uti;
  return typeof id === 'string' && id !== '' ? id : null;
}

/** Of several texts the highest role counts, for each kind apart. */
export function toGrants(texts: readonly string[], mapping: RoleMapping): RoleGrants {
  let general: Role | null = null;
  const kinds = new Map<string, Role>();
  for (const text of texts) {
    const granted = mapping.map.get(text);
    if (granted === undefined) continue;
    if (granted.kind === null) general = higher(general, granted.role);
    else kinds.set(granted.kind, higher(kinds.get(granted.kind) ?? null, granted.role));
  }
  return { general: general ?? mapping.default, kinds };
}

const higher = (a: Role | null, b: Role): Role => (a === null || ROLES.indexOf(a) < ROLES.indexOf(b) ? b : a);

/**
 * What the caller may do in a scope: the role for its kind, where the token grants the scope. An admin of a kind has
 * every scope of it; one of all kinds has every shared scope, but not the private ones of others.
 *
 * @returns null: nothing, the scope is as if it were not there
 */
export function roleIn({ scopes, roles }: Identity, scope: string): Role | null {
  const kind = SCOPE_FORM.exec(scope)?.[1];
  if (kind === undefined) return null;
  const explicit = roles.kinds.get(kind);
  const role = explicit ?? roles.general;
  if (scopes.includes(scope)) return role;
  return role === 'admin' && (kind !== 'user' || explicit === 'admin') ? 'admin' : null;
}

/** May the caller use the administration of the service? Only an admin of all kinds. */
export const isAdmin = ({ roles }: Identity): boolean => roles.general === 'admin';

const textsOf = (claim: unknown): string[] =>
  (Array.isArray(claim) ? (claim as unknown[]) : [claim]).filter((value) => typeof value === 'string');
