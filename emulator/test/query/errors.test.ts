import { compileQuery, QueryError } from '../../src/query/index.ts';
import type { QueryErrorCode } from '../../src/query/index.ts';
import { rows } from './support.ts';

function errorOf(run: () => unknown): QueryError {
  try {
    run();
  } catch (error) {
    if (error instanceof QueryError) return error;
    throw error;
  }
  throw new Error('no error');
}

describe('errors', () => {
  // The text between ‹ and › is what the error points at.
  it.each<[sql: string, code: QueryErrorCode, message: RegExp]>([
    ['SELECT * FROM c WHERE‹›', 'SC1001', /unexpected end/],
    ['‹SELEC› * FROM c', 'SC1001', /near 'SELEC'/],
    ['SELECT * FROM c WHERE c.x =‹=› 1', 'SC1001', /near '='/],
    ['SELECT c.‹value› FROM c', 'SC1001', /near 'value'/],
    ['SELECT c.‹order› FROM c', 'SC1001', /near 'order'/],
    ['SELECT * FROM c ‹;›', 'SC1001', /near ';'/],
    ["SELECT ‹'open› FROM c", 'SC1001', /near/],
    ["SELECT 'a‹\\x›' FROM c", 'SC1001', /near/],
    ['SELECT ‹12a› FROM c', 'SC1001', /near/],
    ['SELECT * FROM c WHERE c.x IN (‹)›', 'SC1001', /near '\)'/],
    ['SELECT * FROM c WHERE (c.x‹›', 'SC1001', /unexpected end/],
    ['SELECT TOP ‹-›1 * FROM c', 'SC1001', /near '-'/],
    ['SELECT * FROM c OFFSET 1‹›', 'SC1001', /unexpected end/],
    ['SELECT * FROM c GROUP BY c.x ‹HAVING› c.x > 1', 'SC1001', /near 'HAVING'/],
    ['SELECT ‹d›.x FROM c', 'SC2001', /Identifier 'd' could not be resolved/],
    ['SELECT ‹Families›.x FROM Families f', 'SC2001', /'Families'/],
    ['SELECT VALUE k FROM c JOIN k IN ‹d›.children', 'SC2001', /'d'/],
    ['SELECT VALUE ‹FOO›(1)', 'SC2005', /'FOO' is not a recognized built-in function name/],
    ['SELECT VALUE ‹ABS()›', 'SC2000', /The ABS function requires 1 argument/],
    ["SELECT VALUE ‹StartsWith('a')›", 'SC2000', /STARTSWITH function requires 2 to 3/],
    ['SELECT ‹*› FROM c JOIN k IN c.children', 'SC2040', /single input set/],
    ['SELECT ‹*›', 'SC2040', /FROM clause is omitted/],
    ['SELECT ‹c.id›, COUNT(1) FROM c', 'SC2102', /'c.id' is invalid in the select list/],
    ['SELECT c.state, ‹c.id› FROM c GROUP BY c.state', 'SC2102', /'c.id'/],
    ['SELECT c.state, (SELECT VALUE ‹c.id›) AS x FROM c GROUP BY c.state', 'SC2102', /'c.id'/],
    ['SELECT * FROM c ORDER BY ‹UPPER(c.id)›', 'SC2206', /document path/],
    ['SELECT * FROM c ORDER BY ‹c›', 'SC2206', /document path/],
    ['SELECT * FROM c ORDER BY ‹1›', 'SC2206', /document path/],
    ['SELECT c.id FROM c JOIN k IN c.children ORDER BY ‹k.name›', 'SC2206', /correlated/],
    ['‹SELECT c.state FROM c GROUP BY c.state ORDER BY c.state›', 'SC2000', /GROUP BY/],
    ['‹SELECT TOP 1 * FROM c OFFSET 0 LIMIT 1›', 'SC2000', /TOP and OFFSET LIMIT/],
    ['SELECT * FROM c WHERE ‹COUNT(1)› > 1', 'SC2000', /select list only/],
    ['SELECT VALUE MAX(‹MIN(c.x)›) FROM c', 'SC2000', /not inside of another/],
    ['SELECT VALUE ‹@p›', 'SC2000', /'@p' has no value/],
    ['SELECT TOP ‹1.5› * FROM c', 'SC2000', /integer/],
    ["SELECT * FROM c WHERE c.x LIKE 'a' ESCAPE ‹'ab'›", 'SC2000', /one character/],
    ["SELECT VALUE ‹RegexMatch('a', '(')›", 'SC2000', /not a valid regular expression/],
    ["SELECT VALUE ‹RegexMatch('a', 'a', 'q')›", 'SC2000', /modifiers/],
    ["SELECT VALUE ‹'a' LIKE '[z-a]'›", 'SC2000', /range/],
    ['SELECT VALUE ‹udf.f(1)›', 'UNSUPPORTED', /udf\.f/],
    [
      'SELECT VALUE ‹FIRST›(SELECT VALUE k FROM k IN c.children) FROM c',
      'UNSUPPORTED',
      /FIRST of a subquery/,
    ],
    ['SELECT VALUE ‹VectorDistance›(c.v, [1]) FROM c', 'UNSUPPORTED', /VectorDistance/],
    ['SELECT * FROM c WHERE ‹FullTextContains›(c.x, "a")', 'UNSUPPORTED', /FullTextContains/],
    ['SELECT VALUE ‹ST_DISTANCE›(1, 2)', 'UNSUPPORTED', /ST_DISTANCE/],
    ['SELECT * FROM c ORDER BY ‹RANK› FullTextScore(c.x, "a")', 'UNSUPPORTED', /RANK/],
  ])('%s', (marked, code, message) => {
    const sql = marked.replace(/[‹›]/g, '');
    const error = errorOf(() => rows(sql));
    expect({ code: error.code, message: error.message }).toEqual({
      code,
      message: expect.stringMatching(message),
    });
    const start = marked.indexOf('‹');
    const end = marked.indexOf('›') - 1;
    if (code !== 'SC1001' || marked.includes('‹›')) expect([error.start, error.end]).toEqual([start, end]);
    else expect(error.start).toBe(start);
  });

  it('finds a scalar subquery with two rows when it runs', () => {
    const query = compileQuery('SELECT VALUE (SELECT VALUE k FROM k IN c.children) FROM c');
    expect(() => [...query.run([{ children: [1, 2] }])]).toThrow(/cardinality/);
    expect([...query.run([{ children: [1] }])]).toEqual([1]);
  });

  it('tells what it cannot do from what is wrong', () => {
    expect(errorOf(() => compileQuery('SELECT VALUE udf.f(1)')).unsupported).toBe(true);
    expect(errorOf(() => compileQuery('SELECT VALUE f(1)')).unsupported).toBe(false);
  });

  it.each([
    ['parentheses', `SELECT VALUE ${'('.repeat(100_000)}1${')'.repeat(100_000)}`],
    ['unary operators', `SELECT VALUE ${'-'.repeat(100_000)}1`],
    ['arrays', `SELECT VALUE ${'['.repeat(100_000)}`],
    ['a chain of sums', `SELECT VALUE 1${' + 1'.repeat(50_000)}`],
    ['a chain of members', `SELECT VALUE c${'.a'.repeat(50_000)} FROM c`],
    ['subqueries', `SELECT VALUE ${'(SELECT VALUE '.repeat(10_000)}1`],
    ['conditions', `SELECT VALUE ${'true ? 1 : '.repeat(50_000)}1`],
    ['defaults', `SELECT VALUE ${'1 ?? '.repeat(50_000)}1`],
    ['negations', `SELECT VALUE ${'NOT '.repeat(50_000)}true`],
    ['text', `SELECT VALUE "${'x'.repeat(600_000)}"`],
  ])('bounds %s', (_, sql) => {
    expect(errorOf(() => rows(sql)).code).toBe('SC1001');
  });

  it('ends a query whose values grow beyond all bounds', () => {
    const long = 'REPLICATE("ab", 5000)';
    const sql = `SELECT VALUE LENGTH(REPLACE(REPLACE(${long}, "a", ${long}), "b", ${long}))`;
    expect(errorOf(() => rows(sql)).message).toMatch(/too large/);
  });

  it('refuses parameters that nest without end', () => {
    const value = JSON.parse('['.repeat(100_000) + ']'.repeat(100_000)) as never;
    expect(errorOf(() => compileQuery('SELECT VALUE @p', [{ name: '@p', value }])).message).toMatch(
      /too deep/,
    );
  });

  it('takes long lists of conditions and values, which do not nest', () => {
    const ids = Array.from({ length: 5000 }, (_, i) => i);
    expect(
      rows(`SELECT VALUE c.n FROM c WHERE ${ids.map((i) => `c.n = ${i}`).join(' OR ')}`, [{ n: 4999 }]),
    ).toEqual([4999]);
    expect(
      rows(`SELECT VALUE c.n FROM c WHERE c.n IN (${ids.join(', ')})`, [{ n: 4999 }, { n: 5000 }]),
    ).toEqual([4999]);
  });

  it('allows ten joins and not more', () => {
    const joins = (count: number) => `SELECT VALUE 1 FROM c${' JOIN (SELECT VALUE 1)'.repeat(count)}`;
    expect(rows(joins(10), [{}])).toEqual([1]);
    expect(errorOf(() => rows(joins(11), [{}])).message).toMatch(/10 joins/);
  });
});
