import { roleIn, type Identity } from '../auth/identity.ts';
import { RequestError } from '../errors.ts';

export type TokenMode = 'read' | 'all';

export interface GrantRules {
  /** What a token of a private scope may do at most. */
  readonly privateMode: TokenMode;
  /** The kinds of shared scope there are. */
  readonly sharedKinds: ReadonlySet<string>;
}

/**
 * What a resource token for a scope may do: never more than the caller's role, and writing only in the own private
 * scope where every collection allows it. Tokens for shared scopes are for reading: what a holder writes is not
 * checked by anybody, and others would have to live with it.
 *
 * @param asked null: as much as is allowed
 * @throws RequestError `scope_not_granted`, `mode_not_granted`
 */
export function grantFor(
  identity: Identity,
  scope: string,
  asked: TokenMode | null,
  { privateMode, sharedKinds }: GrantRules,
): TokenMode {
  const role = roleIn(identity, scope);
  const kind = scope.slice(0, scope.indexOf(':'));
  if (role === null || (kind !== 'user' && !sharedKinds.has(kind))) {
    throw new RequestError('scope_not_granted', { pointer: '/scopes' });
  }
  const allowed = scope === identity.ownScope && role !== 'reader' ? privateMode : 'read';
  if (asked === 'all' && allowed === 'read') throw new RequestError('mode_not_granted', { pointer: '/mode' });
  return asked ?? allowed;
}
