import { isJsonObject } from '../../../shared/conflict/json.ts';
import { TidemarkError } from '../errors.ts';
import { quoteText, type SqlValue } from './connection.ts';
import { jsonPath } from './model.ts';

export type Scalar = string | number | boolean | null;

/** What a member has to be: a value, or comparisons that all hold. */
export type PlainCondition =
  | Scalar
  | {
      readonly eq?: Scalar;
      readonly ne?: Scalar;
      readonly gt?: string | number;
      readonly gte?: string | number;
      readonly lt?: string | number;
      readonly lte?: string | number;
      readonly in?: readonly Scalar[];
      readonly startsWith?: string;
      readonly exists?: boolean;
    };

/** A query without its types; members are named by path, `address.city`. */
export interface PlainQuery {
  readonly where?: Readonly<Record<string, PlainCondition | undefined>>;
  readonly orderBy?: string | readonly (string | readonly [string, 'asc' | 'desc'])[];
  readonly limit?: number;
  readonly offset?: number;
}

const COMPARISONS = { gt: '>', gte: '>=', lt: '<', lte: '<=' } as const;

/**
 * The end of a statement whose WHERE has begun: ` AND … ORDER BY … LIMIT …`.
 *
 * @param indexes members that have an index
 */
export function compileQuery(
  query: PlainQuery,
  indexes: readonly string[],
): { clause: string; params: SqlValue[] } {
  const params: SqlValue[] = [];
  const bind = (value: Scalar): string => {
    params.push(typeof value === 'boolean' ? Number(value) : value);
    return '?';
  };
  const conditions = Object.entries(query.where ?? {}).flatMap(([path, condition]) =>
    condition === undefined ? [] : compileCondition(path, condition, bind),
  );
  const order = typeof query.orderBy === 'string' ? [query.orderBy] : (query.orderBy ?? []);
  const terms = order.map((term) => {
    const [path, direction] = typeof term === 'string' ? [term, 'asc'] : term;
    return `${extract(path)}${direction === 'desc' ? ' DESC' : ''}`;
  });
  const { limit, offset } = query;
  const where = conditions.map((text) => ` AND ${text}`).join('');
  // SQLite would rather read all rows by id than sort what an index finds for several values: `+` tells it to sort.
  const sortsFew = Object.entries(query.where ?? {}).some(
    ([path, condition]) => indexes.includes(path) && isJsonObject(condition) && condition['in'] !== undefined,
  );
  // The id comes last, so that pages neither overlap nor leave anything out.
  const orderBy = ` ORDER BY ${[...terms, sortsFew ? '+ID' : 'ID'].join(', ')}`;
  if (limit === undefined && offset === undefined) return { clause: where + orderBy, params };
  params.push(limit ?? -1, offset ?? 0);
  return { clause: `${where}${orderBy} LIMIT ? OFFSET ?`, params };
}

const extract = (path: string): string => `json_extract(Content, ${quoteText(jsonPath(path))})`;

function compileCondition(
  path: string,
  condition: PlainCondition,
  bind: (value: Scalar) => string,
): string[] {
  const member = extract(path);
  const equals = (value: Scalar): string =>
    value === null ? `${member} IS NULL` : `${member} = ${bind(value)}`;
  if (condition === null || typeof condition !== 'object') return [equals(condition)];
  return Object.entries(condition).map(([name, value]): string => {
    if (name === 'eq') return equals(value as Scalar);
    if (name === 'ne') {
      return value === null ? `${member} IS NOT NULL` : `${member} IS NOT ${bind(value as Scalar)}`;
    }
    if (name === 'in') {
      const values = value as readonly Scalar[];
      const known = values.filter((each) => each !== null);
      const among = `${member} IN (${known.map(bind).join(', ')})`;
      return known.length === values.length ? among : `(${among} OR ${member} IS NULL)`;
    }
    if (name === 'startsWith') {
      // A range, so that an index finds it: texts are in the order of their code points.
      const text = String(value);
      const end = endOfPrefix(text);
      const from = `${member} >= ${bind(text)}`;
      return end === null ? from : `${from} AND ${member} < ${bind(end)}`;
    }
    if (name === 'exists') {
      return `json_type(Content, ${quoteText(jsonPath(path))}) IS ${value === true ? 'NOT ' : ''}NULL`;
    }
    if (Object.hasOwn(COMPARISONS, name)) {
      return `${member} ${COMPARISONS[name as keyof typeof COMPARISONS]} ${bind(value as string | number)}`;
    }
    throw new TidemarkError('invalid_query', `A query has no comparison \`${name}\`.`);
  });
}

/** The first text behind all that begin like this; null: there is none. */
function endOfPrefix(prefix: string): string | null {
  const points = Array.from(
    prefix.replace(/\u{10ffff}+$/u, ''),
    (character) => character.codePointAt(0) ?? 0,
  );
  const last = points.pop();
  if (last === undefined) return null;
  // Surrogates stand for no character.
  return String.fromCodePoint(...points, last === 0xd7_ff ? 0xe0_00 : last + 1);
}
