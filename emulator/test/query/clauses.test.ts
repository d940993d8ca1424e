import { compileQuery } from '../../src/query/index.ts';
import type { JsonObject } from '../../src/query/index.ts';
import { FAMILIES, rows } from './support.ts';

const MIXED: JsonObject[] = [10, 'b', null, true, undefined, 2, 'a', [1], { x: 1 }, false].map((v, i) =>
  v === undefined ? { id: `${i}` } : { id: `${i}`, v },
);

describe('clauses', () => {
  it.each<[sql: string, expected: unknown[]]>([
    // SELECT
    ['SELECT * FROM c WHERE c.id = "smith"', [FAMILIES[2]]],
    ['SELECT * FROM root WHERE root.id = "smith"', [FAMILIES[2]]],
    ['SELECT c FROM c WHERE c.id = "smith"', [{ c: FAMILIES[2] }]],
    ['SELECT c.lastName FROM c', [{ lastName: 'Andersen' }, {}, { lastName: 'Smith' }]],
    ['SELECT VALUE c.lastName FROM c', ['Andersen', 'Smith']],
    [
      'SELECT c.id, c.address.city AS town, c["state"], 1 + 1, UPPER(c.id) FROM c WHERE c.size = 4',
      [{ id: 'andersen', town: 'Seattle', state: 'WA', $1: 2, $2: 'ANDERSEN' }],
    ],
    ['SELECT c.id name FROM c WHERE c.size = 4', [{ name: 'andersen' }]],
    ['SELECT c.address["street name"] FROM c WHERE c.size = 4', [{ 'street name': 'Pike' }]],
    [
      'SELECT VALUE {id: c.id, tags: [c.state, c.none]} FROM c WHERE c.size = 4',
      [{ id: 'andersen', tags: ['WA'] }],
    ],
    ['SELECT 1 AS one, "x" AS two', [{ one: 1, two: 'x' }]],
    ['SELECT VALUE 1 WHERE false', []],
    ['SELECT DISTINCT c.state FROM c', [{ state: 'WA' }, { state: 'NY' }]],
    ['SELECT DISTINCT VALUE c.lastName FROM c', ['Andersen', 'Smith']],
    ['SELECT DISTINCT c.lastName = null AS a FROM c', [{ a: false }, {}]],
    ['SELECT TOP 2 VALUE c.id FROM c', ['andersen', 'wakefield']],
    ['SELECT TOP 0 VALUE c.id FROM c', []],
    ['SELECT DISTINCT TOP 1 VALUE c.state FROM c', ['WA']],
    // WHERE keeps what is true
    ['SELECT VALUE c.id FROM c WHERE c.note', []],
    ['SELECT VALUE c.id FROM c WHERE c.registered', ['andersen']],
    ['SELECT VALUE c.id FROM c WHERE NOT c.registered', ['wakefield']],
    ['SELECT VALUE c.id FROM c WHERE c.note = null', ['wakefield']],
    ['SELECT VALUE c.id FROM c WHERE c.note != null', ['smith']],
    ['SELECT VALUE c.id FROM c WHERE c.size > 3', ['andersen', 'wakefield']],
    ['SELECT VALUE c.id FROM c WHERE c.size != 4', ['wakefield', 'smith']],
    ['SELECT VALUE c.id FROM c WHERE NOT (c.size > 3)', []],
    ['SELECT VALUE c.id FROM c WHERE c.address.city = c.state', ['wakefield']],
    ['SELECT VALUE c.id FROM c WHERE IS_DEFINED(c.note) AND NOT IS_NULL(c.note)', ['smith']],
    // FROM
    ['SELECT VALUE x.id FROM Families AS x WHERE x.size = 4', ['andersen']],
    ['SELECT VALUE x.id FROM Families x WHERE x.size = 4', ['andersen']],
    ['SELECT * FROM Families.address.city', ['Seattle', 'NY']],
    ['SELECT VALUE city FROM Families.address.city', ['Seattle', 'NY']],
    ['SELECT VALUE k.name FROM Families.children[0] k', ['Henriette', 'Jesse']],
    ['SELECT VALUE k.name FROM k IN Families.children', ['Henriette', 'Jesse', 'Lisa']],
    ['SELECT VALUE s FROM (SELECT VALUE c.state FROM c) s', ['WA', 'NY', 'WA']],
    ['SELECT * FROM (SELECT c.id FROM c WHERE c.size = 4)', [{ id: 'andersen' }]],
    // JOIN
    [
      'SELECT c.id, k.name FROM c JOIN k IN c.children',
      [
        { id: 'andersen', name: 'Henriette' },
        { id: 'wakefield', name: 'Jesse' },
        { id: 'wakefield', name: 'Lisa' },
      ],
    ],
    ['SELECT VALUE p.name FROM c JOIN k IN c.children JOIN p IN k.pets', ['Fluffy', 'Goofy', 'Shadow']],
    ['SELECT VALUE k FROM c JOIN k IN c.address', []],
    [
      'SELECT VALUE n FROM c JOIN (SELECT VALUE k.name FROM k IN c.children WHERE k.grade > 4) AS n',
      ['Henriette', 'Lisa'],
    ],
    ['SELECT VALUE COUNT(1) FROM c JOIN (SELECT VALUE k FROM k IN c.children)', [3]],
    [
      'SELECT c.id, u.word FROM c JOIN u IN (SELECT VALUE [{s: "WA", word: "west"}]) WHERE u.s = c.state',
      [
        { id: 'andersen', word: 'west' },
        { id: 'smith', word: 'west' },
      ],
    ],
    // Subqueries
    [
      'SELECT VALUE c.id FROM c WHERE EXISTS(SELECT VALUE k FROM k IN c.children WHERE k.grade = 8)',
      ['wakefield'],
    ],
    ['SELECT VALUE c.id FROM c WHERE NOT EXISTS(SELECT VALUE k FROM k IN c.children)', ['smith']],
    ['SELECT VALUE EXISTS(SELECT VALUE undefined)', [false]],
    [
      'SELECT VALUE ARRAY(SELECT VALUE k.name FROM k IN c.children) FROM c',
      [['Henriette'], ['Jesse', 'Lisa'], []],
    ],
    [
      'SELECT VALUE ARRAY(SELECT DISTINCT VALUE LENGTH(k.name) FROM k IN c.children) FROM c WHERE c.size = 3.5',
      [[5, 4]],
    ],
    [
      'SELECT c.id, (SELECT VALUE COUNT(1) FROM k IN c.children) AS n FROM c',
      [
        { id: 'andersen', n: 1 },
        { id: 'wakefield', n: 2 },
        { id: 'smith', n: 0 },
      ],
    ],
    ['SELECT TOP 1 c.id, (SELECT c.state WHERE c.size = 4).state FROM c', [{ id: 'andersen', state: 'WA' }]],
    ['SELECT VALUE c.id FROM c WHERE (SELECT VALUE MAX(k.grade) FROM k IN c.children) > 5', ['wakefield']],
    ['SELECT VALUE (SELECT VALUE 1 WHERE false) ?? "none"', ['none']],
    ['SELECT VALUE ARRAY(SELECT VALUE c FROM c IN c.children) FROM c WHERE c.size = "3"', [[]]],
    // ORDER BY
    ['SELECT VALUE c.id FROM c ORDER BY c.id', ['andersen', 'smith', 'wakefield']],
    ['SELECT VALUE c.id FROM c ORDER BY c.id DESC', ['wakefield', 'smith', 'andersen']],
    ['SELECT VALUE c.id FROM c ORDER BY c.state DESC, c.id ASC', ['andersen', 'smith', 'wakefield']],
    ['SELECT VALUE c.id FROM c ORDER BY c.lastName', ['wakefield', 'andersen', 'smith']],
    ['SELECT VALUE c.id FROM c ORDER BY c.state', ['wakefield', 'andersen', 'smith']],
    ['SELECT VALUE c.id FROM c ORDER BY c.state DESC', ['andersen', 'smith', 'wakefield']],
    ['SELECT TOP 1 VALUE c.id FROM c ORDER BY c["address"].city DESC', ['andersen']],
    ['SELECT DISTINCT VALUE c.state FROM c ORDER BY c.state', ['NY', 'WA']],
    // OFFSET LIMIT
    ['SELECT VALUE c.id FROM c OFFSET 1 LIMIT 1', ['wakefield']],
    ['SELECT VALUE c.id FROM c ORDER BY c.id OFFSET 2 LIMIT 9', ['wakefield']],
    ['SELECT VALUE c.id FROM c OFFSET 9 LIMIT 1', []],
    ['SELECT VALUE c.id FROM c OFFSET 0 LIMIT 0', []],
    ['SELECT VALUE offset.id FROM c offset WHERE offset.size = 4', ['andersen']],
    // Aggregates
    ['SELECT VALUE COUNT(1) FROM c', [3]],
    ['SELECT COUNT(1) FROM c', [{ $1: 3 }]],
    ['SELECT VALUE COUNT(c.lastName) FROM c', [2]],
    ['SELECT VALUE COUNTIF(c.size > 3.6) FROM c', [1]],
    [
      'SELECT COUNT(1) AS n, MIN(c.id) AS first, MAX(c.id) AS last FROM c',
      [{ n: 3, first: 'andersen', last: 'wakefield' }],
    ],
    ['SELECT VALUE SUM(c.size) FROM c WHERE IS_NUMBER(c.size)', [7.5]],
    ['SELECT VALUE AVG(c.size) FROM c WHERE IS_NUMBER(c.size)', [3.75]],
    ['SELECT VALUE SUM(c.size) FROM c', []],
    ['SELECT COUNT(1) AS n, SUM(c.size) AS s, AVG(c.size) AS a FROM c', [{ n: 3 }]],
    ['SELECT MAX(c.size) AS high, MIN(c.size) AS low FROM c', [{ high: '3', low: 3.5 }]],
    ['SELECT MAX(c.address) AS a, MIN(c.children) AS b FROM c', [{}]],
    ['SELECT COUNT(c.x) AS n, SUM(c.x) AS s, AVG(c.x) AS a, MIN(c.x) AS l FROM c', [{ n: 0, s: 0 }]],
    ['SELECT VALUE COUNT(1) FROM c WHERE false', [0]],
    ['SELECT VALUE MAX(c.size) FROM c WHERE false', []],
    ['SELECT VALUE {n: COUNT(1), twice: COUNT(1) * 2} FROM c', [{ n: 3, twice: 6 }]],
    ['SELECT VALUE MAKELIST(c.state) FROM c', [['WA', 'NY', 'WA']]],
    ['SELECT VALUE MAKESET(c.state) FROM c', [['WA', 'NY']]],
    ['SELECT VALUE COUNT(1)', [1]],
    ['SELECT VALUE COUNT(1) FROM c ORDER BY c.id, c.size', [3]],
    // GROUP BY
    [
      'SELECT c.state, COUNT(1) AS n FROM c GROUP BY c.state',
      [
        { state: 'WA', n: 2 },
        { state: 'NY', n: 1 },
      ],
    ],
    ['SELECT VALUE c.state FROM c GROUP BY c.state', ['WA', 'NY']],
    ['SELECT VALUE upper(c["state"]) FROM c GROUP BY UPPER(c.state)', ['WA', 'NY']],
    ['SELECT VALUE (c.size) FROM c GROUP BY c["size"]', [4, 3.5, '3']],
    [
      'SELECT c.lastName, COUNT(1) AS n FROM c GROUP BY c.lastName',
      [{ lastName: 'Andersen', n: 1 }, { n: 1 }, { lastName: 'Smith', n: 1 }],
    ],
    [
      'SELECT UPPER(c.state) AS s, COUNT(1) AS n FROM c GROUP BY UPPER(c.state)',
      [
        { s: 'WA', n: 2 },
        { s: 'NY', n: 1 },
      ],
    ],
    ['SELECT c.address.city FROM c GROUP BY c.address', [{ city: 'Seattle' }, { city: 'NY' }, {}]],
    ['SELECT COUNT(1) AS n FROM c GROUP BY c.state', [{ n: 2 }, { n: 1 }]],
    [
      'SELECT c.state, k.grade > 4 AS high, COUNT(1) AS n FROM c JOIN k IN c.children GROUP BY c.state, k.grade > 4',
      [
        { state: 'WA', high: true, n: 1 },
        { state: 'NY', high: false, n: 1 },
        { state: 'NY', high: true, n: 1 },
      ],
    ],
    [
      'SELECT c.state, MAX(c.id) || "!" AS last FROM c GROUP BY c.state OFFSET 1 LIMIT 1',
      [{ state: 'NY', last: 'wakefield!' }],
    ],
    ['SELECT c.state FROM c WHERE false GROUP BY c.state', []],
    // The filter that clients put into rewritten queries
    [
      'SELECT VALUE c.id FROM c WHERE ((c.size = 4) AND ({documentdb-formattableorderbyquery-filter}))',
      ['andersen'],
    ],
  ])('%s', (sql, expected) => {
    expect(rows(sql)).toEqual(expected);
  });

  it('sorts undefined, null, booleans, numbers, strings, arrays, objects in this order', () => {
    expect(rows('SELECT VALUE c.id FROM c ORDER BY c.v', MIXED)).toEqual([
      '4',
      '2',
      '9',
      '3',
      '5',
      '0',
      '6',
      '1',
      '7',
      '8',
    ]);
    expect(rows('SELECT VALUE c.v FROM c ORDER BY c.v DESC', MIXED).slice(-3)).toEqual([true, false, null]);
  });

  it('reads no more documents than are asked for', () => {
    let read = 0;
    function* documents(): Iterable<JsonObject> {
      for (let i = 0; ; i++) {
        read++;
        yield { id: `${i}` };
      }
    }
    const first = compileQuery('SELECT TOP 3 VALUE c.id FROM c WHERE c.id != "1"').run(documents());
    expect([...first]).toEqual(['0', '2', '3']);
    expect(read).toBe(4);
  });

  it.each<[sql: string, sortedBy: unknown]>([
    ['SELECT * FROM c', []],
    ['SELECT COUNT(1) FROM c ORDER BY c.a', []],
    [
      'SELECT * FROM Families.address f ORDER BY f.city, f["a b"][0] DESC',
      [
        { path: ['address', 'city'], descending: false },
        { path: ['address', 'a b', 0], descending: true },
      ],
    ],
  ])('tells what documents are sorted by: %s', (sql, sortedBy) => {
    expect(compileQuery(sql).sortedBy).toEqual(sortedBy);
  });

  it('runs again over other documents', () => {
    const query = compileQuery('SELECT VALUE COUNT(1) FROM c');
    expect([...query.run(FAMILIES)]).toEqual([3]);
    expect([...query.run([])]).toEqual([0]);
  });

  it.each([
    ['SELECT * FROM c WHERE c.x = 1', true],
    ['SELECT VALUE k FROM c JOIN k IN c.children', true],
    ['SELECT TOP 1 * FROM c', false],
    ['SELECT DISTINCT c.x FROM c', false],
    ['SELECT * FROM c ORDER BY c.x', false],
    ['SELECT COUNT(1) FROM c', false],
    ['SELECT c.x FROM c GROUP BY c.x', false],
    ['SELECT * FROM c OFFSET 0 LIMIT 1', false],
  ])('knows whether the answers of partitions can follow each other: %s', (sql, streams) => {
    expect(compileQuery(sql).streams).toBe(streams);
  });
});
