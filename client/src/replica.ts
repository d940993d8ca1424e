import type { JsonObject } from '../../shared/conflict/json.ts';
import type { SyncRequest, SyncResponse } from '../../shared/protocol/sync.ts';
import { composeRequest, takeAnswer, type Rejected } from './core/exchange.ts';
import { keyOf, MemoryRowStore } from './core/memory-row-store.ts';
import type { Address, SetAside } from './core/row-store.ts';
import { edit, isPending } from './row.ts';

export interface ReplicaOptions {
  readonly userId: string;
  readonly deviceId: string;
  readonly collections: readonly string[];
  /** The device's clock, in milliseconds since the epoch. */
  readonly now: () => number;
  /** A new change id each time. */
  readonly createId: () => string;
  /** Changes of one request. */
  readonly batchSize?: number;
  /** Bytes of the changes of one request. */
  readonly batchBytes?: number;
  /** Documents asked for in one answer. */
  readonly limit?: number;
}

/**
 * The documents of one user on one device, in memory: edits work offline, `request` says what to send, `take` takes
 * the answer in. It does no I/O; what it does is what the SDK does on SQLite, by the same code.
 *
 * A request that got no answer is simply made again: the changes in it are frozen, so the gateway knows them.
 */
export class Replica {
  readonly rejected: Rejected[] = [];
  /** What the user had written in scopes that are no longer granted; null: had deleted. */
  readonly setAside: SetAside[] = [];
  readonly #options: ReplicaOptions;
  readonly #store: MemoryRowStore;
  /** Which request was which: a caller may still take the answer of one it gave up. */
  readonly #attempts = new WeakMap<SyncRequest, number>();

  constructor(options: ReplicaOptions) {
    this.#options = options;
    this.#store = new MemoryRowStore(options.deviceId);
  }

  get deviceId(): string {
    return this.#store.device().deviceId;
  }

  get(address: Address): JsonObject | null {
    return this.#store.row(address).data;
  }

  /** Every document the user sees, by scope, collection and id. */
  documents(): Map<string, JsonObject> {
    return new Map(
      [...this.#store.entries()].flatMap(({ address, row: { data } }): [string, JsonObject][] =>
        data === null ? [] : [[keyOf(address), data]],
      ),
    );
  }

  get pending(): number {
    return [...this.#store.entries()].filter(({ row }) => isPending(row)).length;
  }

  put(address: Address, data: JsonObject): void {
    this.#edit(address, data);
  }

  remove(address: Address): void {
    this.#edit(address, null);
  }

  /** What to send now: every unanswered change, and new ones behind them up to the size of a batch. */
  request(): SyncRequest {
    const { userId, collections, now, createId, batchSize = 1000, batchBytes = 4_000_000 } = this.#options;
    const { limit } = this.#options;
    const { attempt, request } = composeRequest(this.#store, {
      userId,
      collections,
      now: now(),
      createId,
      maxChanges: batchSize,
      maxBytes: batchBytes,
      ...(limit === undefined ? {} : { limit }),
    });
    this.#attempts.set(request, attempt);
    return request;
  }

  /**
   * Takes in the answer to the last request made; that to an earlier one is dropped.
   *
   * @param sent the very object that `request` gave
   * @returns whether there is more to fetch or to send at once
   */
  take(sent: SyncRequest, response: SyncResponse): boolean {
    const composed = { attempt: this.#attempts.get(sent) ?? 0, request: sent };
    const taken = takeAnswer(this.#store, composed, response, this.#options.createId);
    this.rejected.push(...taken.rejected);
    this.setAside.push(...taken.setAside);
    return taken.more;
  }

  #edit(address: Address, data: JsonObject | null): void {
    const lastModified = new Date(this.#options.now()).toISOString();
    this.#store.setRow(address, edit(this.#store.row(address), data, lastModified));
  }
}
