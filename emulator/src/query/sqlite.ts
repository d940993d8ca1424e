import type { Bound, BoundPlan } from './bind.ts';
import { conjuncts, documentPath } from './partition-key.ts';
import { typeRank } from './values.ts';
import type { Value } from './values.ts';

export interface SqliteOptions {
  /**
   * SQL for the document's JSON text, as JSON.stringify writes it (`body`, `d.body`). Texts written otherwise may
   * hold numbers that SQLite and JavaScript read differently.
   */
  column: string;
  /**
   * A column that holds the value at a path. All its values are strings, or all are numbers, and every document has
   * one, as is so for the properties that the service itself sets.
   */
  expression?: (path: readonly (string | number)[]) => string | undefined;
  /** SQL for the order that documents have by themselves; it settles ties of an ORDER BY. */
  position?: string;
}

export interface SqliteQuery {
  /** Holds at least for every document that the query's WHERE holds for. */
  where: string;
  /** For the question marks in `where`, in order. */
  parameters: (string | number)[];
  /** Whether `where` holds for no other document either. Running the query checks in any case. */
  complete: boolean;
  /** So many documents are enough: the first by `orderBy` where there is one, else by their own order. */
  limit?: number;
  /** The order of the query's ORDER BY, where a limit goes with it. */
  orderBy?: string;
}

/** A document's value at a path, as an index on an expression must write it to be used. */
export function jsonExtract(column: string, path: readonly (string | number)[]): string {
  return `json_extract(${column}, ${jsonPath(path)})`;
}

/**
 * What SQLite can do of a query, or null. SQLite has two truth values and Cosmos DB has three, so each condition is
 * translated twice: into SQL that holds where it is true, and into SQL that holds where it is false. What cannot be
 * translated is left out where that lets more documents through, never fewer.
 */
export function pushDown(plan: BoundPlan, options: SqliteOptions): SqliteQuery | null {
  const { query } = plan;
  const source = query.sources[0];
  if (plan.documentScans !== 1 || source?.collection.kind !== 'documents') return null;
  if (source.iterate || source.collection.path.length > 0) return null;
  const translator = new Translator(source.slot, options);
  const condition = query.where ? translator.conjunction(query.where) : ALWAYS;
  if (!condition) return null;
  const { sql, parameters, exact } = condition;
  const result: SqliteQuery = { where: sql, parameters, complete: exact };
  const end = query.top ?? (query.limit === undefined ? undefined : query.offset + query.limit);
  const rowPerDocument =
    query.sources.length === 1 &&
    !query.grouping &&
    !query.distinct &&
    ALWAYS_DEFINED.has(query.project.kind);
  if (end === undefined || !exact || !rowPerDocument) return result;
  if (query.orderBy.length === 0) return { ...result, limit: end };
  const orderBy = translator.orderBy(query.orderBy);
  return orderBy === undefined ? result : { ...result, limit: end, orderBy };
}

/** Selected expressions that are never undefined and so keep every row. */
const ALWAYS_DEFINED: ReadonlySet<Bound['kind']> = new Set<Bound['kind']>(['slot', 'object', 'array']);

interface Condition {
  sql: string;
  parameters: (string | number)[];
  /** Whether the SQL holds exactly where it should, not in more cases. */
  exact: boolean;
}

const ALWAYS: Condition = { sql: '1', parameters: [], exact: true };
const NEVER: Condition = { sql: '0', parameters: [], exact: true };

/** A list of values beyond this is not sent to SQLite. */
const MAX_LIST = 500;

type Comparison = '=' | '!=' | '<' | '<=' | '>' | '>=';

const OPPOSITE: Readonly<Record<Comparison, Comparison>> = {
  '=': '!=',
  '!=': '=',
  '<': '>=',
  '>=': '<',
  '>': '<=',
  '<=': '>',
};
const MIRRORED: Readonly<Record<Comparison, Comparison>> = {
  '=': '=',
  '!=': '!=',
  '<': '>',
  '>': '<',
  '<=': '>=',
  '>=': '<=',
};

