import type { Container, OperationInput } from '@azure/cosmos';
import { startFrom, withEmulator } from './with-emulator.ts';

const create = (id: string, more: object = {}): OperationInput => ({
  operationType: 'Create',
  resourceBody: { id, pk: 'p', ...more },
});

async function idsOf(container: Container): Promise<string[]> {
  const query = container.items.query<string>('SELECT VALUE c.id FROM c', { partitionKey: 'p' });
  return (await query.fetchAll()).resources;
}

describe('the transactional batch', () => {
  it('applies every kind of operation and answers each', () =>
    withEmulator(async ({ container }) => {
      await container.items.batch([create('r'), create('d'), create('x', { n: 1 })], 'p');
      const { code, result } = await container.items.batch(
        [
          create('c'),
          { operationType: 'Upsert', resourceBody: { id: 'u', pk: 'p' } },
          { operationType: 'Read', id: 'r' },
          { operationType: 'Replace', id: 'r', resourceBody: { id: 'r', pk: 'p', n: 2 } },
          { operationType: 'Delete', id: 'd' },
          {
            operationType: 'Patch',
            id: 'x',
            resourceBody: {
              operations: [{ op: 'incr', path: '/n', value: 1 }],
              condition: 'from c where c.n = 1',
            },
          },
        ] as OperationInput[],
        'p',
      );
      expect(code).toBe(200);
      expect(result?.map(({ statusCode }) => statusCode)).toEqual([201, 201, 200, 200, 204, 200]);
      expect(result?.[5]?.resourceBody).toMatchObject({ n: 2 });
      expect((await idsOf(container)).sort()).toEqual(['c', 'r', 'u', 'x']);
    }));

  it('is rolled back as a whole: the culprit keeps its status, the others answer 424', () =>
    withEmulator(async ({ container }) => {
      await container.items.create({ id: 'a', pk: 'p' });
      const { code, result } = await container.items.batch([create('b'), create('a'), create('c')], 'p');
      expect(code).toBe(207);
      expect(result?.map(({ statusCode }) => statusCode)).toEqual([424, 409, 424]);
      expect(await idsOf(container)).toEqual(['a']);
    }));

  it('honours If-Match and patch conditions of single operations', () =>
    withEmulator(async ({ container }) => {
      const { resource } = await container.items.create({ id: 'a', pk: 'p', n: 1 });
      const replace = (ifMatch: string): OperationInput => ({
        operationType: 'Replace',
        id: 'a',
        ifMatch,
        resourceBody: { id: 'a', pk: 'p', n: 2 },
      });
      const stale = await container.items.batch([create('b'), replace('"stale"')], 'p');
      expect(stale.result?.map(({ statusCode }) => statusCode)).toEqual([424, 412]);
      const fresh = await container.items.batch([create('b'), replace(resource?._etag ?? '')], 'p');
      expect(fresh.result?.map(({ statusCode }) => statusCode)).toEqual([201, 200]);
      const patch = { operations: [{ op: 'set', path: '/n', value: 3 }], condition: 'from c where c.n = 1' };
      const conditional = await container.items.batch(
        [{ operationType: 'Patch', id: 'a', resourceBody: patch } as OperationInput],
        'p',
      );
      expect(conditional.result?.[0]?.statusCode).toBe(412);
    }));

  it('leaves documents out of the answer where the caller wants it short', () =>
    withEmulator(async ({ container }) => {
      const { result } = await container.items.batch([create('a')], 'p', {
        contentResponseOnWriteEnabled: false,
      });
      expect(result?.[0]).toMatchObject({ statusCode: 201, eTag: expect.stringMatching(/^".+"$/) as string });
      expect(result?.[0]).not.toHaveProperty('resourceBody');
    }));

  it('is refused as a whole where an operation names another partition key', () =>
    withEmulator(async ({ container }) => {
      const operations = (second: string): OperationInput[] => [
        { operationType: 'Create', resourceBody: { id: 'a', pk: 'p' }, partitionKey: 'p' },
        { operationType: 'Upsert', resourceBody: { id: 'b', pk: 'p' }, partitionKey: second },
      ];
      await expect(container.items.batch(operations('q'), 'p')).rejects.toThrow(
        'One or more operations within the batch request have a different partition key value than the request.',
      );
      expect((await container.items.readAll().fetchAll()).resources).toEqual([]);
      expect((await container.items.batch(operations('p'), 'p')).code).toBe(200);
    }));
});

describe('the change feed of one partition key', () => {
  it('gives latest versions in the order of change, then 304, and goes on from there', () =>
    withEmulator(async ({ container }) => {
      await container.items.create({ id: 'a', pk: 'p' });
      await container.items.create({ id: 'b', pk: 'p' });
      await container.items.create({ id: 'other', pk: 'q' });
      await container.items.upsert({ id: 'a', pk: 'p', again: true });
      const feed = container.items.getChangeFeedIterator({
        changeFeedStartFrom: startFrom.beginning('p'),
      });
      const first = await feed.readNext();
      expect(first.result.map(({ id }: { id: string }) => id)).toEqual(['b', 'a']);
      expect((await feed.readNext()).statusCode).toBe(304);
      await container.items.create({ id: 'c', pk: 'p' });
      const next = await feed.readNext();
      expect(next.result.map(({ id }: { id: string }) => id)).toEqual(['c']);
    }));

  it('never cuts a batch apart, whatever the page size', () =>
    withEmulator(async ({ container }) => {
      await container.items.create({ id: 'before', pk: 'p' });
      await container.items.batch(
        ['a', 'b', 'c'].map((id) => create(id)),
        'p',
      );
      await container.items.create({ id: 'after', pk: 'p' });
      const feed = container.items.getChangeFeedIterator({
        changeFeedStartFrom: startFrom.beginning('p'),
        maxItemCount: 1,
      });
      const pages: Record<string, unknown>[][] = [];
      for (let page = 0; page < 3; page++)
        pages.push((await feed.readNext()).result as unknown as Record<string, unknown>[]);
      expect(pages.map((page) => page.map(({ id }) => id))).toEqual([['before'], ['a', 'b', 'c'], ['after']]);
      expect(new Set(pages[1]?.map(({ _lsn }) => _lsn)).size).toBe(1);
    }));

  it('starts from now where it is asked to', () =>
    withEmulator(async ({ container }) => {
      await container.items.create({ id: 'old', pk: 'p' });
      const feed = container.items.getChangeFeedIterator({
        changeFeedStartFrom: startFrom.now('p'),
      });
      expect((await feed.readNext()).statusCode).toBe(304);
      await container.items.create({ id: 'new', pk: 'p' });
      expect((await feed.readNext()).result).toMatchObject([{ id: 'new' }]);
    }));

  it('shows neither deletes nor what has expired', async () => {
    let now = Date.now();
    await withEmulator(
      async ({ container }) => {
        await container.items.create({ id: 'deleted', pk: 'p' });
        await container.items.create({ id: 'expired', pk: 'p', ttl: 5 });
        await container.items.create({ id: 'kept', pk: 'p' });
        await container.item('deleted', 'p').delete();
        now += 10_000;
        const feed = container.items.getChangeFeedIterator({
          changeFeedStartFrom: startFrom.beginning('p'),
        });
        expect((await feed.readNext()).result).toMatchObject([{ id: 'kept' }]);
      },
      { now: () => now },
    );
  });
});
