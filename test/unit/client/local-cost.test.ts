import { nodeSqlite } from '../../../client/src/drivers/node-sqlite.ts';
import type { SqlConnection } from '../../../client/src/sql/connection.ts';
import { LocalDatabase } from '../../../client/src/sql/local-database.ts';
import type { SyncResponse } from '../../../shared/protocol/index.ts';

/** What local work costs, in statements: counted, so that no machine's mood comes into it. */

const USER = 'alice';
const SCOPE = 'user:alice';
const NOW = '2026-11-21T10:00:00.000Z';
const MODEL = { collection: 'items', table: 'items', indexes: [] };

const kept: LocalDatabase[] = [];
afterEach(() => kept.splice(0).forEach((database) => database.close()));

function openCounted() {
  const connection = nodeSqlite(':memory:').connect() as SqlConnection;
  const said: string[] = [];
  const counted: SqlConnection = {
    ...connection,
    run: (sql, params) => {
      said.push(sql.trim());
      return connection.run(sql, params);
    },
    all: (sql, params) => {
      said.push(sql.trim());
      return connection.all(sql, params);
    },
  };
  let ids = 0;
  const database = new LocalDatabase(counted, [MODEL], USER, {
    now: () => Date.parse(NOW),
    createId: () => `id-${(ids += 1)}`,
    fingerprint: null,
  });
  kept.push(database);
  database.openUser(USER);
  return {
    database,
    /** The statements that some work ran. */
    during: (work: () => void): string[] => {
      said.length = 0;
      work();
      return [...said];
    },
  };
}

const upsert = (database: LocalDatabase, ids: readonly string[], n = 1): void => {
  const documents = ids.map((documentId) => ({ documentId, content: JSON.stringify({ n }) }));
  database.write(USER, [{ kind: 'upsert', collection: 'items', scope: null, documents, track: true }], []);
};
const idsTo = (count: number) => Array.from({ length: count }, (_, index) => `d${index}`);

it('one document is one statement, stored and noted, whether it was there or not', () => {
  const { database, during } = openCounted();
  upsert(database, ['first']);
  expect(during(() => upsert(database, ['d']))).toEqual([
    expect.stringMatching(/^INSERT INTO "Tidemark_Upsert_items"/),
  ]);
  expect(during(() => upsert(database, ['d'], 2))).toHaveLength(1);
  expect(database.get(USER, 'items', null, 'd')?.content).toEqual({ n: 2 });
  expect(database.facts(USER).pending).toBe(2);
});

it('many documents are one statement each, and one for all that notes them', () => {
  const { database, during } = openCounted();
  upsert(database, ['first']);
  const said = during(() => upsert(database, idsTo(200)));
  expect(said).toHaveLength(1 + 1 + 200 + 1);
  expect([said[0], said.at(-1)]).toEqual(['BEGIN IMMEDIATE', 'COMMIT']);
});

it('what to send is looked for once in a request, however much waits', () => {
  const { database, during } = openCounted();
  upsert(database, idsTo(500));
  confirm(database);
  const said = during(() => compose(database, 300));
  expect(said.filter((sql) => sql.includes('ORDER BY Position'))).toHaveLength(1);
});

it('no content is written again because it is sent, or because it was taken', () => {
  const { database, during } = openCounted();
  upsert(database, idsTo(50));
  confirm(database);
  let composed = compose(database, 0);
  const sending = during(() => (composed = compose(database, 50)));
  expect(composed.request.changes).toHaveLength(50);
  const taking = during(() => {
    const results = (composed.request.changes ?? []).map(({ changeId }) => ({
      changeId: changeId ?? '',
      status: 'applied' as const,
      version: 'v1',
      lastModified: NOW,
    }));
    database.take(USER, composed, answer({ results }), null);
  });
  expect([...sending, ...taking].filter((sql) => sql.startsWith('INSERT INTO "items"'))).toEqual([]);
  expect(database.facts(USER).pending).toBe(0);
  expect(database.get(USER, 'items', null, 'd7')?.content).toEqual({ n: 1 });
});

const compose = (database: LocalDatabase, maxChanges: number) =>
  database.compose(USER, { collections: ['items'], maxChanges, maxBytes: 4_000_000 }, 'thin', null).composed;

const answer = (parts: Partial<SyncResponse>): SyncResponse => ({
  serverTime: NOW,
  results: [],
  delta: { documents: [], hasMore: false },
  checkpoints: {},
  streams: {},
  scopes: [SCOPE],
  resync: [],
  nextSyncRecommended: NOW,
  stats: { requests: 0, requestUnits: 0, milliseconds: 0, changes: 0, documents: 0, conflicts: 0 },
  ...parts,
});

/** The first answer names the user's scope: nothing is sent before it. */
const confirm = (database: LocalDatabase): void => {
  database.take(USER, compose(database, 1), answer({}), null);
};
