import { queryCharge } from '../charges.ts';
import { badContinuation, badRequest, CosmosError } from '../errors.ts';
import { header, objectBody, pageSize } from '../http/context.ts';
import type { Answer, Context } from '../http/context.ts';
import { isObject } from '../json.ts';
import type { JsonObject } from '../json.ts';
import { compileQuery, planQuery } from '../query-engine.ts';
import type { CompiledQuery, QuerySpec } from '../query-engine.ts';
import { parseBody } from '../resources/catalog.ts';
import type { ContainerState } from '../resources/catalog.ts';
import type { DocumentRow } from '../storage/store.ts';
import { compositeIndexes, orderedPaths, serves } from './composite-index.ts';
import { RowCursor } from './cursors.ts';
import { liveness, parseStored } from './document-writer.ts';
import { parseKeyValues } from '../partition/partition-key.ts';
import type { QueryPlan } from '../query/index.ts';
import { sliceOf } from './feed-slice.ts';
import type { FeedSlice } from './feed-slice.ts';
import { ownerHeaders } from './handlers.ts';
import { resolvePartition } from './partition.ts';
import { indexUtilization } from './index-metrics.ts';
import { replicaFor } from './replica.ts';
import { requireSession, rangeHeaders } from './session.ts';

export { conditionHolds } from '../query-engine.ts';

export function querySpec(context: Context): QuerySpec {
  const { query, parameters } = objectBody(context);
  if (typeof query !== 'string') throw badRequest("The body of a query needs a 'query' that is text.");
  if (parameters === undefined || parameters === null) return { query, parameters: [] };
  if (!Array.isArray(parameters)) throw badRequest("The 'parameters' of a query are a list.");
  return {
    query,
    parameters: parameters.map((parameter) => {
      if (!isObject(parameter) || typeof parameter['name'] !== 'string')
        throw badRequest('Every parameter of a query has a name.');
      return { name: parameter['name'], value: parameter['value'] ?? null };
    }),
  };
}

export function handleQuery(context: Context, container: ContainerState): Answer {
  const started = performance.now();
  requireSession(container, header(context, 'x-ms-session-token'));
  const spec = querySpec(context);
  const query = compileQuery(spec, context.services.now);
  refuseUnserved(query, container);
  const feed = sliceOf(context, container);
  if (!feed.single && !query.streams) throw crossPartitionRefusal(spec, container);
  const continuation = header(context, 'x-ms-continuation');
  const page =
    query.streams && !isSkipToken(continuation)
      ? streamPage(context, container, feed, query, continuation)
      : skipPage(context, container, feed, query, continuation);
  const text = `{"_rid":"${container.model.rid}","Documents":[${page.rows.join(',')}],"_count":${page.rows.length}}`;
  return {
    status: 200,
    charge: queryCharge(page.loaded, text.length),
    body: text,
    headers: {
      ...ownerHeaders(container),
      ...rangeHeaders(feed.ranges),
      'x-ms-item-count': String(page.rows.length),
      ...(isTrue(context, 'x-ms-documentdb-populatequerymetrics')
        ? { 'x-ms-documentdb-query-metrics': metricsOf(page, text.length, performance.now() - started) }
        : {}),
      ...indexMetrics(context, container, query),
      ...(page.continuation === undefined ? {} : { 'x-ms-continuation': page.continuation }),
    },
  };
}

/**
 * The service sorts by several paths only where a composite index serves the order. Here a container is held to that
 * from its first composite index on; one that has none sorts by anything.
 */
function refuseUnserved({ paths }: CompiledQuery, { row }: ContainerState): void {
  if (paths.sortedBy.length < 2) return;
  const indexes = compositeIndexes(parseBody(row)['indexingPolicy']);
  const sorted = orderedPaths(paths);
  if (indexes.length > 0 && !indexes.some((index) => serves(index, sorted)))
    throw badRequest(
      'The order by query does not have a corresponding composite index that it can be served from.',
    );
}

const isTrue = (context: Context, name: string): boolean => header(context, name)?.toLowerCase() === 'true';

