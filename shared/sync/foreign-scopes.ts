import type { SyncResponse } from '../protocol/index.ts';

/**
 * The scopes that a sync named and the token does not grant, for the audit. A name under `scopes` is left out of the sync
 * without an error: a device whose scope was taken away has to hear the list that is granted now. A change for one is
 * rejected.
 *
 * @param request that was answered, so it has the form of one
 */
export function foreignScopes(
  request: { readonly scopes?: readonly string[]; readonly changes?: readonly unknown[] },
  { scopes, results }: Pick<SyncResponse, 'scopes' | 'results'>,
): string[] {
  const named = (request.scopes ?? []).filter((scope) => !scopes.includes(scope));
  const written = results.flatMap(({ error }, index) => {
    const { scope } = (request.changes?.[index] ?? {}) as { readonly scope?: unknown };
    return error?.code === 'scope_forbidden' && typeof scope === 'string' ? [scope] : [];
  });
  return [...new Set([...named, ...written])];
}
