import fc from 'fast-check';
import { compileQuery, QueryError, queryPlan } from '../../src/query/index.ts';
import type { Json, JsonObject, QueryPlan } from '../../src/query/index.ts';
import { compareValues, keyOf } from '../../src/query/values.ts';
import type { Value } from '../../src/query/values.ts';

type Info = QueryPlan['queryInfo'];

const FILTER = '{documentdb-formattableorderbyquery-filter}';
const infoOf = (sql: string, paths: string[] = ['/pk']): Info => queryPlan(sql, [], paths).queryInfo;

describe('query plans', () => {
  it.each<[sql: string, expected: Partial<Info>]>([
    [
      'SELECT * FROM c WHERE c.x = 1',
      { rewrittenQuery: '', distinctType: 'None', hasSelectValue: false, orderBy: [] },
    ],
    ['SELECT VALUE c.x FROM c', { rewrittenQuery: '', hasSelectValue: true, aggregates: [] }],
    ['SELECT TOP 5 * FROM c', { rewrittenQuery: '', top: 5, offset: null, limit: null }],
    [
      'SELECT c.a FROM c WHERE c.x > 1 OFFSET 3 LIMIT 4',
      {
        rewrittenQuery: 'SELECT c.a\nFROM c\nWHERE (c.x > 1)\nOFFSET 0 LIMIT 7',
        offset: 3,
        limit: 4,
        top: null,
      },
    ],
    [
      'SELECT * FROM c ORDER BY c.a, c["b c"] DESC',
      {
        rewrittenQuery:
          'SELECT c._rid, [{"item": c.a}, {"item": c["b c"]}] AS orderByItems, c AS payload\n' +
          `FROM c\nWHERE ((${FILTER}))\nORDER BY c.a ASC, c["b c"] DESC`,
        orderBy: ['Ascending', 'Descending'],
        orderByExpressions: ['c.a', 'c["b c"]'],
      },
    ],
    [
      'SELECT TOP 3 r.id, r.a + 1 FROM root r WHERE r.a = 1 AND r.b LIKE "x%" ORDER BY r.a',
      {
        rewrittenQuery:
          'SELECT TOP 3 r._rid, [{"item": r.a}] AS orderByItems, {"id": r.id, "$1": (r.a + 1)} AS payload\n' +
          `FROM root r\nWHERE ((((r.a = 1) AND (r.b LIKE "x%"))) AND (${FILTER}))\nORDER BY r.a ASC`,
        top: 3,
      },
    ],
    ['SELECT DISTINCT c.x FROM c', { distinctType: 'Unordered', rewrittenQuery: '' }],
    ['SELECT DISTINCT VALUE c.x FROM c ORDER BY c.x', { distinctType: 'Ordered' }],
    ['SELECT DISTINCT c.x, c.y FROM c ORDER BY c.x', { distinctType: 'Unordered' }],
    [
      'SELECT VALUE COUNT(1) FROM c WHERE c.x = 1',
      {
        rewrittenQuery: 'SELECT VALUE [{"item": COUNT(1)}]\nFROM c\nWHERE (c.x = 1)',
        aggregates: ['Count'],
        hasSelectValue: true,
      },
    ],
    [
      'SELECT VALUE MIN(c.x) FROM c',
      {
        rewrittenQuery:
          'SELECT VALUE [{"item": MIN(c.x), "item2": {"min": MIN(c.x), "count": COUNT(c.x)}}]\nFROM c',
        aggregates: ['Min'],
      },
    ],
    [
      'SELECT VALUE AVG(c.x) FROM c',
      {
        rewrittenQuery: 'SELECT VALUE [{"item": {"sum": SUM(c.x), "count": COUNT(c.x)}}]\nFROM c',
        aggregates: ['Average'],
      },
    ],
    [
      'SELECT SUM(c.blah) FROM c',
      {
        rewrittenQuery: 'SELECT {"$1": {"item": SUM(c.blah)}} AS payload\nFROM c',
        aggregates: [],
        groupByAliases: ['$1'],
        groupByAliasToAggregateType: { $1: 'Sum' },
      },
    ],
    [
      'SELECT c.team, MAX(c.age) AS oldest, COUNTIF(c.x) AS n FROM c GROUP BY c.team',
      {
        rewrittenQuery:
          'SELECT [{"item": c.team}] AS groupByItems, {"team": c.team, "oldest": {"item": MAX(c.age), ' +
          '"item2": {"max": MAX(c.age), "count": COUNT(c.age)}}, "n": {"item": COUNTIF(c.x)}} AS payload\n' +
          'FROM c\nGROUP BY c.team',
        groupByExpressions: ['c.team'],
        groupByAliases: ['team', 'oldest', 'n'],
        groupByAliasToAggregateType: { team: null, oldest: 'Max', n: 'CountIf' },
      },
    ],
    [
      'SELECT VALUE c.team FROM c GROUP BY c.team',
      {
        rewrittenQuery:
          'SELECT [{"item": c.team}] AS groupByItems, c.team AS payload\nFROM c\nGROUP BY c.team',
        groupByAliasToAggregateType: {},
        hasSelectValue: true,
      },
    ],
    [
      'SELECT COUNT(1) AS n FROM (SELECT DISTINCT c.x FROM c)',
      {
        rewrittenQuery: 'SELECT DISTINCT c.x FROM c',
        distinctType: 'Unordered',
        dCountInfo: { dCountAlias: 'n' },
      },
    ],
    [
      'SELECT VALUE MAX(c.x) FROM c ORDER BY c.x, c.y',
      {
        orderBy: [],
        orderByExpressions: [],
        aggregates: ['Max'],
        rewrittenQuery: expect.not.stringContaining('ORDER') as string,
      },
    ],
    ['SELECT 1', { rewrittenQuery: '' }],
    [
      'SELECT f.id, n FROM f JOIN (SELECT VALUE COUNT(1) FROM k IN f.kids) AS n WHERE n > 1',
      { rewrittenQuery: '' },
    ],
    ['SELECT VALUE x FROM (SELECT VALUE c.x FROM c WHERE c.y = 1) x', { rewrittenQuery: '' }],
  ])('%s', (sql, expected) => {
    expect(infoOf(sql)).toMatchObject(expected);
  });

  it('covers all partitions, unless there is nothing to read', () => {
    const everywhere = [{ min: '', max: 'FF', isMinInclusive: true, isMaxInclusive: false }];
    expect(queryPlan('SELECT * FROM c WHERE c.pk = 1', [], ['/pk']).queryRanges).toEqual(everywhere);
    expect(queryPlan('SELECT 1', [], ['/pk']).queryRanges).toEqual([{ ...everywhere[0], max: '00' }]);
  });

  it.each<[where: string, paths: string[], key: Json[] | undefined]>([
    ['c.pk = "a" AND c.x > 1', ['/pk'], ['a']],
    ['@p = c.pk', ['/pk'], ['v']],
    ['c["a"].b = 1 AND c.t = null', ['/a/b', '/t'], [1, null]],
    ['c["a b"] = true', ['/"a b"'], [true]],
    ['c.pk = "a" OR c.x = 1', ['/pk'], undefined],
    ['NOT (c.pk = "a")', ['/pk'], undefined],
    ['c.a.b = 1', ['/a/b', '/t'], undefined],
    ['c.pk = [1]', ['/pk'], undefined],
  ])('sends a query that pins its partition key to one partition: %s', (where, paths, key) => {
    const seen: unknown[] = [];
    const rangeOf = (values: readonly Json[]) => {
      seen.push(values);
      return { min: 'A', max: 'A', isMinInclusive: true, isMaxInclusive: true };
    };
    const sql = `SELECT TOP 2 VALUE {n: COUNT(1)} FROM c WHERE ${where}`;
    const plan = () => queryPlan(sql, [{ name: '@p', value: 'v' }], paths, { rangeOf });
    if (key) {
      expect(plan()).toMatchObject({
        queryInfo: { rewrittenQuery: '', top: null },
        queryRanges: [{ min: 'A' }],
      });
      expect(seen).toEqual([key]);
    } else {
      expect(plan).toThrow(/Compositions/);
    }
  });

  it('refuses what the client says it cannot carry out', () => {
    const plan = (sql: string, features: string[]) => () =>
      queryPlan(sql, [], ['/pk'], { supportedFeatures: features });
    expect(
      plan('SELECT VALUE COUNT(1) FROM (SELECT DISTINCT c.x FROM c)', ['Distinct', 'Aggregate']),
    ).toThrow(/DCount/);
    expect(plan('SELECT DISTINCT c.x FROM c ORDER BY c.x, c.y', ['OrderBy'])).toThrow(
      /Distinct MultipleOrderBy/,
    );
    expect(plan('SELECT COUNTIF(c.x) FROM c', ['NonValueAggregate'])).toThrow(/: CountIf$/);
    expect(plan('SELECT TOP 1 * FROM c ORDER BY c.x', ['OrderBy', 'Top'])).not.toThrow();
  });

  it.each([
    'SELECT VALUE MAX(c.x) + 1 FROM c',
    "SELECT VALUE {'sum': SUM(c.x)} FROM c",
    'SELECT VALUE [SUM(c.x)] FROM c',
    'SELECT c.name, ABS(AVG(c.age)) AS a FROM c GROUP BY c.name',
    'SELECT VALUE MAX(x) FROM (SELECT VALUE COUNT(1) FROM c) x',
    'SELECT * FROM (SELECT TOP 1 c.x FROM c) t',
    'SELECT VALUE COUNT(1) FROM (SELECT * FROM (SELECT DISTINCT c.x FROM c) s) t',
    'SELECT VALUE (SELECT VALUE COUNT(1) FROM c)',
  ])('refuses what partitions cannot answer apart: %s', (sql) => {
    expect(() => infoOf(sql)).toThrow(QueryError);
    expect(() => compileQuery(sql)).not.toThrow();
  });
});

