import { badRequest, CosmosError } from './errors.ts';
import type { JsonObject, JsonValue } from './json.ts';
import { compileQuery as compile, QueryError, queryPlan } from './query/index.ts';
import type { PlanOptions, QueryPlan } from './query/index.ts';
import type { CompiledQuery as Compiled } from './query/index.ts';
import type { Filter } from './storage/store.ts';

/** A query as requests carry it. */
export interface QuerySpec {
  readonly query: string;
  readonly parameters: readonly { name: string; value: JsonValue }[];
}

export type QueryPaths = Pick<Compiled, 'filteredBy' | 'sortedBy'>;

export interface CompiledQuery {
  /** Rows come as they are asked for where the query allows it. */
  run(documents: Iterable<JsonObject>): Iterable<JsonValue>;
  /** Can the answers of several partitions simply follow each other? If not, clients need a query plan. */
  readonly streams: boolean;
  /** The document paths that an index can help with. */
  readonly paths: QueryPaths;
  /** What the store can find by itself; the query checks again in any case. */
  readonly filter: Filter | undefined;
}

/** Properties that documents have in columns of their own. */
const columns: Readonly<Record<string, string>> = { id: 'id', _ts: 'ts', _etag: 'etag' };

function filterOf(compiled: ReturnType<typeof compile>): Filter | undefined {
  const pushed = compiled.sqlite({
    column: 'body',
    position: 'no',
    expression: ([name, ...rest]) =>
      rest.length === 0 && typeof name === 'string' && Object.hasOwn(columns, name)
        ? columns[name]
        : undefined,
  });
  return pushed ?? undefined;
}

/** Prepares a query, or throws: 400 with the position of the mistake, 501 for what the engine cannot do. */
export function compileQuery(spec: QuerySpec, now: () => number): CompiledQuery {
  return asAnswer(spec.query, () => {
    const compiled = compile(spec.query, [...spec.parameters], { now });
    return {
      streams: compiled.streams,
      paths: compiled,
      filter: filterOf(compiled),
      run: (documents) => rethrowing(spec.query, compiled.run(documents)),
    };
  });
}

/** What an SDK needs to run the query over several partitions and merge their answers. */
export function planQuery(spec: QuerySpec, keyPaths: readonly string[], options: PlanOptions): QueryPlan {
  return asAnswer(spec.query, () => queryPlan(spec.query, [...spec.parameters], keyPaths, options));
}

/** Does the query's text hold for this one document? `from c where …`, as in patch conditions. */
export function conditionHolds(condition: string, document: JsonObject): boolean {
  if (!/^\s*from\s/i.test(condition))
    throw badRequest(`The condition '${condition}' of the patch is not of the form: from c where …`);
  const query = compileQuery({ query: `SELECT VALUE true ${condition}`, parameters: [] }, Date.now);
  for (const _ of query.run([document])) return true;
  return false;
}

function* rethrowing(text: string, rows: Iterable<JsonValue>): Iterable<JsonValue> {
  try {
    yield* rows;
  } catch (error) {
    throw translate(text, error);
  }
}

function asAnswer<T>(text: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    throw translate(text, error);
  }
}

/** Errors of the engine in the form the service gives them. */
function translate(text: string, error: unknown): unknown {
  if (!(error instanceof QueryError)) return error;
  if (error.unsupported)
    return new CosmosError(501, `The emulator does not support this query: ${error.message}`);
  const { code, message, start, end } = error;
  const errors = [{ severity: 'Error', location: { start, end }, code, message }];
  return new CosmosError(400, `Message: ${JSON.stringify({ errors })} in query '${text.slice(0, 200)}'`);
}
