import type { JsonObject } from '../../shared/conflict/index.ts';
import type { SyncRequest, SyncResponse } from '../../shared/protocol/index.ts';
import type { Composed } from '../../client/src/core/exchange.ts';
import type { Address } from '../../client/src/core/row-store.ts';
import { nodeSqlite } from '../../client/src/drivers/node-sqlite.ts';
import { LocalDatabase, type LocalEdit, type RejectedEdit } from '../../client/src/sql/local-database.ts';
import type { SqlConnection } from '../../client/src/sql/connection.ts';

export interface SqlDeviceOptions {
  readonly userId: string;
  readonly collections: readonly string[];
  readonly now: () => number;
  readonly createId: () => string;
  readonly maxChanges?: number;
}

/** The local database of the SDK, driven by hand: the interface of `Replica`, on SQLite in memory. */
export class SqlDevice {
  readonly #connection: SqlConnection;
  readonly #options: SqlDeviceOptions;
  #database: LocalDatabase;
  readonly #composed = new WeakMap<SyncRequest, Composed>();

  constructor(options: SqlDeviceOptions) {
    this.#options = options;
    this.#connection = nodeSqlite(':memory:').connect() as SqlConnection;
    this.#database = this.#open();
  }

  #open(): LocalDatabase {
    const { collections, userId, now, createId } = this.#options;
    const models = collections.map((collection) => ({ collection, table: collection, indexes: [] }));
    return new LocalDatabase(this.#connection, models, userId, { now, createId, fingerprint: null });
  }

  /** The process dies and another one opens the database. */
  restart(): void {
    this.#database = this.#open();
  }

  get database(): LocalDatabase {
    return this.#database;
  }

  get(address: Address): JsonObject | null {
    const { collection, scope, documentId } = address;
    return this.#database.get(this.#options.userId, collection, scope, documentId)?.content ?? null;
  }

  documents(): Map<string, JsonObject> {
    return new Map(
      this.#options.collections.flatMap((collection) =>
        this.#database
          .find(this.#options.userId, collection, undefined, {})
          .map(({ scope, documentId, content }): [string, JsonObject] => [
            `${scope}/${collection}/${documentId}`,
            content,
          ]),
      ),
    );
  }

  get pending(): number {
    return this.#database.facts(this.#options.userId).pending;
  }

  get rejected(): RejectedEdit[] {
    return this.#database.rejected(this.#options.userId);
  }

  put({ collection, scope, documentId }: Address, data: JsonObject): void {
    const documents = [{ documentId, content: JSON.stringify(data) }];
    this.#edit({ kind: 'upsert', collection, scope, documents, track: true });
  }

  patch(address: Address, data: JsonObject): void {
    this.#edit({ kind: 'patch', ...address, data });
  }

  remove(address: Address): void {
    this.#edit({ kind: 'delete', ...address });
  }

  request(): SyncRequest {
    const { userId, collections, maxChanges = 1000 } = this.#options;
    const { composed } = this.#database.compose(
      userId,
      { collections, maxChanges, maxBytes: 4_000_000 },
      'thin',
      null,
    );
    this.#composed.set(composed.request, composed);
    return composed.request;
  }

  take(sent: SyncRequest, response: SyncResponse): boolean {
    const composed = this.#composed.get(sent);
    if (composed === undefined) throw new Error('This device made no such request.');
    return this.#database.take(this.#options.userId, composed, response, null).more;
  }

  #edit(made: LocalEdit): void {
    this.#database.write(this.#options.userId, [made], []);
  }
}
