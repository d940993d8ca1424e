import { isDocumentId } from '../../../shared/protocol/ids.ts';
import { isJsonObject, type JsonObject } from '../../../shared/conflict/json.ts';
import { mergePatch } from '../../../shared/conflict/merge-patch.ts';
import { describeError, TidemarkError } from '../errors.ts';
import type { SqlRow, SqlValue } from '../sql/connection.ts';
import type { Database } from '../sql/database.ts';
import type { Expected, LocalEdit, StoredDocument } from '../sql/local-database.ts';
import type { NewContent } from '../sql/sql-row-store.ts';
import type { Collection } from './collection.ts';
import {
  plainQuery,
  type DocumentStore,
  type MergePatch,
  type PendingChange,
  type Query,
  type StoreTransaction,
  type WriteOptions,
} from './document-store.ts';

/** What a store needs of its client. */
export interface StoreContext {
  readonly userId: () => string;
  readonly database: () => Promise<Database>;
  /** Told after a tracked write. */
  readonly onEdit: () => void;
  /** Calls back when rows of the collection may have changed, or another user's are shown. @returns how to end that */
  readonly onChange: (collection: string, listener: () => void) => () => void;
  /** Told what a listener of an app throws. */
  readonly onError: (error: unknown) => void;
}

/** How often a transaction runs again when somebody else was faster. */
const TRANSACTION_ATTEMPTS = 20;

/** Documents in the local SQLite database. Made by `client.store(…)`. */
export class SqliteStore<T extends object> implements DocumentStore<T> {
  readonly collection: string;
  readonly #options: Collection<T>;
  readonly #context: StoreContext;
  readonly #scope: string | null;
  readonly #key: string;

  /** @param scope null: the user's own */
  constructor(name: string, options: Collection<T>, scope: string | null, context: StoreContext) {
    this.collection = name;
    this.#options = options;
    this.#scope = scope;
    this.#context = context;
    this.#key = options.key ?? 'id';
  }

