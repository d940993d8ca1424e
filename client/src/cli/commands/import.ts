import { createWriteStream } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { isJsonObject, sameJson, type JsonObject } from '../../../../shared/conflict/json.ts';
import { isDocumentId } from '../../../../shared/protocol/ids.ts';
import type { Command, Context, Outcome } from '../command.ts';
import { CliError, usage } from '../exit-codes.ts';
import { parserOf } from '../formats/index.ts';
import { FormatError, readRows, readText, type SourceRow } from '../formats/source.ts';
import { openClient, withClient, type Opened } from '../open.ts';
import { PAGE, Rows } from '../rows.ts';
import { count, plural } from '../terminal.ts';

/** Bad rows that are told one by one. */
const TOLD = 20;
/** Bad rows that `--json` lists. */
const LISTED = 1_000;
/** Bytes of a document, as JSON in UTF-8: more the service does not take. */
const MAX_DOCUMENT = 921_600;

export const importFile: Command = {
  synopsis: '<file>',
  summary: 'Writes the documents of a file into a collection, as edits of the user',
  details: `json: an array of objects, or objects one after the other; ndjson: an object in each line; csv: RFC 4180 with a header.
The file is read twice: unless --skip-bad is given, one bad row means that nothing is imported. - is stdin. Rows that are stored
already are left alone. The next sync sends the others.`,
  options: ['format', 'scope', 'key', 'skip-bad', 'column', 'delimiter', 'encoding'],
  run: async (context) => {
    const { typed, io } = context;
    const [file, more] = typed.positionals;
    if (file === undefined || more !== undefined)
      throw usage('Which file? `tidemark import <file> --collection <name>`.');
    if (file !== '-') return importFrom(context, resolve(io.cwd, file), file);
    const folder = await mkdtemp(join(tmpdir(), 'tidemark-import-'));
    try {
      const path = join(folder, 'stdin');
      await pipeline(Readable.from(io.stdin), createWriteStream(path), { signal: io.signal });
      return await importFrom(context, path, 'stdin');
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  },
};

async function importFrom(context: Context, path: string, name: string): Promise<Outcome> {
  const { typed, settings, io, terminal } = context;
  const [collection, second] = typed.list('collection');
  if (collection === undefined || second !== undefined)
    throw usage('Into which collection? --collection <name>, once.');
  const scope = typed.text('scope') ?? null;
  const key = typed.text('key') ?? settings.collections[collection]?.key ?? 'id';
  const makeParser = parserOf(typed, name, key);
  const encoding = encodingOf(typed.text('encoding') ?? 'utf-8');
  const read = () => readRows(readText(path, encoding, io.signal), makeParser());

  // Everything is looked at before anything is written.
  const bad: { line: number; problem: string }[] = [];
  let rows = 0;
  let badRows = 0;
  for await (const batch of whole(read(), name)) {
    for (const row of batch) {
      rows += 1;
      const problem = problemOf(row, key);
      if (problem === null) continue;
      badRows += 1;
      if (badRows <= TOLD) terminal.remark(`${name}:${row.line}: ${problem}`);
      if (badRows <= LISTED) bad.push({ line: row.line, problem });
    }
    terminal.progress({ label: 'Reading', done: rows, total: null });
  }
  terminal.endProgress();
  if (badRows > TOLD) terminal.remark(`${name}: ${plural(badRows - TOLD, 'more bad row')}.`);
  const result = { file: name, collection, scope, rows, imported: 0, unchanged: 0, badRows, bad };
  if (badRows > 0 && !typed.flag('skip-bad')) {
    const message = `${plural(badRows, 'bad row')} of ${count(rows)}: nothing was imported. Correct them, or import the others with --skip-bad.`;
    terminal.remark(message);
    return { exit: 'attention', result, error: { code: 'bad_rows', message } };
  }

  const opening = openClient(settings, io, terminal, {
    create: true,
    network: false,
    extra: { name: collection, scope, key: typed.text('key') ?? null },
  });
  return withClient(opening, async (opened) => {
    const writer = new Writer(opened, collection, scope, key);
    for await (const batch of whole(read(), name)) {
      for (const row of batch) {
        io.signal.throwIfAborted();
        if (problemOf(row, key) === null && 'value' in row) await writer.add(row.value as JsonObject);
      }
      terminal.progress({ label: 'Importing', done: writer.done, total: rows - badRows });
    }
    await writer.flush();
    terminal.endProgress();
    const { imported, unchanged } = writer;
    terminal.say(
      `Imported ${plural(imported, 'document')} into ${collection}${scope === null ? '' : ` (${scope})`}${unchanged > 0 ? `, ${count(unchanged)} were there already` : ''}${badRows > 0 ? `, ${plural(badRows, 'bad row')} left out` : ''}.`,
    );
    if (imported > 0) terminal.say('`tidemark sync` sends them.');
    return { exit: badRows > 0 ? 'attention' : 'done', result: { ...result, imported, unchanged } };
  });
}

/** Writes what is not there yet, page by page, each page one transaction. */
class Writer {
  imported = 0;
  unchanged = 0;
  readonly #rows: Rows;
  readonly #opened: Opened;
  readonly #collection: string;
  readonly #scope: string | null;
  readonly #key: string;
  #batch = new Map<string, JsonObject>();

  constructor(opened: Opened, collection: string, scope: string | null, key: string) {
    this.#opened = opened;
    this.#collection = collection;
    this.#scope = scope;
    this.#key = key;
    this.#rows = new Rows(opened);
  }

  get done(): number {
    return this.imported + this.unchanged + this.#batch.size;
  }

  async add(document: JsonObject): Promise<void> {
    const id = String(document[this.#key]);
    // Two rows of one document: the later one wins, as if they were written one after the other.
    if (this.#batch.has(id)) await this.flush();
    this.#batch.set(id, document);
    if (this.#batch.size >= PAGE) await this.flush();
  }

  async flush(): Promise<void> {
    const batch = this.#batch;
    if (batch.size === 0) return;
    const { client } = this.#opened;
    const scope = this.#scope ?? (await this.#rows.ownScope());
    const stored = await this.#rows.some(this.#collection, scope, [...batch.keys()]);
    const fresh = [...batch].filter(([id, document]) => !sameJson(stored.get(id), document));
    const store = client.store(this.#collection, this.#scope === null ? {} : { scope: this.#scope });
    await store.upsertBulk(fresh.map(([, document]) => document));
    this.imported += fresh.length;
    this.unchanged += batch.size - fresh.length;
    this.#batch = new Map();
  }
}

/** Null: the row is a document. What the service has to say of it comes with the sync. */
function problemOf(row: SourceRow, key: string): string | null {
  if ('problem' in row) return row.problem;
  const { value } = row;
  if (!isJsonObject(value)) return 'It is not a JSON object.';
  const id = Object.hasOwn(value, key) ? value[key] : undefined;
  if (id === undefined) return `It has no \`${key}\`: say with --key which member holds the id.`;
  if (typeof id !== 'string') return `Its \`${key}\` is not a text.`;
  if (!isDocumentId(id))
    return `Its \`${key}\` is no id: 1 to 250 characters, none of / \\ ? # and no control characters.`;
  const text = JSON.stringify(value);
  if (text.length * 3 > MAX_DOCUMENT && Buffer.byteLength(text) > MAX_DOCUMENT) {
    return `It is larger than ${count(MAX_DOCUMENT)} bytes.`;
  }
  return null;
}

function encodingOf(label: string): string {
  try {
    return new TextDecoder(label).encoding;
  } catch {
    throw usage(`There is no encoding "${label}".`);
  }
}

/** What cannot be read on is an error of the whole, with its line. */
async function* whole(rows: AsyncIterable<SourceRow[]>, name: string): AsyncGenerator<SourceRow[]> {
  try {
    yield* rows;
  } catch (error) {
    if (!(error instanceof FormatError)) throw error;
    throw new CliError(
      'local',
      'unreadable_file',
      `${name}:${error.line}: ${error.message} Nothing was imported.`,
      {
        cause: error,
      },
    );
  }
}
