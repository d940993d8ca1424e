import { isJsonObject, type JsonObject } from '../../shared/conflict/index.ts';
import type { BatchResult, DocumentStore, FeedPage, ScopeStore, Write } from '../../shared/sync/store.ts';

/**
 * A document store in memory with the semantics of Cosmos DB that the gateway leans on: transactional batches with
 * conditions, ETags, time to live, the change feed of a partition in latest-version mode. It is a hundred times faster
 * than the emulator behind HTTP; `store-conformance.test.ts` holds it to that one.
 */
export interface MemoryStore extends DocumentStore {
  /** What is alive in a scope, with the system's properties. */
  readonly items: (scope: string) => StoredItem[];
  /** Deletes physically, as no gateway does: for planted bugs. */
  readonly remove: (scope: string, id: string) => void;
}

export type StoredItem = JsonObject & {
  readonly id: string;
  readonly _etag: string;
  readonly _ts: number;
};

const MAX_OPERATIONS = 100;
const MAX_BATCH_BYTES = 2_097_152;

interface Entry {
  readonly body: JsonObject;
  readonly etag: string;
  readonly ts: number;
  readonly lsn: number;
}

/** @param now milliseconds since the epoch */
export function createMemoryStore(now: () => number): MemoryStore {
  const partitions = new Map<string, Map<string, Entry>>();
  let lsn = 0;
  let etags = 0;

  const partitionOf = (scope: string): Map<string, Entry> => {
    const known = partitions.get(scope) ?? new Map<string, Entry>();
    partitions.set(scope, known);
    return known;
  };
  const alive = (entry: Entry | undefined): Entry | undefined => {
    if (entry === undefined) return undefined;
    const ttl = typeof entry.body['ttl'] === 'number' ? entry.body['ttl'] : -1;
    return ttl === -1 || entry.ts + ttl > Math.floor(now() / 1000) ? entry : undefined;
  };
  const visible = ({ body, etag, ts }: Entry): StoredItem => ({
    ...(JSON.parse(JSON.stringify(body)) as JsonObject & { id: string }),
    _etag: etag,
    _ts: ts,
  });

  /** What the item of a write is to be; null where it does not fit what is stored. */
  const bodyAfter = (write: Write, current: Entry | undefined): JsonObject | null => {
    switch (write.kind) {
      case 'create':
        return current === undefined ? { ...write.item } : null;
      case 'upsert':
        return { ...write.item };
      case 'replace':
        return current?.etag === write.ifMatch ? { ...write.item } : null;
      case 'move-ledger': {
        const { seq, changeId } = current?.body ?? {};
        if (seq !== write.expected.seq || changeId !== write.expected.changeId) return null;
        return { ...current?.body, ...write.to, outcomes: write.outcomes };
      }
    }
  };

  function batch(scope: string, writes: readonly Write[]): BatchResult {
    if (writes.length > MAX_OPERATIONS) throw new Error(`A batch of ${writes.length} operations.`);
    if (Buffer.byteLength(JSON.stringify(writes)) > MAX_BATCH_BYTES) return { kind: 'too-large' };
    const partition = partitionOf(scope);
    const staged = new Map<string, Entry>();
    const written: string[] = [];
    for (const [culprit, write] of writes.entries()) {
      const id = write.kind === 'move-ledger' ? write.id : write.item.id;
      const body = bodyAfter(write, staged.get(id) ?? alive(partition.get(id)));
      if (body === null) return { kind: 'refused', culprit };
      etags += 1;
      const etag = `"${etags.toString(16).padStart(8, '0')}"`;
      written.push(etag);
      staged.set(id, {
        body: JSON.parse(JSON.stringify(body)) as JsonObject,
        etag,
        ts: Math.floor(now() / 1000),
        lsn: lsn + 1,
      });
    }
    lsn += 1;
    for (const [id, entry] of staged) {
      partition.delete(id);
      partition.set(id, entry);
    }
    return { kind: 'written', etags: written };
  }

  function changes(scope: string, from: string | number | null, maxItems: number): FeedPage | null {
    if (typeof from === 'string' && !/^\d+$/.test(from)) return null;
    const after = typeof from === 'string' ? Number(from) : 0;
    // A time includes the whole second it falls into.
    const since = typeof from === 'number' ? Math.floor(from / 1000) : 0;
    const items: StoredItem[] = [];
    let last = after;
    // Entries lie in the order of their last write.
    for (const entry of partitionOf(scope).values()) {
      if (entry.lsn <= after || entry.ts < since || alive(entry) === undefined) continue;
      // Changes of one batch are never cut apart.
      if (items.length >= maxItems && entry.lsn !== last) break;
      items.push(visible(entry));
      last = entry.lsn;
    }
    const drained = items.length === 0;
    return { items, continuation: String(drained ? Math.max(lsn, after) : last), drained };
  }

  return {
    incarnation: () => Promise.resolve('memory'),
    open: (scope, _session, meter): ScopeStore => {
      const count = (): void => {
        meter.requests += 1;
        meter.requestUnits += 1;
      };
      return {
        session: null,
        batch: async (writes) => {
          await Promise.resolve();
          count();
          return batch(scope, writes);
        },
        read: async (ids) => {
          await Promise.resolve();
          count();
          const partition = partitionOf(scope);
          const found = ids.flatMap((id) => alive(partition.get(id)) ?? []);
          return new Map(found.map(visible).map((item) => [item.id, item]));
        },
        changes: async (from, maxItems) => {
          await Promise.resolve();
          count();
          return changes(scope, from, maxItems);
        },
      };
    },
    items: (scope) =>
      [...partitionOf(scope).values()].filter((entry) => alive(entry) !== undefined).map(visible),
    remove: (scope, id) => void partitionOf(scope).delete(id),
  };
}

/** The member of an item, where it is text. */
export const textOf = (item: unknown, name: string): string | null => {
  const value = isJsonObject(item) ? item[name] : undefined;
  return typeof value === 'string' ? value : null;
};