/** Carries out a plan as a client does. */
function runPlan(sql: string, partitions: readonly JsonObject[][]): Json[] {
  const info = infoOf(sql);
  const text = info.rewrittenQuery === '' ? sql : info.rewrittenQuery.replace(FILTER, 'true');
  const query = compileQuery(text);
  const answers = partitions.map((partition) => [...query.run(partition)]);
  let rows: Json[];
  if (info.orderBy.length > 0) rows = mergeOrdered(info, answers as unknown as Ordered[][]);
  else if (info.aggregates.length + info.groupByAliases.length + info.groupByExpressions.length > 0)
    rows = mergeGroups(info, answers.flat());
  else rows = answers.flat();
  if (info.distinctType === 'Unordered')
    rows = [...new Map(rows.toReversed().map((row) => [keyOf(row), row])).values()].toReversed();
  if (info.distinctType === 'Ordered')
    rows = rows.filter((row, i) => i === 0 || keyOf(row) !== keyOf(rows[i - 1]));
  if (info.dCountInfo)
    return [info.dCountInfo.dCountAlias ? { [info.dCountInfo.dCountAlias]: rows.length } : rows.length];
  if (info.top !== null) rows = rows.slice(0, info.top);
  return info.limit === null ? rows : rows.slice(info.offset ?? 0, (info.offset ?? 0) + info.limit);
}

