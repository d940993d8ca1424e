import type { PlainQuery, Scalar } from '../sql/query.ts';
import type { Path } from './collection.ts';

/** What a member has to be: a value, or comparisons that all hold. */
export type Condition<V> =
  | (V extends Scalar ? V : never)
  | null
  | {
      readonly eq?: V | null;
      readonly ne?: V | null;
      readonly gt?: V;
      readonly gte?: V;
      readonly lt?: V;
      readonly lte?: V;
      readonly in?: readonly V[];
      readonly startsWith?: string;
      readonly exists?: boolean;
    };

export type Where<T> = { readonly [K in keyof T & string]?: Condition<T[K]> } & Readonly<
  Record<`${string}.${string}`, Condition<string | number | boolean>>
>;

/** Which documents, in which order, how many. */
export interface Query<T> {
  readonly where?: Where<T>;
  /** Members to sort by; the id comes last by itself. */
  readonly orderBy?: Path<T> | readonly (Path<T> | readonly [Path<T>, 'asc' | 'desc'])[];
  readonly limit?: number;
  readonly offset?: number;
}

export interface WriteOptions {
  /** False: the write is not sent to the service, and the next version from there replaces it. Default: true. */
  readonly trackChanges?: boolean;
}

/** A JSON merge patch (RFC 7396): members replace, `null` removes, objects are merged. */
export type MergePatch<T> = {
  readonly [K in keyof T]?: (T[K] extends object ? MergePatch<T[K]> | T[K] : T[K]) | null;
};

/** An edit that the service has not answered yet. */
export interface PendingChange<T> {
  readonly id: string;
  readonly scope: string;
  readonly type: 'upsert' | 'patch' | 'delete';
  /** When the oldest edit in it was made, RFC 3339. */
  readonly since: string;
  /** Has it been sent, without an answer so far? */
  readonly sent: boolean;
  /** What the user sees; null: deleted. */
  readonly document: T | null;
}

/** What a transaction may do: reads see its own writes. */
export interface StoreTransaction<T extends object> {
  get(id: string): Promise<T | null>;
  upsert(document: T): void;
  patch(id: string, patch: MergePatch<T>): Promise<void>;
  delete(id: string): void;
}

/**
 * The documents of one collection, in one scope, of the current user. Everything works offline; writes are noted for the
 * next sync in the same transaction.
 */
export interface DocumentStore<T extends object> {
  readonly collection: string;
  /** The document with this id, or null. */
  get(id: string): Promise<T | null>;
  /** Documents of the current user, by id unless `orderBy` says otherwise. */
  query(query?: Query<T>): Promise<T[]>;
  /** Stores a document as a whole. @throws TidemarkError `invalid_document` */
  upsert(document: T, options?: WriteOptions): Promise<void>;
  /** Stores many, all or none, in one transaction. @throws TidemarkError `invalid_document` */
  upsertBulk(documents: readonly T[], options?: WriteOptions): Promise<void>;
  /**
   * Changes some members; what others change in the rest of the document is kept. @returns the document as it is now
   *
   * @throws TidemarkError `not_found`
   */
  patch(id: string, patch: MergePatch<T>): Promise<T>;
  /** @returns whether there was such a document */
  delete(id: string): Promise<boolean>;
  /** Edits that the service has not answered, the oldest first. */
  pendingChanges(): Promise<PendingChange<T>[]>;
  /**
   * Takes edits back that were not sent yet: documents are again as they were before them. One that is on its way stays,
   * for it may have arrived.
   *
   * @param ids absent: all of this collection
   * @returns how many were taken back
   */
  clearPending(ids?: readonly string[]): Promise<number>;
  /**
   * Reads and writes as one: all of it happens, or nothing, on the service too. The work runs again where somebody else
   * changed what it had read. Where the service refuses one of the edits, all of them are rejected.
   *
   * @throws TidemarkError `contended` after many attempts; `transaction_too_large` beyond 49 documents, those counted that
   *   other transactions not sent yet have in common with it
   */
  transaction<R>(work: (transaction: StoreTransaction<T>) => Promise<R>): Promise<R>;
  /**
   * Calls back with the result of a query, now and whenever it has become another one, by local or remote changes.
   *
   * @returns how to end that
   */
  watch(query: Query<T>, listener: (documents: T[]) => void): () => void;
}

/** A query as the database takes it: the types are for people. */
export const plainQuery = <T>(query: Query<T>): PlainQuery => query as PlainQuery;
