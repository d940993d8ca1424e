import type { Aggregate } from './aggregates.ts';
import { bind } from './bind.ts';
import type { QueryParameter } from './bind.ts';
import { QueryError } from './errors.ts';
import { parse } from './parser.ts';
import { pinnedPartitionKey } from './partition-key.ts';
import { print } from './print.ts';
import { rewrite } from './rewrite.ts';
import type { Query } from './syntax.ts';
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
  const orderBy = bound.query.orderBy.length > 0 ? query.orderBy : [];
  const hasLimit = limit !== undefined;
  const queryInfo: QueryInfo = {
    distinctType: distinctType(query, sql),
    top: top ?? null,
    offset: hasLimit ? offset : null,
    limit: limit ?? null,
    orderBy: orderBy.map(({ descending }) => (descending ? 'Descending' : 'Ascending')),
    orderByExpressions: orderBy.map(({ value }) => print(value, sql)),
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

/** The service refuses a query whose plan the client cannot carry out; a client would give a wrong answer. */
function requireFeatures(query: Query, info: QueryInfo, supported: readonly string[] | undefined): void {
  if (!supported) return;
  const needed = new Set<string>();
  const folds = [...info.aggregates, ...Object.values(info.groupByAliasToAggregateType)];
  if (info.dCountInfo) needed.add('DCount');
  if (info.distinctType !== 'None' && !info.dCountInfo) needed.add('Distinct');
  if (info.orderBy.length > 0) needed.add('OrderBy');
  if (info.orderBy.length > 1) needed.add('MultipleOrderBy');
  if (info.top !== null) needed.add('Top');
  if (info.limit !== null) needed.add('OffsetAndLimit');
  if (query.groupBy.length > 0) needed.add('GroupBy');
  else if (folds.length > 0) needed.add(info.hasSelectValue ? 'Aggregate' : 'NonValueAggregate');
  if (folds.includes('CountIf')) needed.add('CountIf');
  if (folds.includes('MakeList') || folds.includes('MakeSet')) needed.add('ListAndSetAggregate');
  const missing = [...needed].filter((feature) => !supported.includes(feature));
  if (missing.length > 0) {
    throw new QueryError(
      'SC2000',
      `Query contains the following features, which the calling client does not support: ${missing.join(' ')}`,
      query,
    );
  }
}
