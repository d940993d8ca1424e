/**
 * What the emulator keeps, behind one interface. One process owns a store; every change happens inside
 * `transaction`, which is all or nothing and, in full durability, on disk when it returns.
 */
export type ResourceType = 'database' | 'container' | 'user' | 'permission' | 'offer';

export interface ResourceRow {
  readonly no: number;
  readonly type: ResourceType;
  /** The parent's rid; empty for databases and offers. */
  readonly parent: string;
  readonly name: string;
  readonly rid: string;
  /** The resource as JSON text, system properties included. */
  readonly body: string;
}

export interface DocumentRow {
  /** Grows with every creation in the store: the counter of the document's rid, and the order of a plain feed. */
  readonly no: number;
  /** Canonical JSON of the partition key's values. */
  readonly pk: string;
  readonly id: string;
  readonly etag: string;
  /** Seconds since the epoch. */
  readonly ts: number;
  readonly lsn: number;
  /** The document as JSON text, system properties included. */
  readonly body: string;
}

export interface NewDocument {
  readonly pk: string;
  readonly id: string;
  /** Effective partition key: upper-case hex, compared as text. */
  readonly epk: string;
  readonly range: string;
  readonly lsn: number;
  /** Place among the changes that share the lsn. */
  readonly step: number;
  readonly ts: number;
  readonly ttl: number | null;
  readonly etag: string;
  readonly body: string;
}

export interface RangeRow {
  readonly id: string;
  readonly min: string;
  readonly max: string;
  readonly lsn: number;
  /** Ids of the ranges it was split from, oldest first. */
  readonly parents: readonly string[];
}

/** Time to live as it stands now: documents past it are not there. */
export interface Liveness {
  /** The container's defaultTtl; null: time to live is off and document ttls mean nothing. */
  readonly defaultTtl: number | null;
  readonly nowSeconds: number;
}

/** Which documents: one logical partition, or a slice of effective partition keys. */
export type Slice =
  { readonly pk: string } | { readonly min: string; readonly max: string; readonly range?: string };

/** Part of a query that the store does itself. SQL over the columns of documents, with question marks. */
export interface Filter {
  readonly where: string;
  readonly parameters: readonly (string | number)[];
  readonly orderBy?: string;
  readonly limit?: number;
}

export interface Store {
  transaction<T>(work: () => T): T;
  close(): void;

  setting(name: string): string | undefined;
  saveSetting(name: string, value: string): void;

  insertResource(row: Omit<ResourceRow, 'no'>): number;
  updateResource(no: number, name: string, body: string): void;
  deleteResource(no: number): void;
  resource(type: ResourceType, parent: string, name: string): ResourceRow | undefined;
  resourceByRid(rid: string): ResourceRow | undefined;
  /** In the order of creation, after `afterNo`. */
  resources(type: ResourceType, parent: string, afterNo: number, limit: number): ResourceRow[];
  nextNumber(): number;

  /** Indexes these paths of a container's documents and no others. */
  indexPaths(container: number, paths: readonly (readonly string[])[]): void;

  ranges(container: number): RangeRow[];
  insertRange(container: number, range: RangeRow): void;
  saveLsn(container: number, range: string, lsn: number): void;
  /** Replaces a range by its children; the documents move with their effective partition keys. */
  splitRange(container: number, range: string, children: readonly RangeRow[]): void;

  document(container: number, pk: string, id: string, live: Liveness): DocumentRow | undefined;
  insertDocument(container: number, no: number, document: NewDocument): void;
  replaceDocument(container: number, no: number, document: NewDocument): void;
  deleteDocument(no: number): void;
  /** The document that holds this value of a unique key, dead or alive. */
  uniqueOwner(container: number, pk: string, key: number, value: string): number | undefined;
  /** The values a document holds, one for each unique key of the container. */
  saveUnique(container: number, pk: string, no: number, values: readonly string[]): void;
  isAlive(no: number, live: Liveness): boolean;
  /** Forgets an expired document that stands in the way of a new one with its id. */
  deleteExpired(container: number, pk: string, id: string): void;
  /**
   * Forgets expired documents among those numbered from `fromNo` to before `toNo`, whatever container they are in.
   * Returns whether there are numbers beyond.
   */
  sweepExpired(fromNo: number, toNo: number, nowSeconds: number): boolean;
  deleteContainerDocuments(container: number): void;
  nextDocumentNumber(): number;

  /** In the order of creation, unless the filter has another one. */
  documents(
    container: number,
    slice: Slice,
    live: Liveness,
    afterNo: number,
    filter?: Filter,
  ): Iterable<DocumentRow>;
  /** In the order of change. */
  changes(
    container: number,
    slice: Slice,
    live: Liveness,
    afterLsn: number,
    sinceSeconds: number,
  ): Iterable<DocumentRow>;
  /** What a container's documents take, for quota answers. */
  usage(container: number): StorageUsage;
}

export interface StorageUsage {
  readonly documents: number;
  readonly bytes: number;
}