interface Ordered {
  orderByItems: { item?: Json }[];
  payload: Json;
}

function mergeOrdered(info: Info, answers: Ordered[][]): Json[] {
  const compare = (a: Ordered, b: Ordered) => {
    for (const [i, direction] of info.orderBy.entries()) {
      const order = compareValues(a.orderByItems[i]?.item, b.orderByItems[i]?.item);
      if (order !== 0) return direction === 'Ascending' ? order : -order;
    }
    return 0;
  };
  // A client merges; that each partition is sorted already is part of what is tested.
  for (const rows of answers) expect(rows.toSorted(compare)).toEqual(rows);
  return answers
    .flat()
    .toSorted(compare)
    .map(({ payload }) => payload);
}

interface PartialAnswer {
  item?: Json;
  item2?: Json;
}

function mergeGroups(info: Info, rows: Json[]): Json[] {
  const groups = new Map<string, { groupByItems?: Json; payload: Json }[]>();
  for (const row of rows) {
    const entry = Array.isArray(row)
      ? { payload: row }
      : (row as unknown as { groupByItems?: Json; payload: Json });
    const key = keyOf(entry.groupByItems);
    groups.set(key, [...(groups.get(key) ?? []), entry]);
  }
  const results = [...groups.values()].map((group): Value => {
    const payloads = group.map(({ payload }) => payload);
    if (info.hasSelectValue) {
      const [name] = info.aggregates;
      return name
        ? merge(
            name,
            payloads.map((payload) => (payload as unknown as PartialAnswer[])[0]!),
          )
        : payloads[0];
    }
    const result: JsonObject = {};
    for (const alias of info.groupByAliases) {
      const name = info.groupByAliasToAggregateType[alias];
      const parts = payloads.map((payload) => (payload as JsonObject)[alias]);
      const value = name ? merge(name, parts as PartialAnswer[]) : parts[0];
      if (value !== undefined) result[alias] = value;
    }
    return result;
  });
  return results.filter((result) => result !== undefined);
}

