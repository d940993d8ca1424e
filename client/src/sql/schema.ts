import { isJsonObject, type JsonObject } from '../../../shared/conflict/json.ts';
import { presumedOwnScope } from '../core/own-scope.ts';
import { TidemarkError } from '../errors.ts';
import { quoteName, quoteText, textOf, transaction, type SqlConnection } from './connection.ts';
import { jsonPath, type Model } from './model.ts';

/** Of the tables below. A database of a later one is refused: this code would not keep its promises. */
const VERSION = 1;

const SYSTEM_TABLES = `
CREATE TABLE IF NOT EXISTS Tidemark_Users (
  UserId TEXT PRIMARY KEY, DeviceId TEXT NOT NULL, Seq INTEGER NOT NULL, Attempt INTEGER NOT NULL,
  OwnScope TEXT NOT NULL, Confirmed INTEGER NOT NULL, Transport TEXT,
  LastSuccess TEXT, LastError TEXT) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS Tidemark_Scopes (
  UserId TEXT NOT NULL, Scope TEXT NOT NULL, Checkpoint TEXT, Stream TEXT, Resync INTEGER NOT NULL DEFAULT 0,
  PRIMARY KEY (UserId, Scope)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS Tidemark_Absent (
  UserId TEXT NOT NULL, Scope TEXT NOT NULL, Collection TEXT NOT NULL, ID TEXT NOT NULL, Version TEXT NOT NULL,
  PRIMARY KEY (UserId, Scope, Collection, ID)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS Tidemark_Brought (
  UserId TEXT NOT NULL, Scope TEXT NOT NULL, Collection TEXT NOT NULL, ID TEXT NOT NULL,
  PRIMARY KEY (UserId, Scope, Collection, ID)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS Tidemark_Rejected (
  ChangeId TEXT NOT NULL, UserId TEXT NOT NULL, Scope TEXT NOT NULL, Collection TEXT NOT NULL, ID TEXT NOT NULL,
  Change TEXT NOT NULL, Error TEXT NOT NULL, At TEXT NOT NULL, PRIMARY KEY (UserId, ChangeId));
CREATE TABLE IF NOT EXISTS Tidemark_SetAside (
  Number INTEGER PRIMARY KEY, UserId TEXT NOT NULL, Scope TEXT NOT NULL, Collection TEXT NOT NULL, ID TEXT NOT NULL,
  Data TEXT, At TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS Tidemark_Conflicts (
  Number INTEGER PRIMARY KEY, UserId TEXT NOT NULL, Scope TEXT NOT NULL, Collection TEXT NOT NULL, ID TEXT NOT NULL,
  Outcome TEXT NOT NULL, Mine TEXT NOT NULL, Theirs TEXT NOT NULL, At TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS Tidemark_Locks (
  Name TEXT PRIMARY KEY, Owner TEXT NOT NULL, Until INTEGER NOT NULL) WITHOUT ROWID;
`;

/**
 * Brings a database to this version's tables, whatever it held before: nothing, these tables, or those of an older layout
 * without users. All of it happens at once or not at all.
 *
 * @param userId whose the rows of an older layout are where they do not say
 */
export function migrate(
  connection: SqlConnection,
  models: readonly Model[],
  userId: string,
  now: string,
): void {
  transaction(connection, () => {
    connection.exec('CREATE TABLE IF NOT EXISTS Tidemark_Meta (Key TEXT PRIMARY KEY, Value TEXT NOT NULL)');
    const version = Number(readMeta(connection, 'version') ?? 0);
    if (version > VERSION) {
      throw new TidemarkError(
        'database_too_new',
        `The local database has version ${version}; this library knows ${VERSION}. Update @tidemark/client.`,
      );
    }
    connection.exec(SYSTEM_TABLES);
    writeMeta(connection, 'version', String(VERSION));
    for (const model of models) ensureModel(connection, model, userId, now);
    writeMeta(
      connection,
      'models',
      JSON.stringify([...new Map([...knownModels(connection), ...models.map(entryOf)])]),
    );
  });
}

const entryOf = ({ collection, table }: Model): [string, string] => [collection, table];

/** Collections that this database has tables for, with their tables. */
export function knownModels(connection: SqlConnection): [string, string][] {
  return JSON.parse(readMeta(connection, 'models') ?? '[]') as [string, string][];
}

export const readMeta = (connection: SqlConnection, key: string): string | null =>
  textOf(connection.all('SELECT Value FROM Tidemark_Meta WHERE Key = ?', [key])[0]?.['Value']);

export function writeMeta(connection: SqlConnection, key: string, value: string): void {
  connection.run(
    'INSERT INTO Tidemark_Meta (Key, Value) VALUES (?, ?) ON CONFLICT (Key) DO UPDATE SET Value = excluded.Value',
    [key, value],
  );
}

export const pendingTable = ({ table }: Model): string => quoteName(`PendingChanges_${table}`);

