import { createHash } from 'node:crypto';

/**
 * An index for a path that a container's indexing policy includes by name (`/a/b/?`). It covers that container's rows
 * only and has the partition key in front, as queries of one partition ask. A policy that includes everything (`/*`)
 * gets none: there is no list of paths to index.
 */
export interface PathIndex {
  readonly name: string;
  /** What is indexed, as conditions have to write it. */
  readonly expression: string;
  readonly sql: string;
}

export const pathIndexPrefix = (container: number): string => `path_${container}_`;

export function pathIndex(container: number, path: readonly string[]): PathIndex {
  const text = JSON.stringify(path);
  const digest = createHash('sha256').update(text).digest('hex').slice(0, 16);
  const name = `${pathIndexPrefix(container)}${digest}`;
  const jsonPath = path.map((part) => `.${JSON.stringify(part)}`).join('');
  const literal = `'$${jsonPath.replaceAll("'", "''")}'`;
  const expression = `json_extract(body, ${literal})`;
  return {
    name,
    expression,
    sql: `CREATE INDEX IF NOT EXISTS ${name} ON documents (pk, ${expression}) WHERE container = ${container}`,
  };
}

/** The indexed expression of a statement that made such an index. */
export function indexedExpression(sql: string): string {
  return /\(pk, (.+)\) WHERE container = \d+$/s.exec(sql)?.[1] ?? '';
}

/** The named scalar paths of an indexing policy; wildcards and arrays are left out. */
export function namedPaths(included: readonly (readonly string[])[]): string[][] {
  return included.flatMap((parts) => {
    const names = parts.slice(0, -1).map((part) => part.replace(/^"(.*)"$/, '$1'));
    const plain =
      parts.at(-1) === '?' && names.length > 0 && !names.some((part) => part === '[]' || part === '*');
    return plain ? [names] : [];
  });
}
