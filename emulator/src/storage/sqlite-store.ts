import { DatabaseSync } from 'node:sqlite';
import type { SQLInputValue, StatementSync } from 'node:sqlite';
import { indexedExpression, pathIndex, pathIndexPrefix } from './path-index.ts';
import type {
  DocumentRow,
  Filter,
  Liveness,
  NewDocument,
  RangeRow,
  ResourceRow,
  ResourceType,
  Slice,
  StorageUsage,
  Store,
} from './store.ts';

/**
 * The store in one SQLite file. Rows of `documents` keep the whole document as text, so a point read copies text and
 * parses nothing; the columns beside it are what reads filter and order by.
 */
const schema = `
CREATE TABLE IF NOT EXISTS settings (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS resources (
  no INTEGER PRIMARY KEY AUTOINCREMENT, type TEXT NOT NULL, parent TEXT NOT NULL, name TEXT NOT NULL,
  rid TEXT NOT NULL UNIQUE, body TEXT NOT NULL);
CREATE UNIQUE INDEX IF NOT EXISTS resources_by_name ON resources (type, parent, name);
CREATE TABLE IF NOT EXISTS ranges (
  container INTEGER NOT NULL, id TEXT NOT NULL, min TEXT NOT NULL, max TEXT NOT NULL, lsn INTEGER NOT NULL,
  parents TEXT NOT NULL, PRIMARY KEY (container, id)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS documents (
  no INTEGER PRIMARY KEY, container INTEGER NOT NULL, pk TEXT NOT NULL, id TEXT NOT NULL, epk TEXT NOT NULL,
  range TEXT NOT NULL, lsn INTEGER NOT NULL, step INTEGER NOT NULL, ts INTEGER NOT NULL, ttl INTEGER,
  etag TEXT NOT NULL, body TEXT NOT NULL);
CREATE UNIQUE INDEX IF NOT EXISTS documents_by_id ON documents (container, pk, id);
CREATE TABLE IF NOT EXISTS unique_values (
  container INTEGER NOT NULL, pk TEXT NOT NULL, key INTEGER NOT NULL, value TEXT NOT NULL, no INTEGER NOT NULL,
  PRIMARY KEY (container, pk, key, value)) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS unique_values_by_document ON unique_values (no);
CREATE TRIGGER IF NOT EXISTS documents_deleted AFTER DELETE ON documents BEGIN
  DELETE FROM unique_values WHERE no = old.no;
END;
CREATE INDEX IF NOT EXISTS documents_by_creation ON documents (container, pk);
CREATE INDEX IF NOT EXISTS documents_by_change ON documents (container, pk, lsn, step);
CREATE INDEX IF NOT EXISTS documents_by_range ON documents (container, range, lsn, step);
`;

/** True where the row is not past its time to live. Parameters: defaultTtl, now in seconds. */
const alive =
  '(:defaultTtl IS NULL OR coalesce(ttl, :defaultTtl) = -1 OR ts + coalesce(ttl, :defaultTtl) > :now)';
const columns = 'no, pk, id, etag, ts, lsn, body';

const slices = {
  partition: 'pk = :pk',
  range: 'range = :range',
  part: 'range = :range AND epk >= :min AND epk < :max',
  all: 'epk >= :min AND epk < :max',
} as const;

type SliceKind = keyof typeof slices;
type Parameters = Record<string, SQLInputValue>;

export class SqliteStore implements Store {
  readonly #db: DatabaseSync;
  readonly #statements = new Map<string, StatementSync>();
  readonly #indexed = new Map<number, readonly string[]>();
  #depth = 0;
  #nextDocument: number;
  #nextNumber: number;

  constructor(path: string, durability: 'full' | 'normal') {
    this.#db = new DatabaseSync(path);
    this.#own(path);
    this.#db.exec(`PRAGMA synchronous = ${durability === 'full' ? 'FULL' : 'NORMAL'}`);
    this.#db.exec('PRAGMA cache_size = -65536');
    this.#db.exec(schema);
    this.#nextDocument = this.#maximum('SELECT max(no) AS top FROM documents') + 1;
    this.#nextNumber = this.#maximum("SELECT value AS top FROM settings WHERE name = 'number'") + 1;
  }

