import type { Change, RemoteDocument, StreamPosition } from '../../../shared/protocol/sync.ts';
import type { JsonObject } from '../../../shared/conflict/json.ts';
import type { Address, Device, Entry, RowStore, ScopeState } from '../core/row-store.ts';
import { TidemarkError } from '../errors.ts';
import { EMPTY_ROW, isPending, type Edit, type Row, type Whole } from '../row.ts';
import { numberOf, quoteName, quoteText, textOf, type SqlConnection, type SqlRow } from './connection.ts';
import type { Model } from './model.ts';
import { pendingTable } from './schema.ts';

/** The statements of one model, made once. */
interface Statements {
  readonly model: Model;
  readonly read: string;
  readonly put: string;
  /** What has to run on each connection before `upsertOne`. */
  readonly setup: readonly string[];
  readonly upsertOne: string;
  readonly noteMany: string;
  readonly putNoted: string;
  readonly restamp: string;
  readonly drop: string;
  readonly putPending: string;
  readonly dropPending: string;
  readonly inFlight: string;
  readonly waiting: string;
  readonly anyWaiting: string;
  readonly inTransaction: string;
  readonly held: string;
  readonly nameTransaction: string;
  readonly joinTransactions: string;
  readonly pendingIn: string;
  readonly allIn: string;
  readonly dropScope: string;
  readonly dropPendingScope: string;
}

const PENDING_COLUMNS =
  'p.Type, p.LastModified AS EditedAt, p.BaseVersion, p.Base, p.Change, p.Whole, p.Shadow, p.TransactionName';

