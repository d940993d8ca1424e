import { QueryError } from './errors.ts';
import type { Span } from './errors.ts';

export type Token = Span &
  (
    | { kind: 'name'; text: string; upper: string }
    | { kind: 'number'; text: string; value: number }
    | { kind: 'string'; text: string; value: string }
    | { kind: 'parameter'; text: string }
    | { kind: 'symbol'; text: string }
    | { kind: 'placeholder'; text: string }
    | { kind: 'end'; text: string }
  );

/**
 * Where a client puts its own filter when it resumes an ORDER BY over several partitions; clients that have
 * none put `true`. The text itself also runs, as `true`.
 */
export const FILTER_PLACEHOLDER = '{documentdb-formattableorderbyquery-filter}';

/** The documented limit of a query's text, in characters. */
export const MAX_QUERY_LENGTH = 512 * 1024;

/** Words that cannot name a property after a dot or an alias (`c.value` is an error, `c["value"]` is not). */
export const RESERVED: ReadonlySet<string> = new Set(
  (
    'AND ARRAY AS ASC BETWEEN BY DESC DISTINCT EXISTS FALSE FROM GROUP IN JOIN LIKE NOT NULL OR ORDER SELECT ' +
    'TOP TRUE UDF UNDEFINED VALUE WHERE'
  ).split(' '),
);

const SPACE = /(?:[\s\uFEFF]|--[^\n\r]*|\/\*[^]*?\*\/)+/y;
const NAME = /[\p{L}_][\p{L}\p{N}_]*/uy;
const PARAMETER = /@[\p{L}\p{N}_]+/uy;
const NUMBER = /0[xX][0-9a-fA-F]+|(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?/y;
const SYMBOL = /\?\?|\|\||<>|<=|>=|!=|>>>|>>|<<|[-+*/%=<>&|^~?:,.()[\]{}]/y;

const ESCAPES: Readonly<Record<string, string>> = {
  b: '\b',
  f: '\f',
  n: '\n',
  r: '\r',
  t: '\t',
  '"': '"',
  "'": "'",
  '\\': '\\',
  '/': '/',
};

/** Splits a query into tokens. Throws `SC1001` at the first character that starts none. */
export function tokenize(sql: string): Token[] {
  if (sql.length > MAX_QUERY_LENGTH) {
    throw new QueryError('SC1001', `The query is longer than ${MAX_QUERY_LENGTH} characters.`, {
      start: MAX_QUERY_LENGTH,
      end: sql.length,
    });
  }
  const tokens: Token[] = [];
  let at = 0;
  for (;;) {
    at += matchAt(SPACE, sql, at).length;
    if (at >= sql.length) break;
    const token = next(sql, at);
    tokens.push(token);
    at = token.end;
  }
  tokens.push({ kind: 'end', text: '', start: sql.length, end: sql.length });
  return tokens;
}

function next(sql: string, start: number): Token {
  const first = sql.charAt(start);
  if (first === '"' || first === "'") return string(sql, start);
  if (sql.startsWith(FILTER_PLACEHOLDER, start)) {
    return { kind: 'placeholder', text: FILTER_PLACEHOLDER, start, end: start + FILTER_PLACEHOLDER.length };
  }
  const name = matchAt(NAME, sql, start);
  if (name) return { kind: 'name', text: name, upper: name.toUpperCase(), start, end: start + name.length };
  const number = matchAt(NUMBER, sql, start);
  if (number) {
    const end = start + number.length;
    const value = Number(number);
    if (!Number.isFinite(value)) throw syntaxError(sql, start, end);
    if (matchAt(NAME, sql, end)) throw syntaxError(sql, start, end + 1);
    return { kind: 'number', text: number, value, start, end };
  }
  const parameter = matchAt(PARAMETER, sql, start);
  if (parameter) return { kind: 'parameter', text: parameter, start, end: start + parameter.length };
  const symbol = matchAt(SYMBOL, sql, start);
  if (symbol) return { kind: 'symbol', text: symbol, start, end: start + symbol.length };
  throw syntaxError(sql, start, start + 1);
}

/** Strings take either quote and JSON's escapes, with `\'` besides (documentation, "constants"). */
function string(sql: string, start: number): Token {
  const quote = sql.charAt(start);
  let value = '';
  let at = start + 1;
  while (at < sql.length) {
    const char = sql.charAt(at);
    if (char === quote) return { kind: 'string', text: sql.slice(start, at + 1), value, start, end: at + 1 };
    if (char !== '\\') {
      value += char;
      at++;
      continue;
    }
    const escaped = sql.charAt(at + 1);
    const plain = ESCAPES[escaped];
    if (plain !== undefined) {
      value += plain;
      at += 2;
    } else {
      const hex = /^u([0-9a-fA-F]{4})/.exec(sql.slice(at + 1, at + 6))?.[1];
      if (hex === undefined) throw syntaxError(sql, at, Math.min(at + 2, sql.length));
      value += String.fromCharCode(parseInt(hex, 16));
      at += 6;
    }
  }
  throw syntaxError(sql, start, sql.length);
}

function matchAt(pattern: RegExp, text: string, at: number): string {
  pattern.lastIndex = at;
  return pattern.exec(text)?.[0] ?? '';
}

/** In the service's words. */
export function syntaxError(sql: string, start: number, end: number): QueryError {
  const near = sql.slice(start, Math.min(end, start + 40));
  const message = near
    ? `Syntax error, incorrect syntax near '${near}'.`
    : 'Syntax error, unexpected end of the query.';
  return new QueryError('SC1001', message, { start, end });
}
