import type { ContainerDefinition } from '@azure/cosmos';

/** Name of the container that holds user documents, tombstones, ledgers and conflict records. */
export const DOCUMENTS = 'documents';

/**
 * The containers of one Tidemark database, as Bicep and the local start create them.
 *
 * `documents` is read by id and by change feed only, so every other path stays out of the index: each indexed term
 * adds to the cost of every write. `defaultTtl: -1` switches expiry on without giving documents a lifetime; tombstones
 * and conflict records carry their own `ttl`.
 */
export const CONTAINERS: readonly (ContainerDefinition & { id: string })[] = [
  {
    id: DOCUMENTS,
    partitionKey: { paths: ['/scope'] },
    defaultTtl: -1,
    indexingPolicy: {
      indexingMode: 'consistent',
      automatic: true,
      includedPaths: [],
      excludedPaths: [{ path: '/*' }],
    },
  },
];