function indexMetrics(
  context: Context,
  { row }: ContainerState,
  { paths }: CompiledQuery,
): Record<string, string> {
  const form = isTrue(context, 'x-ms-cosmos-populateindexmetrics-v2')
    ? 'uri'
    : isTrue(context, 'x-ms-cosmos-populateindexmetrics')
      ? 'base64'
      : undefined;
  if (form === undefined) return {};
  const policy = parseBody(row)['indexingPolicy'];
  return { 'x-ms-cosmos-index-utilization': indexUtilization(paths, policy, form) };
}

/** What the SDKs read as query metrics. Only the total time is measured; its parts are not told apart. */
function metricsOf(page: Page, bytes: number, totalMs: number): string {
  const metrics = {
    totalExecutionTimeInMs: totalMs.toFixed(2),
    retrievedDocumentCount: page.loaded,
    retrievedDocumentSize: page.loadedBytes,
    outputDocumentCount: page.rows.length,
    outputDocumentSize: bytes,
    indexUtilizationRatio: page.loaded === 0 ? 0 : Math.min(1, page.rows.length / page.loaded).toFixed(2),
  };
  return Object.entries(metrics)
    .map(([name, value]) => `${name}=${value}`)
    .join(';');
}

/**
 * What the SDKs take as the sign to merge the partitions themselves. The plan travels with the refusal for those that
 * did not ask for it.
 */
function crossPartitionRefusal(spec: QuerySpec, container: ContainerState): CosmosError {
  return new CosmosError(
    400,
    "Cross partition query only supports 'VALUE <AggregateFunc>' for aggregates. The query needs a plan and one request for each partition.",
    { subStatus: 1004, details: { additionalErrorInfo: JSON.stringify(planOf(spec, container, undefined)) } },
  );
}

function planOf(spec: QuerySpec, container: ContainerState, features: string | undefined): QueryPlan {
  const supported = features?.split(',').map((feature) => feature.trim());
  return planQuery(spec, container.model.key.paths, {
    ...(supported === undefined ? {} : { supportedFeatures: supported }),
    rangeOf: (key) => {
      const values = parseKeyValues(key);
      if (values?.length !== container.model.keyPaths.length)
        return { min: '', max: 'FF', isMinInclusive: true, isMaxInclusive: false };
      const { epk } = resolvePartition(container, values);
      return { min: epk, max: epk, isMinInclusive: true, isMaxInclusive: true };
    },
  });
}

interface Page {
  readonly rows: readonly string[];
  readonly continuation: string | undefined;
  readonly loaded: number;
  readonly loadedBytes: number;
}

const maximumAnswerBytes = 4 * 1024 * 1024;

/** Where a streaming query goes on: after document `a`, and past `s` rows of document `n` if it comes next. */
interface Position {
  readonly a: number;
  readonly n: number;
  readonly s: number;
}

function streamPage(
  context: Context,
  container: ContainerState,
  feed: FeedSlice,
  query: CompiledQuery,
  continuation: string | undefined,
): Page {
  const start = readToken(continuation, ['a', 'n', 's']) as Position | undefined;
  const wanted = pageSize(context);
  const rows: string[] = [];
  const first = start?.a ?? 0;
  const walk = { before: first, current: first, seen: 0, loaded: 0, loadedBytes: 0, exhausted: false };
  function* documents(source: Iterable<DocumentRow>): Iterable<JsonObject> {
    for (const row of source) {
      walk.before = walk.current;
      walk.current = row.no;
      walk.seen = 0;
      walk.loaded++;
      walk.loadedBytes += row.body.length;
      yield parseStored(row.body);
    }
    walk.exhausted = true;
  }
  const source = replicaFor(context, container).reads.documents(
    container.model.no,
    feed.slice,
    liveness(container, context.services.now()),
    first,
    query.filter,
  );
  let bytes = 0;
  let readAhead = false;
  for (const value of query.run(documents(source))) {
    // A query that reads everything before its first row (a subquery over the container) has no place between two
    // documents; its pages count rows instead.
    if (rows.length === 0) readAhead = walk.exhausted;
    walk.seen++;
    if (walk.current === start?.n && walk.seen <= start.s) continue;
    const text = JSON.stringify(value);
    if (rows.length > 0 && (rows.length >= wanted || bytes + text.length > maximumAnswerBytes)) {
      const position: Position = { a: walk.before, n: walk.current, s: walk.seen - 1 };
      const skip = { o: rows.length };
      return {
        rows,
        loaded: walk.loaded,
        loadedBytes: walk.loadedBytes,
        continuation: JSON.stringify(readAhead ? skip : position),
      };
    }
    rows.push(text);
    bytes += text.length;
  }
  return { rows, loaded: walk.loaded, loadedBytes: walk.loadedBytes, continuation: undefined };
}

