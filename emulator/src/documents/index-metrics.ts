import { indexingPaths, isIndexed } from '../charges.ts';
import type { JsonObject, JsonValue } from '../json.ts';
import type { QueryPaths } from '../query-engine.ts';
import { compositeIndexes, indexPath, orderedPaths, serves } from './composite-index.ts';

/** The two forms in which `x-ms-cosmos-index-utilization` is asked for, by request header. */
export type IndexMetricsForm = 'base64' | 'uri';

/**
 * Which indexes a query could use and which of them the container's policy has, as the SDKs print it: one index for
 * each path in WHERE and ORDER BY, and a composite one where ORDER BY has several. Read off the query's text: this
 * emulator's own plan is another one.
 */
export function indexUtilization(
  paths: QueryPaths,
  policy: JsonValue | undefined,
  form: IndexMetricsForm,
): string {
  const indexing = indexingPaths(policy);
  const { filteredBy, sortedBy } = paths;
  const single = new Map(
    [...filteredBy, ...sortedBy.map(({ path }) => path)].map((path) => [indexPath(path), trailOf(path)]),
  );
  const [utilized, potential] = [true, false].map((wanted) =>
    [...single].filter(([, trail]) => isIndexed(trail, indexing) === wanted).map(([spec]) => `${spec}/?`),
  ) as [string[], string[]];
  const sorted = orderedPaths(paths);
  const composite =
    sorted.length > 1 ? [sorted.map(({ path, descending }) => `${path} ${descending ? 'DESC' : 'ASC'}`)] : [];
  const served = compositeIndexes(policy).some((index) => serves(index, sorted));
  return form === 'uri'
    ? encodeURIComponent(JSON.stringify(byUse(utilized, potential, composite, served)))
    : Buffer.from(JSON.stringify(byKind(utilized, potential, composite, served))).toString('base64');
}

const trailOf = (path: readonly (string | number)[]): string[] =>
  path.map((part) => (typeof part === 'number' ? '[]' : part));

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
