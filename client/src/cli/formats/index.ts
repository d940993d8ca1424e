import { extname } from 'node:path';
import { usage } from '../exit-codes.ts';
import type { Typed } from '../options.ts';
import { COLUMN_TYPES, CsvParser, type ColumnType } from './csv.ts';
import { JsonParser, NdjsonParser } from './json.ts';
import type { RowParser } from './source.ts';

export type Format = 'json' | 'ndjson' | 'csv';

const BY_NAME: Readonly<Record<string, Format>> = {
  '.json': 'json',
  '.ndjson': 'ndjson',
  '.jsonl': 'ndjson',
  '.csv': 'csv',
  '.tsv': 'csv',
};

/** `--format`, or what the name of the file says. */
export function formatOf(typed: Typed, file: string | undefined): Format {
  const named = typed.text('format');
  if (named === 'json' || named === 'ndjson' || named === 'csv') return named;
  if (named !== undefined) throw usage(`--format takes json, ndjson or csv, not "${named}".`);
  const format = file === undefined ? undefined : BY_NAME[extname(file).toLowerCase()];
  if (format === undefined) throw usage('Which format? Use --format json, ndjson or csv.');
  return format;
}

export function delimiterOf(typed: Typed, file: string | undefined): string {
  const given = typed.text('delimiter');
  const delimiter =
    given === '\\t' ? '\t' : (given ?? (file?.toLowerCase().endsWith('.tsv') === true ? '\t' : ','));
  if (delimiter.length !== 1 || /["\r\n]/.test(delimiter))
    throw usage('--delimiter takes one character, such as ; or \\t.');
  return delimiter;
}

/** Makes a new parser each time: a file is read twice. */
export function parserOf(typed: Typed, file: string | undefined, key: string): () => RowParser {
  const format = formatOf(typed, file);
  if (format === 'json') return () => new JsonParser();
  if (format === 'ndjson') return () => new NdjsonParser();
  const options = { key, delimiter: delimiterOf(typed, file), columns: columnTypes(typed) };
  return () => new CsvParser(options);
}

function columnTypes(typed: Typed): ReadonlyMap<string, ColumnType> {
  return new Map(
    typed.list('column').map((text) => {
      const [, name, type] = /^(.+):([a-z]+)$/s.exec(text) ?? [];
      if (name === undefined || !isColumnType(type)) {
        throw usage(`--column takes name:type with one of ${COLUMN_TYPES.join(', ')}, not "${text}".`);
      }
      return [name, type];
    }),
  );
}

const isColumnType = (text: string | undefined): text is ColumnType =>
  text !== undefined && (COLUMN_TYPES as readonly string[]).includes(text);
