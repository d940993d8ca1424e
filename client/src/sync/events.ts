import type { JsonObject } from '../../../shared/conflict/json.ts';
import type { ChangeError } from '../../../shared/protocol/sync.ts';
import type { Address } from '../core/row-store.ts';
import type { TidemarkError } from '../errors.ts';
import type { Diverged } from './integrity.ts';

/** How a sync ended. `offline`, `busy` and `failed` leave everything as it is for the next one. */
export type SyncOutcome = 'synced' | 'offline' | 'busy' | 'failed' | 'aborted';

/** What a sync did and what it took. */
export interface SyncReport {
  readonly outcome: SyncOutcome;
  /** Why it did not end well; null with `synced`. */
  readonly error: TidemarkError | null;
  /** Own edits that are stored now, merged ones included. */
  readonly pushed: number;
  /** Documents and tombstones that came. */
  readonly pulled: number;
  /** Own edits that lost against what was stored. */
  readonly skipped: number;
  /** Own edits that met another's: merged or skipped. */
  readonly conflicts: number;
  readonly rejected: number;
  readonly requests: number;
  readonly bytesSent: number;
  readonly bytesReceived: number;
  /** Milliseconds. */
  readonly duration: number;
  /** Scopes that started over. */
  readonly resync: readonly string[];
  /** Documents in which device and service differed, where they were compared. */
  readonly diverged: number;
  /** Of those, documents that were set right. */
  readonly repaired: number;
}

export interface SyncProgress {
  readonly pushed: number;
  readonly pulled: number;
  /** Edits still to be sent. */
  readonly pending: number;
  readonly requests: number;
}

export type SyncState =
  /** Nothing is going on; the last sync, if any, ended well. */
  | 'idle'
  | 'syncing'
  /** The service is not reached, or the app said so. Edits wait. */
  | 'offline'
  /** The last sync failed for a reason that waiting alone may not cure: see `lastError`. */
  | 'error';

/** The truth about a user's sync. Times are RFC 3339 by the device's clock. */
export interface SyncStatus {
  readonly state: SyncState;
  readonly userId: string;
  readonly deviceId: string;
  /** Edits that the service has not answered. */
  readonly pending: number;
  /** When the oldest of them was made. */
  readonly oldestPending: string | null;
  /** Edits that the service will never take, kept for the user. */
  readonly rejected: number;
  /** Edits in scopes that the user may no longer see. */
  readonly setAside: number;
  /** Was anything ever fetched? Otherwise this is the first launch for the user. */
  readonly fetched: boolean;
  readonly lastSuccess: string | null;
  /** Since the last success. */
  readonly lastError: { readonly code: string; readonly message: string; readonly at: string } | null;
  /** When device and service were last compared; null: never. */
  readonly lastComparison: string | null;
  /** Documents that were found to differ and set right, in all. */
  readonly repaired: number;
  /** When the engine syncs next by itself; null: it was not started. */
  readonly nextSync: string | null;
}

/** An own edit that met another's. */
export interface ConflictEvent {
  readonly address: Address;
  /** `merged`: both are in what is stored now; `skipped`: the other's edit stays. */
  readonly outcome: 'merged' | 'skipped';
  /** What the user had written; null: had deleted. */
  readonly mine: JsonObject | null;
  /** What is stored now; null: nothing. */
  readonly theirs: JsonObject | null;
}

export interface RejectedEvent {
  readonly changeId: string;
  readonly address: Address;
  readonly content: JsonObject | null;
  readonly error: ChangeError;
  /** Edits with one name were sent as one transaction, and are refused together; null: it was none. */
  readonly transaction: string | null;
}

export interface SyncEvents {
  progress: SyncProgress;
  /** Rows of these collections are not as they were, by local or remote changes. */
  change: { readonly collections: readonly string[] };
  conflict: ConflictEvent;
  rejected: RejectedEvent;
  /** The user may no longer see the scope of this edit. Null: it was a delete. */
  setAside: { readonly address: Address; readonly content: JsonObject | null };
  /** Device and service were found to differ, which must not happen: worth a report. */
  diverged: { readonly documents: readonly Diverged[]; readonly repaired: number };
  status: SyncStatus;
  /** A sync ended, well or not. */
  synced: SyncReport;
  /** A sync failed, or a listener of the app threw. */
  error: unknown;
}