export function statementsOf(model: Model): Statements {
  const table = quoteName(model.table);
  const pending = pendingTable(model);
  const collection = quoteText(model.collection);
  const select = (keys: string) => `
    SELECT k.Scope, k.ID, m.Content, m.Version, a.Version AS AbsentVersion, p.ID AS PendingId, ${PENDING_COLUMNS}
    FROM (${keys}) k
    LEFT JOIN ${table} m ON m.UserId = k.UserId AND m.Scope = k.Scope AND m.ID = k.ID
    LEFT JOIN ${pending} p ON p.UserId = k.UserId AND p.Scope = k.Scope AND p.ID = k.ID
    LEFT JOIN Tidemark_Absent a ON a.UserId = k.UserId AND a.Scope = k.Scope AND a.Collection = ${collection} AND a.ID = k.ID`;
  const keys = `SELECT UserId, Scope, ID FROM ${pending}`;
  const view = quoteName(`Tidemark_Upsert_${model.table}`);
  return {
    model,
    ...upsertStatements(table, pending, collection, view),
    read: select('SELECT ? AS UserId, ? AS Scope, ? AS ID'),
    put: `INSERT INTO ${table} (UserId, Scope, ID, Content, LastModified, Version) VALUES (?, ?, ?, ?, ?, ?)
      ON CONFLICT (UserId, Scope, ID) DO UPDATE SET Content = excluded.Content, Version = excluded.Version,
      LastModified = CASE WHEN excluded.LastModified = '' THEN LastModified ELSE excluded.LastModified END`,
    restamp: `UPDATE ${table} SET Version = ?, LastModified = CASE WHEN ? = '' THEN LastModified ELSE ? END
      WHERE UserId = ? AND Scope = ? AND ID = ?`,
    drop: `DELETE FROM ${table} WHERE UserId = ? AND Scope = ? AND ID = ?`,
    putPending: `INSERT INTO ${pending} (UserId, Scope, ID, Position, Type, LastModified, BaseVersion, Seq, Base, Change, Whole, Shadow, TransactionName)
      VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (UserId, Scope, ID) DO UPDATE SET
      Position = CASE WHEN Change IS NOT NULL AND excluded.Change IS NULL THEN excluded.Position ELSE Position END,
      Type = excluded.Type, LastModified = excluded.LastModified, BaseVersion = excluded.BaseVersion,
      Seq = excluded.Seq, Base = excluded.Base, Change = excluded.Change, Whole = excluded.Whole, Shadow = excluded.Shadow,
      TransactionName = excluded.TransactionName`,
    dropPending: `DELETE FROM ${pending} WHERE UserId = ? AND Scope = ? AND ID = ?`,
    inFlight: `SELECT Change FROM ${pending} WHERE UserId = ? AND Change IS NOT NULL`,
    waiting: `SELECT Scope, ID, Position FROM ${pending} WHERE UserId = ? AND Type IS NOT NULL AND Change IS NULL
      AND (TransactionName IS NULL OR TransactionName NOT IN (SELECT value FROM json_each(?))) ORDER BY Position LIMIT ?`,
    anyWaiting: `SELECT 1 AS found FROM ${pending} WHERE UserId = ? AND Type IS NOT NULL AND Change IS NULL LIMIT 1`,
    inTransaction: `${select(`${keys} WHERE UserId = ? AND TransactionName = ? AND Type IS NOT NULL`)} ORDER BY p.Position`,
    held: `SELECT DISTINCT TransactionName FROM ${pending} WHERE UserId = ? AND Change IS NOT NULL AND TransactionName IS NOT NULL`,
    nameTransaction: `UPDATE ${pending} SET TransactionName = ? WHERE UserId = ? AND Scope = ? AND ID = ? AND Type IS NOT NULL`,
    joinTransactions: `UPDATE ${pending} SET TransactionName = ? WHERE UserId = ? AND TransactionName = ?`,
    pendingIn: select(`${keys} WHERE UserId = ? AND Scope = ?`),
    allIn: select(`SELECT UserId, Scope, ID FROM ${table} WHERE UserId = ? AND Scope = ?
      UNION SELECT UserId, Scope, ID FROM ${pending} WHERE UserId = ? AND Scope = ?
      UNION SELECT UserId, Scope, ID FROM Tidemark_Absent WHERE UserId = ? AND Scope = ? AND Collection = ${collection}
      EXCEPT SELECT UserId, Scope, ID FROM Tidemark_Brought WHERE UserId = ? AND Scope = ? AND Collection = ${collection}`),
    dropScope: `DELETE FROM ${table} WHERE UserId = ? AND Scope = ?`,
    dropPendingScope: `DELETE FROM ${pending} WHERE UserId = ? AND Scope = ?`,
  };
}

/**
 * `edit` of an upsert, in SQL: it reads no row into this process, and one document is one statement, which is a transaction
 * of its own. What is pending is noted first, for it refers to the content before. A trigger is the only way to write two
 * tables with one statement; it is temporary, so no other program that opens the file meets it.
 *
 * An entry in `Tidemark_Absent` stays when its document comes back: nobody asks for it then, and the answer to the edit
 * removes it.
 */