function merge(name: string, parts: PartialAnswer[]): Value {
  const values = parts.map((part) => part.item2 ?? part.item);
  const sum = (numbers: number[]) => numbers.reduce((a, b) => a + b, 0);
  switch (name) {
    case 'Count':
    case 'CountIf':
    case 'Sum':
      return sum(values as number[]);
    case 'Average': {
      const total = sum(values.map((value) => (value as { sum: number }).sum));
      const count = sum(values.map((value) => (value as { count: number }).count));
      return count === 0 ? undefined : total / count;
    }
    case 'Min':
    case 'Max': {
      const key = name.toLowerCase();
      const found = values.map((value) => (value as JsonObject)[key]).filter((value) => value !== undefined);
      return found.toSorted(compareValues).at(name === 'Min' ? 0 : -1);
    }
    default:
      throw new Error(name);
  }
}

const scalar = fc.oneof(
  fc.constantFrom<Json>(null, true, false, 'a', 'b', ''),
  fc.integer({ min: -2, max: 3 }),
);
const documents = fc
  .array(fc.record({ a: scalar, b: scalar, n: fc.integer({ min: -3, max: 3 }) }, { requiredKeys: [] }), {
    maxLength: 15,
  })
  .map((list) => list.map((item, i): JsonObject => ({ id: String(i).padStart(2, '0'), ...item })));

describe('a plan carried out over partitions gives what one partition gives', () => {
  it.each<[sql: string, ordered: boolean]>([
    ['SELECT c.id, c.a FROM c WHERE c.a != 1 ORDER BY c.a, c.id DESC', true],
    ['SELECT TOP 3 VALUE c.b FROM c ORDER BY c.b, c.id', true],
    ['SELECT VALUE c.id FROM c ORDER BY c.a DESC, c.id OFFSET 2 LIMIT 4', true],
    ['SELECT DISTINCT VALUE c.a FROM c ORDER BY c.a', true],
    ['SELECT DISTINCT TOP 2 VALUE c.a FROM c ORDER BY c.a', true],
    ['SELECT DISTINCT c.a FROM c ORDER BY c.a OFFSET 1 LIMIT 2', true],
    ['SELECT DISTINCT c.a, c.b FROM c', false],
    ['SELECT VALUE COUNT(1) FROM c', false],
    ['SELECT VALUE COUNT(1) FROM c WHERE c.a = 1', false],
    ['SELECT VALUE SUM(c.n) FROM c', false],
    ['SELECT VALUE AVG(c.n) FROM c', false],
    ['SELECT VALUE MIN(c.a) FROM c', false],
    ['SELECT MAX(c.a) AS high, MIN(c.b) AS low, COUNT(c.a), AVG(c.n) AS mean FROM c', false],
    ['SELECT c.a, COUNT(1) AS n, MAX(c.b) AS high, AVG(c.n) AS mean FROM c GROUP BY c.a', false],
    ['SELECT IS_STRING(c.a) AS text, c.b, SUM(c.n) AS s FROM c GROUP BY IS_STRING(c.a), c.b', false],
    ['SELECT VALUE c.a FROM c GROUP BY c.a', false],
    ['SELECT VALUE COUNT(1) FROM c GROUP BY c.a, c.b', false],
    ['SELECT VALUE COUNT(1) FROM (SELECT DISTINCT VALUE c.a FROM c)', false],
    ['SELECT COUNT(1) AS n FROM (SELECT DISTINCT c.a, c.b FROM c)', false],
  ])('%s', (sql, ordered) => {
    fc.assert(
      fc.property(documents, fc.array(fc.nat(2), { minLength: 15, maxLength: 15 }), (list, where) => {
        const partitions: JsonObject[][] = [[], [], []];
        for (const [i, item] of list.entries()) partitions[where[i]!]!.push(item);
        const whole = [...compileQuery(sql).run(list)];
        const merged = runPlan(sql, partitions);
        const canonical = (rows: Json[]) =>
          ordered ? rows : rows.toSorted((x, y) => keyOf(x).localeCompare(keyOf(y)));
        expect(canonical(merged)).toEqual(canonical(whole));
      }),
      { numRuns: 40 },
    );
  });

  it.each([
    'SELECT TOP 3 * FROM c',
    'SELECT VALUE c.id FROM c OFFSET 2 LIMIT 3',
    'SELECT DISTINCT VALUE c.a FROM c OFFSET 1 LIMIT 2',
  ])('in number, where no order is asked for: %s', (sql) => {
    fc.assert(
      fc.property(documents, (list) => {
        const partitions = [list.filter((_, i) => i % 3 === 0), list.filter((_, i) => i % 3 !== 0)];
        expect(runPlan(sql, partitions)).toHaveLength([...compileQuery(sql).run(list)].length);
      }),
      { numRuns: 40 },
    );
  });
});