  /**
   * Takes the file for this process alone: log sequence numbers are counted in memory, so a second writer would give
   * the same ones out again. The wait is for a predecessor that is still ending.
   */
  #own(path: string): void {
    try {
      this.#db.exec('PRAGMA busy_timeout = 2000');
      this.#db.exec('PRAGMA locking_mode = EXCLUSIVE');
      this.#db.exec('PRAGMA journal_mode = WAL');
      this.#db.exec('BEGIN IMMEDIATE; COMMIT');
    } catch (error) {
      this.#db.close();
      const reason = error instanceof Error ? error.message : String(error);
      throw new Error(`The data file ${path} cannot be used: ${reason}. Is another emulator running on it?`, {
        cause: error,
      });
    }
  }

  #maximum(sql: string): number {
    return Number(this.#prepare(sql).get()?.['top'] ?? 0);
  }

  #prepare(sql: string): StatementSync {
    let statement = this.#statements.get(sql);
    if (statement === undefined) {
      statement = this.#db.prepare(sql);
      this.#statements.set(sql, statement);
    }
    return statement;
  }

  #all(sql: string, parameters: Parameters): unknown[] {
    return this.#prepare(sql).all(parameters);
  }

  #get(sql: string, parameters: Parameters): unknown {
    return this.#prepare(sql).get(parameters);
  }

  #run(sql: string, parameters: Parameters): void {
    this.#prepare(sql).run(parameters);
  }

  transaction<T>(work: () => T): T {
    if (this.#depth > 0) return work();
    this.#db.exec('BEGIN IMMEDIATE');
    this.#depth++;
    try {
      const result = work();
      this.#db.exec('COMMIT');
      return result;
    } catch (error) {
      this.#db.exec('ROLLBACK');
      throw error;
    } finally {
      this.#depth--;
    }
  }

  close(): void {
    this.#statements.clear();
    this.#db.close();
  }

  setting(name: string): string | undefined {
    const row = this.#get('SELECT value FROM settings WHERE name = :name', { name }) as
      { value: string } | undefined;
    return row?.value;
  }

  saveSetting(name: string, value: string): void {
    this.#run(
      'INSERT INTO settings (name, value) VALUES (:name, :value) ON CONFLICT (name) DO UPDATE SET value = :value',
      { name, value },
    );
  }

  insertResource(row: Omit<ResourceRow, 'no'>): number {
    const result = this.#prepare(
      'INSERT INTO resources (type, parent, name, rid, body) VALUES (:type, :parent, :name, :rid, :body)',
    ).run({ ...row });
    return Number(result.lastInsertRowid);
  }

  updateResource(no: number, name: string, body: string): void {
    this.#run('UPDATE resources SET name = :name, body = :body WHERE no = :no', { no, name, body });
  }

  deleteResource(no: number): void {
    this.#run('DELETE FROM resources WHERE no = :no', { no });
  }

  resource(type: ResourceType, parent: string, name: string): ResourceRow | undefined {
    return this.#get('SELECT * FROM resources WHERE type = :type AND parent = :parent AND name = :name', {
      type,
      parent,
      name,
    }) as ResourceRow | undefined;
  }

  resourceByRid(rid: string): ResourceRow | undefined {
    return this.#get('SELECT * FROM resources WHERE rid = :rid', { rid }) as ResourceRow | undefined;
  }

  resources(type: ResourceType, parent: string, afterNo: number, limit: number): ResourceRow[] {
    return this.#all(
      'SELECT * FROM resources WHERE type = :type AND parent = :parent AND no > :afterNo ORDER BY no LIMIT :limit',
      { type, parent, afterNo, limit },
    ) as ResourceRow[];
  }

  /** A number never given out before, for the rids of permissions. */
  nextNumber(): number {
    const number = this.#nextNumber++;
    this.saveSetting('number', String(number));
    return number;
  }

  indexPaths(container: number, paths: readonly (readonly string[])[]): void {
    const wanted = paths.map((path) => pathIndex(container, path));
    const names = new Set(wanted.map(({ name }) => name));
    const existing = this.#all(
      "SELECT name FROM sqlite_master WHERE type = 'index' AND substr(name, 1, length(:prefix)) = :prefix",
      { prefix: pathIndexPrefix(container) },
    ) as { name: string }[];
    for (const { name } of existing) if (!names.has(name)) this.#db.exec(`DROP INDEX ${name}`);
    for (const { sql } of wanted) this.#db.exec(sql);
    this.#indexed.delete(container);
  }

  /** Expressions that an index of this container holds. */
  #indexedOf(container: number): readonly string[] {
    let expressions = this.#indexed.get(container);
    if (expressions === undefined) {
      const rows = this.#all(
        "SELECT sql FROM sqlite_master WHERE type = 'index' AND substr(name, 1, length(:prefix)) = :prefix",
        { prefix: pathIndexPrefix(container) },
      ) as { sql: string }[];
      expressions = rows.map(({ sql }) => indexedExpression(sql));
      this.#indexed.set(container, expressions);
    }
    return expressions;
  }

  ranges(container: number): RangeRow[] {
    return (
      this.#all('SELECT id, min, max, lsn, parents FROM ranges WHERE container = :container ORDER BY min', {
        container,
      }) as (Omit<RangeRow, 'parents'> & { parents: string })[]
    ).map((row) => ({ ...row, parents: row.parents === '' ? [] : row.parents.split(',') }));
  }

  insertRange(container: number, range: RangeRow): void {
    this.#run(
      'INSERT INTO ranges (container, id, min, max, lsn, parents) VALUES (:container, :id, :min, :max, :lsn, :parents)',
      { ...range, container, parents: range.parents.join(',') },
    );
  }

  saveLsn(container: number, range: string, lsn: number): void {
    this.#run('UPDATE ranges SET lsn = :lsn WHERE container = :container AND id = :range', {
      container,
      range,
      lsn,
    });
  }

  splitRange(container: number, range: string, children: readonly RangeRow[]): void {
    this.#run('DELETE FROM ranges WHERE container = :container AND id = :range', { container, range });
    for (const child of children) {
      this.insertRange(container, child);
      this.#run(
        'UPDATE documents SET range = :child WHERE container = :container AND range = :range AND epk >= :min AND epk < :max',
        { container, range, child: child.id, min: child.min, max: child.max },
      );
    }
  }

  document(container: number, pk: string, id: string, live: Liveness): DocumentRow | undefined {
    return this.#get(
      `SELECT ${columns} FROM documents WHERE container = :container AND pk = :pk AND id = :id AND ${alive}`,
      { container, pk, id, defaultTtl: live.defaultTtl, now: live.nowSeconds },
    ) as DocumentRow | undefined;
  }

  insertDocument(container: number, no: number, document: NewDocument): void {
    this.#run(
      `INSERT INTO documents (no, container, pk, id, epk, range, lsn, step, ts, ttl, etag, body)
       VALUES (:no, :container, :pk, :id, :epk, :range, :lsn, :step, :ts, :ttl, :etag, :body)`,
      { ...document, no, container },
    );
  }

  replaceDocument(_container: number, no: number, document: NewDocument): void {
    const { lsn, step, ts, ttl, etag, body, id } = document;
    this.#run(
      'UPDATE documents SET id = :id, lsn = :lsn, step = :step, ts = :ts, ttl = :ttl, etag = :etag, body = :body WHERE no = :no',
      { no, id, lsn, step, ts, ttl, etag, body },
    );
  }

  deleteDocument(no: number): void {
    this.#run('DELETE FROM documents WHERE no = :no', { no });
  }

  uniqueOwner(container: number, pk: string, key: number, value: string): number | undefined {
    const row = this.#get(
      'SELECT no FROM unique_values WHERE container = :container AND pk = :pk AND key = :key AND value = :value',
      { container, pk, key, value },
    ) as { no: number } | undefined;
    return row?.no;
  }

  saveUnique(container: number, pk: string, no: number, values: readonly string[]): void {
    this.#run('DELETE FROM unique_values WHERE no = :no', { no });
    values.forEach((value, key) =>
      this.#run(
        'INSERT INTO unique_values (container, pk, key, value, no) VALUES (:container, :pk, :key, :value, :no)',
        { container, pk, key, value, no },
      ),
    );
  }

  isAlive(no: number, live: Liveness): boolean {
    const parameters = { no, defaultTtl: live.defaultTtl, now: live.nowSeconds };
    return this.#get(`SELECT 1 FROM documents WHERE no = :no AND ${alive}`, parameters) !== undefined;
  }

  deleteExpired(container: number, pk: string, id: string): void {
    this.#run('DELETE FROM documents WHERE container = :container AND pk = :pk AND id = :id', {
      container,
      pk,
      id,
    });
  }

  sweepExpired(fromNo: number, toNo: number, nowSeconds: number): boolean {
    const expired = this.#all(
      `SELECT documents.no FROM documents JOIN resources ON resources.no = documents.container
       WHERE documents.no >= :fromNo AND documents.no < :toNo
       AND json_extract(resources.body, '$.defaultTtl') IS NOT NULL
       AND coalesce(ttl, json_extract(resources.body, '$.defaultTtl')) <> -1
       AND ts + coalesce(ttl, json_extract(resources.body, '$.defaultTtl')) <= :now`,
      { fromNo, toNo, now: nowSeconds },
    ) as { no: number }[];
    if (expired.length > 0) this.transaction(() => expired.forEach(({ no }) => this.deleteDocument(no)));
    return toNo < this.#nextDocument;
  }

  deleteContainerDocuments(container: number): void {
    this.indexPaths(container, []);
    this.#run('DELETE FROM documents WHERE container = :container', { container });
    this.#run('DELETE FROM ranges WHERE container = :container', { container });
  }

  nextDocumentNumber(): number {
    return this.#nextDocument++;
  }

  documents(
    container: number,
    slice: Slice,
    live: Liveness,
    afterNo: number,
    filter?: Filter,
  ): Iterable<DocumentRow> {
    const { kind, parameters } = bindSlice(slice);
    // Where an index of a path can find the documents, hiding the number keeps the planner from the index by creation,
    // which would save it the sort.
    const indexed =
      filter !== undefined && this.#indexedOf(container).some((path) => filter.where.includes(path));
    const by = indexed ? '+no' : 'no';
    // The number of the container stands in the text: only so does SQLite see that an index of that container serves.
    const where = filter === undefined ? '' : ` AND (${filter.where})`;
    const limit = filter?.limit === undefined ? '' : ` LIMIT ${filter.limit}`;
    return this.#iterate(
      `SELECT ${columns} FROM documents WHERE container = ${container} AND ${slices[kind]} AND ${by} > :afterNo
       AND ${alive}${where} ORDER BY ${filter?.orderBy ?? by}${limit}`,
      { ...parameters, afterNo, defaultTtl: live.defaultTtl, now: live.nowSeconds },
      filter?.parameters,
    );
  }

  changes(
    container: number,
    slice: Slice,
    live: Liveness,
    afterLsn: number,
    sinceSeconds: number,
  ): Iterable<DocumentRow> {
    const { kind, parameters } = bindSlice(slice);
    return this.#iterate(
      `SELECT ${columns} FROM documents WHERE container = :container AND ${slices[kind]} AND lsn > :afterLsn
       AND ts >= :since AND ${alive} ORDER BY lsn, step`,
      {
        ...parameters,
        container,
        afterLsn,
        since: sinceSeconds,
        defaultTtl: live.defaultTtl,
        now: live.nowSeconds,
      },
    );
  }

  /**
   * A fresh statement for every walk: a prepared statement holds one cursor, and a walk that is cut short (a full
   * page) must not disturb the next one.
   */
  #iterate(
    sql: string,
    parameters: Parameters,
    anonymous: readonly SQLInputValue[] = [],
  ): Iterable<DocumentRow> {
    const statement = this.#db.prepare(sql);
    return statement.iterate(parameters, ...anonymous) as unknown as Iterable<DocumentRow>;
  }

  usage(container: number): StorageUsage {
    return this.#get(
      'SELECT count(*) AS documents, coalesce(sum(octet_length(body)), 0) AS bytes FROM documents WHERE container = :container',
      { container },
    ) as StorageUsage;
  }
}

function bindSlice(slice: Slice): { kind: SliceKind; parameters: Parameters } {
  if ('pk' in slice) return { kind: 'partition', parameters: { pk: slice.pk } };
  const whole = slice.min === '' && slice.max === 'FF';
  if (slice.range === undefined) return { kind: 'all', parameters: { min: slice.min, max: slice.max } };
  return whole
    ? { kind: 'range', parameters: { range: slice.range } }
    : { kind: 'part', parameters: { range: slice.range, min: slice.min, max: slice.max } };
}
