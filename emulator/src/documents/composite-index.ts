import { isObject } from '../json.ts';
import type { JsonObject, JsonValue } from '../json.ts';
import type { QueryPaths } from '../query-engine.ts';

/** One of the paths of a composite index, or of an ORDER BY: `/a/"b c"`. */
export interface OrderedPath {
  readonly path: string;
  readonly descending: boolean;
}

/** How indexing policies write a path; items of arrays are `[]`. */
export const indexPath = (path: readonly (string | number)[]): string =>
  path
    .map((part) => (typeof part === 'number' ? '[]' : part))
    .map((name) => (name === '[]' || /^\w+$/.test(name) ? `/${name}` : `/${JSON.stringify(name)}`))
    .join('');

export const orderedPaths = ({ sortedBy }: QueryPaths): OrderedPath[] =>
  sortedBy.map(({ path, descending }) => ({ path: indexPath(path), descending }));

/** The composite indexes of an indexing policy. */
export function compositeIndexes(policy: JsonValue | undefined): OrderedPath[][] {
  const indexes = isObject(policy) ? policy['compositeIndexes'] : undefined;
  if (!Array.isArray(indexes)) return [];
  return indexes.map((index) =>
    (Array.isArray(index) ? index : []).filter(isObject).map((entry: JsonObject) => ({
      path: typeof entry['path'] === 'string' ? entry['path'] : '',
      descending: entry['order'] === 'descending',
    })),
  );
}

/** A composite index serves an ORDER BY of just its paths, in its directions or all of them turned round. */
export function serves(index: readonly OrderedPath[], sorted: readonly OrderedPath[]): boolean {
  const turned = index[0]?.descending !== sorted[0]?.descending;
  return (
    index.length === sorted.length &&
    index.every(
      ({ path, descending }, at) =>
        path === sorted[at]?.path && (descending !== turned) === sorted[at].descending,
    )
  );
}
