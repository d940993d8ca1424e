import fc from 'fast-check';
import { DatabaseSync } from 'node:sqlite';
import { compileQuery, jsonExtract } from '../../src/query/index.ts';
import type { Json, JsonObject, QueryParameter } from '../../src/query/index.ts';

function table(documents: readonly JsonObject[]): DatabaseSync {
  const db = new DatabaseSync(':memory:');
  db.exec('CREATE TABLE documents (no INTEGER PRIMARY KEY, rank, body TEXT NOT NULL)');
  const insert = db.prepare('INSERT INTO documents (rank, body) VALUES (?, ?)');
  for (const document of documents) insert.run(Number(document['rank'] ?? 0), JSON.stringify(document));
  return db;
}

/** The documents' own numbers, kept in a column too. */
const columnOf = (path: readonly (string | number)[]) => (path.join() === 'rank' ? 'd.rank' : undefined);

interface Found {
  documents: JsonObject[];
  complete: boolean;
}

/** The documents that SQLite finds; all of them where it is no help. */
function find(db: DatabaseSync, sql: string, parameters: readonly QueryParameter[] = []): Found {
  const plan = compileQuery(sql, parameters).sqlite({
    column: 'd.body',
    position: 'd.no',
    expression: columnOf,
  });
  const where = plan?.where ?? '1';
  const limit = plan?.limit === undefined ? '' : `LIMIT ${plan.limit}`;
  const text = `SELECT body FROM documents AS d WHERE ${where} ORDER BY ${plan?.orderBy ?? 'd.no'} ${limit}`;
  const bodies = db.prepare(text).all(...(plan?.parameters ?? [])) as { body: string }[];
  return {
    documents: bodies.map(({ body }) => JSON.parse(body) as JsonObject),
    complete: plan?.complete ?? false,
  };
}

const joined = (ids: Iterable<Json>) => [...ids].map(String).join('');

const SAMPLE: JsonObject[] = [
  { id: '1', n: 1, s: 'apple', b: true, tags: ['x', 1] },
  { id: '2', n: '1', s: 'apricot', b: false, tags: [] },
  { id: '3', n: null, s: 'banana', o: { 'deep key': { x: [5, 6] } } },
  { id: '4', s: null, b: 'true', tags: 'x' },
  { id: '5', n: 2.5, s: '', tags: [['x']] },
  { id: '6', n: [1], s: 'app', o: 1 },
];

