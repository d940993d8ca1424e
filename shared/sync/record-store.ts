import type { JsonObject } from '../conflict/index.ts';

/** The system's records in a scope, beside the documents: of conflicts, of deletions. */
export interface RecordStore {
  /**
   * A page of the records whose ids start with a prefix, the last written first; those of one second may be out of
   * order between two pages.
   *
   * @param query.continuation of the page before; null: from the newest
   * @param query.limit at most so many; a page is about 4 MB at most, and may be empty though more follow
   * @returns null for a continuation that the store does not take
   * @throws Unavailable
   */
  list(query: RecordQuery): Promise<RecordPage | null>;
}

export interface RecordQuery {
  readonly scope: string;
  readonly prefix: string;
  readonly collection: string | undefined;
  readonly documentId: string | undefined;
  readonly continuation: string | null;
  readonly limit: number;
}

export interface RecordPage {
  readonly items: readonly JsonObject[];
  /** Null: there are no more. */
  readonly continuation: string | null;
}
