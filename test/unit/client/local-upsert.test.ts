import type { Change, RemoteDocument } from '../../../shared/protocol/index.ts';
import type { Address } from '../../../client/src/core/row-store.ts';
import { nodeSqlite } from '../../../client/src/drivers/node-sqlite.ts';
import { edit, EMPTY_ROW, type Edit, type Row } from '../../../client/src/row.ts';
import type { SqlConnection } from '../../../client/src/sql/connection.ts';
import { migrate } from '../../../client/src/sql/schema.ts';
import { SqlRowStore, statementsOf } from '../../../client/src/sql/sql-row-store.ts';

/**
 * A local upsert is written in SQL, without reading its row. It has to make the same of every row as `edit`, which says what
 * an edit is.
 */

const MODEL = { collection: 'items', table: 'items', indexes: [] };
const USER = 'alice';
const SCOPE = 'user:alice';
const EARLIER = '2026-11-21T10:00:00.000Z';
const NOW = '2026-11-21T10:00:01.000Z';

let connection: SqlConnection;
let store: SqlRowStore;
beforeEach(() => {
  connection = nodeSqlite(':memory:').connect() as SqlConnection;
  migrate(connection, [MODEL], USER, EARLIER);
  const statements = statementsOf(MODEL);
  for (const statement of statements.setup) connection.run(statement);
  let position = 0;
  const session = {
    knownScopes: new Set<string>(),
    takePositions: (count: number) => {
      position += count;
      return position - count + 1;
    },
  };
  store = new SqlRowStore(connection, USER, new Map([['items', statements]]), session);
});
afterEach(() => connection.close());

const at = (documentId: string): Address => ({ scope: SCOPE, collection: 'items', documentId });
const upsert = (ids: readonly string[], n: number): void =>
  store.upsert(
    'items',
    SCOPE,
    ids.map((documentId) => ({ documentId, content: JSON.stringify({ n }) })),
    NOW,
  );

const change = (type: 'upsert' | 'delete'): Change => {
  const common = { changeId: 'c1', seq: 7, scope: SCOPE, collection: 'items', documentId: 'd' };
  const edited = { ...common, baseVersion: 'v1', lastModified: EARLIER, base: { n: 1 } };
  return type === 'delete' ? { ...edited, type } : { ...edited, type, data: { n: 2 } };
};
const shadow: RemoteDocument = {
  scope: SCOPE,
  collection: 'items',
  documentId: 'd',
  version: 'v9',
  lastModified: EARLIER,
  deleted: false,
  userId: 'bob',
  deviceId: 'tablet',
  data: { n: 9 },
};
const dirty = (type: Edit['type'], data: Row['data'], baseVersion: string | null): Edit => ({
  type,
  data,
  baseVersion,
  base: baseVersion === null ? null : { n: 1 },
  lastModified: EARLIER,
  transaction: null,
});

const ROWS: Record<string, Row> = {
  'no document': EMPTY_ROW,
  'a tombstone': { ...EMPTY_ROW, base: 'v1' },
  'a document as the service has it': { ...EMPTY_ROW, data: { n: 1 }, base: 'v1' },
  'a document of which only the device knows': { ...EMPTY_ROW, data: { n: 1 } },
  'a new document that waits': { ...EMPTY_ROW, data: { n: 1 }, dirty: dirty('upsert', { n: 1 }, null) },
  'an upsert that waits': {
    ...EMPTY_ROW,
    data: { n: 2 },
    base: 'v1',
    dirty: dirty('upsert', { n: 2 }, 'v1'),
  },
  'a patch that waits': { ...EMPTY_ROW, data: { n: 2 }, base: 'v1', dirty: dirty('patch', { n: 2 }, 'v1') },
  'a delete that waits': { ...EMPTY_ROW, base: 'v1', dirty: dirty('delete', null, 'v1') },
  'a delete that waits, of what the service never had': { ...EMPTY_ROW, dirty: dirty('delete', null, null) },
  'an upsert in flight': { ...EMPTY_ROW, data: { n: 2 }, base: 'v1', inFlight: change('upsert') },
  'a delete in flight': { ...EMPTY_ROW, base: 'v1', inFlight: change('delete') },
  'an edit behind one in flight': {
    ...EMPTY_ROW,
    data: { n: 3 },
    base: 'v1',
    inFlight: change('upsert'),
    dirty: { ...dirty('patch', { n: 3 }, 'v1'), base: { n: 2 } },
  },
  'a patch in flight, and what came meanwhile': {
    ...EMPTY_ROW,
    data: { n: 2 },
    base: 'v1',
    inFlight: change('upsert'),
    whole: { data: { n: 2 }, base: { n: 1 } },
    shadow,
  },
};

for (const [name, row] of Object.entries(ROWS)) {
  it(`makes of ${name} what an edit is, alone and among others`, () => {
    const expected = edit(row, { n: 5 }, NOW);
    for (const id of ['alone', 'among']) store.setRow(at(id), row);
    upsert(['alone'], 5);
    upsert(['before', 'among', 'behind'], 5);
    expect(store.row(at('alone'))).toEqual(expected);
    expect(store.row(at('among'))).toEqual(expected);
    expect(store.row(at('before'))).toEqual(edit(EMPTY_ROW, { n: 5 }, NOW));
  });
}

it('of two contents for one document in a call, the later one stays, made on what was there before both', () => {
  store.setRow(at('d'), { ...EMPTY_ROW, data: { n: 1 }, base: 'v1' });
  const documents = [1, 2].map((n) => ({ documentId: 'd', content: JSON.stringify({ n: n * 10 }) }));
  store.upsert('items', SCOPE, documents, NOW);
  expect(store.row(at('d'))).toEqual(edit({ ...EMPTY_ROW, data: { n: 1 }, base: 'v1' }, { n: 20 }, NOW));
});

it('edits are sent in the order in which they were made first', () => {
  upsert(['c'], 1);
  upsert(['b', 'a'], 1);
  upsert(['d'], 1);
  upsert(['c', 'a'], 2);
  expect([...store.waiting(10, [])].map(({ address }) => address.documentId)).toEqual(['c', 'b', 'a', 'd']);
});

it('ids that JSON or SQL spell otherwise arrive as they are', () => {
  const ids = ['"quoted"', "it's", 'ü😀', ' ', '{"a":1}', '17', 'null'];
  upsert(ids, 1);
  expect([...store.waiting(10, [])].map(({ address, row }) => [address.documentId, row.data])).toEqual(
    ids.map((id) => [id, { n: 1 }]),
  );
});