function ensureModel(connection: SqlConnection, model: Model, userId: string, now: string): void {
  const present = columnsOf(connection, model.table);
  const legacy = present.length > 0 && !present.includes('Scope');
  const pendingName = `PendingChanges_${model.table}`;
  const oldRows = quoteName(`${model.table}_legacy`);
  const oldPending = quoteName(`${pendingName}_legacy`);
  const hadPending = legacy && columnsOf(connection, pendingName).length > 0;
  if (legacy) connection.exec(`ALTER TABLE ${quoteName(model.table)} RENAME TO ${oldRows}`);
  if (hadPending) connection.exec(`ALTER TABLE ${quoteName(pendingName)} RENAME TO ${oldPending}`);

  const table = quoteName(model.table);
  connection.exec(`
    CREATE TABLE IF NOT EXISTS ${table} (
      ID TEXT NOT NULL, Content TEXT NOT NULL, LastModified TEXT NOT NULL, UserId TEXT NOT NULL, Scope TEXT NOT NULL,
      Version TEXT, PRIMARY KEY (UserId, Scope, ID));
    CREATE TABLE IF NOT EXISTS ${pendingTable(model)} (
      UserId TEXT NOT NULL, Scope TEXT NOT NULL, ID TEXT NOT NULL, Position INTEGER NOT NULL,
      Type TEXT, LastModified TEXT, BaseVersion TEXT, Seq INTEGER, Base TEXT, Change TEXT, Whole TEXT, Shadow TEXT,
      TransactionName TEXT,
      PRIMARY KEY (UserId, Scope, ID)) WITHOUT ROWID;
  `);
  if (!columnsOf(connection, pendingName).includes('TransactionName'))
    connection.exec(`ALTER TABLE ${pendingTable(model)} ADD COLUMN TransactionName TEXT`);
  for (const path of model.indexes) {
    const name = quoteName(`${model.table}_by_${path.replaceAll('.', '_')}`);
    // Without the id, which results are sorted by, SQLite reads every row instead; so did the first version of this index.
    const columns = connection.all(`PRAGMA index_info(${name})`).length;
    if (columns === 3) connection.exec(`DROP INDEX ${name}`);
    connection.exec(
      `CREATE INDEX IF NOT EXISTS ${name} ON ${table} (UserId, Scope, json_extract(Content, ${quoteText(jsonPath(path))}), ID)`,
    );
  }
  if (legacy)
    takeOver(connection, model, { oldRows, oldPending: hadPending ? oldPending : null, userId, now });
}

const columnsOf = (connection: SqlConnection, table: string): string[] =>
  connection.all(`PRAGMA table_info(${quoteName(table)})`).map(({ name }) => String(name));

/** Whose a document is, where an older layout said so only inside of it. */
const USER_FIELDS = ['userId', 'UserId', 'userID', 'user_id'];

/**
 * Copies the rows of the layout without users: `ID`, `Content`, `LastModified`, and pending changes that name ids. The
 * old tables go, unless a row in them could not be read.
 */
function takeOver(
  connection: SqlConnection,
  model: Model,
  old: { oldRows: string; oldPending: string | null; userId: string; now: string },
): void {
  const pending =
    old.oldPending === null ? new Map<string, string>() : legacyPending(connection, old.oldPending, old.now);
  let unread = 0;
  for (const row of connection.all(`SELECT * FROM ${old.oldRows}`)) {
    const id = String(row['ID'] ?? row['Id'] ?? row['id'] ?? '');
    const content = parseObject(textOf(row['Content']));
    if (content === null || id === '') {
      unread += 1;
      continue;
    }
    const named = [row['UserId'], ...USER_FIELDS.map((field) => content[field])];
    const userId =
      named.find((name): name is string => typeof name === 'string' && name !== '') ?? old.userId;
    const scope = presumedOwnScope(userId);
    const lastModified = textOf(row['LastModified']) ?? old.now;
    const isPending = pending.delete(id);
    // What was synced lives on the service in a version this layout did not keep. A pending edit may be a create, and
    // `live` would take it for an edit of something deleted since.
    connection.run(
      `INSERT INTO ${quoteName(model.table)} (ID, Content, LastModified, UserId, Scope, Version) VALUES (?, ?, ?, ?, ?, ?)`,
      [id, JSON.stringify(content), lastModified, userId, scope, isPending ? null : 'live'],
    );
    if (isPending) addPending(connection, model, { id, userId: userId, scope, type: 'upsert', lastModified });
  }
  for (const [id, lastModified] of pending) {
    // Pending, and not there: deleted.
    addPending(connection, model, {
      id,
      userId: old.userId,
      scope: presumedOwnScope(old.userId),
      type: 'delete',
      lastModified,
    });
  }
  if (unread === 0) connection.exec(`DROP TABLE ${old.oldRows}`);
  if (old.oldPending !== null) connection.exec(`DROP TABLE ${old.oldPending}`);
}

/** Ids that an older layout marked as pending, with a time. */
function legacyPending(connection: SqlConnection, table: string, now: string): Map<string, string> {
  return new Map(
    connection.all(`SELECT * FROM ${table}`).flatMap((row): [string, string][] => {
      const id = textOf(row['ID'] ?? row['Id'] ?? row['id'] ?? row['DocumentId'] ?? row['ItemId']);
      return id === null ? [] : [[id, textOf(row['LastModified'] ?? row['Timestamp']) ?? now]];
    }),
  );
}

function addPending(
  connection: SqlConnection,
  model: Model,
  {
    id,
    userId,
    scope,
    type,
    lastModified,
  }: Record<'id' | 'userId' | 'scope' | 'type' | 'lastModified', string>,
): void {
  connection.run(
    `INSERT INTO ${pendingTable(model)} (ID, UserId, Scope, Position, Type, LastModified, BaseVersion) VALUES (?, ?, ?, ?, ?, ?, ?)`,
    [
      id,
      userId,
      scope,
      (Date.parse(lastModified) || 0) * 1000,
      type,
      lastModified,
      type === 'delete' ? 'live' : null,
    ],
  );
}

export function parseObject(text: string | null): JsonObject | null {
  if (text === null) return null;
  try {
    const value: unknown = JSON.parse(text);
    return isJsonObject(value) ? value : null;
  } catch {
    return null;
  }
}
