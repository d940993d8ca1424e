import fc from 'fast-check';
import { compileQuery, QueryError, queryPlan } from '../../src/query/index.ts';
import type { Json } from '../../src/query/index.ts';
import { FAMILIES } from './support.ts';

function isJson(value: unknown): boolean {
  if (typeof value === 'number') return Number.isFinite(value);
  if (Array.isArray(value)) return value.every(isJson);
  if (typeof value === 'object' && value !== null) return Object.values(value).every(isJson);
  return value !== undefined;
}

/** Does all there is to do with a text; throws only what is not a QueryError. */
function attempt(sql: string, parameters: { name: string; value: Json }[] = []): void {
  const check = (work: () => void) => {
    try {
      work();
    } catch (error) {
      if (!(error instanceof QueryError)) throw error;
      expect(error.message).not.toBe('');
      expect(error.start).toBeGreaterThanOrEqual(0);
      expect(error.end).toBeGreaterThanOrEqual(error.start);
      expect(error.end).toBeLessThanOrEqual(sql.length);
    }
  };
  check(() => {
    const query = compileQuery(sql, parameters);
    query.sqlite({ column: 'body' });
    let rows = 0;
    for (const row of query.run(FAMILIES)) {
      // What comes out is JSON, through and through.
      expect(isJson(row)).toBe(true);
      if (++rows > 50) break;
    }
  });
  check(() => {
    const { queryInfo } = queryPlan(sql, parameters, ['/id']);
    // What a plan asks partitions for is itself a query.
    if (queryInfo.rewrittenQuery !== '') compileQuery(queryInfo.rewrittenQuery, parameters);
  });
}

const QUERIES = [
  'SELECT TOP 3 c.id, c["state"] AS s, @p FROM c WHERE c.size >= 3.5 AND NOT c.registered ORDER BY c.id DESC, c.state',
  'SELECT DISTINCT VALUE {a: c.id, b: [1, "x", null, undefined]} FROM root AS c OFFSET 1 LIMIT 2',
  'SELECT c.state, COUNT(1) AS n, AVG(c.size) FROM c GROUP BY c.state',
  "SELECT VALUE k.name FROM c JOIN k IN c.children WHERE k.grade BETWEEN 1 AND 5 OR k.name LIKE 'J%' ESCAPE '!'",
  'SELECT c.id, ARRAY(SELECT VALUE p.name FROM p IN c.children[0].pets) AS pets FROM c WHERE EXISTS(SELECT 1 FROM k IN c.children)',
  'SELECT (SELECT VALUE MAX(k.grade) FROM k IN c.children) ?? 0, c.size > 3 ? "big" : "small" FROM Families c',
  'SELECT VALUE DateTimeAdd("mm", 1, "2020-01-31") || TRIM(" a ") || ToString(ROUND(-1.5, 1) % 2 & 3 | 4 ^ 5 << 1)',
  'SELECT * FROM c WHERE c.id IN ("smith", @p) AND IS_DEFINED(c.address.city) AND ARRAY_CONTAINS(c.children, {name: "Lisa"}, true)',
  'SELECT COUNT(1) FROM (SELECT DISTINCT c.state FROM c) -- comment',
];