function upsertStatements(table: string, pending: string, collection: string, view: string) {
  const key = (of: string, from: string) =>
    `${of}.UserId = ${from}.UserId AND ${of}.Scope = ${from}.Scope AND ${of}.ID = ${from}.ID`;
  const absentVersion = (from: string) =>
    `(SELECT a.Version FROM Tidemark_Absent a WHERE ${key('a', from)} AND a.Collection = ${collection})`;
  const note = (from: string, source: string) => `
    INSERT INTO ${pending} (UserId, Scope, ID, Position, Type, LastModified, BaseVersion, Base)
    SELECT ${from}.UserId, ${from}.Scope, ${from}.ID, ${from}.Position, 'upsert', ${from}.At,
      CASE WHEN m.ID IS NULL THEN ${absentVersion(from)} ELSE m.Version END, m.Content
    FROM ${source} LEFT JOIN ${table} m ON ${key('m', from)}
    WHERE true ON CONFLICT (UserId, Scope, ID) DO UPDATE SET
    BaseVersion = CASE WHEN Type IS NULL THEN excluded.BaseVersion ELSE BaseVersion END,
    Base = CASE WHEN Type IS NULL THEN excluded.Base ELSE Base END,
    Type = excluded.Type, LastModified = excluded.LastModified`;
  const put = (from: string, source: string) => `
    INSERT INTO ${table} (UserId, Scope, ID, Content, LastModified, Version)
    SELECT ${from}.UserId, ${from}.Scope, ${from}.ID, ${from}.Content, ${from}.At, ${absentVersion(from)}
    FROM ${source}
    WHERE true ON CONFLICT (UserId, Scope, ID) DO UPDATE SET Content = excluded.Content, LastModified = excluded.LastModified`;
  const row = '(SELECT 1)';
  return {
    setup: [
      `CREATE TEMP VIEW IF NOT EXISTS ${view} (UserId, Scope, At, Position, ID, Content) AS SELECT 1, 1, 1, 1, 1, 1`,
      `CREATE TEMP TRIGGER IF NOT EXISTS ${view.replace('Upsert', 'OnUpsert')} INSTEAD OF INSERT ON ${view}
       BEGIN ${note('NEW', row)}; ${put('NEW', row)}; END`,
    ],
    upsertOne: `INSERT INTO ${view} (UserId, Scope, At, Position, ID, Content) VALUES (?, ?, ?, ?, ?, ?)`,
    noteMany: note(
      'n',
      `(SELECT g.*, k.value AS ID, g.First + k.key AS Position
        FROM (SELECT ? AS UserId, ? AS Scope, ? AS At, ? AS First) g, json_each(?) k) n`,
    ),
    putNoted: put('n', '(SELECT ? AS UserId, ? AS Scope, ? AS At, ? AS ID, ? AS Content) n'),
  };
}

/** What outlives one transaction: it spares the usual write a statement. */
export interface RowSession {
  /** User and scope, where both are known to be in `Tidemark_Scopes`. */
  readonly knownScopes: Set<string>;
  /** The first of some positions: microseconds since the epoch, or just behind the last one. In this order edits are sent. */
  readonly takePositions: (count: number) => number;
}

/** A document as JSON text. */
export interface NewContent {
  readonly documentId: string;
  readonly content: string;
}

/** What the last read of a row found, so that writing it touches only the tables it has to. */
interface Presence {
  readonly address: Address;
  readonly content: string | null;
  readonly stored: boolean;
  readonly absent: boolean;
  readonly pending: boolean;
  readonly row: Row;
}

/**
 * The rows of one user in SQLite. What the user sees is in the model's table, and nothing else is: a tombstone keeps its
 * version in `Tidemark_Absent`, and what waits or is on its way is in `PendingChanges_<table>`, which refers to the row for
 * its content.
 */
export class SqlRowStore implements RowStore {
  readonly #sql: SqlConnection;
  readonly #userId: string;
  readonly #models: ReadonlyMap<string, Statements>;
  #last: Presence | null = null;
  #device: Device | null = null;
  readonly #session: RowSession;
  #passes: Set<string> | null = null;

  /** @param models by collection. The store is good for one transaction. */
  constructor(
    sql: SqlConnection,
    userId: string,
    models: ReadonlyMap<string, Statements>,
    session: RowSession,
  ) {
    this.#session = session;
    this.#sql = sql;
    this.#userId = userId;
    this.#models = models;
  }

