import { PartitionKeyDefinitionVersion, PartitionKeyKind, type ContainerDefinition } from '@azure/cosmos';

/** Name of the container that holds user documents, tombstones, ledgers and conflict records. */
export const DOCUMENTS = 'documents';

/** Name of the container that holds what people look up later: operation log, token audit, devices, deny list. */
export const ACTIVITY = 'activity';

/** Version 2 hashes the whole key: the first 100 bytes, as version 1 does, are the same for users with long ids. */
const keyOf = (path: string) => ({
  paths: [path],
  kind: PartitionKeyKind.Hash,
  version: PartitionKeyDefinitionVersion.V2,
});

/**
 * The containers of one Tidemark database, as Bicep and the local start create them.
 *
 * `documents` is read by id and by change feed only, so every other path stays out of the index: each indexed term
 * adds to the cost of every write. `defaultTtl: -1` switches expiry on without giving documents a lifetime; tombstones
 * and conflict records carry their own `ttl`.
 *
 * `activity` is listed by kind, newest first, for one user or for all; what a record tells beyond that is not indexed.
 * Every record carries its own `ttl`.
 */
export const CONTAINERS: readonly (ContainerDefinition & { id: string })[] = [
  {
    id: DOCUMENTS,
    partitionKey: keyOf('/scope'),
    defaultTtl: -1,
    indexingPolicy: {
      indexingMode: 'consistent',
      automatic: true,
      includedPaths: [],
      excludedPaths: [{ path: '/*' }],
    },
  },
  {
    id: ACTIVITY,
    partitionKey: keyOf('/userId'),
    defaultTtl: -1,
    indexingPolicy: {
      indexingMode: 'consistent',
      automatic: true,
      includedPaths: [{ path: '/kind/?' }, { path: '/at/?' }, { path: '/userId/?' }],
      excludedPaths: [{ path: '/*' }],
    },
  },
];
