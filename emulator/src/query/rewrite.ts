import { aggregate } from './aggregates.ts';
import { containsAggregate, selectedExpressions, selectNames } from './bind.ts';
import { QueryError } from './errors.ts';
import type { QueryInfo } from './plan.ts';
import { print, printFrom } from './print.ts';
import type { Expression, Query } from './syntax.ts';
import { FILTER_PLACEHOLDER } from './tokens.ts';

/**
 * Fills in what partitions are asked instead of the query, where they cannot be asked the query itself, and what
 * must be known to put their answers together.
 */
export function rewrite(query: Query, sql: string, info: QueryInfo, window: string): void {
  const { select } = query;
  const inner = containerSubquery(query);
  if (inner && needsAllRows(inner)) {
    countDistinct(query, sql, info);
  } else if (query.groupBy.length > 0 || selectedExpressions(select).some(containsAggregate)) {
    rewriteGroups(query, sql, info);
  } else if (query.orderBy.length > 0) {
    rewriteOrder(query, sql, info, window);
  } else if (window) {
    const distinct = query.distinct ? 'DISTINCT ' : '';
    info.rewrittenQuery = clauses(
      `SELECT ${distinct}${sql.slice(select.start, select.end)}`,
      query,
      sql,
      window,
    );
  }
}

/** The subquery that reads the container; those that are joined read one document. */
function containerSubquery(query: Query): Query | undefined {
  const collection = query.from[0]?.collection;
  return collection?.kind === 'query' ? collection.query : undefined;
}

/** Each partition runs a subquery for itself, which is right as long as it looks at one row at a time. */
function needsAllRows(query: Query): boolean {
  const inner = containerSubquery(query);
  return (
    query.distinct ||
    query.top !== undefined ||
    query.limit !== undefined ||
    query.groupBy.length > 0 ||
    selectedExpressions(query.select).some(containsAggregate) ||
    (inner !== undefined && needsAllRows(inner))
  );
}

/** `SELECT VALUE COUNT(1) FROM (SELECT DISTINCT …)`: partitions give the distinct rows, the client counts them. */
function countDistinct(query: Query, sql: string, info: QueryInfo): void {
  const { select } = query;
  const item = select.kind === 'list' ? select.items[0] : undefined;
  const counted = select.kind === 'value' ? select.value : item?.value;
  const inner = containerSubquery(query);
  const isCount =
    counted?.kind === 'call' &&
    aggregate(counted.name.text)?.planName === 'Count' &&
    counted.arguments[0]?.kind === 'literal';
  const plain =
    inner?.distinct &&
    inner.from[0]?.collection.kind === 'path' &&
    inner.top === undefined &&
    inner.limit === undefined &&
    inner.groupBy.length === 0 &&
    !query.where;
  if (!isCount || !plain || query.from.length > 1 || (select.kind === 'list' && select.items.length > 1)) {
    throw new QueryError(
      'UNSUPPORTED',
      'A subquery that aggregates the container is supported over several partitions only as ' +
        'SELECT VALUE COUNT(1) FROM (SELECT DISTINCT ...). Give the query a partition key.',
      query,
    );
  }
  info.distinctType = 'Unordered';
  info.rewrittenQuery = sql.slice(inner.start, inner.end);
  info.dCountInfo = { dCountAlias: select.kind === 'list' ? (selectNames(select)[0] ?? '') : '' };
}

/**
 * DISTINCT goes, because each row now has an identity, and with it TOP and LIMIT, which count distinct rows. Rows
 * without a value go too: the client would hand them on.
 */
function rewriteOrder(query: Query, sql: string, info: QueryInfo, window: string): void {
  const { select, orderBy } = query;
  const alias = aliasOf(query, sql);
  const items = orderBy.map(({ value }) => `{"item": ${print(value, sql)}}`).join(', ');
  const payload =
    select.kind === 'star'
      ? alias
      : select.kind === 'value'
        ? print(select.value, sql)
        : printList(query, (value) => print(value, sql));
  const top = query.top && !query.distinct ? `TOP ${print(query.top, sql)} ` : '';
  const head = `SELECT ${top}${alias}._rid, [${items}] AS orderByItems, ${payload} AS payload`;
  const filters = [
    ...(query.where ? [print(query.where, sql)] : []),
    ...(select.kind === 'value' ? [`IS_DEFINED(${payload})`] : []),
    FILTER_PLACEHOLDER,
  ];
  const order = orderBy
    .map(({ value, descending }) => `${print(value, sql)} ${descending ? 'DESC' : 'ASC'}`)
    .join(', ');
  info.rewrittenQuery = [
    head,
    printFrom(query.from, sql),
    `WHERE (${filters.map((filter) => `(${filter})`).join(' AND ')})`,
    `ORDER BY ${order}`,
    ...(window && !query.distinct ? [window] : []),
  ].join('\n');
}

