import { CosmosError } from '../errors.ts';
import { isReadOnly } from '../http/route.ts';
import type { Route } from '../http/route.ts';
import type { Caller } from './authenticate.ts';
import type { RoleAssignment } from './bearer.ts';
import { roleRefusal } from './roles.ts';
import type { Grant } from './resource-token.ts';

/** What a request touches, as far as a grant cares. */
export interface Target {
  /** rid of the container the path names, where there is one. */
  readonly container: string | undefined;
  /** Canonical partition key from the header, or null. */
  readonly partitionKey: string | null;
  /** Of the request, as it was sent. */
  readonly body: string;
}

const forbidden = (message: string): CosmosError => new CosmosError(403, message);

/** Throws 403 where the caller may not do this. Every request passes here before anything is read or written. */
export function authorize(
  caller: Caller,
  route: Route,
  target: Target,
  assignments: readonly RoleAssignment[],
): void {
  if (caller.kind === 'master') return;
  if (caller.kind === 'principal') {
    const refusal = roleRefusal(assignments, caller.principal, route, target.body);
    if (refusal !== undefined)
      throw new CosmosError(403, `Request blocked by Auth: ${refusal}`, { subStatus: 5300 });
    return;
  }
  if (caller.kind === 'readOnly') {
    if (!isReadOnly(route.operation)) throw forbidden('A read-only key cannot write.');
    // A read-only key must not hand out tokens: every read of a permission mints one.
    if (route.resource === 'permission') throw forbidden('A read-only key cannot read permissions.');
    return;
  }
  const refusal = refusalOf(caller.grant, route, target);
  if (refusal !== undefined)
    throw forbidden(`Insufficient permissions provided in the authorization header: ${refusal}`);
}

/** Why a resource token does not open this, or undefined where it does. */
export function refusalOf(grant: Grant, route: Route, target: Target): string | undefined {
  // The SDKs read the account first, with whatever token they have; it tells where the account is and nothing else.
  if (route.resource === 'account') return undefined;
  if (target.container === undefined || target.container !== grant.container)
    return 'the token is for another resource.';
  if (route.resource === 'container')
    return !route.feed && route.operation === 'read'
      ? undefined
      : 'a token does not reach the container itself.';
  // Where the partitions lie is no secret of theirs: the SDKs for Java, Python and .NET read it before they ask for one
  // key, and their own tests do so with tokens of one key (azure-cosmos-dotnet-v3 #1143, azure-sdk-for-java #19547).
  if (route.resource === 'pkranges')
    return route.operation === 'list' ? undefined : 'partition ranges can only be listed.';
  if (route.resource !== 'document') return 'a token opens documents only.';
  if (grant.mode === 'Read' && !isReadOnly(route.operation)) return 'the token is for reading.';
  if (grant.document !== null && (route.feed || route.names[2] !== grant.document))
    return 'the token opens one document.';
  if (grant.partitionKey !== null && !covers(grant.partitionKey, target.partitionKey))
    return 'the token opens one partition key, and the request names another one or none.';
  return undefined;
}

/** Equal, or for hierarchical keys a prefix. Both are canonical JSON arrays. */
function covers(granted: string, asked: string | null): boolean {
  return asked !== null && (asked === granted || asked.startsWith(`${granted.slice(0, -1)},`));
}
