import type { JsonValue } from '../json.ts';

/** Rows of a query one by one, with a look at the next: a page ends before the row that does not fit. */
export class RowCursor {
  readonly #rows: Iterator<JsonValue>;
  #next: JsonValue | undefined;
  #peeked = false;

  constructor(rows: Iterable<JsonValue>) {
    this.#rows = rows[Symbol.iterator]();
  }

  /** The next row, or undefined at the end; no row of a query is undefined. */
  peek(): JsonValue | undefined {
    if (!this.#peeked) {
      const result = this.#rows.next();
      this.#next = result.done === true ? undefined : result.value;
      this.#peeked = true;
    }
    return this.#next;
  }

  take(): JsonValue | undefined {
    const row = this.peek();
    this.#peeked = false;
    return row;
  }

  /** Lets go of what the rows are read from. */
  close(): void {
    this.#rows.return?.();
  }
}

interface Kept {
  readonly rows: RowCursor;
  readonly bytes: number;
}

/** All that is kept was read from documents of this size together, in bytes of their text. */
const capacity = 32 * 1024 * 1024;

/**
 * What is left of queries that read everything before their first row (those that sort or fold), for their next page.
 * Kept under a key that says what was asked, of which state of the data, and how many rows are gone; a page that finds
 * nothing runs the query anew. The oldest go where there is no room.
 */
export class Cursors {
  readonly #kept = new Map<string, Kept>();
  #bytes = 0;

  keep(key: string, rows: RowCursor, bytes: number): void {
    if (bytes > capacity) return;
    this.take(key);
    for (const oldest of this.#kept.keys()) {
      if (this.#bytes + bytes <= capacity) break;
      this.take(oldest);
    }
    this.#kept.set(key, { rows, bytes });
    this.#bytes += bytes;
  }

  /** The rows kept under a key, which are the caller's from now on. */
  take(key: string): Kept | undefined {
    const kept = this.#kept.get(key);
    if (kept === undefined) return undefined;
    this.#kept.delete(key);
    this.#bytes -= kept.bytes;
    return kept;
  }
}