  async get(id: string): Promise<T | null> {
    const database = await this.#context.database();
    const found = await database.get(this.#context.userId(), this.collection, this.#scope, id);
    return found === null ? null : this.#document(found);
  }

  async query(query: Query<T> = {}): Promise<T[]> {
    const database = await this.#context.database();
    const found = await database.find(
      this.#context.userId(),
      this.collection,
      this.#scope,
      plainQuery(query),
    );
    return found.map((document) => this.#document(document));
  }

  upsert(document: T, options: WriteOptions = {}): Promise<void> {
    return this.upsertBulk([document], options);
  }

  async upsertBulk(documents: readonly T[], { trackChanges = true }: WriteOptions = {}): Promise<void> {
    if (documents.length > 0) await this.#write([this.#upsert(documents, trackChanges)]);
  }

  async patch(id: string, patch: MergePatch<T>): Promise<T> {
    return this.transaction(async (transaction) => {
      await transaction.patch(id, patch);
      const document = await transaction.get(id);
      if (document === null) throw notFound(this.collection, id);
      return document;
    });
  }

  async delete(id: string): Promise<boolean> {
    return this.transaction(async (transaction) => {
      const found = (await transaction.get(id)) !== null;
      if (found) transaction.delete(id);
      return found;
    });
  }

  async pendingChanges(): Promise<PendingChange<T>[]> {
    const database = await this.#context.database();
    const userId = this.#context.userId();
    const scope = this.#scope ?? (await database.ownScope(userId));
    return (await database.pending(userId, this.collection))
      .filter(({ address }) => address.scope === scope)
      .map(({ address, type, since, sent, content }) => ({
        id: address.documentId,
        scope: address.scope,
        type,
        since,
        sent,
        document: content === null ? null : this.#shown(address.documentId, content),
      }));
  }

  async clearPending(ids?: readonly string[]): Promise<number> {
    const database = await this.#context.database();
    const userId = this.#context.userId();
    const scope = this.#scope ?? (await database.ownScope(userId));
    const pending = (await database.pending(userId, this.collection))
      .map(({ address }) => address)
      .filter((address) => address.scope === scope && ids?.includes(address.documentId) !== false);
    return database.discardPending(userId, pending);
  }

  async transaction<R>(work: (transaction: StoreTransaction<T>) => Promise<R>): Promise<R> {
    for (let attempt = 0; attempt < TRANSACTION_ATTEMPTS; attempt += 1) {
      const { transaction, reads, edits } = this.#begin();
      const result = await work(transaction);
      if (edits.length === 0 || (await this.#write(edits, reads(), true))) return result;
    }
    throw new TidemarkError('contended', 'Others kept changing what the transaction had read.', {
      retryable: true,
    });
  }

  watch(query: Query<T>, listener: (documents: T[]) => void): () => void {
    let last: string | undefined;
    let ended = false;
    let running = false;
    let again = false;
    const run = async (): Promise<void> => {
      // Changes that come while a query runs are one more run, however many they are.
      again = running;
      if (running) return;
      running = true;
      try {
        const documents = await this.query(query);
        const text = JSON.stringify(documents);
        if (!isOver(() => ended) && text !== last) {
          last = text;
          listener(documents);
        }
      } catch (error) {
        if (!isOver(() => ended)) this.#context.onError(error);
      } finally {
        running = false;
      }
      if (isOver(() => again) && !isOver(() => ended)) await run();
    };
    const end = this.#context.onChange(this.collection, () => void run());
    void run();
    return () => {
      ended = true;
      end();
    };
  }

  /**
   * Runs a statement that reads, on the tables as they are: `ID`, `Content` (JSON), `LastModified`, `UserId`, `Scope`. It is
   * not kept to the current user: say `WHERE UserId = ?`.
   */
  async sql(statement: string, params: readonly SqlValue[] = []): Promise<SqlRow[]> {
    return (await this.#context.database()).select(statement, params);
  }

  #begin(): { transaction: StoreTransaction<T>; reads: () => Expected[]; edits: LocalEdit[] } {
    const seen = new Map<string, JsonObject | null>();
    const written = new Map<string, JsonObject | null>();
    const edits: LocalEdit[] = [];
    const read = async (id: string): Promise<JsonObject | null> => {
      const own = written.get(id);
      if (own !== undefined) return own;
      const known = seen.get(id);
      if (known !== undefined) return known;
      const database = await this.#context.database();
      const found = await database.get(this.#context.userId(), this.collection, this.#scope, id);
      seen.set(id, found?.content ?? null);
      return found?.content ?? null;
    };
    const place = { collection: this.collection, scope: this.#scope };
    const transaction: StoreTransaction<T> = {
      get: async (id) => {
        const content = await read(id);
        return content === null ? null : this.#shown(id, content);
      },
      upsert: (document) => {
        const { documentId, content } = this.#toContent(document);
        written.set(documentId, parseJson(content));
        edits.push({ ...place, kind: 'upsert', documents: [{ documentId, content }], track: true });
      },
      patch: async (id, patch) => {
        const content = await read(id);
        if (content === null) throw notFound(this.collection, id);
        const data = parseJson(toText(patch, this.collection));
        const next = mergePatch(content, data);
        this.#check(next);
        written.set(id, next);
        edits.push({ ...place, kind: 'patch', documentId: id, data });
      },
      delete: (id) => {
        written.set(id, null);
        edits.push({ ...place, kind: 'delete', documentId: id });
      },
    };
    const reads = (): Expected[] =>
      [...seen].map(([documentId, content]) => ({
        collection: this.collection,
        scope: this.#scope,
        documentId,
        content: content === null ? null : JSON.stringify(content),
      }));
    return { transaction, reads, edits };
  }

  async #write(
    edits: readonly LocalEdit[],
    expected: readonly Expected[] = [],
    together = false,
  ): Promise<boolean> {
    const database = await this.#context.database();
    const written = await database.write(this.#context.userId(), edits, expected, together);
    if (written && edits.some((made) => made.kind !== 'upsert' || made.track)) this.#context.onEdit();
    return written;
  }

  #upsert(documents: readonly T[], track: boolean): LocalEdit {
    return {
      kind: 'upsert',
      collection: this.collection,
      scope: this.#scope,
      documents: documents.map((document) => this.#toContent(document)),
      track,
    };
  }

  #toContent(document: T): NewContent {
    const content = toText(document, this.collection);
    // Reading the text back costs as much as writing it: only where something depends on what JSON made of the document.
    const { [this.#key]: given } = document as Readonly<Record<string, unknown>>;
    const isPlain =
      typeof given === 'string' && Object.hasOwn(document, this.#key) && !('toJSON' in document);
    const data = isPlain && this.#options.schema === undefined ? null : parseJson(content);
    const id = data === null ? given : data[this.#key];
    if (typeof id !== 'string' || !isDocumentId(id)) {
      throw new TidemarkError(
        'invalid_document',
        `A document of \`${this.collection}\` needs a text in \`${this.#key}\`: 1 to 250 characters, none of / \\ ? # and no control characters.`,
      );
    }
    if (data !== null) this.#check(data);
    return { documentId: id, content };
  }

  #check(data: JsonObject): void {
    const result = this.#options.schema?.['~standard'].validate(data);
    if (result instanceof Promise) {
      throw new TidemarkError(
        'invalid_document',
        'A schema of a collection has to validate without waiting.',
      );
    }
    const issues = isJsonObject(result) ? result['issues'] : undefined;
    if (!Array.isArray(issues)) return;
    const [first] = issues as readonly unknown[];
    const reason = isJsonObject(first) ? String(first['message']) : 'it does not fit';
    throw new TidemarkError(
      'invalid_document',
      `The schema of \`${this.collection}\` refused a document: ${reason}`,
    );
  }

  #document({ documentId, content }: StoredDocument): T {
    return this.#shown(documentId, content);
  }

  /** What the service brings is of this collection's type as far as its writers kept to it; the id is certain. */
  #shown(id: string, content: JsonObject): T {
    return (content[this.#key] === id ? content : { ...content, [this.#key]: id }) as T;
  }
}

const notFound = (collection: string, id: string): TidemarkError =>
  new TidemarkError('not_found', `There is no document \`${id}\` in \`${collection}\`.`);

/** A value that other code changes while this one waits. */
const isOver = (read: () => boolean): boolean => read();

/** A value as JSON keeps it: dates become text, members without a value go. */
function toText(value: unknown, collection: string): string {
  let text: unknown;
  try {
    text = JSON.stringify(value);
  } catch (error) {
    throw new TidemarkError(
      'invalid_document',
      `A document of \`${collection}\` is no JSON: ${describeError(error)}`,
    );
  }
  if (typeof text === 'string' && text.startsWith('{')) return text;
  throw new TidemarkError('invalid_document', `A document of \`${collection}\` is no JSON object.`);
}

const parseJson = (text: string): JsonObject => JSON.parse(text) as JsonObject;