  row(address: Address): Row {
    const statements = this.#models.get(address.collection);
    // A collection that this client has no model for: it did not ask for it.
    if (statements === undefined) return EMPTY_ROW;
    const [found] = this.#sql.all(statements.read, [this.#userId, address.scope, address.documentId]);
    if (found === undefined) return EMPTY_ROW;
    const row = toRow(found);
    this.#last = {
      address,
      content: textOf(found['Content']),
      stored: found['Content'] !== null,
      absent: found['AbsentVersion'] !== null,
      pending: found['PendingId'] !== null,
      row,
    };
    return row;
  }

  setRow(address: Address, row: Row, lastModified?: string | null): void {
    const statements = this.#models.get(address.collection);
    if (statements === undefined) return;
    const { scope, collection, documentId } = address;
    const key = [this.#userId, scope, documentId];
    const was = this.#last?.address === address ? this.#last : null;
    this.#last = null;
    this.#noteScope(scope);
    if (row.data === null) {
      if (was?.stored !== false) this.#sql.run(statements.drop, key);
    } else {
      const stamp = row.dirty?.lastModified ?? lastModified ?? '';
      if (was?.row.data !== row.data) {
        this.#sql.run(statements.put, [...key, JSON.stringify(row.data), stamp, row.base]);
      } else if (was.row.base !== row.base || stamp !== '') {
        // The content is what was read: neither it nor an index has to be written again.
        this.#sql.run(statements.restamp, [row.base, stamp, stamp, ...key]);
      }
    }
    if (row.data === null && row.base !== null) {
      this.#sql.run(
        `INSERT INTO Tidemark_Absent (UserId, Scope, Collection, ID, Version) VALUES (?, ?, ?, ?, ?)
         ON CONFLICT DO UPDATE SET Version = excluded.Version`,
        [this.#userId, scope, collection, documentId, row.base],
      );
    } else if (was?.absent !== false) {
      this.#dropAbsent(address);
    }
    if (isPending(row)) this.#putPending(statements, key, row);
    else if (was?.pending !== false) this.#sql.run(statements.dropPending, key);
  }

  /** Can `upsert` of one document go without a transaction around it? */
  knows(scope: string): boolean {
    return this.#session.knownScopes.has(`${this.#userId} ${scope}`);
  }

  /** The user stores documents as wholes: `edit` for each, and `setRow`. */
  upsert(collection: string, scope: string, documents: readonly NewContent[], at: string): void {
    const statements = this.#models.get(collection);
    if (statements === undefined) return;
    this.#noteScope(scope);
    const position = this.#session.takePositions(documents.length);
    const [first] = documents;
    const common = [this.#userId, scope, at];
    if (documents.length === 1 && first !== undefined) {
      this.#sql.run(statements.upsertOne, [...common, position, first.documentId, first.content]);
      return;
    }
    const ids = JSON.stringify(documents.map(({ documentId }) => documentId));
    this.#sql.run(statements.noteMany, [...common, position, ids]);
    for (const { documentId, content } of documents) {
      this.#sql.run(statements.putNoted, [...common, documentId, content]);
    }
  }

  #putPending(statements: Statements, key: readonly string[], { dirty, inFlight, whole, shadow }: Row): void {
    this.#sql.run(statements.putPending, [
      ...key,
      this.#session.takePositions(1),
      dirty?.type ?? null,
      dirty?.lastModified ?? null,
      dirty?.baseVersion ?? null,
      inFlight?.seq ?? null,
      json(dirty?.base ?? null),
      json(inFlight),
      json(whole),
      json(shadow),
      dirty?.transaction ?? null,
    ]);
  }

  /** The text of the content that the last `row` call read. */
  get lastContent(): string | null {
    return this.#last?.content ?? null;
  }

  inFlight(): Change[] {
    return this.#each((statements) =>
      this.#sql.all(statements.inFlight, [this.#userId]).map(({ Change: text }) => parse<Change>(text)),
    )
      .flatMap((change) => (change === null ? [] : [change]))
      .sort((a, b) => (a.seq ?? 0) - (b.seq ?? 0));
  }

  *waiting(limit: number, held: readonly string[]): Generator<Entry> {
    // The keys are found once for a request: there is no index by position, which would cost every edit a page.
    const keys = this.#each((statements) =>
      this.#sql.all(statements.waiting, [this.#userId, JSON.stringify(held), limit]).map((found) => ({
        position: numberOf(found['Position']),
        address: {
          scope: String(found['Scope']),
          collection: statements.model.collection,
          documentId: String(found['ID']),
        },
      })),
    );
    for (const { address } of keys.sort((a, b) => a.position - b.position).slice(0, limit)) {
      yield { address, row: this.row(address) };
    }
  }

  hasWaiting(): boolean {
    return [...this.#models.values()].some(
      ({ anyWaiting }) => this.#sql.all(anyWaiting, [this.#userId]).length > 0,
    );
  }

  inTransaction(name: string): Entry[] {
    return this.#each((statements) =>
      this.#sql.all(statements.inTransaction, [this.#userId, name]).map(entryOf(statements)),
    );
  }

  heldTransactions(): string[] {
    return this.#each(({ held }) =>
      this.#sql.all(held, [this.#userId]).map(({ TransactionName }) => String(TransactionName)),
    );
  }

  joinTransactions(from: string, into: string): void {
    for (const { joinTransactions } of this.#models.values())
      this.#sql.run(joinTransactions, [into, this.#userId, from]);
  }

  /**
   * Makes the waiting edits of some documents one transaction, together with those that are tied to one of them already.
   *
   * @returns how many edits are in it
   */
  tieTogether(addresses: readonly Address[], name: string): number {
    const tied = new Set(addresses.flatMap((address) => this.row(address).dirty?.transaction ?? []));
    for (const { collection, scope, documentId } of addresses) {
      const { nameTransaction } = this.#models.get(collection) ?? {};
      if (nameTransaction !== undefined)
        this.#sql.run(nameTransaction, [name, this.#userId, scope, documentId]);
    }
    for (const other of tied) this.joinTransactions(other, name);
    return this.inTransaction(name).length;
  }

  pendingIn(scope: string): Entry[] {
    return this.#each((statements) =>
      this.#sql.all(statements.pendingIn, [this.#userId, scope]).map(entryOf(statements)),
    );
  }

  device(): Device {
    if (this.#device !== null) return this.#device;
    const [user] = this.#sql.all('SELECT DeviceId, Seq, Attempt FROM Tidemark_Users WHERE UserId = ?', [
      this.#userId,
    ]);
    if (user === undefined)
      throw new TidemarkError('user_changed', `There is no user ${this.#userId} here any more.`);
    this.#device = {
      deviceId: String(user['DeviceId']),
      seq: numberOf(user['Seq']),
      attempt: numberOf(user['Attempt']),
    };
    return this.#device;
  }

  setDevice(device: Device): void {
    this.#device = device;
  }

  /** Writes what `setDevice` noted: once for a transaction, not once for a change. */
  flush(): void {
    if (this.#device === null) return;
    const { deviceId, seq, attempt } = this.#device;
    this.#sql.run('UPDATE Tidemark_Users SET DeviceId = ?, Seq = ?, Attempt = ? WHERE UserId = ?', [
      deviceId,
      seq,
      attempt,
      this.#userId,
    ]);
  }

  scopes(): Map<string, ScopeState> {
    return new Map(
      this.#sql
        .all('SELECT * FROM Tidemark_Scopes WHERE UserId = ?', [this.#userId])
        .map((found): [string, ScopeState] => [String(found['Scope']), toScope(found)]),
    );
  }

  setScope(scope: string, { checkpoint, stream, resync }: ScopeState): void {
    this.#passes = null;
    this.#sql.run(
      `INSERT INTO Tidemark_Scopes (UserId, Scope, Checkpoint, Stream, Resync) VALUES (?, ?, ?, ?, ?)
       ON CONFLICT DO UPDATE SET Checkpoint = excluded.Checkpoint, Stream = excluded.Stream, Resync = excluded.Resync`,
      [this.#userId, scope, checkpoint, stream === undefined ? null : JSON.stringify(stream), resync ? 1 : 0],
    );
  }

  #noteScope(scope: string): void {
    const known = `${this.#userId} ${scope}`;
    if (this.#session.knownScopes.has(known)) return;
    this.#session.knownScopes.add(known);
    this.#sql.run('INSERT INTO Tidemark_Scopes (UserId, Scope) VALUES (?, ?) ON CONFLICT DO NOTHING', [
      this.#userId,
      scope,
    ]);
  }

  dropScope(scope: string): boolean {
    const key = [this.#userId, scope];
    const dropped = this.#each(({ dropScope, dropPendingScope }) => [
      this.#sql.run(dropScope, key) + this.#sql.run(dropPendingScope, key),
    ]).reduce((sum, count) => sum + count, 0);
    this.#sql.run('DELETE FROM Tidemark_Absent WHERE UserId = ? AND Scope = ?', key);
    this.#sql.run('DELETE FROM Tidemark_Brought WHERE UserId = ? AND Scope = ?', key);
    return dropped > 0;
  }

  startPass(scope: string): void {
    this.#sql.run('DELETE FROM Tidemark_Brought WHERE UserId = ? AND Scope = ?', [this.#userId, scope]);
  }

  markBrought({ scope, collection, documentId }: Address): void {
    this.#passes ??= new Set([...this.scopes()].flatMap(([name, { resync }]) => (resync ? [name] : [])));
    if (!this.#passes.has(scope)) return;
    this.#sql.run(
      'INSERT INTO Tidemark_Brought (UserId, Scope, Collection, ID) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING',
      [this.#userId, scope, collection, documentId],
    );
  }

  unbrought(scope: string): Entry[] {
    const key = [this.#userId, scope];
    const left = this.#each((statements) =>
      this.#sql.all(statements.allIn, [...key, ...key, ...key, ...key]).map(entryOf(statements)),
    );
    this.startPass(scope);
    return left;
  }

  remove(address: Address): void {
    this.setRow({ ...address }, EMPTY_ROW);
  }

  #dropAbsent({ scope, collection, documentId }: Address): void {
    this.#sql.run(
      'DELETE FROM Tidemark_Absent WHERE UserId = ? AND Scope = ? AND Collection = ? AND ID = ?',
      [this.#userId, scope, collection, documentId],
    );
  }

  #each<R>(work: (statements: Statements) => R[]): R[] {
    return [...this.#models.values()].flatMap(work);
  }
}

