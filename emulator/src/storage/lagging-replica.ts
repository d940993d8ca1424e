import { isObject } from '../json.ts';
import type { DocumentRow, Liveness, Slice, Store } from './store.ts';

/** One change of a document, with what was there before; undefined where there was nothing. */
export interface Change {
  readonly container: number;
  readonly range: string;
  readonly pk: string;
  readonly epk: string;
  readonly lsn: number;
  readonly no: number;
  readonly before: DocumentRow | undefined;
}

export interface ReplicaControl {
  /**
   * How many log sequence numbers reads without a session token are behind; 0: none. Only changes made from now on
   * can be missing: what is already there stays visible.
   */
  set(options: { readonly lag: number }): void;
}

/** The last changes, kept only while replicas lag. */
export class History implements ReplicaControl {
  #lag = 0;
  #changes: Change[] = [];

  get lag(): number {
    return this.#lag;
  }

  set({ lag }: { readonly lag: number }): void {
    this.#lag = lag;
    if (lag === 0) this.#changes = [];
  }

  /** To be called when the changes are durable, never before. */
  add(changes: readonly Change[]): void {
    if (this.#lag === 0 || changes.length === 0) return;
    this.#changes.push(...changes);
    const last = changes.at(-1);
    if (last === undefined) return;
    this.#changes = this.#changes.filter(
      ({ container, range, lsn }) =>
        container !== last.container || range !== last.range || lsn > last.lsn - this.#lag,
    );
  }

  of(container: number): readonly Change[] {
    return this.#changes.filter((change) => change.container === container);
  }
}

/** What reads of documents need of a store. */
export type DocumentReads = Pick<Store, 'document' | 'documents' | 'changes'>;

/**
 * A store as it was some changes ago: the current rows, with those that changed since put back as they were. It does
 * not filter (queries check every document anyway) and is meant for tests, not for large data.
 */
export function laggingReads(store: Store, changes: readonly Change[]): DocumentReads {
  // The oldest change of a document that is not visible yet says what is visible in its place.
  const old = new Map<number, Change>();
  for (const change of changes) if (!old.has(change.no)) old.set(change.no, change);
  const replaced = (slice: Slice, live: Liveness): DocumentRow[] =>
    [...old.values()].flatMap((change) =>
      change.before !== undefined && isIn(change, slice) && isAlive(change.before, live)
        ? [change.before]
        : [],
    );
  const unchanged = (rows: Iterable<DocumentRow>): DocumentRow[] =>
    [...rows].filter(({ no }) => !old.has(no));
  return {
    document(container, pk, id, live) {
      const current = store.document(container, pk, id, live);
      if (current !== undefined && !old.has(current.no)) return current;
      return replaced({ pk }, live).find((row) => row.id === id);
    },
    documents(container, slice, live, afterNo) {
      const rows = unchanged(store.documents(container, slice, live, afterNo));
      const before = replaced(slice, live).filter(({ no }) => no > afterNo);
      return [...rows, ...before].sort((a, b) => a.no - b.no);
    },
    changes(container, slice, live, afterLsn, sinceSeconds) {
      const rows = unchanged(store.changes(container, slice, live, afterLsn, sinceSeconds));
      const before = replaced(slice, live).filter(({ lsn, ts }) => lsn > afterLsn && ts >= sinceSeconds);
      return [...rows, ...before].sort((a, b) => a.lsn - b.lsn);
    },
  };
}

function isIn(change: Change, slice: Slice): boolean {
  if ('pk' in slice) return change.pk === slice.pk;
  const { min, max, range } = slice;
  return (range === undefined || change.range === range) && min <= change.epk && change.epk < max;
}

function isAlive(row: DocumentRow, { defaultTtl, nowSeconds }: Liveness): boolean {
  if (defaultTtl === null) return true;
  const document: unknown = JSON.parse(row.body);
  const own = isObject(document) ? document['ttl'] : undefined;
  const ttl = typeof own === 'number' ? own : defaultTtl;
  return ttl === -1 || row.ts + ttl > nowSeconds;
}