const PIECES = QUERIES.flatMap((sql) => sql.match(/\w+|"[^"]*"|'[^']*'|\S/g) ?? []);

describe('no text makes anything but a QueryError', () => {
  it('holds for the queries that are mutated below', () => {
    for (const sql of QUERIES) {
      expect([...compileQuery(sql, [{ name: '@p', value: 1 }]).run(FAMILIES)]).toBeDefined();
    }
  });

  it('random text', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string({ unit: 'binary' }), fc.string()), (noise) => {
        attempt(noise);
        attempt(`SELECT ${noise}`);
        attempt(`SELECT VALUE c FROM c WHERE ${noise}`);
      }),
      { numRuns: 150 },
    );
  });

  it('random rows of words', () => {
    fc.assert(
      fc.property(fc.array(fc.constantFrom(...PIECES), { maxLength: 25 }), (words) => {
        attempt(words.join(' '));
        attempt(`SELECT VALUE ${words.join(' ')}`);
        attempt(`SELECT * FROM c WHERE ${words.join(' ')}`);
      }),
      { numRuns: 150 },
    );
  });

  it('queries with parts taken out, put in and exchanged', () => {
    const edit = fc.tuple(
      fc.nat(),
      fc.nat(3),
      fc.oneof(fc.constantFrom(...PIECES), fc.string({ unit: 'binary', maxLength: 2 })),
    );
    fc.assert(
      fc.property(
        fc.constantFrom(...QUERIES),
        fc.array(edit, { minLength: 1, maxLength: 4 }),
        fc.jsonValue(),
        (sql, edits, value) => {
          let text = sql;
          for (const [place, length, piece] of edits) {
            const at = place % (text.length + 1);
            text = text.slice(0, at) + piece + text.slice(at + length);
          }
          attempt(text, [{ name: '@p', value: value as Json }]);
        },
      ),
      { numRuns: 250 },
    );
  });

  it('functions of any arguments', () => {
    const names =
      'ABS ACOS ASIN ATAN ATN2 CEILING COS COT DEGREES EXP FLOOR LOG LOG10 NumberBin POWER RADIANS ROUND SIGN SIN SQRT SQUARE TAN TRUNC ' +
      'IntAdd IntBitAnd IntBitLeftShift IntBitNot IntBitOr IntBitRightShift IntBitXor IntDiv IntMod IntMul IntSub ' +
      'CONCAT CONTAINS ENDSWITH INDEX_OF LASTINDEXOF LEFT LENGTH LOWER LTRIM REGEXMATCH REPLACE REPLICATE REVERSE RIGHT RTRIM STARTSWITH ' +
      'STRINGEQUALS StringToArray StringToBoolean StringToNull StringToNumber StringToObject SUBSTRING ToString TRIM UPPER StringJoin ' +
      'StringSplit CONTAINS_ANY_CI CONTAINS_ALL_CS ARRAY_CONCAT ARRAY_CONTAINS ARRAY_CONTAINS_ANY ARRAY_CONTAINS_ALL ARRAY_LENGTH ' +
      'ARRAY_SLICE ARRAY_SUM ARRAY_AVG ARRAY_MEDIAN ARRAY_MAX ARRAY_MIN CHOOSE ObjectToArray SetIntersect SetUnion SetDifference SetEqual ' +
      'IIF DateTimeAdd DateTimeBin DateTimeDiff DateTimeFromParts DateTimePart DateTimeToTicks DateTimeToTimestamp TicksToDateTime ' +
      'TimestampToDateTime YEAR MONTH DAY DocumentId IS_DEFINED IS_INTEGER';
    const argument = fc.oneof(
      fc.jsonValue({ maxDepth: 2 }),
      fc.constantFrom<unknown>(
        'yyyy',
        'mm',
        'dd',
        'ns',
        '2020-02-29',
        '9999-12-31T23:59:59.9999999Z',
        '0001-01-01',
        -1,
        0,
        1,
        2 ** 53,
        1e308,
        -1e308,
        1e16,
      ),
      fc.double({ noNaN: true, noDefaultInfinity: true }),
      fc.string({ unit: 'binary' }),
    );
    fc.assert(
      fc.property(
        fc.constantFrom(...names.split(' ')),
        fc.array(argument, { maxLength: 7 }),
        (name, list) => {
          const parameters = list.map((value, i) => ({ name: `@p${i}`, value: value as Json }));
          const names = parameters.map((parameter) => parameter.name);
          attempt(`SELECT VALUE [${name}(${names.join(', ')})]`, parameters);
          // Infinity and NaN cannot be parameters.
          attempt(
            `SELECT VALUE [${name}(${names.map((n, i) => (i % 2 ? n : `1/${i}`)).join(', ')})]`,
            parameters,
          );
          attempt(
            `SELECT VALUE [${name}(${names.map((n, i) => (i % 2 ? '0/0' : n)).join(', ')})]`,
            parameters,
          );
        },
      ),
      { numRuns: 350 },
    );
  });
});
