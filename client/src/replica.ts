import type { JsonObject } from '../../shared/conflict/index.ts';
import {
  PROTOCOL_VERSION,
  type Change,
  type ChangeResult,
  type StreamPosition,
  type SyncRequest,
  type SyncResponse,
} from '../../shared/protocol/index.ts';
import { EMPTY_ROW, answer, draw, edit, isPending, receive, release, type Row } from './row.ts';

/** Where a document lives. */
export interface Address {
  readonly scope: string;
  readonly collection: string;
  readonly documentId: string;
}

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
  /** Documents asked for in one answer. */
  readonly limit?: number;
}

/** A change that the gateway will never take, kept for the user with its reason. */
export interface Rejected {
  readonly change: Change;
  readonly result: ChangeResult;
}

/**
 * The documents of one user on one device, in memory: edits work offline, `request` says what to send, `take` takes
 * the answer in. It holds the client's half of the protocol and does no I/O.
 *
 * A request that got no answer is simply made again: the changes in it are frozen, so the gateway knows them.
 */
export class Replica {
  readonly rejected: Rejected[] = [];
  /** What the user had written in scopes that are no longer granted; null: had deleted. */
  readonly setAside: { readonly address: Address; readonly data: JsonObject | null }[] = [];
  readonly #options: ReplicaOptions;
  readonly #rows = new Map<string, { readonly address: Address; row: Row }>();
  #deviceId: string;
  #seq = 0;
  #checkpoints: Record<string, string> = {};
  #streams: Record<string, StreamPosition | null> = {};
  /** Rows that a running resync has brought, by scope. */
  #brought = new Map<string, Set<string>>();
  /** The last request made: only its answer counts. */
  #sent: SyncRequest | null = null;

  constructor(options: ReplicaOptions) {
    this.#options = options;
    this.#deviceId = options.deviceId;
  }

  get deviceId(): string {
    return this.#deviceId;
  }

  get(address: Address): JsonObject | null {
    return this.#row(address).data;
  }

  /** Every document the user sees, by scope, collection and id. */
  documents(): Map<string, JsonObject> {
    const all = [...this.#rows].map(([key, { row }]) => [key, row.data] as const);
    return new Map(all.filter((entry): entry is [string, JsonObject] => entry[1] !== null));
  }

  get pending(): number {
    return [...this.#rows.values()].filter(({ row }) => isPending(row)).length;
  }

  put(address: Address, data: JsonObject): void {
    this.#set(address, edit(this.#row(address), data, this.#time()));
  }

  remove(address: Address): void {
    this.#set(address, edit(this.#row(address), null, this.#time()));
  }

  /** What to send now: every unanswered change, and new ones behind them up to the batch size. */
  request(): SyncRequest {
    const { batchSize = 1000, limit } = this.#options;
    let room = batchSize - [...this.#rows.values()].filter(({ row }) => row.inFlight !== null).length;
    for (const entry of this.#rows.values()) {
      if (room <= 0) break;
      if (entry.row.dirty === null || entry.row.inFlight !== null) continue;
      const drawn = draw(entry.row, entry.address, {
        seq: this.#seq + 1,
        changeId: this.#options.createId(),
      });
      if (drawn === null) continue;
      this.#seq += 1;
      room -= 1;
      entry.row = drawn;
    }
    const changes = [...this.#rows.values()]
      .flatMap(({ row }) => (row.inFlight === null ? [] : [row.inFlight]))
      .sort((a, b) => (a.seq ?? 0) - (b.seq ?? 0));
    this.#sent = {
      protocol: PROTOCOL_VERSION,
      userId: this.#options.userId,
      deviceId: this.#deviceId,
      clientTime: this.#time(),
      collections: [...this.#options.collections],
      ...(limit === undefined ? {} : { limit }),
      checkpoints: { ...this.#checkpoints },
      streams: { ...this.#streams },
      changes,
    };
    return this.#sent;
  }

  /**
   * Takes in the answer to the last request made. That of an earlier one, which was given up, is dropped: the later one
   * has moved the ledger on, and the earlier may have met it there and taken it for another store's.
   *
   * @param sent the very object that `request` gave
   * @returns whether there is more to fetch or to send at once
   */
  take(sent: SyncRequest, response: SyncResponse): boolean {
    if (sent !== this.#sent) return true;
    for (const scope of response.resync) this.#brought.set(scope, new Set());
    let forked = false;
    for (const [index, result] of response.results.entries()) {
      const change = sent.changes?.[index];
      if (change?.scope === undefined || change.changeId === undefined) continue;
      const { scope, collection, documentId, changeId } = change;
      const entry = this.#rows.get(keyOf({ scope, collection, documentId }));
      if (entry?.row.inFlight?.changeId !== changeId) continue;
      forked ||= result.error?.code === 'device_forked';
      if (result.status === 'rejected') this.rejected.push({ change, result });
      entry.row = answer(entry.row, result);
      this.#brought.get(scope)?.add(keyOf(entry.address));
    }
    for (const document of response.delta.documents) {
      const key = keyOf(document);
      this.#set(document, receive(this.#row(document), document));
      this.#brought.get(document.scope)?.add(key);
    }
    this.#dropLostScopes(response.scopes);
    this.#checkpoints = response.checkpoints;
    // Streams of scopes that are not granted now stay: the ledgers there stand where they stood.
    this.#streams = { ...this.#streams, ...response.streams };
    if (!response.delta.hasMore) this.#finishResync();
    if (forked) this.#startOver(response.scopes);
    return response.delta.hasMore || [...this.#rows.values()].some(({ row }) => row.dirty !== null);
  }

  /** Scopes that the user may no longer see leave the device; edits that wait there are set aside. */
  #dropLostScopes(granted: readonly string[]): void {
    for (const [key, { address, row }] of this.#rows) {
      if (granted.includes(address.scope)) continue;
      if (isPending(row)) this.setAside.push({ address, data: row.data });
      this.#rows.delete(key);
    }
  }

  /** At the end of a resync, what it did not bring is gone; pending edits stay. */
  #finishResync(): void {
    for (const [scope, brought] of this.#brought) {
      for (const [key, entry] of this.#rows) {
        if (entry.address.scope !== scope || brought.has(key)) continue;
        if (isPending(entry.row)) entry.row = { ...entry.row, shadow: null };
        else this.#rows.delete(key);
      }
    }
    this.#brought = new Map();
  }

  /**
   * Another store uses this device id: take a new one and send the pending edits under it. The rows may be as old as the
   * backup they came from: those that the delta from the beginning does not bring are gone.
   */
  #startOver(scopes: readonly string[]): void {
    this.#deviceId = this.#options.createId();
    this.#checkpoints = {};
    this.#streams = {};
    this.#brought = new Map(scopes.map((scope) => [scope, new Set()]));
    for (const entry of this.#rows.values()) entry.row = release(entry.row);
  }

  #time(): string {
    return new Date(this.#options.now()).toISOString();
  }

  #row(address: Address): Row {
    return this.#rows.get(keyOf(address))?.row ?? EMPTY_ROW;
  }

  #set({ scope, collection, documentId }: Address, row: Row): void {
    const address = { scope, collection, documentId };
    this.#rows.set(keyOf(address), { address, row });
  }
}

const keyOf = ({ scope, collection, documentId }: Address): string => `${scope}/${collection}/${documentId}`;