/** What json_type answers, by the type-checking function that asks for it. */
const TYPES: Readonly<Record<string, readonly string[]>> = {
  IS_ARRAY: ['array'],
  IS_BOOL: ['true', 'false'],
  IS_NULL: ['null'],
  IS_NUMBER: ['integer', 'real'],
  IS_OBJECT: ['object'],
  IS_PRIMITIVE: ['null', 'true', 'false', 'integer', 'real', 'text'],
  IS_STRING: ['text'],
};

const NUMBER = "IN ('integer', 'real')";

class Translator {
  readonly #slot: number;
  readonly #options: SqliteOptions;

  constructor(slot: number, options: SqliteOptions) {
    this.#slot = slot;
    this.#options = options;
  }

  /** The terms that can be translated; the others only make the result inexact. */
  conjunction(where: Bound): Condition | undefined {
    const terms = conjuncts(where).map((term) => this.#holds(term, true));
    const translated = terms.filter((term) => term !== undefined);
    if (translated.length === 0) return undefined;
    const all = join(' AND ', translated);
    return { ...all, exact: all.exact && translated.length === terms.length };
  }

  /** By columns only: of other paths, documents may hold arrays and objects, which SQLite would sort in its own way. */
  orderBy(items: readonly { value: Bound; descending: boolean }[]): string | undefined {
    const terms: string[] = [];
    for (const { value, descending } of items) {
      const path = documentPath(value, this.#slot);
      const column = path && this.#options.expression?.(path);
      if (column === undefined) return undefined;
      terms.push(descending ? `${column} DESC` : column);
    }
    const { position } = this.#options;
    return [...terms, ...(position === undefined ? [] : [position])].join(', ');
  }

  /** SQL for "the condition is true" or "the condition is false". */
  #holds(condition: Bound, wanted: boolean): Condition | undefined {
    switch (condition.kind) {
      case 'constant':
        return condition.value === wanted ? ALWAYS : NEVER;
      case 'property':
      case 'item': {
        const path = this.#path(condition);
        return path && plain(`${this.#type(path)} = '${String(wanted)}'`);
      }
      case 'unary':
        return condition.operator === 'NOT' ? this.#holds(condition.operand, !wanted) : undefined;
      case 'logical':
        return this.#logical(condition, wanted);
      case 'binary':
        return this.#binary(condition, wanted);
      case 'between': {
        const { value, low, high } = condition;
        const above = this.#comparison(value, '>=', low, wanted !== condition.not);
        const below = this.#comparison(value, '<=', high, wanted !== condition.not);
        return above && below && join(wanted !== condition.not ? ' AND ' : ' OR ', [above, below]);
      }
      case 'in':
        return this.#membership(condition, wanted !== condition.not);
      case 'like':
        return this.#like(condition, wanted !== condition.not);
      case 'call':
        return this.#call(condition, wanted);
      default:
        return undefined;
    }
  }

  #logical(condition: Bound & { kind: 'logical' }, wanted: boolean): Condition | undefined {
    const terms = condition.operands.map((operand) => this.#holds(operand, wanted));
    const translated = terms.filter((term) => term !== undefined);
    if ((condition.operator === 'AND') === wanted) {
      if (translated.length === 0) return undefined;
      const all = join(' AND ', translated);
      return { ...all, exact: all.exact && translated.length === terms.length };
    }
    return translated.length === terms.length ? join(' OR ', translated) : undefined;
  }

  #binary(condition: Bound & { kind: 'binary' }, wanted: boolean): Condition | undefined {
    const { operator, left, right } = condition;
    if (!isComparison(operator)) return undefined;
    return (
      this.#comparison(left, operator, right, wanted) ??
      this.#comparison(right, MIRRORED[operator], left, wanted)
    );
  }

