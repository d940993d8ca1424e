import { indexingPaths, isIndexed } from '../charges.ts';
import { isObject } from '../json.ts';
import type { JsonObject, JsonValue } from '../json.ts';
import type { QueryPaths } from '../query-engine.ts';

/** The two forms in which `x-ms-cosmos-index-utilization` is asked for, by request header. */
export type IndexMetricsForm = 'base64' | 'uri';

interface Composite {
  readonly path: string;
  readonly descending: boolean;
}

/**
 * Which indexes a query could use and which of them the container's policy has, as the SDKs print it: one index for
 * each path in WHERE and ORDER BY, and a composite one where ORDER BY has several. Read off the query's text: this
 * emulator's own plan is another one.
 */
export function indexUtilization(
  { filteredBy, sortedBy }: QueryPaths,
  policy: JsonValue | undefined,
  form: IndexMetricsForm,
): string {
  const indexing = indexingPaths(policy);
  const sorted = sortedBy.map(({ path, descending }) => ({ path: trailOf(path), descending }));
  const single = new Map(
    [...filteredBy.map(trailOf), ...sorted.map(({ path }) => path)].map((trail) => [specOf(trail), trail]),
  );
  const [utilized, potential] = [true, false].map((wanted) =>
    [...single].filter(([, trail]) => isIndexed(trail, indexing) === wanted).map(([spec]) => `${spec}/?`),
  ) as [string[], string[]];
  const wanted = sorted.map(({ path, descending }) => ({ path: specOf(path), descending }));
  const composite =
    wanted.length > 1 ? [wanted.map(({ path, descending }) => `${path} ${descending ? 'DESC' : 'ASC'}`)] : [];
  const served = compositesOf(policy).some((index) => serves(index, wanted));
  return form === 'uri'
    ? encodeURIComponent(JSON.stringify(byUse(utilized, potential, composite, served)))
    : Buffer.from(JSON.stringify(byKind(utilized, potential, composite, served))).toString('base64');
}

const trailOf = (path: readonly (string | number)[]): string[] =>
  path.map((part) => (typeof part === 'number' ? '[]' : part));

const specOf = (trail: readonly string[]): string =>
  trail
    .map((name) => (name === '[]' || /^\w+$/.test(name) ? `/${name}` : `/${JSON.stringify(name)}`))
    .join('');

function compositesOf(policy: JsonValue | undefined): Composite[][] {
  const indexes = isObject(policy) ? policy['compositeIndexes'] : undefined;
  if (!Array.isArray(indexes)) return [];
  return indexes.map((index) =>
    (Array.isArray(index) ? index : []).filter(isObject).map((entry: JsonObject) => ({
      path: typeof entry['path'] === 'string' ? entry['path'] : '',
      descending: entry['order'] === 'descending',
    })),
  );
}

/** A composite index serves its own order and the one turned round. */
function serves(index: readonly Composite[], wanted: readonly Composite[]): boolean {
  const turned = index[0]?.descending !== wanted[0]?.descending;
  return (
    index.length === wanted.length &&
    index.every(
      ({ path, descending }, at) =>
        path === wanted[at]?.path && (descending !== turned) === wanted[at].descending,
    )
  );
}

/** The newer form: short, and grouped by use. */
function byUse(utilized: string[], potential: string[], composite: string[][], served: boolean): JsonObject {
  const group = (single: string[], composites: string[][]): JsonObject => ({
    SingleIndexes: single.map((IndexSpec) => ({ IndexSpec })),
    CompositeIndexes: composites.map((IndexSpecs) => ({ IndexSpecs })),
  });
  return {
    UtilizedIndexes: group(utilized, served ? composite : []),
    PotentialIndexes: group(potential, served ? [] : composite),
  };
}

/** The older form: with a score for each index. */
function byKind(utilized: string[], potential: string[], composite: string[][], served: boolean): JsonObject {
  const singles = (specs: string[]): JsonValue =>
    specs.map((IndexSpec) => ({
      FilterExpression: '',
      IndexSpec,
      FilterPreciseSet: true,
      IndexPreciseSet: true,
      IndexImpactScore: 'High',
    }));
  const composites = (list: string[][]): JsonValue =>
    list.map((IndexSpecs) => ({ IndexSpecs, IndexPreciseSet: true, IndexImpactScore: 'High' }));
  return {
    UtilizedSingleIndexes: singles(utilized),
    PotentialSingleIndexes: singles(potential),
    UtilizedCompositeIndexes: composites(served ? composite : []),
    PotentialCompositeIndexes: composites(served ? [] : composite),
  };
}
