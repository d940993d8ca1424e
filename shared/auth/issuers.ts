import { Type, type Static } from 'typebox';
import { compileSchema } from '../validation/validator.ts';
import type { TrustedIssuer } from './authenticate.ts';
import { SAFE_ALGORITHMS } from './verify.ts';

const word = Type.String({ pattern: '^[^\\s"\\\\]+$' });

/** The setting `AUTH_ISSUERS`: a list, where there is more than one issuer. */
const IssuerList = Type.Array(
  Type.Object(
    {
      alias: Type.Optional(Type.String({ pattern: '^[a-z][a-z0-9-]{0,31}$' })),
      issuer: Type.String({ minLength: 1 }),
      audience: Type.String({ minLength: 1 }),
      jwksUri: Type.Optional(Type.String({ minLength: 1 })),
      algorithms: Type.Optional(Type.Array(Type.String({ enum: SAFE_ALGORITHMS }), { minItems: 1 })),
      userClaim: Type.Optional(Type.String({ minLength: 1 })),
      rolesClaim: Type.Optional(Type.String({ minLength: 1 })),
      requiredScopes: Type.Optional(Type.Array(word)),
    },
    { additionalProperties: false },
  ),
  { minItems: 1, maxItems: 50 },
);

const check = compileSchema(IssuerList);

/**
 * Reads the list of issuers.
 *
 * @param isUrl tells whether an address is one that keys may come from
 * @returns undefined for a text that is no such list, for two entries with one issuer or alias, and for more than one
 * entry without an alias
 */
export function parseIssuers(
  text: string,
  isUrl: (address: string) => boolean,
): readonly TrustedIssuer[] | undefined {
  let content: unknown;
  try {
    content = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (check(content) !== null) return undefined;
  const entries = content as Static<typeof IssuerList>;
  const addresses = entries.flatMap(({ issuer, jwksUri }) => [issuer, jwksUri ?? issuer]);
  if (!addresses.every(isUrl)) return undefined;
  if (new Set(entries.map(({ issuer }) => issuer)).size < entries.length) return undefined;
  // Undefined counts as one name: at most one issuer has no alias.
  if (new Set(entries.map(({ alias }) => alias)).size < entries.length) return undefined;
  return entries.map((entry) => ({
    alias: entry.alias ?? null,
    issuer: entry.issuer,
    audience: entry.audience,
    jwksUri: entry.jwksUri ?? null,
    algorithms: entry.algorithms ?? ['RS256'],
    userClaim: entry.userClaim ?? 'sub',
    rolesClaim: entry.rolesClaim ?? null,
    requiredScopes: entry.requiredScopes ?? [],
  }));
}
