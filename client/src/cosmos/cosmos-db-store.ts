import { isJsonObject, type JsonObject } from '../../../shared/conflict/json.ts';
import { mergePatch } from '../../../shared/conflict/merge-patch.ts';
import { isDocumentId, itemId } from '../../../shared/protocol/ids.ts';
import type { ScopeToken } from '../../../shared/protocol/token.ts';
import { etagOf, parseStored, toHeld, toStored } from '../../../shared/stored/document.ts';
import { TidemarkError } from '../errors.ts';
import { thisRuntime, type Runtime } from '../runtime.ts';
import type { PlainCondition, Scalar } from '../sql/query.ts';
import {
  plainQuery,
  type DocumentStore,
  type MergePatch,
  type PendingChange,
  type Query,
  type StoreTransaction,
} from '../store/document-store.ts';
import type { TokenProvider } from '../tokens/token-provider.ts';
import { CosmosPartition, type Meter, type Operation } from './container.ts';

export interface CosmosDbStoreOptions {
  readonly collection: string;
  /** Gives resource tokens of one scope: a `CachedTokenProvider` around an `HttpTokenProvider`. */
  readonly tokens: TokenProvider<ScopeToken>;
  /** Who writes, in the documents' envelopes: as `deviceId` of the protocol. */
  readonly deviceId: string;
  /** The member that holds a document's id. Default: `id`. */
  readonly key?: string;
  /** Seconds that a tombstone lives. Default: 90 days. */
  readonly retention?: number;
  readonly runtime?: Partial<Runtime>;
}

const ATTEMPTS = 20;
/** Operations of one batch of Cosmos DB. */
const BATCH = 100;

interface Found {
  readonly content: JsonObject | null;
  readonly etag: string | null;
  readonly stamp: number;
}

/**
 * Documents in Cosmos DB itself, through a resource token: the interface of the local store, without a local database. It
 * works online only, and every write is there when it returns, so nothing is ever pending.
 */
export class CosmosDbStore<T extends object> implements DocumentStore<T> {
  readonly collection: string;
  readonly #options: CosmosDbStoreOptions;
  readonly #partition: CosmosPartition;
  readonly #runtime: Runtime;
  readonly #key: string;
  readonly #watchers = new Set<() => void>();

  constructor(options: CosmosDbStoreOptions) {
    this.collection = options.collection;
    this.#options = options;
    this.#runtime = thisRuntime(options.runtime);
    this.#partition = new CosmosPartition(options.tokens, this.#runtime, 30_000);
    this.#key = options.key ?? 'id';
  }

