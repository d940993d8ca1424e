import fc from 'fast-check';
import { nodeSqlite } from '../../../client/src/drivers/node-sqlite.ts';
import type { SqlConnection } from '../../../client/src/sql/connection.ts';
import { compileQuery, type PlainQuery } from '../../../client/src/sql/query.ts';
import { migrate } from '../../../client/src/sql/schema.ts';

const MODEL = { collection: 'items', table: 'items', indexes: ['size', 'address.city'] };
const KEY = ['alice', 'user:alice'];

let connection: SqlConnection;
beforeEach(() => {
  connection = nodeSqlite(':memory:').connect() as SqlConnection;
});
afterEach(() => connection.close());

function explain(query: PlainQuery): string {
  const { clause, params } = compileQuery(query, MODEL.indexes);
  const statement = `EXPLAIN QUERY PLAN SELECT Content FROM items WHERE UserId = ? AND Scope = ?${clause}`;
  return connection
    .all(statement, [...KEY, ...params])
    .map(({ detail }) => String(detail))
    .join('\n');
}

const BY_INDEX: Record<string, PlainQuery> = {
  'a value': { where: { size: 1 } },
  'a value, some at a time': { where: { size: 1 }, limit: 10, offset: 20 },
  nothing: { where: { size: null } },
  'a range': { where: { size: { gt: 1, lte: 2 } } },
  'one end of a range': { where: { size: { gte: 'a' } }, limit: 10 },
  'several values': { where: { size: { in: [1, 2, 3] } } },
  'several values, some at a time': { where: { size: { in: [1, 2, 3] } }, limit: 10 },
  'the beginning of a text': { where: { size: { startsWith: 'ab' } } },
  'an order': { orderBy: 'size', limit: 10 },
  'one of two members': { where: { title: 'x', size: 3 } },
};
for (const [name, query] of Object.entries(BY_INDEX)) {
  it(`${name} of an indexed member is found by its index`, () => {
    migrate(connection, [MODEL], 'alice', '');
    expect(explain(query)).toContain('items_by_size');
  });
}

it('what an index finds for one value comes in the order of ids, without being sorted', () => {
  migrate(connection, [MODEL], 'alice', '');
  expect(explain({ where: { 'address.city': 'Bern' } })).not.toContain('TEMP B-TREE');
});

it('indexes of the first version are made anew, with the id behind the member', () => {
  migrate(connection, [{ ...MODEL, indexes: [] }], 'alice', '');
  connection.exec(
    `CREATE INDEX items_by_size ON items (UserId, Scope, json_extract(Content, '$."size"'));
     INSERT INTO items VALUES ('d', '{"size":1}', '', 'alice', 'user:alice', NULL)`,
  );
  const query = { where: { size: 1 } };
  expect(explain(query)).not.toContain('items_by_size');
  for (let opened = 0; opened < 2; opened += 1) {
    migrate(connection, [MODEL], 'alice', '');
    expect(explain(query)).toContain('items_by_size');
  }
  const { clause, params } = compileQuery(query, MODEL.indexes);
  const found = connection.all(`SELECT ID FROM items WHERE UserId = ? AND Scope = ?${clause}`, [
    ...KEY,
    ...params,
  ]);
  expect(found).toMatchObject([{ ID: 'd' }]);
});

it('the beginning of a text is what JavaScript calls so, whatever its characters', () => {
  const characters = fc.constantFrom('a', 'b', '', '%', '\ud7ff', '\ue000', '\uffff', '😀', '\u{10ffff}');
  const text = fc.string({ unit: characters, maxLength: 4 });
  connection.exec('CREATE TABLE texts (Content TEXT NOT NULL)');
  fc.assert(
    fc.property(fc.array(text, { minLength: 1, maxLength: 8 }), text, (texts, prefix) => {
      connection.run('DELETE FROM texts');
      for (const title of [...texts, 17, null]) {
        connection.run('INSERT INTO texts VALUES (?)', [JSON.stringify({ title })]);
      }
      const { clause, params } = compileQuery({ where: { title: { startsWith: prefix } } }, []);
      const where = clause.slice(0, clause.indexOf(' ORDER BY'));
      const found = connection.all(`SELECT Content FROM texts WHERE true${where}`, params);
      expect(found).toHaveLength(texts.filter((each) => each.startsWith(prefix)).length);
    }),
  );
});
