/**
 * Something that happened, kept for people for a while: a line of the operation log, of the token audit, a device, an
 * entry of the deny list. It belongs to one user, whose partition it is in; `kind` tells which log it is of.
 */
export interface ActivityRecord {
  /** Unique among the user's records, of all kinds. */
  readonly id: string;
  /** As `Identity.userId` spells it. */
  readonly userId: string;
  readonly kind: string;
  /** UTC with milliseconds: what lists are sorted by. */
  readonly at: string;
  /** Seconds until it expires by itself, counted from its last write. */
  readonly ttl: number;
}

/** A record as it is read back: what is beside the common fields is the business of its kind. */
export type StoredRecord = ActivityRecord & Readonly<Record<string, unknown>>;