  #comparison(left: Bound, operator: Comparison, right: Bound, wanted: boolean): Condition | undefined {
    const path = this.#path(left);
    if (!path || right.kind !== 'constant') return undefined;
    return this.#compare(path, wanted ? operator : OPPOSITE[operator], right.value);
  }

  /** Where the operator is true. Across types `!=` holds and the orders do not. */
  #compare(path: Path, operator: Comparison, constant: Value): Condition | undefined {
    if (constant === undefined) return NEVER;
    const type = this.#type(path);
    if (operator === '!=') {
      const same = this.#compare(path, '=', constant);
      if (same?.exact) return { ...same, sql: `(${type} IS NOT NULL AND NOT ${same.sql})` };
      return same && { ...plain(`${type} IS NOT NULL`), exact: false };
    }
    if (constant === null) return operator === '<' || operator === '>' ? NEVER : plain(`(${type} = 'null')`);
    if (typeof constant === 'boolean') {
      const matching = [false, true].filter((value) => holds(operator, Number(value) - Number(constant)));
      return isOneOf(type, matching.map(String));
    }
    if (typeof constant === 'object') {
      if (operator !== '=') return NEVER;
      return { ...isOneOf(type, [Array.isArray(constant) ? 'array' : 'object']), exact: false };
    }
    if (!isExact(constant)) return undefined;
    const sameType = typeof constant === 'string' ? "= 'text'" : NUMBER;
    const sql = `(${this.#value(path)} ${operator} ? AND ${type} ${sameType})`;
    return { sql, parameters: [constant], exact: true };
  }

  #membership({ value, list }: Bound & { kind: 'in' }, wanted: boolean): Condition | undefined {
    const path = this.#path(value);
    if (!path || list.length > MAX_LIST) return undefined;
    const constants: Value[] = [];
    for (const item of list) {
      if (item.kind !== 'constant') return undefined;
      // No value is equal to undefined, and none is unequal because of it.
      if (item.value !== undefined) constants.push(item.value);
    }
    if (constants.length === 0) return wanted ? NEVER : undefined;
    const terms = constants.map((constant) => this.#compare(path, wanted ? '=' : '!=', constant));
    if (!terms.every((term) => term !== undefined)) return undefined;
    if (!wanted) return join(' AND ', terms);
    // Strings and numbers together in one list, so that an index can be used.
    const listed = constants.filter(
      (constant) => typeof constant === 'string' || typeof constant === 'number',
    );
    if (listed.length === 0) return join(' OR ', terms);
    const marks = listed.map(() => '?').join(', ');
    const sql = `(${this.#value(path)} IN (${marks}) AND ${this.#type(path)} IN ('text', 'integer', 'real'))`;
    const others = terms.filter((_, i) => typeRank(constants[i]) !== 3 && typeRank(constants[i]) !== 4);
    return join(' OR ', [{ sql, parameters: listed, exact: true }, ...others]);
  }

  /** The text before the first wildcard bounds the value; the rest is for the interpreter. */
  #like({ value, pattern, escape }: Bound & { kind: 'like' }, wanted: boolean): Condition | undefined {
    const path = this.#path(value);
    if (!path || pattern.kind !== 'constant' || typeof pattern.value !== 'string') return undefined;
    if (!wanted || escape !== undefined) return { ...plain(`${this.#type(path)} = 'text'`), exact: false };
    const prefix = /^[^%_[]*/.exec(pattern.value)?.[0] ?? '';
    const bounded = this.#startsWith(path, prefix, true);
    return bounded && { ...bounded, exact: bounded.exact && pattern.value === `${prefix}%` };
  }

  /** Exactly the texts from the prefix up to, not including, the next text of its length. */
  #startsWith(path: Path, prefix: string, wanted: boolean): Condition | undefined {
    const type = this.#type(path);
    if (!isExact(prefix)) return undefined;
    const end = successor(prefix);
    const value = this.#value(path);
    const range = end === undefined ? `${value} >= ?` : `${value} >= ? AND ${value} < ?`;
    const parameters = end === undefined ? [prefix] : [prefix, end];
    const sql = wanted ? `(${range} AND ${type} = 'text')` : `(${type} = 'text' AND NOT (${range}))`;
    return { sql, parameters, exact: true };
  }

  #call({ name, arguments: list }: Bound & { kind: 'call' }, wanted: boolean): Condition | undefined {
    const path = list[0] && this.#path(list[0]);
    if (!path) return undefined;
    const type = this.#type(path);
    if (name === 'IS_DEFINED') return plain(`${type} IS ${wanted ? 'NOT ' : ''}NULL`);
    const types = Object.hasOwn(TYPES, name) ? TYPES[name] : undefined;
    if (types) {
      const quoted = types.map((text) => `'${text}'`).join(', ');
      return plain(wanted ? `${type} IN (${quoted})` : `(${type} IS NULL OR ${type} NOT IN (${quoted}))`);
    }
    const second = list[1];
    const constant = second?.kind === 'constant' ? second.value : undefined;
    if (name === 'STARTSWITH' && list.length === 2 && typeof constant === 'string') {
      return this.#startsWith(path, constant, wanted);
    }
    if (name === 'ARRAY_CONTAINS' && list.length === 2 && wanted) return this.#contains(path, constant);
    return undefined;
  }

  #contains(path: Path, constant: Value): Condition | undefined {
    if ((typeof constant !== 'string' && typeof constant !== 'number') || !isExact(constant))
      return undefined;
    const items = `json_each(${this.#options.column}, ${jsonPath(path)})`;
    const sameType = typeof constant === 'string' ? "= 'text'" : NUMBER;
    const found = `EXISTS (SELECT 1 FROM ${items} AS item WHERE item.atom = ? AND item.type ${sameType})`;
    return { sql: `(${this.#type(path)} = 'array' AND ${found})`, parameters: [constant], exact: true };
  }

  #path(expression: Bound): Path | undefined {
    const path = documentPath(expression, this.#slot);
    return path?.every(isAddressable) ? path : undefined;
  }

  #value(path: Path): string {
    return this.#options.expression?.(path) ?? jsonExtract(this.#options.column, path);
  }

  #type(path: Path): string {
    return `json_type(${this.#options.column}, ${jsonPath(path)})`;
  }
}

