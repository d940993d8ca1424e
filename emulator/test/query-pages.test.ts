import type { Container, FeedOptions } from '@azure/cosmos';
import { Cursors, RowCursor } from '../src/documents/cursors.ts';
import { sendSigned } from './raw-request.ts';
import { refusalOf, withEmulator } from './with-emulator.ts';

const sql = 'SELECT VALUE c.n FROM c ORDER BY c.n DESC';

async function fill(container: Container, count: number): Promise<void> {
  for (let n = 0; n < count; n++) await container.items.create({ id: `${n}`, pk: 'p', n });
}

/** One page of a query of the partition, with what it cost. */
async function page(
  container: Container,
  query: string,
  continuationToken?: string,
  options: FeedOptions = {},
): Promise<{ rows: unknown[]; charge: number; next: string | undefined }> {
  const answer = await container.items
    .query<unknown>(query, {
      partitionKey: 'p',
      maxItemCount: 10,
      ...(continuationToken === undefined ? {} : { continuationToken }),
      ...options,
    })
    .fetchNext();
  return { rows: answer.resources, charge: answer.requestCharge, next: answer.continuationToken };
}

const descending = (from: number, count: number) => Array.from({ length: count }, (_, i) => from - i);

describe('the next page of a query that sorts', () => {
  it('reads no document again', () =>
    withEmulator(async ({ container }) => {
      await fill(container, 35);
      const first = await page(container, sql);
      const second = await page(container, sql, first.next);
      const third = await page(container, sql, second.next);
      const fourth = await page(container, sql, third.next);
      expect([first, second, third, fourth].map(({ rows }) => rows)).toEqual([
        descending(34, 10),
        descending(24, 10),
        descending(14, 10),
        descending(4, 5),
      ]);
      expect(fourth.next).toBeUndefined();
      // 0.03 for each document loaded, and 2.3 for the page.
      expect([first, second, third, fourth].map(({ charge }) => charge)).toEqual([3.35, 2.3, 2.3, 2.3]);
    }));

  it('is there as often as it is asked for, and in any order', () =>
    withEmulator(async ({ container }) => {
      await fill(container, 25);
      const { next } = await page(container, sql);
      const once = await page(container, sql, next);
      const last = await page(container, sql, once.next);
      const again = await page(container, sql, next);
      expect(again.rows).toEqual(once.rows);
      expect(again.charge).toBeGreaterThan(once.charge);
      expect(last.rows).toEqual(descending(4, 5));
    }));

  it('is another one after a write, for another question, and for other parameters', () =>
    withEmulator(async ({ container }) => {
      await fill(container, 25);
      const { next } = await page(container, sql);
      await container.items.create({ id: 'new', pk: 'p', n: 100 });
      expect((await page(container, sql, next)).rows).toEqual(descending(15, 10));
      expect((await page(container, 'SELECT VALUE c.n + 1 FROM c ORDER BY c.n DESC', next)).rows).toEqual(
        descending(16, 10),
      );
    }));

  it('knows what expired meanwhile', () => {
    let now = Date.now();
    return withEmulator(
      async ({ container }) => {
        for (let n = 0; n < 25; n++)
          await container.items.create({ id: `${n}`, pk: 'p', n, ttl: n < 10 ? 5 : 50 });
        const { next } = await page(container, sql);
        now += 10_000;
        const second = await page(container, sql, next);
        expect(second).toMatchObject({ rows: descending(14, 5), next: undefined });
      },
      { now: () => now },
    );
  });

  it.each([
    ['SELECT DISTINCT VALUE c.n FROM c', 25],
    ['SELECT TOP 17 VALUE c.n FROM c', 17],
    ['SELECT VALUE c.n FROM c OFFSET 3 LIMIT 15', 15],
    ['SELECT VALUE c.n FROM c ORDER BY c.n OFFSET 3 LIMIT 15', 15],
    ['SELECT c.n, COUNT(1) AS k FROM c GROUP BY c.n', 25],
  ])('%s: the pages together are the whole', (query, count) =>
    withEmulator(async ({ container }) => {
      await fill(container, 25);
      const whole = (await page(container, query, undefined, { maxItemCount: 100 })).rows;
      const rows: unknown[] = [];
      let next: string | undefined;
      do {
        const answer = await page(container, query, next);
        rows.push(...answer.rows);
        next = answer.next;
      } while (next !== undefined);
      expect(whole).toHaveLength(count);
      expect(rows).toEqual(whole);
    }),
  );
});

describe('kept rows', () => {
  const half = 17 * 1024 * 1024;

  it('make room for newer ones, the oldest first, and are given out once', () => {
    const cursors = new Cursors();
    cursors.keep('old', new RowCursor([1]), half);
    cursors.keep('new', new RowCursor([2]), half);
    expect(cursors.take('old')).toBeUndefined();
    expect(cursors.take('new')?.rows.take()).toBe(2);
    expect(cursors.take('new')).toBeUndefined();
  });

  it('are not kept where they are too many', () => {
    const cursors = new Cursors();
    cursors.keep('huge', new RowCursor([1]), 2 * half);
    expect(cursors.take('huge')).toBeUndefined();
  });
});

