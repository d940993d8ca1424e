import type { Cursor } from './cursor.ts';
import type { ActivityRecord, StoredRecord } from './record.ts';

export interface ActivityQuery {
  readonly kind: string;
  /** Null: of all users. Their partitions are all asked then: for administrators only. */
  readonly userId: string | null;
  /** At most so many records, 1 to 1000. */
  readonly limit: number;
  /** Null: from the newest. */
  readonly cursor: Cursor | null;
}

/** Every method throws `Unavailable` when the store cannot answer now. */
export interface ActivityStore {
  /**
   * Adds records of one user, all or none, with one request. To repeat it is harmless.
   *
   * @param records at most 100, of the same user, 2 MB together
   */
  append(records: readonly ActivityRecord[]): Promise<void>;
  /** Writes a record, whether there is one of its id or not. */
  put(record: ActivityRecord): Promise<void>;
  /** Null where there is none. One read by id: the cheapest request there is. */
  get(userId: string, id: string): Promise<StoredRecord | null>;
  /** Removes a record. False where there was none. */
  remove(userId: string, id: string): Promise<boolean>;
  /** Newest first. Fewer than `limit`: there are no more. */
  list(query: ActivityQuery): Promise<readonly StoredRecord[]>;
}