const isSkipToken = (continuation: string | undefined): boolean => continuation?.startsWith('{"o"') === true;

/**
 * Any other query is paged by the number of rows gone. One that had read everything by the end of a page keeps the rest
 * for the next one, as long as nothing changes; the others run anew and leave out the rows of the pages before.
 */
function skipPage(
  context: Context,
  container: ContainerState,
  feed: FeedSlice,
  query: CompiledQuery,
  continuation: string | undefined,
): Page {
  const { cursors, history, now } = context.services;
  const skip = (readToken(continuation, ['o']) as { o: number } | undefined)?.o ?? 0;
  const live = liveness(container, now());
  const read = { loaded: 0, loadedBytes: 0, everything: false };
  function* documents(): Iterable<JsonObject> {
    const source = replicaFor(context, container).reads.documents(
      container.model.no,
      feed.slice,
      live,
      0,
      query.filter,
    );
    for (const row of source) {
      read.loaded++;
      read.loadedBytes += row.body.length;
      yield parseStored(row.body);
    }
    read.everything = true;
  }
  const keyAt = (gone: number): string =>
    JSON.stringify([
      container.model.rid,
      feed.slice,
      feed.ranges.map(({ id, lsn }) => [id, lsn]),
      live.defaultTtl === null ? null : live.nowSeconds,
      querySpec(context),
      gone,
    ]);
  const kept = skip > 0 && history.lag === 0 ? cursors.take(keyAt(skip)) : undefined;
  const rows = kept?.rows ?? new RowCursor(query.run(documents()));
  const page = cutRows(rows, skip, pageSize(context), kept !== undefined);
  if (page.continuation !== undefined && (kept !== undefined || read.everything) && history.lag === 0)
    cursors.keep(keyAt(skip + page.rows.length), rows, kept?.bytes ?? read.loadedBytes);
  else rows.close();
  return { ...page, loaded: read.loaded, loadedBytes: read.loadedBytes };
}

/** Rows from `skip` on (where they are not gone yet), as many as fit one page, with the place to go on. */
export function cutRows(
  source: RowCursor,
  skip: number,
  wanted: number,
  skipped = false,
): { rows: string[]; continuation: string | undefined } {
  const rows: string[] = [];
  let bytes = 0;
  for (let gone = skipped ? skip : 0; gone < skip && source.take() !== undefined; gone++);
  for (let value = source.peek(); value !== undefined; value = source.peek()) {
    const text = JSON.stringify(value);
    if (rows.length > 0 && (rows.length >= wanted || bytes + text.length > maximumAnswerBytes))
      return { rows, continuation: JSON.stringify({ o: skip + rows.length }) };
    rows.push(text);
    bytes += text.length;
    source.take();
  }
  return { rows, continuation: undefined };
}

export function readToken(text: string | undefined, names: readonly string[]): unknown {
  if (text === undefined) return undefined;
  let token: unknown;
  try {
    token = JSON.parse(text);
  } catch {
    token = undefined;
  }
  if (
    !isObject(token) ||
    !names.every((name) => Number.isSafeInteger(isObject(token) ? token[name] : undefined))
  )
    throw badContinuation(text);
  return token;
}

/** The plan is cut to what the client says it can do; the service refuses a query that needs more. */
export function handleQueryPlan(context: Context, container: ContainerState): Answer {
  const features = header(context, 'x-ms-cosmos-supported-query-features');
  const plan = planOf(querySpec(context), container, features);
  return { status: 200, charge: 1, body: JSON.stringify(plan), headers: ownerHeaders(container) };
}
