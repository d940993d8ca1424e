import type { StreamPosition } from '../protocol/index.ts';
import type { Item } from '../stored/document.ts';

/** One operation of a transactional batch. */
export type Write =
  | { readonly kind: 'create' | 'upsert'; readonly item: Item }
  | { readonly kind: 'replace'; readonly item: Item; readonly ifMatch: string }
  /** Sets `seq`, `changeId` and `outcomes` of a ledger on the condition that it still stands at `expected`. */
  | {
      readonly kind: 'move-ledger';
      readonly id: string;
      readonly expected: StreamPosition;
      readonly to: StreamPosition;
      readonly outcomes: string;
    };

/**
 * `written`: all of it, with the new ETags in the order of the writes. `refused`: nothing of it; `culprit` is the
 * index of the one write that did not fit what is stored. `unstorable`: the
 * same, and the store never takes that write. `too-large`: nothing of it, send less at once.
 */
export type BatchResult =
  | { readonly kind: 'written'; readonly etags: readonly string[] }
  | { readonly kind: 'refused'; readonly culprit: number }
  | { readonly kind: 'unstorable'; readonly culprit: number }
  | { readonly kind: 'too-large' };

/** A page of the change feed of one scope, in the order of the writes. */
export interface FeedPage {
  readonly items: readonly unknown[];
  readonly continuation: string;
  /** Was there nothing after the continuation this page was asked from? */
  readonly drained: boolean;
}

/**
 * One scope of the store: a logical partition. All reads see at least what this object has written or read before.
 * Every method throws `Unavailable` when the store cannot answer now.
 */
export interface ScopeStore {
  /** All or nothing; at most 100 writes and 2 MB. */
  batch(writes: readonly Write[]): Promise<BatchResult>;
  /** The items that exist among these ids, by id. */
  read(ids: readonly string[]): Promise<ReadonlyMap<string, unknown>>;
  /**
   * @param from a continuation, a time in milliseconds since the epoch (to the second), or null for the beginning
   * @returns null for a continuation that the store does not take
   */
  changes(from: string | number | null, maxItems: number): Promise<FeedPage | null>;
  /** Opaque: given to `open`, it makes another gateway see what this one saw. */
  readonly session: string | null;
}

export interface Meter {
  requests: number;
  requestUnits: number;
}

export interface DocumentStore {
  /** Changes when the container is another one: recreated, restored. Positions of one mean nothing in another. */
  incarnation(): Promise<string>;
  /** @param signal gives up on calls that are under way: what they wrote may or may not be stored */
  open(scope: string, session: string | null, meter: Meter, signal: AbortSignal): ScopeStore;
}
