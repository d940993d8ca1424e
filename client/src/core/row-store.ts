import type { Change, StreamPosition } from '../../../shared/protocol/sync.ts';
import type { JsonObject } from '../../../shared/conflict/json.ts';
import type { Row } from '../row.ts';

/** Where a document lives. */
export interface Address {
  /** `user:<id>` for private documents, `<kind>:<id>` for shared ones. */
  readonly scope: string;
  readonly collection: string;
  readonly documentId: string;
}

export interface Entry {
  readonly address: Address;
  readonly row: Row;
}

/** Who this store is for the gateway, for one user. */
export interface Device {
  readonly deviceId: string;
  /** The number that the last change drew. */
  readonly seq: number;
  /** Counts requests: only the answer to the last one counts. */
  readonly attempt: number;
}

/** What the device knows of a scope beside its documents. */
export interface ScopeState {
  readonly checkpoint: string | null;
  /** Where its ledger stands; undefined: never heard of. */
  readonly stream: StreamPosition | null | undefined;
  /** Is a resync running, which ends with the removal of the rows that it did not bring? */
  readonly resync: boolean;
}

/**
 * The documents of one user, as the protocol's client half sees them. All of it is synchronous, because each call of
 * `composeRequest` and `takeAnswer` is one transaction of the store.
 */
export interface RowStore {
  row(address: Address): Row;
  /** @param lastModified of the content shown; absent: that of the waiting edit, otherwise as it was */
  setRow(address: Address, row: Row, lastModified?: string | null): void;
  /** Unanswered changes, by rising `seq`. */
  inFlight(): Change[];
  /**
   * Rows with an edit that waits and no change in flight, the oldest edit first. Each may be written before the next one is
   * asked for, and is read only then: large documents must not all be in memory to send some.
   *
   * @param held transactions to leave out
   */
  waiting(limit: number, held: readonly string[]): Iterable<Entry>;
  hasWaiting(): boolean;
  /** The rows whose waiting edit belongs to a transaction. */
  inTransaction(name: string): Entry[];
  /** Transactions that wait for an answer: a document of theirs has an earlier change in flight. */
  heldTransactions(): string[];
  /** Makes two transactions one. */
  joinTransactions(from: string, into: string): void;
  /** Every row of a scope with an edit that waits or is in flight. */
  pendingIn(scope: string): Entry[];

  device(): Device;
  setDevice(device: Device): void;
  /** Every scope that has a row or a state. */
  scopes(): Map<string, ScopeState>;
  setScope(scope: string, state: ScopeState): void;
  /** Forgets every row of a scope. @returns whether there were any */
  dropScope(scope: string): boolean;

  /** Starts to note which rows of a scope a resync brings. */
  startPass(scope: string): void;
  /** Notes that the running resync of the scope brought this row, if there is one. */
  markBrought(address: Address): void;
  /** The rows of a scope that its resync did not bring, pending ones as well. */
  unbrought(scope: string): Entry[];
  remove(address: Address): void;
}

/** An edit in a scope that the user may no longer see. Null: a delete. */
export interface SetAside {
  readonly address: Address;
  readonly data: JsonObject | null;
}
