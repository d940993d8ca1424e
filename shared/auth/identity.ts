import { RequestError } from '../errors.ts';
import { userScope } from '../protocol/index.ts';

/** Who is calling, and where they may go: from the verified token only. */
export interface Identity {
  /** The user id as it is stored: encoded so that it fits scopes and ids. */
  readonly userId: string;
  /** The user id as the token spells it. */
  readonly claimedId: string;
  readonly ownScope: string;
  /** Every scope the token grants, the own one first. */
  readonly scopes: readonly string[];
}

export interface ClaimMapping {
  /** The claim that names the user. */
  readonly userClaim: string;
  /** Kind of shared scope to the claim that lists its ids. */
  readonly sharedScopes: ReadonlyMap<string, string>;
}

const SCOPE_ID_MAX = 200;

/**
 * Reads the identity out of the claims of a verified token.
 *
 * @throws RequestError where the claims name no usable user
 */
export function toIdentity(claims: Readonly<Record<string, unknown>>, mapping: ClaimMapping): Identity {
  const claimedId = claims[mapping.userClaim];
  if (typeof claimedId !== 'string') throw new RequestError('user_id_unusable');
  const userId = encodeName(claimedId);
  if (userId === null) throw new RequestError('user_id_unusable');
  const ownScope = userScope(userId);
  const shared = [...mapping.sharedScopes].flatMap(([kind, claim]) =>
    textsOf(claims[claim]).flatMap((id) => {
      const name = encodeName(id);
      return name === null ? [] : [`${kind}:${name}`];
    }),
  );
  return { userId, claimedId, ownScope, scopes: [ownScope, ...new Set(shared)] };
}

/**
 * Spells a name with the characters a scope may have: any other byte of its UTF-8 form becomes `=` and two hex
 * digits, `=` itself included, so two names never become one. `.` and `..` are spelled out too: names become parts of
 * Cosmos DB paths, where those two mean something else.
 *
 * @returns null for a name that is empty, too long, or not well-formed Unicode
 */
export function encodeName(name: string): string | null {
  if (Buffer.from(name, 'utf8').toString('utf8') !== name) return null;
  const special = /^\.{1,2}$/.test(name) ? /\./g : /[^A-Za-z0-9._@-]/gu;
  const encoded = name.replace(special, (character) =>
    [...Buffer.from(character, 'utf8')]
      .map((byte) => `=${byte.toString(16).toUpperCase().padStart(2, '0')}`)
      .join(''),
  );
  return encoded.length === 0 || encoded.length > SCOPE_ID_MAX ? null : encoded;
}

const textsOf = (claim: unknown): string[] =>
  (Array.isArray(claim) ? (claim as unknown[]) : [claim]).filter((value) => typeof value === 'string');
