import { mintToken, tokenLifetime } from '../auth/resource-token.ts';
import { secrets } from '../auth/secrets.ts';
import { badRequest, conflict, notFound } from '../errors.ts';
import { header } from '../http/context.ts';
import type { Context, Services } from '../http/context.ts';
import type { JsonObject } from '../json.ts';
import { canonicalKey, parseKeyValues } from '../partition/partition-key.ts';
import { childRid } from '../rid.ts';
import type { ResourceRow } from '../storage/store.ts';
import { parseBody } from './catalog.ts';
import type { ContainerState } from './catalog.ts';

/** A link has to stay under this many characters. */
const maximumLink = 255;

const MODES: ReadonlyMap<string, 'All' | 'Read'> = new Map([
  ['all', 'All'],
  ['read', 'Read'],
]);

interface Scope {
  readonly container: ContainerState;
  readonly document: string | null;
  readonly partitionKey: string | null;
}

/** Checks a permission's definition and resolves what it is for. */
export function readScope(services: Services, body: JsonObject): Scope & { readonly mode: 'All' | 'Read' } {
  const { permissionMode, resource, resourcePartitionKey } = body;
  // The SDK's own constants are in lower case, the documentation's in capitals.
  const mode = MODES.get(typeof permissionMode === 'string' ? permissionMode.toLowerCase() : '');
  if (mode === undefined)
    throw badRequest(`The permission mode ${JSON.stringify(permissionMode)} is none of All and Read.`);
  if (typeof resource !== 'string' || resource === '' || resource.length > maximumLink)
    throw badRequest(`A permission needs a resource link of at most ${maximumLink} characters.`);
  const parts = resource.split('/').filter((part) => part !== '');
  const [dbs, database, colls, name, docs, document] = parts;
  const shape =
    parts.length === 4 ? 'container' : parts.length === 6 && docs === 'docs' ? 'document' : undefined;
  if (dbs !== 'dbs' || colls !== 'colls' || shape === undefined)
    throw badRequest(
      `The resource '${resource}' of a permission is a container or a document: dbs/d/colls/c[/docs/i].`,
    );
  const container = services.catalog.container(decode(database), decode(name));
  if (container === undefined) throw notFound();
  return {
    mode,
    container,
    document: shape === 'document' ? decode(document) : null,
    partitionKey: readKey(container, resourcePartitionKey),
  };
}

const decode = (part: string | undefined): string => {
  try {
    return decodeURIComponent(part ?? '');
  } catch {
    return part ?? '';
  }
};

function readKey(container: ContainerState, given: JsonObject[string] | undefined): string | null {
  if (given === undefined || given === null) return null;
  const values = parseKeyValues(given);
  if (values === undefined || values.length === 0 || values.length > container.model.keyPaths.length)
    throw badRequest(
      'The resourcePartitionKey of a permission is an array with the values of one partition key.',
    );
  return canonicalKey(values);
}

/** One user has one permission for one resource and key. */
export function refuseSecond(
  services: Services,
  user: ResourceRow,
  body: JsonObject,
  own: string | null,
): void {
  const target = (definition: JsonObject): string =>
    JSON.stringify([definition['resource'], definition['resourcePartitionKey'] ?? null]);
  for (const row of services.catalog.list('permission', user.rid, 100_000, undefined).rows)
    if (row.rid !== own && target(parseBody(row)) === target(body)) throw conflict();
}

export function newPermissionRid(services: Services, user: ResourceRow): string {
  return childRid(user.rid, 'permission', services.store.nextNumber());
}

/** The permission as it is answered: every answer carries a token made for it. */
export function withToken(context: Context, row: ResourceRow): string {
  const body = parseBody(row);
  const { services } = context;
  const seconds = lifetime(header(context, 'x-ms-documentdb-expiry-seconds'));
  const scope = readScopeOrNone(services, body);
  // A permission whose container is gone opens nothing; it is still listed, with a token for nothing.
  const token = mintToken(services.keys.master, {
    permission: row.rid,
    mode: scope?.mode ?? 'Read',
    container: scope?.container.model.rid ?? '',
    document: scope?.document ?? null,
    partitionKey: scope?.partitionKey ?? null,
    expires: Math.floor(services.now() / 1000) * 1000 + seconds * 1000,
  });
  secrets.publish(token);
  return JSON.stringify({ ...body, _token: token });
}

function readScopeOrNone(services: Services, body: JsonObject): ReturnType<typeof readScope> | undefined {
  try {
    return readScope(services, body);
  } catch {
    return undefined;
  }
}

export function lifetime(text: string | undefined): number {
  if (text === undefined) return tokenLifetime.default;
  const seconds = Number(text);
  if (!Number.isInteger(seconds) || seconds < tokenLifetime.min || seconds > tokenLifetime.max)
    throw badRequest(
      `The value '${text}' of x-ms-documentdb-expiry-seconds is out of range: ${tokenLifetime.min} to ${tokenLifetime.max}.`,
    );
  return seconds;
}
