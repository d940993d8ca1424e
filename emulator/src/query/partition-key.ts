import type { Bound, BoundQuery } from './bind.ts';
import type { Json } from './values.ts';

/**
 * The full partition key that a WHERE clause holds rows to (`c.pk = 'a' AND …`), or undefined. Only equality with
 * a constant at the top of a conjunction counts; anything missed costs time, never an answer.
 */
export function pinnedPartitionKey(query: BoundQuery, paths: readonly string[]): Json[] | undefined {
  const source = query.sources[0];
  if (
    !query.where ||
    source?.collection.kind !== 'documents' ||
    source.iterate ||
    source.collection.path.length > 0
  ) {
    return undefined;
  }
  const pinned = new Map<string, Json>();
  for (const term of conjuncts(query.where)) {
    if (term.kind !== 'binary' || term.operator !== '=') continue;
    for (const [path, constant] of [
      [term.left, term.right],
      [term.right, term.left],
    ] as const) {
      const names = documentPath(path, source.slot);
      if (!names || constant.kind !== 'constant' || constant.value === undefined) continue;
      if (typeof constant.value !== 'object' || constant.value === null) {
        pinned.set(JSON.stringify(names), constant.value);
      }
    }
  }
  const key: Json[] = [];
  for (const path of paths) {
    const value = pinned.get(JSON.stringify(splitPath(path)));
    if (value === undefined) return undefined;
    key.push(value);
  }
  return key.length > 0 ? key : undefined;
}

/** The terms of a conjunction. */
export function conjuncts(condition: Bound): Bound[] {
  return condition.kind === 'logical' && condition.operator === 'AND'
    ? condition.operands.flatMap(conjuncts)
    : [condition];
}

/** The property names from a document to a value, where an expression is such a path. */
export function documentPath(expression: Bound, slot: number): (string | number)[] | undefined {
  const path: (string | number)[] = [];
  let at = expression;
  for (;;) {
    if (at.kind === 'slot') return at.slot === slot && path.length > 0 ? path.reverse() : undefined;
    if (at.kind === 'property') {
      path.push(at.name);
    } else if (at.kind === 'item' && at.index.kind === 'constant' && typeof at.index.value === 'number') {
      path.push(at.index.value);
    } else {
      return undefined;
    }
    at = at.object;
  }
}

/** Every document path that a condition asks for, each once, in the order of the text. */
export function documentPaths(condition: Bound, slot: number): (string | number)[][] {
  const found = new Map<string, (string | number)[]>();
  const visit = (bound: Bound): void => {
    const path = documentPath(bound, slot);
    if (path) found.set(JSON.stringify(path), path);
    else operandsOf(bound).forEach(visit);
  };
  visit(condition);
  return [...found.values()];
}

/** The direct operands of an expression; those of subqueries belong to the subqueries. */
function operandsOf(bound: Bound): readonly Bound[] {
  switch (bound.kind) {
    case 'constant':
    case 'slot':
    case 'subquery':
      return [];
    case 'property':
      return [bound.object];
    case 'item':
      return [bound.object, bound.index];
    case 'unary':
      return [bound.operand];
    case 'binary':
      return [bound.left, bound.right];
    case 'logical':
      return bound.operands;
    case 'conditional':
      return [bound.condition, bound.then, bound.otherwise];
    case 'between':
      return [bound.value, bound.low, bound.high];
    case 'in':
      return [bound.value, ...bound.list];
    case 'like':
      return [bound.value, bound.pattern];
    case 'call':
      return bound.arguments;
    case 'array':
      return bound.items;
    case 'object':
      return bound.properties.map(({ value }) => value);
  }
}

/** `/a/"b c"/d` as a partition key definition writes it. */
function splitPath(path: string): string[] {
  return [...path.matchAll(/\/(?:"([^"]*)"|([^/]*))/g)].map((match) => match[1] ?? match[2] ?? '');
}
