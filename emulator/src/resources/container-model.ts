import { indexingPaths } from '../charges.ts';
import type { IndexingPaths } from '../charges.ts';
import { badRequest, notSupported } from '../errors.ts';
import { isObject } from '../json.ts';
import type { JsonObject, JsonValue } from '../json.ts';
import { splitPath } from '../partition/partition-key.ts';
import type { PartitionKeyDefinition } from '../partition/partition-key.ts';

/** What requests need to know of a container, worked out once from its definition. */
export interface ContainerModel {
  readonly no: number;
  readonly rid: string;
  readonly name: string;
  readonly databaseName: string;
  readonly databaseRid: string;
  readonly key: PartitionKeyDefinition;
  readonly keyPaths: readonly (readonly string[])[];
  readonly defaultTtl: number | null;
  /** Each unique key is a list of paths. */
  readonly uniqueKeys: readonly (readonly (readonly string[])[])[];
  readonly indexing: IndexingPaths;
}

const maximumTtl = 2_147_483_647;

/** -1 or 1 to 2147483647; undefined where the property is absent. */
export function readTtl(value: JsonValue | undefined, what: string): number | undefined {
  if (value === undefined) return undefined;
  if (typeof value === 'number' && Number.isInteger(value))
    if (value === -1 || (value >= 1 && value <= maximumTtl)) return value;
  throw badRequest(
    `The input ${what} '${JSON.stringify(value)}' is invalid. Ensure to provide a nonzero positive integer or -1.`,
  );
}

/** Numbers, or the names that the Java SDK sends. */
const versions: Readonly<Partial<Record<string, 1 | 2>>> = { 1: 1, 2: 2, V1: 1, V2: 2 };

export function readKeyDefinition(definition: JsonObject): PartitionKeyDefinition {
  const given = definition['partitionKey'];
  if (!isObject(given))
    throw badRequest('The partition key definition of the container is missing or not an object.');
  const paths = given['paths'];
  const kind = given['kind'] ?? 'Hash';
  const named = given['version'] ?? 1;
  const version =
    typeof named === 'string' || typeof named === 'number'
      ? versions[String(named).toUpperCase()]
      : undefined;
  if (!Array.isArray(paths) || paths.length === 0 || !paths.every((path) => typeof path === 'string'))
    throw badRequest('The partition key definition needs a list of paths.');
  if (kind !== 'Hash' && kind !== 'MultiHash')
    throw badRequest(`The partition key kind '${JSON.stringify(kind)}' is none of Hash and MultiHash.`);
  if (version === undefined)
    throw badRequest(`The partition key version ${JSON.stringify(given['version'])} is none of 1 and 2.`);
  if (kind === 'Hash' && paths.length !== 1)
    throw badRequest('A partition key of kind Hash has one path; use MultiHash for hierarchical keys.');
  if (kind === 'MultiHash' && (paths.length > 3 || version !== 2))
    throw badRequest('A hierarchical partition key has at most three paths and version 2.');
  for (const path of paths)
    if (!path.startsWith('/') || splitPath(path).length === 0)
      throw badRequest(`The partition key component definition path '${path}' could not be accepted.`);
  return { paths, kind, version, systemKey: given['systemKey'] === true };
}

function readUniqueKeys(policy: JsonValue | undefined): string[][][] {
  if (policy === undefined) return [];
  const keys = isObject(policy) ? (policy['uniqueKeys'] ?? []) : undefined;
  if (!Array.isArray(keys)) throw badRequest('The unique key policy needs a list of unique keys.');
  return keys.map((key) => {
    const paths = isObject(key) ? key['paths'] : undefined;
    if (!Array.isArray(paths) || paths.length === 0 || !paths.every((path) => typeof path === 'string'))
      throw badRequest('A unique key needs a list of paths.');
    return paths.map((path) => splitPath(path));
  });
}

/** Queries would not see them: better no container than wrong answers. */
function refuseComputed(properties: JsonValue | undefined): void {
  if (properties === undefined || properties === null) return;
  if (!Array.isArray(properties) || properties.length > 0) throw notSupported('computed properties');
}

export function modelOf(
  definition: JsonObject,
  place: Pick<ContainerModel, 'no' | 'rid' | 'name' | 'databaseName' | 'databaseRid'>,
): ContainerModel {
  const key = readKeyDefinition(definition);
  refuseComputed(definition['computedProperties']);
  return {
    ...place,
    key,
    keyPaths: key.paths.map(splitPath),
    defaultTtl: readTtl(definition['defaultTtl'], 'defaultTtl') ?? null,
    uniqueKeys: readUniqueKeys(definition['uniqueKeyPolicy']),
    indexing: indexingPaths(definition['indexingPolicy']),
  };
}
