import { compileQuery } from '../../src/query/index.ts';
import type { Json, JsonObject, QueryParameter } from '../../src/query/index.ts';

export const FAMILIES: JsonObject[] = [
  {
    id: 'andersen',
    lastName: 'Andersen',
    state: 'WA',
    size: 4,
    children: [{ name: 'Henriette', grade: 5, pets: [{ name: 'Fluffy' }] }],
    registered: true,
    address: { city: 'Seattle', 'street name': 'Pike' },
  },
  {
    id: 'wakefield',
    state: 'NY',
    size: 3.5,
    children: [
      { name: 'Jesse', grade: 1, pets: [{ name: 'Goofy' }, { name: 'Shadow' }] },
      { name: 'Lisa', grade: 8 },
    ],
    registered: false,
    address: { city: 'NY' },
    note: null,
  },
  { id: 'smith', lastName: 'Smith', state: 'WA', size: '3', children: [], address: null, note: 'new' },
];

export function rows(
  sql: string,
  documents: Iterable<JsonObject> = FAMILIES,
  parameters: readonly QueryParameter[] = [],
): Json[] {
  return [...compileQuery(sql, parameters).run(documents)];
}

/** What an expression yields without any document; undefined where it yields nothing. */
export function evaluate(expression: string, parameters: readonly QueryParameter[] = []): Json | undefined {
  return rows(`SELECT VALUE ${expression}`, [], parameters)[0];
}