describe('SQLite', () => {
  const db = table(SAMPLE);

  it.each<[where: string, ids: string, complete: boolean]>([
    ['c.n = 1', '1', true],
    ['1 = c.n', '1', true],
    ["c.n = '1'", '2', true],
    ['c.n = null', '3', true],
    ['c.n != 1', '2356', true],
    ['c.n != null', '1256', true],
    ['NOT (c.n = 1)', '2356', true],
    ['c.n > 1', '5', true],
    ['1 < c.n', '5', true],
    ['NOT (c.n > 1)', '1', true],
    ["c.s >= 'apple'", '123', true],
    ["c.s BETWEEN 'app' AND 'apple'", '16', true],
    ["c.s NOT BETWEEN 'app' AND 'apple'", '235', true],
    ['c.b = true', '1', true],
    ['c.b', '1', true],
    ['NOT c.b', '2', true],
    ['c.b != true', '24', true],
    ['c.b < true', '2', true],
    ["c.n IN (1, '1', null)", '123', true],
    ['c.n NOT IN (1, 2.5)', '236', true],
    ['c.n NOT IN (1, undefined)', '2356', true],
    ['c.n IN (undefined)', '', true],
    ['c.n NOT IN (undefined)', '12356', false],
    ['c.n = undefined', '', true],
    ['c.n = [1]', '6', false],
    ['c.n != [1]', '1235', false],
    ['IS_DEFINED(c.n)', '12356', true],
    ['NOT IS_DEFINED(c.n)', '4', true],
    ['IS_NULL(c.n)', '3', true],
    ['NOT IS_STRING(c.n)', '13456', true],
    ['IS_NUMBER(c.n) AND c.n < 2', '1', true],
    ["STARTSWITH(c.s, 'ap')", '126', true],
    ["NOT STARTSWITH(c.s, 'ap')", '35', true],
    ["STARTSWITH(c.s, 'AP', true)", '126', false],
    ["c.s LIKE 'ap%'", '126', true],
    ["c.s LIKE 'ap%t'", '2', false],
    ["c.s NOT LIKE 'ap%'", '35', false],
    ["ARRAY_CONTAINS(c.tags, 'x')", '1', true],
    ['ARRAY_CONTAINS(c.tags, 1)', '1', true],
    ['c.o["deep key"].x[1] = 6', '3', true],
    ["c.n = 1 OR c.s = 'banana'", '13', true],
    ['c.n = 1 AND LENGTH(c.s) = 5', '1', false],
    ['c.n = 1 OR LENGTH(c.s) = 6', '13', false],
    ['c.n = 1 AND false', '', true],
    ['true', '123456', true],
  ])('finds %s', (where, ids, complete) => {
    const sql = `SELECT VALUE c.id FROM c WHERE ${where}`;
    const found = find(db, sql);
    expect(joined(compileQuery(sql).run(SAMPLE))).toBe(ids);
    expect(joined(compileQuery(sql).run(found.documents))).toBe(ids);
    expect(found.complete).toBe(complete);
    if (complete) expect(joined(found.documents.map(({ id }) => id ?? null))).toBe(ids);
  });

  it.each([
    'SELECT VALUE COUNT(1) FROM (SELECT VALUE c.n FROM c WHERE c.n = 1) x',
    'SELECT * FROM x IN c.tags WHERE x = 1',
    'SELECT 1',
    'SELECT * FROM c WHERE LENGTH(c.s) = 1',
    'SELECT * FROM c WHERE c.n = 9007199254740993',
    'SELECT * FROM c',
  ])('leaves %s to the interpreter', (sql) => {
    const plan = compileQuery(sql).sqlite({ column: 'body' });
    expect(plan === null || plan.where === '1').toBe(true);
  });

  it.each([
    ['SELECT TOP 2 c.id FROM c WHERE c.n = 1', 2],
    ['SELECT c.id FROM c ORDER BY c.rank OFFSET 2 LIMIT 3', 5],
    ['SELECT c.id FROM c ORDER BY c.rank, c.n OFFSET 2 LIMIT 3', undefined],
    ['SELECT VALUE c.id FROM c OFFSET 0 LIMIT 3', undefined],
    ['SELECT DISTINCT TOP 2 c.id FROM c', undefined],
    ['SELECT TOP 2 c.id FROM c WHERE LENGTH(c.s) = 1', undefined],
    ['SELECT TOP 2 c.id FROM c JOIN t IN c.tags', undefined],
  ])('knows how many documents are enough: %s', (sql, limit) => {
    const plan = compileQuery(sql).sqlite({ column: 'body', expression: columnOf });
    expect(plan?.limit).toBe(limit);
    expect(plan?.orderBy === undefined).toBe(limit === undefined || !sql.includes('ORDER BY'));
  });

  it('writes what an index on an expression answers', () => {
    const indexed = table(SAMPLE);
    indexed.exec(`CREATE INDEX by_name ON documents (${jsonExtract('body', ['o', "it's"])})`);
    for (const where of ['c.o["it\'s"] = 5', 'c.o["it\'s"] IN (1, 2)', 'c.o["it\'s"] > 5 AND c.n = 1']) {
      const plan = compileQuery(`SELECT * FROM c WHERE ${where}`).sqlite({ column: 'd.body' });
      const explained = indexed
        .prepare(`EXPLAIN QUERY PLAN SELECT body FROM documents AS d WHERE ${plan!.where}`)
        .all(...plan!.parameters) as { detail: string }[];
      expect(explained[0]!.detail).toMatch(/USING INDEX by_name/);
    }
  });

  it('takes other SQL for the value at a path', () => {
    const plan = compileQuery('SELECT * FROM c WHERE c.id = "5"').sqlite({
      column: 'body',
      expression: (path) => (path.join() === 'id' ? 'no' : undefined),
    });
    expect(plan).toMatchObject({
      where: "(no = ? AND json_type(body, '$.\"id\"') = 'text')",
      parameters: ['5'],
    });
  });
});

