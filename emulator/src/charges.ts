import { isObject } from './json.ts';
import type { JsonObject, JsonValue } from './json.ts';

/**
 * Request charges by the figures Microsoft documents (read 1 KB 1.0 and 16 KB 1.7; write 1 KB 5.0 and 16 KB 9.5 with
 * five indexed properties; about 0.2 for each indexed term; replace about twice a create; delete of 1 KB about 7).
 * Between and beyond the documented points a straight line is drawn: an approximation, good for comparing designs.
 */
const kilobytes = (bytes: number): number => Math.max(1, bytes / 1024);
const round = (charge: number): number => Math.round(charge * 100) / 100;

export const metadataCharge = { read: 1, write: 5, list: 1 } as const;

export function readCharge(bytes: number): number {
  return round(1 + (0.7 / 15) * (kilobytes(bytes) - 1));
}

export function createCharge(bytes: number, indexedTerms: number): number {
  return round(4 + (4.5 / 15) * (kilobytes(bytes) - 1) + 0.2 * indexedTerms);
}

export function replaceCharge(bytes: number, indexedTerms: number): number {
  return round(2 * createCharge(bytes, indexedTerms));
}

export function deleteCharge(bytes: number, indexedTerms: number): number {
  return round(6 + (4.5 / 15) * (kilobytes(bytes) - 1) + 0.2 * indexedTerms);
}

/** Writes that find a conflict or a failed condition, and reads of nothing, still cost the look-up. */
export const missCharge = { read: 1, write: 1.24 } as const;

/** A query pays a base, then for every document it loads and every kilobyte it gives back. */
export function queryCharge(loaded: number, bytesOut: number): number {
  return round(2.3 + 0.03 * loaded + (0.7 / 15) * Math.max(0, bytesOut / 1024 - 1));
}

/** A feed page pays like a read of its size. */
export function feedCharge(bytes: number): number {
  return readCharge(bytes);
}

export interface IndexingPaths {
  readonly everything: boolean;
  readonly included: readonly (readonly string[])[];
  readonly excluded: readonly (readonly string[])[];
  readonly off: boolean;
}

/** Reads an indexing policy; without one every path is indexed. */
export function indexingPaths(policy: JsonValue | undefined): IndexingPaths {
  const paths = (list: JsonValue | undefined): string[][] =>
    Array.isArray(list)
      ? list.flatMap((entry) =>
          isObject(entry) && typeof entry['path'] === 'string' ? [splitIndexPath(entry['path'])] : [],
        )
      : [];
  if (!isObject(policy)) return { everything: true, included: [['*']], excluded: [], off: false };
  const included = paths(policy['includedPaths']);
  const excluded = paths(policy['excludedPaths']).filter((path) => path.join('/') !== '"_etag"/?');
  return {
    everything: included.some((path) => path.length === 1 && path[0] === '*') && excluded.length === 0,
    included,
    excluded,
    off: policy['indexingMode'] === 'none',
  };
}

const splitIndexPath = (path: string): string[] => path.split('/').filter((part) => part !== '');

/** Number of scalar values in a document that the policy indexes. */
export function countIndexedTerms(document: JsonObject, paths: IndexingPaths): number {
  if (paths.off) return 0;
  if (!paths.everything && paths.included.every((path) => path.join() === '"_etag",?')) return 0;
  let count = 0;
  const trail: string[] = [];
  const walk = (value: JsonValue): void => {
    if (Array.isArray(value)) {
      trail.push('[]');
      value.forEach(walk);
      trail.pop();
    } else if (isObject(value)) {
      for (const [name, child] of Object.entries(value)) {
        trail.push(name);
        walk(child);
        trail.pop();
      }
    } else if (isIndexed(trail, paths)) count++;
  };
  walk(document);
  return count;
}

/** The longest path that speaks of a property decides; a tie goes to the exact one. Array items are `[]`. */
export function isIndexed(trail: readonly string[], paths: IndexingPaths): boolean {
  if (paths.off) return false;
  if (paths.everything) return true;
  const best = (list: readonly (readonly string[])[]): number =>
    Math.max(-1, ...list.map((path) => matchLength(trail, path)));
  return best(paths.included) > best(paths.excluded);
}

function matchLength(trail: readonly string[], path: readonly string[]): number {
  const last = path.at(-1);
  const names = path.slice(0, -1).map((part) => part.replace(/^"(.*)"$/, '$1'));
  if (last !== '*' && last !== '?') return -1;
  if (last === '?' && names.length !== trail.length) return -1;
  if (names.length > trail.length) return -1;
  return names.every((name, index) => name === trail[index]) ? names.length * 2 + (last === '?' ? 1 : 0) : -1;
}
