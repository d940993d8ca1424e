import { bind } from './bind.ts';
import type { BoundQuery, QueryParameter } from './bind.ts';
import { parse } from './parser.ts';
import { documentPath, documentPaths } from './partition-key.ts';
import { planQuery } from './plan.ts';
import type { PlanOptions, QueryPlan } from './plan.ts';
import { compile } from './run.ts';
import { pushDown } from './sqlite.ts';
import type { SqliteOptions, SqliteQuery } from './sqlite.ts';
import type { Json, JsonObject } from './values.ts';

export { QueryError } from './errors.ts';
export type { QueryErrorCode } from './errors.ts';
export type { QueryParameter } from './bind.ts';
export type { PlanOptions, QueryPlan, QueryRange } from './plan.ts';
export { jsonExtract } from './sqlite.ts';
export type { SqliteOptions, SqliteQuery } from './sqlite.ts';
export type { Json, JsonObject } from './values.ts';

export interface CompiledQuery {
  /**
   * Runs over the documents of a container or a partition and yields its results in order, reading only as many
   * documents as are asked for where the query allows that. May throw a QueryError while it runs: some mistakes
   * show only on data (a scalar subquery with two rows).
   */
  run(documents: Iterable<JsonObject>): Iterable<Json>;
  /** SQL that finds the documents the query needs, or null where SQLite is no help. */
  sqlite(options: SqliteOptions): SqliteQuery | null;
  /** Whether the answers of several partitions can simply follow each other. If not, clients need a query plan. */
  readonly streams: boolean;
  /** The document paths that WHERE asks for: what an index can help with. */
  readonly filteredBy: readonly (readonly (string | number)[])[];
  /** What ORDER BY sorts documents by, first things first: what an index must be there for. */
  readonly sortedBy: readonly SortKey[];
}

export interface SortKey {
  path: readonly (string | number)[];
  descending: boolean;
}

export interface CompileOptions {
  /** Milliseconds since 1970, for the functions that tell the time. */
  now?: () => number;
}

/** Reads and binds a query. Throws a QueryError with the place of what is wrong. */
export function compileQuery(
  sql: string,
  parameters: readonly QueryParameter[] = [],
  { now = Date.now }: CompileOptions = {},
): CompiledQuery {
  const plan = bind(parse(sql), sql, parameters);
  const run = compile(plan);
  const { grouping, orderBy, distinct, top, limit } = plan.query;
  return {
    run: (documents) => run(documents, now),
    sqlite: (options) => pushDown(plan, options),
    filteredBy: filterPaths(plan.query),
    sortedBy: sortKeys(plan.query),
    streams: !grouping && orderBy.length === 0 && !distinct && top === undefined && limit === undefined,
  };
}

function filterPaths({ sources, where }: BoundQuery): (string | number)[][] {
  const source = sources[0];
  if (!where || source?.collection.kind !== 'documents' || source.iterate) return [];
  const { path } = source.collection;
  return documentPaths(where, source.slot).map((rest) => [...path, ...rest]);
}

function sortKeys({ sources, orderBy }: BoundQuery): SortKey[] {
  const source = sources[0];
  if (source?.collection.kind !== 'documents' || source.iterate) return [];
  const { slot, collection } = source;
  return orderBy.flatMap(({ value, descending }) => {
    const path = documentPath(value, slot);
    return path ? [{ path: [...collection.path, ...path], descending }] : [];
  });
}

/** The body of a query plan answer. Throws a QueryError as compileQuery does. */
export function queryPlan(
  sql: string,
  parameters: readonly QueryParameter[],
  partitionKeyPaths: readonly string[],
  options: PlanOptions = {},
): QueryPlan {
  return planQuery(sql, parameters, partitionKeyPaths, options);
}
