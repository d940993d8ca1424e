import { isObject } from '../json.ts';
import { isReadOnly } from '../http/route.ts';
import type { Operation, Route } from '../http/route.ts';
import type { Role, RoleAssignment } from './bearer.ts';

const ACCOUNT = 'Microsoft.DocumentDB/databaseAccounts/';
const CONTAINERS = `${ACCOUNT}sqlDatabases/containers/`;
const METADATA = `${ACCOUNT}readMetadata`;
const ITEMS = `${CONTAINERS}items/`;
const QUERY = `${CONTAINERS}executeQuery`;
const FEED = `${CONTAINERS}readChangeFeed`;

/** What the built-in roles allow: Cosmos DB Built-in Data Reader and Data Contributor. */
const BUILT_IN: Readonly<Record<'reader' | 'contributor', readonly string[]>> = {
  reader: [METADATA, `${ITEMS}read`, QUERY, FEED],
  contributor: [METADATA, `${CONTAINERS}*`, `${ITEMS}*`],
};

/** The action of each operation on documents; a batch needs those of the operations in it. */
const OF_OPERATION: Readonly<Partial<Record<Operation, string>>> = {
  read: `${ITEMS}read`,
  create: `${ITEMS}create`,
  upsert: `${ITEMS}upsert`,
  replace: `${ITEMS}replace`,
  // A patch replaces the item with one that differs from it.
  patch: `${ITEMS}replace`,
  delete: `${ITEMS}delete`,
  query: QUERY,
  queryPlan: QUERY,
  list: FEED,
  changeFeed: FEED,
};

/**
 * The data actions that a request needs, none twice. Databases, containers, users, permissions and offers are made
 * through the control plane or with keys, never with a Microsoft Entra token: there is no action for that.
 *
 * @param body of the request: what a batch does stands there
 * @returns undefined where no action covers the request
 */
export function actionsOf(route: Route, body: string): readonly string[] | undefined {
  const { resource, operation } = route;
  if (resource === 'account') return [METADATA];
  if (resource === 'database' || resource === 'container' || resource === 'pkranges')
    return isReadOnly(operation) ? [METADATA] : undefined;
  if (resource !== 'document') return undefined;
  if (operation === 'batch' || operation === 'bulk') {
    const actions = new Set(operationsIn(body).map(ofBatch));
    return actions.size === 0 ? [METADATA] : [...actions];
  }
  const action = OF_OPERATION[operation];
  return action === undefined ? undefined : [action];
}

const ofBatch = (name: string): string =>
  OF_OPERATION[name.toLowerCase() as Operation] ?? `${ITEMS}${name.toLowerCase()}`;

/** A body that is no batch is refused later, for what it is. */
function operationsIn(body: string): string[] {
  try {
    const parsed: unknown = JSON.parse(body);
    return (Array.isArray(parsed) ? parsed : [])
      .filter(isObject)
      .map(({ operationType }) => (typeof operationType === 'string' ? operationType : 'unknown'));
  } catch {
    return [];
  }
}

/**
 * Why data-plane roles do not allow a request, or undefined where they do.
 * https://learn.microsoft.com/azure/cosmos-db/nosql/security/reference-data-plane-actions
 */
export function roleRefusal(
  assignments: readonly RoleAssignment[],
  principal: string,
  route: Route,
  body: string,
): string | undefined {
  const own = assignments.filter((assignment) => assignment.principal === principal);
  if (own.length === 0) return 'the principal has no role assignment.';
  const actions = actionsOf(route, body);
  if (actions === undefined) return 'management operations cannot be authorized by a Microsoft Entra token.';
  const scope = scopeOf(route);
  const missing = actions.find(
    (action) => !own.some(({ role, scope: granted }) => covers(granted, scope) && grants(role, action)),
  );
  return missing === undefined ? undefined : `no role of the principal allows ${missing} on ${scope ?? '/'}.`;
}

/** `*` stands for the rest of one part of a name. */
const grants = (role: Role, action: string): boolean =>
  (typeof role === 'string' ? BUILT_IN[role] : role.dataActions).some((granted) =>
    granted.endsWith('/*')
      ? action.startsWith(granted.slice(0, -1)) && !action.slice(granted.length - 1).includes('/')
      : granted === action,
  );

/** What an assignment has to cover; undefined: any will do. A database's container list belongs to the database, and so on. */
function scopeOf({ resource, names, feed }: Route): string | undefined {
  const [database = '', container = ''] = names;
  if (resource === 'account') return undefined;
  if (resource === 'database') return feed ? '/' : `/dbs/${database}`;
  if (resource === 'container' && feed) return `/dbs/${database}`;
  return `/dbs/${database}/colls/${container}`;
}

function covers(granted: string, asked: string | undefined): boolean {
  const scope = granted.replace(/\/+$/, '');
  return asked === undefined || asked === scope || asked.startsWith(`${scope}/`);
}
