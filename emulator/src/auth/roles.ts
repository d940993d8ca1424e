import { isReadOnly } from '../http/route.ts';
import type { Route } from '../http/route.ts';
import type { RoleAssignment } from './bearer.ts';

/**
 * Why data-plane roles do not allow a request, or undefined where they do. Reader and contributor both read metadata
 * and documents; contributors also write documents. Databases, containers, users, permissions and offers are made
 * through the control plane or with keys, never with a Microsoft Entra token.
 * https://learn.microsoft.com/azure/cosmos-db/nosql/security/reference-data-plane-roles
 */
export function roleRefusal(
  assignments: readonly RoleAssignment[],
  principal: string,
  route: Route,
): string | undefined {
  const own = assignments.filter((assignment) => assignment.principal === principal);
  if (own.length === 0) return 'the principal has no role assignment.';
  if (route.resource === 'account') return undefined;
  const scope = scopeOf(route);
  if (scope === undefined)
    return 'requests for this resource cannot be authorized by a Microsoft Entra token.';
  const write = !isReadOnly(route.operation);
  if (write && route.resource !== 'document')
    return 'management operations cannot be authorized by a Microsoft Entra token.';
  const allowed = own.some(
    ({ role, scope: granted }) => covers(granted, scope) && (!write || role === 'contributor'),
  );
  return allowed ? undefined : `no role of the principal allows ${route.operation} on ${scope}.`;
}

/** What an assignment has to cover. A database's container list belongs to the database, and so on. */
function scopeOf({ resource, names, feed }: Route): string | undefined {
  const [database = '', container = ''] = names;
  switch (resource) {
    case 'database':
      return feed ? '/' : `/dbs/${database}`;
    case 'container':
      return feed ? `/dbs/${database}` : `/dbs/${database}/colls/${container}`;
    case 'pkranges':
    case 'document':
      return `/dbs/${database}/colls/${container}`;
    default:
      return undefined;
  }
}

function covers(granted: string, asked: string): boolean {
  const scope = granted.replace(/\/+$/, '');
  return asked === scope || asked.startsWith(`${scope}/`);
}