type Path = readonly (string | number)[];

/** As a literal, not a parameter: an index on an expression is used only by the same text. */
function jsonPath(path: Path): string {
  const steps = path.map((key) => (typeof key === 'number' ? `[${key}]` : `."${key}"`));
  return `'$${steps.join('').replaceAll("'", "''")}'`;
}

/** Names that need escapes in JSON are not looked for: SQLite compares some of them as they are written. */
function isAddressable(key: string | number): boolean {
  if (typeof key === 'number') return Number.isSafeInteger(key) && key >= 0 && key < 2 ** 31;
  return key !== '' && isWellFormed(key) && !/["\\\p{Cc}]/u.test(key);
}

/**
 * Constants for which SQLite and JavaScript agree. Whole numbers beyond 2^53 are 64-bit integers to SQLite, which
 * compares them digit by digit, and numbers near zero it reads with an error in the last bit. Unpaired surrogates
 * cannot be handed to it.
 */
function isExact(constant: string | number): boolean {
  if (typeof constant === 'string') return isWellFormed(constant);
  const size = Math.abs(constant);
  return size === 0 || (size >= 1e-15 && size <= Number.MAX_SAFE_INTEGER);
}

const isWellFormed = (text: string) => !/\p{Surrogate}/u.test(text);

/** The first text after all that start with a prefix; none after the last code point. */
function successor(prefix: string): string | undefined {
  const points = Array.from(prefix, (char) => char.codePointAt(0) ?? 0);
  while (points.at(-1) === 0x10ffff) points.pop();
  const last = points.pop();
  if (last === undefined) return undefined;
  const next = last + 1;
  return String.fromCodePoint(...points, next >= 0xd800 && next <= 0xdfff ? 0xe000 : next);
}

const isComparison = (operator: string): operator is Comparison => Object.hasOwn(OPPOSITE, operator);

function holds(operator: Exclude<Comparison, '!='>, difference: number): boolean {
  switch (operator) {
    case '=':
      return difference === 0;
    case '<':
      return difference < 0;
    case '<=':
      return difference <= 0;
    case '>':
      return difference > 0;
    case '>=':
      return difference >= 0;
  }
}

const plain = (sql: string): Condition => ({ sql, parameters: [], exact: true });

function isOneOf(type: string, types: readonly string[]): Condition {
  return types.length === 0 ? NEVER : plain(`(${type} IN (${types.map((text) => `'${text}'`).join(', ')}))`);
}

function join(operator: ' AND ' | ' OR ', conditions: readonly Condition[]): Condition {
  const [first] = conditions;
  if (first && conditions.length === 1) return first;
  return {
    sql: `(${conditions.map(({ sql }) => sql).join(operator)})`,
    parameters: conditions.flatMap(({ parameters }) => parameters),
    exact: conditions.every(({ exact }) => exact),
  };
}