  async get(id: string): Promise<T | null> {
    const { content } = (await this.#read([id])).get(id) ?? {};
    return content == null ? null : this.#shown(id, content);
  }

  async query(query: Query<T> = {}): Promise<T[]> {
    const { text, values } = compile(this.collection, plainQuery(query));
    const items = await this.#partition.query(text, values, newMeter(), NEVER);
    const { scope } = await this.#partition.token(NEVER);
    return items.flatMap((item) => {
      const stored = parseStored(item, scope);
      return stored?.data == null ? [] : [this.#shown(stored.documentId, stored.data)];
    });
  }

  async upsert(document: T): Promise<void> {
    await this.upsertBulk([document]);
  }

  /** All or none up to 100 documents; more go in several batches. */
  async upsertBulk(documents: readonly T[]): Promise<void> {
    for (let from = 0; from < documents.length; from += BATCH) {
      const some = documents.slice(from, from + BATCH);
      await this.transaction((transaction) => {
        for (const document of some) transaction.upsert(document);
        return Promise.resolve();
      });
    }
  }

  patch(id: string, patch: MergePatch<T>): Promise<T> {
    return this.transaction(async (transaction) => {
      await transaction.patch(id, patch);
      const document = await transaction.get(id);
      if (document === null) throw new TidemarkError('not_found', `There is no document \`${id}\`.`);
      return document;
    });
  }

  delete(id: string): Promise<boolean> {
    return this.transaction(async (transaction) => {
      const found = (await transaction.get(id)) !== null;
      if (found) transaction.delete(id);
      return found;
    });
  }

  /** None: a write is in Cosmos DB when it returns. */
  pendingChanges(): Promise<PendingChange<T>[]> {
    return Promise.resolve([]);
  }

  clearPending(): Promise<number> {
    return Promise.resolve(0);
  }

  async transaction<R>(work: (transaction: StoreTransaction<T>) => Promise<R>): Promise<R> {
    for (let attempt = 0; attempt < ATTEMPTS; attempt += 1) {
      const seen = new Map<string, Found>();
      const written = new Map<string, JsonObject | null>();
      const read = async (id: string): Promise<JsonObject | null> => {
        if (written.has(id)) return written.get(id) ?? null;
        if (!seen.has(id)) for (const [key, found] of await this.#read([id])) seen.set(key, found);
        return seen.get(id)?.content ?? null;
      };
      const result = await work({
        get: async (id) => {
          const content = await read(id);
          return content === null ? null : this.#shown(id, content);
        },
        upsert: (document) => {
          const data = toJson(document);
          const { [this.#key]: id } = data;
          if (typeof id !== 'string' || !isDocumentId(id)) {
            throw new TidemarkError('invalid_document', `A document needs a text in \`${this.#key}\`.`);
          }
          written.set(id, data);
        },
        patch: async (id, patch) => {
          const content = await read(id);
          if (content === null) throw new TidemarkError('not_found', `There is no document \`${id}\`.`);
          written.set(id, mergePatch(content, toJson(patch)));
        },
        delete: (id) => {
          written.set(id, null);
        },
      });
      if (written.size === 0 || (await this.#write(written, seen))) return result;
    }
    throw new TidemarkError('contended', 'Others kept changing what was to be written.', { retryable: true });
  }

  /** Calls back now, and after writes through this very store: Cosmos DB tells nobody of the others'. */
  watch(query: Query<T>, listener: (documents: T[]) => void): () => void {
    let last: string | undefined;
    const run = () => {
      this.query(query).then(
        (documents) => {
          const text = JSON.stringify(documents);
          if (text === last || !this.#watchers.has(run)) return;
          last = text;
          listener(documents);
        },
        () => undefined,
      );
    };
    this.#watchers.add(run);
    run();
    return () => this.#watchers.delete(run);
  }

  async #read(ids: readonly string[]): Promise<Map<string, Found>> {
    const { scope } = await this.#partition.token(NEVER);
    const items = await this.#partition.read(
      ids.map((id) => itemId(this.collection, id)),
      newMeter(),
      NEVER,
    );
    return new Map(
      ids.map((id): [string, Found] => {
        const item = items.get(itemId(this.collection, id));
        const stored = parseStored(item, scope);
        return [
          id,
          {
            content: stored?.data ?? null,
            etag: etagOf(item),
            stamp: stored === null ? 0 : toHeld(stored).stamp,
          },
        ];
      }),
    );
  }

  /** @returns false where something read is not as it was, and nothing was written */
  async #write(
    written: ReadonlyMap<string, JsonObject | null>,
    seen: ReadonlyMap<string, Found>,
  ): Promise<boolean> {
    const { scope, userId } = await this.#partition.token(NEVER);
    const unread = [...written.keys()].filter((id) => !seen.has(id));
    const found = new Map([...seen, ...(unread.length > 0 ? await this.#read(unread) : [])]);
    const { deviceId, retention = 90 * 86_400 } = this.#options;
    const operations = [...written].flatMap(([documentId, data]): Operation[] => {
      const { etag = null, stamp = 0 } = found.get(documentId) ?? {};
      if (etag === null && data === null) return [];
      const address = { scope, collection: this.collection, documentId };
      const held = {
        kind: data === null ? ('tombstone' as const) : ('live' as const),
        etag: null,
        stamp: Math.max(this.#runtime.now(), stamp + 1),
        writer: { userId, deviceId, seq: null },
        data,
      };
      const resourceBody = { ...toStored(address, held, retention) };
      return etag === null
        ? [{ operationType: 'Create', resourceBody }]
        : [
            {
              operationType: 'Replace',
              id: itemId(this.collection, documentId),
              ifMatch: etag,
              resourceBody,
            },
          ];
    });
    if (operations.length > 0) {
      const written = await this.#partition.batch(operations, newMeter(), NEVER);
      if (written === 'refused') return false;
      if (written === 'too-large') {
        throw new TidemarkError('document_too_large', 'Cosmos DB does not take so much in one transaction.');
      }
    }
    for (const run of [...this.#watchers]) run();
    return true;
  }

  #shown(id: string, content: JsonObject): T {
    return (content[this.#key] === id ? content : { ...content, [this.#key]: id }) as T;
  }
}

const NEVER = new AbortController().signal;
const newMeter = (): Meter => ({ requests: 0, bytesSent: 0, bytesReceived: 0 });

function toJson(value: unknown): JsonObject {
  const json: unknown = JSON.parse(JSON.stringify(value));
  if (!isJsonObject(json)) throw new TidemarkError('invalid_document', 'A document is a JSON object.');
  return json;
}

const COMPARISONS: Readonly<Record<string, string>> = {
  eq: '=',
  ne: '!=',
  gt: '>',
  gte: '>=',
  lt: '<',
  lte: '<=',
};

/** The query in the SQL of Cosmos DB. */
function compile(
  collection: string,
  { where = {}, orderBy = [], limit, offset }: ReturnType<typeof plainQuery>,
): { text: string; values: unknown[] } {
  const values: unknown[] = [];
  const bind = (value: unknown): string => `@p${values.push(value) - 1}`;
  const member = (path: string): string =>
    `c.data${path
      .split('.')
      .map((part) => `[${JSON.stringify(part)}]`)
      .join('')}`;
  const condition = (path: string, test: PlainCondition): string[] => {
    const at = member(path);
    const equals = (value: Scalar): string =>
      value === null ? `(NOT IS_DEFINED(${at}) OR IS_NULL(${at}))` : `${at} = ${bind(value)}`;
    if (test === null || typeof test !== 'object') return [equals(test)];
    return Object.entries(test).map(([name, value]): string => {
      if (name === 'exists') return value === true ? `IS_DEFINED(${at})` : `NOT IS_DEFINED(${at})`;
      if (name === 'startsWith') return `STARTSWITH(${at}, ${bind(value)})`;
      if (name === 'in') {
        const options = (value as readonly Scalar[]).map(equals);
        return options.length === 0 ? 'false' : `(${options.join(' OR ')})`;
      }
      if (name === 'eq') return equals(value as Scalar);
      if (name === 'ne') {
        const other = `NOT (${equals(value as Scalar)})`;
        return value === null ? other : `(NOT IS_DEFINED(${at}) OR ${other})`;
      }
      const comparison = COMPARISONS[name];
      if (comparison === undefined) {
        throw new TidemarkError('invalid_query', `A query has no comparison \`${name}\`.`);
      }
      return `${at} ${comparison} ${bind(value)}`;
    });
  };
  const tests = Object.entries(where).flatMap(([path, test]) =>
    test === undefined ? [] : condition(path, test),
  );
  const terms = (typeof orderBy === 'string' ? [orderBy] : orderBy).map((term) =>
    typeof term === 'string' ? member(term) : `${member(term[0])}${term[1] === 'desc' ? ' DESC' : ''}`,
  );
  const filter = [`c.collection = ${bind(collection)}`, 'c.deleted = false', ...tests].join(' AND ');
  const order = ` ORDER BY ${terms.length > 0 ? terms.join(', ') : 'c.documentId'}`;
  const paging =
    limit === undefined && offset === undefined
      ? ''
      : ` OFFSET ${offset ?? 0} LIMIT ${limit ?? 2_147_483_647}`;
  return { text: `SELECT * FROM c WHERE ${filter}${order}${paging}`, values };
}