describe('a container with composite indexes', () => {
  const compositeIndexes = [
    [
      { path: '/a', order: 'ascending' as const },
      { path: '/b/c', order: 'descending' as const },
    ],
  ];
  const status = (container: Container, orderBy: string): Promise<number> =>
    refusalOf(() => container.items.query(`SELECT * FROM c ORDER BY ${orderBy}`).fetchAll());

  it.each([
    ['c.a, c.b.c DESC', 0],
    ['c.a DESC, c["b"].c', 0],
    ['c.a', 0],
    ['c.a, c.b.c', 400],
    ['c.b.c DESC, c.a', 400],
    ['c.a, c.b.c DESC, c.d', 400],
  ])('is sorted by %s with status %p', (orderBy, expected) =>
    withEmulator(
      async ({ container }) => {
        expect(await status(container, orderBy)).toBe(expected);
      },
      { partitions: 2, container: { indexingPolicy: { compositeIndexes } } },
    ),
  );

  it('is held to them; one without any is not', () =>
    withEmulator(async ({ container }) => {
      expect(await status(container, 'c.a, c.b')).toBe(0);
    }));
});

describe('index metrics', () => {
  const indexingPolicy = {
    includedPaths: [{ path: '/*' }],
    excludedPaths: [{ path: '/secret/*' }],
    compositeIndexes: [
      [
        { path: '/a', order: 'ascending' as const },
        { path: '/b', order: 'descending' as const },
      ],
    ],
  };
  const ask = 'SELECT * FROM c WHERE c.name = "x" AND c.secret.deep > 1 AND ARRAY_CONTAINS(c["a b"], 2)';

  it('name the indexes that a query uses and could use', () =>
    withEmulator(
      async ({ container }) => {
        const metrics = async (query: string): Promise<unknown> => {
          const options = { partitionKey: 'p', populateIndexMetrics: true };
          const { indexMetrics } = await container.items.query(query, options).fetchNext();
          return JSON.parse(indexMetrics);
        };
        expect(await metrics(ask)).toEqual({
          UtilizedIndexes: {
            SingleIndexes: [{ IndexSpec: '/name/?' }, { IndexSpec: '/"a b"/?' }],
            CompositeIndexes: [],
          },
          PotentialIndexes: { SingleIndexes: [{ IndexSpec: '/secret/deep/?' }], CompositeIndexes: [] },
        });
        expect(await metrics('SELECT * FROM c ORDER BY c.a DESC, c.b')).toMatchObject({
          UtilizedIndexes: { CompositeIndexes: [{ IndexSpecs: ['/a DESC', '/b ASC'] }] },
        });
      },
      { container: { indexingPolicy } },
    ));

  it('name the composite index that is missing', () =>
    withEmulator(async ({ container }) => {
      const options = { partitionKey: 'p', populateIndexMetrics: true };
      const { indexMetrics } = await container.items
        .query('SELECT * FROM c ORDER BY c.a, c.b["c d"] DESC', options)
        .fetchNext();
      expect(JSON.parse(indexMetrics)).toMatchObject({
        UtilizedIndexes: { SingleIndexes: [{ IndexSpec: '/a/?' }, { IndexSpec: '/b/"c d"/?' }] },
        PotentialIndexes: { CompositeIndexes: [{ IndexSpecs: ['/a ASC', '/b/"c d" DESC'] }] },
      });
    }));

  it('come in the older form to those that ask for it, and to nobody unasked', () =>
    withEmulator(
      async ({ emulator }) => {
        const header = async (headers: Record<string, string>): Promise<string | null> => {
          const answer = await sendSigned(emulator, {
            method: 'POST',
            path: 'dbs/db/colls/items/docs',
            headers: {
              'content-type': 'application/query+json',
              'x-ms-documentdb-isquery': 'True',
              ...headers,
            },
            body: { query: ask },
          });
          return answer.headers.get('x-ms-cosmos-index-utilization');
        };
        expect(await header({})).toBeNull();
        const older = await header({ 'x-ms-cosmos-populateindexmetrics': 'True' });
        expect(JSON.parse(Buffer.from(older ?? '', 'base64').toString())).toMatchObject({
          UtilizedSingleIndexes: [
            { IndexSpec: '/name/?', IndexImpactScore: 'High' },
            { IndexSpec: '/"a b"/?' },
          ],
          PotentialSingleIndexes: [{ IndexSpec: '/secret/deep/?' }],
          UtilizedCompositeIndexes: [],
          PotentialCompositeIndexes: [],
        });
      },
      { container: { indexingPolicy } },
    ));
});
