import { isWellFormed } from '../../../../shared/protocol/ids.ts';
import type { JsonObject } from '../../../../shared/conflict/json.ts';
import { isLost, parseJson } from './json-text.ts';
import { FormatError, MAX_ROW, type RowParser, type SourceRow } from './source.ts';

/** How the cells of a column become values. */
export const COLUMN_TYPES = ['auto', 'text', 'number', 'boolean', 'json'] as const;
export type ColumnType = (typeof COLUMN_TYPES)[number];

export interface CsvOptions {
  /** One character. */
  readonly delimiter: string;
  /** The column that holds ids: always text. */
  readonly key: string;
  /** By name of the column; `*`: all others. Default: `auto`. */
  readonly columns: ReadonlyMap<string, ColumnType>;
}

interface Cell {
  readonly text: string;
  readonly quoted: boolean;
}

/**
 * CSV by RFC 4180: quotes, doubled quotes and line ends within them. Rows end with CRLF, LF or CR; the first one names the
 * columns. An empty cell is no member; an empty cell in quotes is an empty text.
 *
 * ```
 *   start ──"──► quoted ──"──► closed ──"──► quoted
 *     └── any ──► bare            └── , or the end of the line ──► start
 * ```
 */
export class CsvParser implements RowParser {
  readonly #options: CsvOptions;
  #state: 'start' | 'bare' | 'quoted' | 'closed' = 'start';
  #afterCr = false;
  #line = 1;
  #rowLine = 1;
  #quoteLine = 1;
  #text = '';
  #quoted = false;
  #cells: Cell[] = [];
  #problem: string | null = null;
  #header: readonly string[] | null = null;
  #length = 0;

  constructor(options: CsvOptions) {
    this.#options = options;
  }

