import { toIdentity, type ClaimMapping, type Identity, type RoleMapping } from './identity.ts';
import type { KeySetDependencies } from './key-set.ts';
import { PRINCIPAL_HEADER, readPrincipal } from './platform-principal.ts';
import { createVerifier, refuse, requireScopes, type IssuerSettings, type Verified } from './verify.ts';

/** An issuer whose users may come in, and how its claims are read. */
export interface TrustedIssuer extends IssuerSettings {
  /** Stands before its users' ids. At most one issuer has none. */
  readonly alias: string | null;
  /** The claim that names the user. */
  readonly userClaim: string;
  /** The claim that lists roles; null: the one of sync.config.json. */
  readonly rolesClaim: string | null;
}

export interface AuthenticationSettings {
  readonly issuers: readonly TrustedIssuer[];
  /** Take the platform's own principal header where there is no bearer token. Only where the platform guards it. */
  readonly platformPrincipal: boolean;
  readonly sharedScopes: ReadonlyMap<string, string>;
  readonly roles: RoleMapping;
}

/** The part of a request that tells who is calling. */
export interface Headers {
  get(name: string): string | null;
}

/**
 * Tells who is calling: the one place that every function asks. The identity comes from the verified bearer token, or
 * where that is configured from the platform's principal header; never from the path, the query or the body.
 *
 * @throws RequestError, Unavailable
 */
export function createAuthenticator(
  settings: AuthenticationSettings,
  dependencies: KeySetDependencies,
): (headers: Headers) => Promise<Identity> {
  const { issuers, platformPrincipal, sharedScopes, roles } = settings;
  const verify = createVerifier(issuers, dependencies);
  const mappings = new Map<TrustedIssuer, ClaimMapping>(
    issuers.map((issuer) => [
      issuer,
      {
        userClaim: issuer.userClaim,
        alias: issuer.alias,
        otherAliases: issuers.flatMap(({ alias }) =>
          alias === null || alias === issuer.alias ? [] : [alias],
        ),
        sharedScopes,
        roles: { ...roles, claim: issuer.rolesClaim ?? roles.claim },
      },
    ]),
  );

  const fromPlatform = (header: string): Verified<TrustedIssuer> => {
    const claims = readPrincipal(header);
    const issuer = issuers.find((each) => each.issuer === claims?.['iss']);
    // Without the issuer's name a user of another provider could come in under a name of this one.
    if (claims === null || issuer === undefined) throw refuse('invalid_token');
    requireScopes(claims, issuer.requiredScopes);
    return { issuer, claims };
  };

  return async (headers) => {
    const authorization = headers.get('authorization');
    const principal = platformPrincipal && authorization === null ? headers.get(PRINCIPAL_HEADER) : null;
    const { issuer, claims } = principal === null ? await verify(authorization) : fromPlatform(principal);
    const mapping = mappings.get(issuer);
    if (mapping === undefined) throw new Error('An issuer without a mapping.');
    return toIdentity(claims, mapping);
  };
}