const json = (value: unknown): string | null => (value === null ? null : JSON.stringify(value));
// eslint-disable-next-line @typescript-eslint/no-unnecessary-type-parameters -- what was written is what is read
const parse = <T>(value: SqlRow[string] | undefined): T | null => {
  const text = textOf(value);
  // Written by this code, in the same database.
  return text === null ? null : (JSON.parse(text) as T);
};

const entryOf =
  ({ model: { collection } }: Statements) =>
  (found: SqlRow): Entry => ({
    address: { scope: String(found['Scope']), collection, documentId: String(found['ID']) },
    row: toRow(found),
  });

function toRow(found: SqlRow): Row {
  const data = parse<JsonObject>(found['Content']);
  const type = textOf(found['Type']) as Edit['type'] | null;
  return {
    data,
    base: textOf(data === null ? found['AbsentVersion'] : found['Version']),
    dirty:
      type === null
        ? null
        : {
            type,
            // The waiting edit is what the user sees.
            data,
            baseVersion: textOf(found['BaseVersion']),
            base: parse<JsonObject>(found['Base']),
            lastModified: textOf(found['EditedAt']) ?? '',
            transaction: textOf(found['TransactionName']),
          },
    inFlight: parse<Change>(found['Change']),
    whole: parse<Whole>(found['Whole']),
    shadow: parse<RemoteDocument>(found['Shadow']),
  };
}

const toScope = (found: SqlRow): ScopeState => ({
  checkpoint: textOf(found['Checkpoint']),
  stream: found['Stream'] === null ? undefined : parse<StreamPosition>(found['Stream']),
  resync: found['Resync'] === 1,
});