  push(text: string): SourceRow[] {
    const rows: SourceRow[] = [];
    const { delimiter } = this.#options;
    for (const character of text) {
      const isLineFeed = character === '\n';
      if (isLineFeed && this.#afterCr) {
        // The line was counted at the CR.
        this.#afterCr = false;
        continue;
      }
      this.#afterCr = false;
      if (this.#state === 'quoted') {
        if (character === '"') this.#state = 'closed';
        else this.#add(character);
        if (isLineFeed) this.#line += 1;
      } else if (character === delimiter) {
        this.#endCell();
      } else if (isLineFeed || character === '\r') {
        this.#endRow(rows);
        this.#afterCr = character === '\r';
        this.#line += 1;
        this.#rowLine = this.#line;
      } else if (character === '"' && this.#state === 'start') {
        this.#state = 'quoted';
        this.#quoted = true;
        this.#quoteLine = this.#line;
      } else if (character === '"' && this.#state === 'closed') {
        this.#add('"');
        this.#state = 'quoted';
      } else {
        if (this.#state === 'closed') this.#problem ??= 'There is text behind a closing quote.';
        if (character === '"') this.#problem ??= 'There is a quote in a cell that does not begin with one.';
        this.#state = 'bare';
        this.#add(character);
      }
    }
    return rows;
  }

  end(): SourceRow[] {
    if (this.#state === 'quoted') throw new FormatError(this.#quoteLine, 'This quote is never closed.');
    const rows: SourceRow[] = [];
    this.#endRow(rows);
    if (this.#header === null)
      throw new FormatError(1, 'The file is empty: the first row has to name the columns.');
    return rows;
  }

  #add(character: string): void {
    this.#text += character;
    this.#length += 1;
    if (this.#length > MAX_ROW) {
      throw new FormatError(this.#rowLine, 'The row is too long for a document: is a quote never closed?');
    }
  }

  #endCell(): void {
    this.#cells.push({ text: this.#text, quoted: this.#quoted });
    this.#text = '';
    this.#quoted = false;
    this.#state = 'start';
  }

  #endRow(rows: SourceRow[]): void {
    const isBlank = this.#cells.length === 0 && this.#text === '' && !this.#quoted;
    this.#endCell();
    const cells = this.#cells;
    const problem = this.#problem;
    this.#cells = [];
    this.#problem = null;
    this.#length = 0;
    if (isBlank) return;
    const line = this.#rowLine;
    if (this.#header === null) this.#header = this.#readHeader(cells, problem);
    else if (problem !== null) rows.push({ line, problem });
    else rows.push(this.#toRow(line, cells, this.#header));
  }

  #readHeader(cells: readonly Cell[], problem: string | null): readonly string[] {
    const names = cells.map(({ text }) => text);
    const fail = (message: string): never => {
      throw new FormatError(this.#rowLine, message);
    };
    if (problem !== null) fail(problem);
    if (names.includes('')) fail('A column has no name.');
    const twice = names.find((name, index) => names.indexOf(name) !== index);
    if (twice !== undefined) fail(`Two columns are named \`${twice}\`.`);
    const { key, columns } = this.#options;
    if (!names.includes(key)) {
      fail(
        `There is no column \`${key}\`. Say with --key which one holds the ids; the columns are: ${names.join(', ')}.`,
      );
    }
    const unknown = [...columns.keys()].find((name) => name !== '*' && !names.includes(name));
    if (unknown !== undefined) fail(`--column names \`${unknown}\`, which is not a column.`);
    return names;
  }

  #toRow(line: number, cells: readonly Cell[], header: readonly string[]): SourceRow {
    if (cells.length !== header.length) {
      return { line, problem: `The row has ${cells.length} cells, and the header ${header.length}.` };
    }
    const { key, columns } = this.#options;
    const members: [string, unknown][] = [];
    for (const [index, name] of header.entries()) {
      const cell = cells[index];
      if (cell === undefined || (cell.text === '' && !cell.quoted)) continue;
      const type = name === key ? 'text' : (columns.get(name) ?? columns.get('*') ?? 'auto');
      try {
        members.push([name, readCell(cell.text, type)]);
      } catch (error) {
        return { line, problem: `\`${name}\`: ${error instanceof Error ? error.message : String(error)}` };
      }
    }
    return { line, value: Object.fromEntries(members) };
  }
}

function readCell(text: string, type: ColumnType): unknown {
  if (type === 'text') return text;
  if (type === 'auto') return readPlain(text);
  if (type === 'json') return parseJson(text);
  const trimmed = text.trim();
  if (type === 'boolean') {
    if (/^(true|1)$/i.test(trimmed)) return true;
    if (/^(false|0)$/i.test(trimmed)) return false;
    throw new Error(`"${shorten(text)}" is neither true nor false.`);
  }
  const value = Number(trimmed);
  if (!/^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(trimmed) || isLost(trimmed.replace(/^\+/, ''), value)) {
    throw new Error(`"${shorten(text)}" is not a number that can be kept.`);
  }
  return value;
}

/**
 * The rule for columns without a type: `true`, `false`, `null`, a number written as JavaScript writes it, a JSON object or
 * array are what they look like; all else is text. So `007`, `1.50` and `+49 30` stay as they are. A text that looks like one
 * of the former is written as a JSON text.
 */
export function readPlain(text: string): unknown {
  if (text === 'true') return true;
  if (text === 'false') return false;
  if (text === 'null') return null;
  const [first] = text;
  if (/^-?\d/.test(text)) {
    const number = Number(text);
    return Number.isFinite(number) && String(number) === text ? number : text;
  }
  if (first === '{' || first === '[') return parsedOr(text, text);
  if (first === '"' && text.length > 1 && text.endsWith('"')) {
    const inner = parsedOr(text, null);
    return typeof inner === 'string' && !isPlain(inner) ? inner : text;
  }
  return text;
}

const isPlain = (text: string): boolean => isWellFormed(text) && readPlain(text) === text;

function parsedOr(text: string, otherwise: unknown): unknown {
  try {
    return parseJson(text);
  } catch {
    return otherwise;
  }
}

/** A row of CSV: what `readPlain` makes the same of again. */
export function formatCsvRow(
  document: JsonObject,
  columns: readonly string[],
  delimiter: string,
  key: string,
): string {
  const cells = columns.map((name) => {
    const value = Object.hasOwn(document, name) ? document[name] : undefined;
    if (value === undefined) return '';
    const isText = typeof value === 'string' && (name === key || isPlain(value));
    return quoteCell(isText ? value : JSON.stringify(value), delimiter);
  });
  return `${cells.join(delimiter)}\r\n`;
}

export const formatCsvHeader = (columns: readonly string[], delimiter: string): string =>
  `${columns.map((name) => quoteCell(name, delimiter)).join(delimiter)}\r\n`;

const quoteCell = (text: string, delimiter: string): string =>
  text === '' || /["\r\n]/.test(text) || text.includes(delimiter) || text !== text.trim()
    ? `"${text.replaceAll('"', '""')}"`
    : text;

const shorten = (text: string): string => (text.length > 40 ? `${text.slice(0, 40)}…` : text);
