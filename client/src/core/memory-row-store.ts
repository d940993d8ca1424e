import { EMPTY_ROW, isPending, type Row } from '../row.ts';
import type { Change } from '../../../shared/protocol/sync.ts';
import type { Address, Device, Entry, RowStore, ScopeState } from './row-store.ts';

/** Rows in memory, for tests and demonstrations of the protocol. */
export class MemoryRowStore implements RowStore {
  readonly #rows = new Map<string, { readonly address: Address; row: Row }>();
  readonly #scopes = new Map<string, ScopeState>();
  /** Rows that a running resync has brought, by scope. */
  readonly #brought = new Map<string, Set<string>>();
  #device: Device;

  constructor(deviceId: string) {
    this.#device = { deviceId, seq: 0, attempt: 0 };
  }

  /** The same once more, as from a backup: what is written to one is not in the other. */
  copy(): MemoryRowStore {
    const copy = new MemoryRowStore(this.#device.deviceId);
    copy.#device = this.#device;
    for (const [key, { address, row }] of this.#rows) copy.#rows.set(key, { address, row });
    for (const [scope, state] of this.#scopes) copy.#scopes.set(scope, state);
    for (const [scope, keys] of this.#brought) copy.#brought.set(scope, new Set(keys));
    return copy;
  }

  row(address: Address): Row {
    return this.#rows.get(keyOf(address))?.row ?? EMPTY_ROW;
  }

  setRow({ scope, collection, documentId }: Address, row: Row): void {
    if (!this.#scopes.has(scope)) {
      this.#scopes.set(scope, { checkpoint: null, stream: undefined, resync: false });
    }
    const address = { scope, collection, documentId };
    this.#rows.set(keyOf(address), { address, row });
  }

  entries(): Iterable<Entry> {
    return this.#rows.values();
  }

  inFlight(): Change[] {
    return [...this.#rows.values()]
      .flatMap(({ row }) => (row.inFlight === null ? [] : [row.inFlight]))
      .sort((a, b) => (a.seq ?? 0) - (b.seq ?? 0));
  }

  waiting(limit: number, held: readonly string[]): Entry[] {
    return [...this.#rows.values()]
      .filter(({ row }) => isWaiting(row) && !held.includes(row.dirty?.transaction ?? ''))
      .slice(0, limit);
  }

  inTransaction(name: string): Entry[] {
    return [...this.#rows.values()].filter(({ row }) => row.dirty?.transaction === name);
  }

  heldTransactions(): string[] {
    return [...this.#rows.values()].flatMap(({ row: { dirty, inFlight } }) =>
      inFlight !== null && dirty?.transaction != null ? [dirty.transaction] : [],
    );
  }

  joinTransactions(from: string, into: string): void {
    for (const { address, row } of this.inTransaction(from))
      if (row.dirty !== null) this.setRow(address, { ...row, dirty: { ...row.dirty, transaction: into } });
  }

  hasWaiting(): boolean {
    return [...this.#rows.values()].some(({ row }) => isWaiting(row));
  }

  pendingIn(scope: string): Entry[] {
    return this.#in(scope).filter(({ row }) => isPending(row));
  }

  device(): Device {
    return this.#device;
  }

  setDevice(device: Device): void {
    this.#device = device;
  }

  scopes(): Map<string, ScopeState> {
    return new Map(this.#scopes);
  }

  setScope(scope: string, state: ScopeState): void {
    this.#scopes.set(scope, state);
  }

  dropScope(scope: string): boolean {
    const rows = this.#in(scope);
    for (const { address } of rows) this.remove(address);
    this.#brought.delete(scope);
    return rows.length > 0;
  }

  startPass(scope: string): void {
    this.#brought.set(scope, new Set());
  }

  markBrought(address: Address): void {
    this.#brought.get(address.scope)?.add(keyOf(address));
  }

  unbrought(scope: string): Entry[] {
    const brought = this.#brought.get(scope);
    this.#brought.delete(scope);
    return this.#in(scope).filter(({ address }) => brought?.has(keyOf(address)) === false);
  }

  remove(address: Address): void {
    this.#rows.delete(keyOf(address));
  }

  #in(scope: string): Entry[] {
    return [...this.#rows.values()].filter(({ address }) => address.scope === scope);
  }
}

const isWaiting = (row: Row): boolean => row.dirty !== null && row.inFlight === null;

export const keyOf = ({ scope, collection, documentId }: Address): string =>
  `${scope}/${collection}/${documentId}`;
