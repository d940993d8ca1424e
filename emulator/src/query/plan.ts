import { aggregate } from './aggregates.ts';
import type { Aggregate } from './aggregates.ts';
import { bind, containsAggregate, selectedExpressions, selectNames } from './bind.ts';
import type { QueryParameter } from './bind.ts';
import { QueryError } from './errors.ts';
import { parse } from './parser.ts';
import { pinnedPartitionKey } from './partition-key.ts';
import { print, printFrom } from './print.ts';
import type { Expression, Query } from './syntax.ts';
import { FILTER_PLACEHOLDER } from './tokens.ts';
import type { Json } from './values.ts';

export interface QueryRange {
  min: string;
  max: string;
  isMinInclusive: boolean;
  isMaxInclusive: boolean;
}

type PlanName = Aggregate['planName'];

/** What a client must do with the answers of the partitions. Named as on the wire. */
export interface QueryInfo {
  distinctType: 'None' | 'Ordered' | 'Unordered';
  top: number | null;
  offset: number | null;
  limit: number | null;
  orderBy: ('Ascending' | 'Descending')[];
  orderByExpressions: string[];
  groupByExpressions: string[];
  groupByAliases: string[];
  aggregates: PlanName[];
  groupByAliasToAggregateType: Record<string, PlanName | null>;
  /** What to send to each partition; empty: the query as it is. */
  rewrittenQuery: string;
  hasSelectValue: boolean;
  hasNonStreamingOrderBy: boolean;
  dCountInfo: { dCountAlias: string } | null;
}

export interface QueryPlan {
  partitionedQueryExecutionInfoVersion: 2;
  queryInfo: QueryInfo;
  queryRanges: QueryRange[];
}

export interface PlanOptions {
  /** What the client can do (`x-ms-cosmos-supported-query-features`); everything where it is left out. */
  supportedFeatures?: readonly string[];
  /** Where a full partition key lives among the hashes. With it, a query that pins its key is planned for one partition. */
  rangeOf?: (partitionKey: readonly Json[]) => QueryRange;
}

const EVERYWHERE: QueryRange = { min: '', max: 'FF', isMinInclusive: true, isMaxInclusive: false };

/** The first partition only: a query without FROM has one row in all, not one per partition. */
const ONE_PARTITION: QueryRange = { min: '', max: '00', isMinInclusive: true, isMaxInclusive: false };

/**
 * Plans a query over several partitions: what each of them is asked and how a client puts their answers together.
 * The rewritten texts have the shapes that the service gives them, which clients take apart:
 *
 * - ORDER BY: rows `{_rid, orderByItems: [{item}], payload}`, and a filter to resume with
 * - GROUP BY: rows `{groupByItems: [{item}], payload}`
 * - aggregates: `{item}`; for MIN and MAX `{item, item2: {min, count}}`; for AVG `{item: {sum, count}}`
 */
export function planQuery(
  sql: string,
  parameters: readonly QueryParameter[],
  partitionKeyPaths: readonly string[],
  options: PlanOptions = {},
): QueryPlan {
  const query = parse(sql);
  const bound = bind(query, sql, parameters);
  const { top, offset, limit } = bound.query;
  const hasLimit = limit !== undefined;
  const queryInfo: QueryInfo = {
    distinctType: distinctType(query, sql),
    top: top ?? null,
    offset: hasLimit ? offset : null,
    limit: limit ?? null,
    orderBy: query.orderBy.map(({ descending }) => (descending ? 'Descending' : 'Ascending')),
    orderByExpressions: query.orderBy.map(({ value }) => print(value, sql)),
    groupByExpressions: query.groupBy.map((expression) => print(expression, sql)),
    groupByAliases: [],
    aggregates: [],
    groupByAliasToAggregateType: {},
    rewrittenQuery: '',
    hasSelectValue: query.select.kind === 'value',
    hasNonStreamingOrderBy: false,
    dCountInfo: null,
  };
  const key = options.rangeOf ? pinnedPartitionKey(bound.query, partitionKeyPaths) : undefined;
  if (query.from.length === 0) {
    if (bound.documentScans > 0) {
      const message =
        'A subquery over the container without FROM around it is not supported over several partitions.';
      throw new QueryError('UNSUPPORTED', message, query);
    }
    return {
      partitionedQueryExecutionInfoVersion: 2,
      queryInfo: passThrough(queryInfo),
      queryRanges: [ONE_PARTITION],
    };
  }
  if (key && options.rangeOf) {
    const queryRanges = [options.rangeOf(key)];
    return { partitionedQueryExecutionInfoVersion: 2, queryInfo: passThrough(queryInfo), queryRanges };
  }
  const window = hasLimit ? `OFFSET 0 LIMIT ${offset + limit}` : '';
  rewrite(query, sql, queryInfo, window);
  requireFeatures(query, queryInfo, options.supportedFeatures);
  return { partitionedQueryExecutionInfoVersion: 2, queryInfo, queryRanges: [EVERYWHERE] };
}

/** One partition answers in full: there is nothing left to do for the client. */
function passThrough(info: QueryInfo): QueryInfo {
  return {
    ...info,
    distinctType: 'None',
    top: null,
    offset: null,
    limit: null,
    orderBy: [],
    orderByExpressions: [],
    groupByExpressions: [],
  };
}

function rewrite(query: Query, sql: string, info: QueryInfo, window: string): void {
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

/** Ordered where equal rows follow each other: the query selects just what it sorts by. */
function distinctType(query: Query, sql: string): QueryInfo['distinctType'] {
  if (!query.distinct) return 'None';
  const { select, orderBy } = query;
  const selected =
    select.kind === 'value'
      ? select.value
      : select.kind === 'list' && select.items.length === 1
        ? select.items[0]?.value
        : undefined;
  const sorted = orderBy[0]?.value;
  return selected && sorted && orderBy.length === 1 && print(selected, sql) === print(sorted, sql)
    ? 'Ordered'
    : 'Unordered';
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

/** The service refuses a query whose plan the client cannot carry out; a client would give a wrong answer. */
function requireFeatures(query: Query, info: QueryInfo, supported: readonly string[] | undefined): void {
  if (!supported) return;
  const needed = new Set<string>();
  const folds = info.aggregates.length + info.groupByAliases.length > 0;
  if (info.dCountInfo) needed.add('DCount');
  if (info.distinctType !== 'None' && !info.dCountInfo) needed.add('Distinct');
  if (info.orderBy.length > 0) needed.add('OrderBy');
  if (info.orderBy.length > 1) needed.add('MultipleOrderBy');
  if (info.top !== null) needed.add('Top');
  if (info.limit !== null) needed.add('OffsetAndLimit');
  if (query.groupBy.length > 0) needed.add('GroupBy');
  else if (folds) needed.add(info.hasSelectValue ? 'Aggregate' : 'NonValueAggregate');
  const missing = [...needed].filter((feature) => !supported.includes(feature));
  if (missing.length > 0) {
    throw new QueryError(
      'SC2000',
      `Query contains the following features, which the calling client does not support: ${missing.join(' ')}`,
      query,
    );
  }
}