/** Numbers and texts that SQLite and JavaScript might read or order differently. */
const EXTREMES: Json[] = [
  ...[0, 1, -1, 0.1, 1 / 3, 1e-7, 1e-15, 5e-324, 1e-260, 1.2490020477256377e258, 1e21, Number.MAX_VALUE],
  ...[2 ** 53 - 1, 2 ** 53, 2 ** 53 + 2, 2 ** 60, 2 ** 60 + 256, 2 ** 63, -(2 ** 63), 2 ** 64],
  ...[
    '',
    'a',
    'a\u0000',
    'a\u0000b',
    'ab',
    'B',
    'é',
    'e\u0301',
    '\ud7ff',
    '\ue000',
    '\uffff',
    '\u{10000}',
    '\u{10ffff}',
    '\ud800',
    '\ud800a',
  ],
  ...[null, true, false, '1', '[1]', 'null'],
];

// Values and conditions over a few names, so that they meet.
const text = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.constantFrom('', 'a', 'ab', 'b', '\uffff', '\u{10000}', 'a\u0000b', 'true', '1', '[1]'),
  },
  { weight: 1, arbitrary: fc.string({ unit: 'grapheme', maxLength: 3 }) },
);
const number = fc.oneof(
  { weight: 4, arbitrary: fc.constantFrom(-1, 0, 1, 2) },
  {
    weight: 4,
    arbitrary: fc.constantFrom(
      0.1,
      1e-7,
      1e21,
      2 ** 53,
      2 ** 60,
      2 ** 63,
      Number.MAX_VALUE,
      5e-324,
      1.2490020477256377e258,
    ),
  },
  { weight: 1, arbitrary: fc.double({ noNaN: true, noDefaultInfinity: true }) },
);
const scalar: fc.Arbitrary<Json> = fc.oneof(
  { weight: 1, arbitrary: fc.constantFrom(null, true, false) },
  { weight: 2, arbitrary: number },
  { weight: 2, arbitrary: text },
);
const { value } = fc.letrec<{ value: Json }>((tie) => ({
  value: fc.oneof(
    { weight: 6, arbitrary: scalar },
    { weight: 1, arbitrary: fc.array(tie('value'), { maxLength: 3 }) },
    { weight: 1, arbitrary: fc.dictionary(fc.constantFrom('x', 'y z', 'é'), tie('value')) },
  ),
}));
const document = fc.record({ a: value, b: value, x: value }, { requiredKeys: [] });
const documents = fc
  .array(document, { maxLength: 12 })
  .map((list) => list.map((item, i): JsonObject => ({ id: i, ...item })));

