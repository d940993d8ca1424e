import { badRequest } from '../errors.ts';
import { isObject } from '../json.ts';
import type { JsonObject, JsonValue } from '../json.ts';
import { readKeyDefinition } from './container-model.ts';

/** What the service fills in where a container's definition leaves it out. */
export function completeContainer(body: JsonObject): JsonObject {
  const key = body['partitionKey'] ?? { paths: ['/_partitionKey'], kind: 'Hash', systemKey: true };
  const withKey = { ...body, partitionKey: key };
  const { paths, kind, version, systemKey } = readKeyDefinition(withKey);
  const given: JsonObject = isObject(key) ? key : {};
  const system = systemKey || (paths.length === 1 && paths[0] === '/_partitionKey');
  return {
    ...withKey,
    partitionKey: {
      ...given,
      paths: [...paths],
      kind,
      // Some SDKs send the name of the version, V2; the number is what the service answers.
      ...(given['version'] === undefined ? {} : { version }),
      ...(system ? { systemKey: true } : {}),
    },
    indexingPolicy: completeIndexing(body['indexingPolicy']),
    conflictResolutionPolicy: body['conflictResolutionPolicy'] ?? {
      mode: 'LastWriterWins',
      conflictResolutionPath: '/_ts',
      conflictResolutionProcedure: '',
    },
    geospatialConfig: body['geospatialConfig'] ?? { type: 'Geography' },
  };
}

const defaultIndexing: JsonObject = {
  indexingMode: 'consistent',
  automatic: true,
  includedPaths: [{ path: '/*' }],
  excludedPaths: [{ path: '/"_etag"/?' }],
};

function completeIndexing(policy: JsonObject[string] | undefined): JsonObject {
  if (policy === undefined) return defaultIndexing;
  if (typeof policy !== 'object' || policy === null || Array.isArray(policy))
    throw badRequest('The indexing policy is not an object.');
  const mode = policy['indexingMode'] ?? 'consistent';
  const text = typeof mode === 'string' ? mode.toLowerCase() : '';
  if (!['consistent', 'lazy', 'none'].includes(text))
    throw badRequest(`The indexing mode ${JSON.stringify(mode)} is none of consistent, lazy and none.`);
  if (text === 'none')
    return {
      ...policy,
      indexingMode: text,
      automatic: policy['automatic'] ?? false,
      includedPaths: policy['includedPaths'] ?? [],
      excludedPaths: policy['excludedPaths'] ?? [],
    };
  return {
    ...policy,
    indexingMode: text,
    automatic: policy['automatic'] ?? true,
    includedPaths: policy['includedPaths'] ?? [{ path: '/*' }],
    excludedPaths: withEtag(policy['excludedPaths']),
  };
}

/** ETags are indexed nowhere, whatever else is left out. */
function withEtag(excluded: JsonValue | undefined): JsonValue {
  const etag = { path: '/"_etag"/?' };
  const paths = excluded ?? [];
  if (!Array.isArray(paths)) throw badRequest('The excluded paths of the indexing policy are not a list.');
  return paths.some((entry) => isObject(entry) && entry['path'] === etag.path) ? paths : [...paths, etag];
}

/** Partition key and unique keys of a container stay as they were made. */
export function refuseContainerChange(before: JsonObject, after: JsonObject): void {
  if (JSON.stringify(keyOf(before)) !== JSON.stringify(keyOf(after)))
    throw badRequest('The partition key definition of a container cannot be changed.');
  const unique = (body: JsonObject): string => JSON.stringify(body['uniqueKeyPolicy'] ?? null);
  if (after['uniqueKeyPolicy'] !== undefined && unique(before) !== unique(after))
    throw badRequest('The unique key policy of a container cannot be changed.');
}

const keyOf = (body: JsonObject): unknown => {
  const { paths, kind, version } = readKeyDefinition(body);
  return { paths, kind, version };
};
