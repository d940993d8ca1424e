import { isJsonObject, type JsonObject } from '../../../shared/conflict/json.ts';
import { quoteName, type SqlRow } from '../sql/connection.ts';
import type { CliClient, Opened } from './open.ts';
import type { CollectionSettings } from './settings.ts';

/** How many rows are in memory at a time. */
export const PAGE = 500;

export interface StoredRow {
  readonly id: string;
  readonly scope: string;
  readonly content: JsonObject;
}

/** The rows of the current user, page by page, past what the stores of the SDK are for. */
export class Rows {
  readonly #client: CliClient;
  readonly #collections: Readonly<Record<string, CollectionSettings>>;

  constructor({ client, collections }: Pick<Opened, 'client' | 'collections'>) {
    this.#client = client;
    this.#collections = collections;
  }

  async count(collection: string): Promise<number> {
    const [row] = await this.#select(collection, 'SELECT COUNT(*) AS n FROM $table WHERE UserId = ?', []);
    return Number(row?.['n'] ?? 0);
  }

  /** Scopes that have documents of a collection. */
  async scopes(collection: string): Promise<string[]> {
    const rows = await this.#select(
      collection,
      'SELECT DISTINCT Scope FROM $table WHERE UserId = ? ORDER BY Scope',
      [],
    );
    return rows.map(({ Scope }) => String(Scope));
  }

  /** By id. */
  async *pages(collection: string, scope: string): AsyncGenerator<StoredRow[]> {
    let last = '';
    for (;;) {
      const rows = await this.#select(
        collection,
        `SELECT ID, Scope, Content FROM $table WHERE UserId = ? AND Scope = ? AND ID > ? ORDER BY ID LIMIT ${PAGE}`,
        [scope, last],
      );
      if (rows.length === 0) return;
      last = String(rows.at(-1)?.['ID']);
      yield rows.map(toRow);
    }
  }

  /** @returns by id, those that are there */
  async some(collection: string, scope: string, ids: readonly string[]): Promise<Map<string, JsonObject>> {
    const rows = await this.#select(
      collection,
      'SELECT ID, Scope, Content FROM $table WHERE UserId = ? AND Scope = ? AND ID IN (SELECT value FROM json_each(?))',
      [scope, JSON.stringify(ids)],
    );
    return new Map(rows.map(toRow).map(({ id, content }) => [id, content]));
  }

  /** Every row with its stamp, without the content. */
  async stamps(collection: string): Promise<{ id: string; scope: string; lastModified: string }[]> {
    const rows = await this.#select(
      collection,
      'SELECT ID, Scope, LastModified FROM $table WHERE UserId = ?',
      [],
    );
    return rows.map(({ ID, Scope, LastModified }) => ({
      id: String(ID),
      scope: String(Scope),
      lastModified: String(LastModified),
    }));
  }

  /** The user's own scope, as far as it is known. */
  async ownScope(): Promise<string> {
    // Opens the user, where nothing was done for one so far.
    await this.#client.status();
    const [collection = ''] = Object.keys(this.#collections);
    const [row] = await this.#select(collection, 'SELECT OwnScope FROM Tidemark_Users WHERE UserId = ?', []);
    return String(row?.['OwnScope']);
  }

  keyOf(collection: string): string {
    return this.#collections[collection]?.key ?? 'id';
  }

  /** @param sql its first parameter is the user */
  #select(collection: string, sql: string, params: readonly string[]): Promise<SqlRow[]> {
    const table = quoteName(this.#collections[collection]?.table ?? collection);
    // Any store of the client reads the whole database; its scope does not matter here.
    const kind = this.#collections[collection]?.scope;
    const store = this.#client.store(
      collection,
      kind === undefined || kind === 'user' ? {} : { scope: `${kind}:-` },
    );
    return store.sql(sql.replace('$table', table), [this.#client.userId, ...params]);
  }
}

function toRow({ ID, Scope, Content }: SqlRow): StoredRow {
  const content: unknown = JSON.parse(String(Content));
  return { id: String(ID), scope: String(Scope), content: isJsonObject(content) ? content : {} };
}