function rewriteGroups(query: Query, sql: string, info: QueryInfo): void {
  const { select, groupBy } = query;
  const planned = (value: Expression) => {
    const folded = aggregateCall(value);
    if (!folded && containsAggregate(value)) {
      throw new QueryError(
        'SC2000',
        'Compositions of aggregates and other expressions are not supported over several partitions.',
        value,
      );
    }
    return folded?.planName;
  };
  const partial = (value: Expression) => (planned(value) ? partialAggregate(value, sql) : print(value, sql));
  let payload: string;
  if (select.kind === 'value') {
    const name = planned(select.value);
    if (name) info.aggregates = [name];
    payload = name ? `[${partial(select.value)}]` : partial(select.value);
  } else if (select.kind === 'list') {
    const names = selectNames(select);
    info.groupByAliases = names;
    info.groupByAliasToAggregateType = Object.fromEntries(
      select.items.map(({ value }, i) => [names[i] ?? '', planned(value) ?? null]),
    );
    payload = printList(query, partial);
  } else {
    throw new QueryError('SC2102', "'SELECT *' is not valid together with GROUP BY.", select);
  }
  const keys = groupBy.map((key) => print(key, sql));
  let head = `SELECT ${payload} AS payload`;
  if (keys.length > 0) {
    head = `SELECT [${keys.map((key) => `{"item": ${key}}`).join(', ')}] AS groupByItems, ${payload} AS payload`;
  } else if (select.kind === 'value') {
    head = `SELECT VALUE ${payload}`;
  }
  info.rewrittenQuery = clauses(head, query, sql, keys.length > 0 ? `GROUP BY ${keys.join(', ')}` : '');
}

const aggregateCall = (value: Expression) =>
  value.kind === 'call' && !value.udf ? aggregate(value.name.text) : undefined;

/** What a partition contributes to an aggregate. */
function partialAggregate(value: Expression, sql: string): string {
  const call = print(value, sql);
  const argument = value.kind === 'call' && value.arguments[0] ? print(value.arguments[0], sql) : '';
  switch (aggregateCall(value)?.planName) {
    case 'Average':
      return `{"item": {"sum": SUM(${argument}), "count": COUNT(${argument})}}`;
    case 'Min':
      return `{"item": ${call}, "item2": {"min": ${call}, "count": COUNT(${argument})}}`;
    case 'Max':
      return `{"item": ${call}, "item2": {"max": ${call}, "count": COUNT(${argument})}}`;
    default:
      return `{"item": ${call}}`;
  }
}

function printList(query: Query, printed: (value: Expression) => string): string {
  if (query.select.kind !== 'list') return '';
  const names = selectNames(query.select);
  const properties = query.select.items.map(
    ({ value }, i) => `${JSON.stringify(names[i])}: ${printed(value)}`,
  );
  return `{${properties.join(', ')}}`;
}

/** The name of the first input set. */
function aliasOf(query: Query, sql: string): string {
  const source = query.from[0];
  if (source?.alias) return source.alias.text;
  if (source?.collection.kind === 'path') {
    const { root, path } = source.collection;
    return path.findLast((key) => typeof key === 'string') ?? root.text;
  }
  throw new QueryError('SC2000', 'A subquery that is sorted by needs an alias.', {
    ...query,
    end: sql.length,
  });
}

function clauses(head: string, query: Query, sql: string, tail: string): string {
  const where = query.where ? [`WHERE ${print(query.where, sql)}`] : [];
  return [head, printFrom(query.from, sql), ...where, ...(tail ? [tail] : [])].join('\n');
}