const path = fc.constantFrom(
  'c.a',
  'c.a',
  'c.a',
  'c.b',
  'c.b',
  'c.x.x',
  'c.a["y z"]',
  'c.b[0]',
  'c.a.é',
  'c.none',
);
const literal = fc.oneof(value, scalar).map((json) => JSON.stringify(json));
const operator = fc.constantFrom('=', '!=', '<', '<=', '>', '>=');
const not = fc.constantFrom('', 'NOT ');
const { condition } = fc.letrec<{ condition: string }>((tie) => ({
  condition: fc.oneof(
    { maxDepth: 3, depthSize: 'small' },
    fc.tuple(path, operator, literal).map((parts) => parts.join(' ')),
    fc.tuple(literal, operator, path).map((parts) => parts.join(' ')),
    fc
      .tuple(path, not, fc.array(literal, { minLength: 1, maxLength: 4 }))
      .map(([p, n, list]) => `${p} ${n}IN (${list.join(', ')})`),
    fc.tuple(path, not, literal, literal).map(([p, n, low, high]) => `${p} ${n}BETWEEN ${low} AND ${high}`),
    fc.tuple(path, not, text).map(([p, n, t]) => `${p} ${n}LIKE ${JSON.stringify(`${t}%`)}`),
    fc.tuple(path, text).map(([p, t]) => `STARTSWITH(${p}, ${JSON.stringify(t)})`),
    fc.tuple(path, literal).map(([p, v]) => `ARRAY_CONTAINS(${p}, ${v})`),
    fc
      .tuple(
        fc.constantFrom(
          'DEFINED',
          'NULL',
          'STRING',
          'NUMBER',
          'BOOL',
          'ARRAY',
          'OBJECT',
          'PRIMITIVE',
          'INTEGER',
        ),
        path,
      )
      .map(([type, p]) => `IS_${type}(${p})`),
    path,
    fc.constantFrom('true', 'false', 'undefined', 'LENGTH(c.a) > 1', 'c.a = c.b'),
    tie('condition').map((inner) => `NOT (${inner})`),
    fc
      .tuple(tie('condition'), fc.constantFrom('AND', 'OR'), tie('condition'))
      .map(([l, op, r]) => `(${l} ${op} ${r})`),
  ),
}));

describe('SQLite and the interpreter', () => {
  it.each(['=', '!=', '<', '<=', '>', '>='])('compare alike with %s', (operator) => {
    const list = EXTREMES.map((a, i): JsonObject => ({ id: i, a }));
    const db = table(list);
    for (const constant of EXTREMES) {
      const sql = `SELECT VALUE c.id FROM c WHERE c.a ${operator} ${JSON.stringify(constant)}`;
      const found = find(db, sql);
      const ids = [...compileQuery(sql).run(found.documents)];
      expect({ sql, ids }).toEqual({ sql, ids: [...compileQuery(sql).run(list)] });
    }
  });

  it('give equal answers to any condition', () => {
    fc.assert(
      fc.property(documents, fc.array(condition, { minLength: 5, maxLength: 15 }), (list, conditions) => {
        const db = table(list);
        for (const where of conditions) {
          const sql = `SELECT VALUE c.id FROM c WHERE ${where}`;
          const expected = [...compileQuery(sql).run(list)];
          const found = find(db, sql);
          expect({ where, ids: [...compileQuery(sql).run(found.documents)] }).toEqual({
            where,
            ids: expected,
          });
          if (found.complete)
            expect({ where, ids: found.documents.map(({ id }) => id) }).toEqual({ where, ids: expected });
        }
        db.close();
      }),
      { numRuns: 100 },
    );
  });

  it('sort alike, and cut off alike', () => {
    const ranks = fc.array(fc.integer({ min: 0, max: 3 }), { maxLength: 12 });
    fc.assert(
      fc.property(
        ranks,
        fc.constantFrom('', ' DESC'),
        fc.nat(4),
        fc.nat(6),
        (list, direction, offset, limit) => {
          const ranked = list.map((rank, i): JsonObject => ({ id: i, rank }));
          const sql = `SELECT c.id FROM c ORDER BY c.rank${direction} OFFSET ${offset} LIMIT ${limit}`;
          const db = table(ranked);
          const found = find(db, sql);
          db.close();
          expect(found.documents.length).toBe(Math.min(list.length, offset + limit));
          const expected = [...compileQuery(sql).run(ranked)];
          // As SQLite sorts them, and in any other order that keeps ties as they were.
          expect([...compileQuery(sql).run(found.documents)]).toEqual(expected);
          const byNumber = found.documents.toSorted((x, y) => Number(x['id']) - Number(y['id']));
          expect([...compileQuery(sql).run(byNumber)]).toEqual(expected);
        },
      ),
      { numRuns: 200 },
    );
  });
});
