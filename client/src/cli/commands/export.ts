import { createWriteStream } from 'node:fs';
import { rename, rm } from 'node:fs/promises';
import { resolve } from 'node:path';
import { finished } from 'node:stream/promises';
import type { JsonObject } from '../../../../shared/conflict/json.ts';
import type { Command, Context } from '../command.ts';
import { CliError, usage } from '../exit-codes.ts';
import { formatCsvHeader, formatCsvRow } from '../formats/csv.ts';
import { delimiterOf, formatOf, type Format } from '../formats/index.ts';
import { writeTo, type Output } from '../io.ts';
import { openClient, withClient } from '../open.ts';
import { Rows } from '../rows.ts';
import { plural } from '../terminal.ts';

export const exportFile: Command = {
  synopsis: '',
  summary: 'Writes the documents of a collection as they are here, unsent edits included',
  details: `\`tidemark import\` makes the same documents of what this writes, in every format. A file is written beside and moved in place when
it is whole.`,
  options: ['format', 'scope', 'key', 'delimiter', 'output'],
  run: async (context) => {
    const { typed, settings, io, terminal, json } = context;
    if (typed.positionals.length > 0) throw usage('`export` takes no file: use --output.');
    const output = typed.text('output');
    if (json && output === undefined)
      throw usage('With --json the documents need a place of their own: --output <file>.');
    const format =
      typed.text('format') === undefined && output === undefined ? 'ndjson' : formatOf(typed, output);
    const delimiter = delimiterOf(typed, output);
    const opening = openClient(settings, io, terminal, { create: false, network: false });
    return withClient(opening, async (opened) => {
      const rows = new Rows(opened);
      const collection = chooseCollection(context, Object.keys(opened.collections));
      const scope = await chooseScope(context, rows, collection);
      const key = typed.text('key') ?? rows.keyOf(collection);
      const total = await rows.count(collection);
      const texts = write(rows, collection, scope, { format, delimiter, key });
      let documents = 0;
      const send = async (target: Output) => {
        for await (const { text, number } of texts) {
          io.signal.throwIfAborted();
          await writeTo(target, text);
          documents += number;
          if (output !== undefined) terminal.progress({ label: 'Exporting', done: documents, total });
        }
      };
      if (output === undefined) await send(io.stdout);
      else await replaceFile(resolve(io.cwd, output), send);
      terminal.endProgress();
      if (output !== undefined)
        terminal.say(`Wrote ${plural(documents, 'document')} of ${collection} to ${output}.`);
      return { exit: 'done', result: { collection, scope, format, output: output ?? null, documents } };
    });
  },
};

function chooseCollection({ typed }: Context, known: readonly string[]): string {
  const named = typed.list('collection');
  const [first, second] = named.length > 0 ? named : known;
  if (first === undefined || second !== undefined) {
    throw usage(`Which collection? Use --collection with one of: ${known.join(', ')}.`);
  }
  return first;
}

async function chooseScope({ typed }: Context, rows: Rows, collection: string): Promise<string> {
  const named = typed.text('scope');
  if (named !== undefined) return named;
  const scopes = await rows.scopes(collection);
  const [only, other] = scopes;
  if (other !== undefined)
    throw usage(`${collection} has documents in ${scopes.join(', ')}. Choose with --scope.`);
  return only ?? rows.ownScope();
}

interface Shape {
  readonly format: Format;
  readonly delimiter: string;
  readonly key: string;
}

/** The text of the file, piece by piece, with the documents in each piece. */
async function* write(
  rows: Rows,
  collection: string,
  scope: string,
  { format, delimiter, key }: Shape,
): AsyncGenerator<{ text: string; number: number }> {
  const pages = async function* (): AsyncGenerator<JsonObject[]> {
    for await (const page of rows.pages(collection, scope)) {
      yield page.map(({ id, content }) => (content[key] === id ? content : { ...content, [key]: id }));
    }
  };
  if (format === 'csv') {
    const columns = new Set([key]);
    for await (const page of pages()) {
      for (const document of page) for (const name of Object.keys(document)) columns.add(name);
    }
    const names = [...columns];
    // A member without a name has no column.
    if (columns.has(''))
      throw new CliError(
        'local',
        'no_csv',
        'A document has a member without a name: CSV cannot hold it. Use json or ndjson.',
      );
    yield { text: formatCsvHeader(names, delimiter), number: 0 };
    for await (const page of pages()) {
      const unknown = page.flatMap((document) => Object.keys(document)).find((name) => !columns.has(name));
      if (unknown !== undefined) {
        throw new CliError(
          'local',
          'changed_meanwhile',
          `\`${unknown}\` was added to a document meanwhile. Export again.`,
        );
      }
      yield {
        text: page.map((document) => formatCsvRow(document, names, delimiter, key)).join(''),
        number: page.length,
      };
    }
    return;
  }
  let isFirst = true;
  if (format === 'json') yield { text: '[', number: 0 };
  for await (const page of pages()) {
    const lines = page.map((document) => JSON.stringify(document));
    const text =
      format === 'json' ? `${isFirst ? '\n' : ',\n'}${lines.join(',\n')}` : `${lines.join('\n')}\n`;
    isFirst = false;
    yield { text, number: page.length };
  }
  if (format === 'json') yield { text: '\n]\n', number: 0 };
}

/** A file that is there stays until the new one is whole. */
async function replaceFile(path: string, send: (target: Output) => Promise<void>): Promise<void> {
  const draft = `${path}.${process.pid}.part`;
  const stream = createWriteStream(draft);
  try {
    const ended = finished(stream);
    ended.catch(() => undefined);
    await Promise.race([send(stream), ended]);
    stream.end();
    await ended;
    await rename(draft, path);
  } catch (error) {
    stream.destroy();
    await rm(draft, { force: true });
    throw error;
  }
}
