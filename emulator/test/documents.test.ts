import { refusalOf, withEmulator } from './with-emulator.ts';

describe('documents', () => {
  it('go through create, read, replace, upsert, delete with the statuses of the service', () =>
    withEmulator(async ({ container }) => {
      const created = await container.items.create({ id: 'a', pk: 'p', n: 1 });
      expect(created.statusCode).toBe(201);
      expect(created.resource).toMatchObject({ id: 'a', pk: 'p', n: 1, _attachments: 'attachments/' });
      expect(await refusalOf(() => container.items.create({ id: 'a', pk: 'p' }))).toBe(409);
      const item = container.item('a', 'p');
      expect((await item.read()).resource).toEqual(created.resource);
      expect((await item.replace({ id: 'a', pk: 'p', n: 2 })).statusCode).toBe(200);
      expect((await container.items.upsert({ id: 'a', pk: 'p', n: 3 })).statusCode).toBe(200);
      expect((await container.items.upsert({ id: 'b', pk: 'p' })).statusCode).toBe(201);
      expect((await item.delete()).statusCode).toBe(204);
      expect((await item.read()).statusCode).toBe(404);
      expect(await refusalOf(() => item.delete())).toBe(404);
    }));

  it('are the same for one id under two partition keys', () =>
    withEmulator(async ({ container }) => {
      await container.items.create({ id: 'a', pk: 'one' });
      await container.items.create({ id: 'a', pk: 'two' });
      expect((await container.item('a', 'one').read()).resource).toMatchObject({ pk: 'one' });
      expect((await container.item('a', 'two').read()).resource).toMatchObject({ pk: 'two' });
    }));

  it.each([
    'a?b',
    'a?b=c&d',
    'a b',
    'a%20b',
    '100%',
    'WithAllowedSpecial,=.:~+-@()^${}[]!_Chars',
    '測試 ☃',
    'a+b',
  ])('may have the id %p', (id) =>
    withEmulator(async ({ container }) => {
      expect((await container.items.create({ id, pk: 'p' })).statusCode).toBe(201);
      const item = container.item(id, 'p');
      expect((await item.read()).resource).toMatchObject({ id });
      expect((await item.replace({ id, pk: 'p', n: 1 })).statusCode).toBe(200);
      expect((await item.delete()).statusCode).toBe(204);
    }),
  );

  it('keep their rid and change their etag when they are replaced', () =>
    withEmulator(async ({ container }) => {
      const { resource: first } = await container.items.create({ id: 'a', pk: 'p' });
      const { resource: second } = await container.item('a', 'p').replace({ id: 'a', pk: 'p' });
      expect(second?._rid).toBe(first?._rid);
      expect(second?._etag).not.toBe(first?._etag);
      expect(second?._etag).toMatch(/^"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"$/);
    }));

  it('are replaced and deleted only while If-Match holds', () =>
    withEmulator(async ({ container }) => {
      const { resource } = await container.items.create({ id: 'a', pk: 'p' });
      const item = container.item('a', 'p');
      const current = { accessCondition: { type: 'IfMatch', condition: resource?._etag ?? '' } };
      await item.replace({ id: 'a', pk: 'p', n: 1 }, current);
      expect(await refusalOf(() => item.replace({ id: 'a', pk: 'p', n: 2 }, current))).toBe(412);
      expect(await refusalOf(() => item.delete(current))).toBe(412);
      expect((await item.read()).resource).toMatchObject({ n: 1 });
    }));

  it('answer 304 to a read whose If-None-Match is their etag', () =>
    withEmulator(async ({ container }) => {
      const { resource } = await container.items.create({ id: 'a', pk: 'p' });
      const known = { accessCondition: { type: 'IfNoneMatch', condition: resource?._etag ?? '' } };
      expect((await container.item('a', 'p').read(known)).statusCode).toBe(304);
    }));

  it('are refused with 400 where the partition key of the body is another one', () =>
    withEmulator(async ({ container }) => {
      await container.items.create({ id: 'a', pk: 'p' });
      expect(await refusalOf(() => container.item('a', 'p').replace({ id: 'a', pk: 'q' }))).toBe(400);
    }));

  it('have at most 2 MB', () =>
    withEmulator(async ({ container }) => {
      const filler = 'x'.repeat(1024 * 1024);
      await container.items.create({ id: 'a', pk: 'p', filler });
      expect(await refusalOf(() => container.items.create({ id: 'b', pk: 'p', a: filler, b: filler }))).toBe(
        413,
      );
    }));

  it('have at most 128 levels of nesting', () =>
    withEmulator(async ({ container }) => {
      const nested = (levels: number): object => (levels === 0 ? {} : { child: nested(levels - 1) });
      expect(await refusalOf(() => container.items.create({ id: 'a', pk: 'p', ...nested(120) }))).toBe(0);
      expect(await refusalOf(() => container.items.create({ id: 'b', pk: 'p', ...nested(200) }))).toBe(400);
    }));

  it.each([
    ['a slash', 'a/b'],
    ['a backslash', 'a\\b'],
    ['a hash', 'a#b'],
    ['1024 bytes', 'x'.repeat(1024)],
  ])('are refused where the id has %s', (_, id) =>
    withEmulator(async ({ container }) => {
      // The SDK checks some of this itself; a batch goes out as it is.
      const { result } = await container.items.batch(
        [{ operationType: 'Create', resourceBody: { id, pk: 'p' } }],
        'p',
      );
      expect(result?.[0]?.statusCode).toBe(400);
    }),
  );
});

describe('all documents of a partition key', () => {
  it('are deleted at once, those of others stay', () =>
    withEmulator(async ({ container }) => {
      for (const pk of ['p', 'q']) for (const id of ['a', 'b']) await container.items.create({ id, pk });
      await container.deleteAllItemsForPartitionKey('p');
      const { resources } = await container.items.query('SELECT VALUE c.pk FROM c').fetchAll();
      expect(resources).toEqual(['q', 'q']);
    }));
});

describe('a patch', () => {
  it('adds, sets, replaces, removes, increments and moves', () =>
    withEmulator(async ({ container }) => {
      await container.items.create({ id: 'a', pk: 'p', n: 1, list: [1, 3], old: true, from: { deep: 'x' } });
      const { resource } = await container
        .item('a', 'p')
        .patch<Record<string, unknown>>([
          { op: 'add', path: '/list/1', value: 2 },
          { op: 'add', path: '/list/-', value: 4 },
          { op: 'set', path: '/list/0', value: 0 },
          { op: 'replace', path: '/old', value: false },
          { op: 'incr', path: '/n', value: 41 },
          { op: 'incr', path: '/fresh', value: 2 },
          { op: 'move', from: '/from/deep', path: '/to' } as never,
          { op: 'remove', path: '/from' },
        ]);
      expect(resource).toMatchObject({ n: 42, list: [0, 2, 3, 4], old: false, fresh: 2, to: 'x' });
      expect(resource).not.toHaveProperty('from');
    }));

  it('is applied only where its condition holds', () =>
    withEmulator(async ({ container }) => {
      await container.items.create({ id: 'a', pk: 'p', n: 1 });
      const patch = {
        operations: [{ op: 'set' as const, path: '/n', value: 2 }],
        condition: 'from c where c.n = 1',
      };
      const item = container.item('a', 'p');
      expect((await item.patch(patch)).statusCode).toBe(200);
      expect(await refusalOf(() => item.patch(patch))).toBe(412);
    }));

  it.each([
    ['a parent that is not there', { op: 'set', path: '/x/y', value: 1 }],
    ['a replace of nothing', { op: 'replace', path: '/x', value: 1 }],
    ['a removal of nothing', { op: 'remove', path: '/x' }],
    ['the id', { op: 'set', path: '/id', value: 'b' }],
    ['the partition key', { op: 'set', path: '/pk', value: 'q' }],
    ['an increment of text', { op: 'incr', path: '/text', value: 1 }],
    ['an unknown operation', { op: 'test', path: '/text', value: 1 }],
  ])('is refused for %s and changes nothing', (_, operation) =>
    withEmulator(async ({ container }) => {
      const { resource } = await container.items.create({ id: 'a', pk: 'p', text: 't' });
      const item = container.item('a', 'p');
      expect(await refusalOf(() => item.patch([operation as never]))).toBe(400);
      expect((await item.read()).resource).toEqual(resource);
    }),
  );

  it('has at most ten operations', () =>
    withEmulator(async ({ container }) => {
      await container.items.create({ id: 'a', pk: 'p' });
      const operations = Array.from({ length: 11 }, (_, n) => ({
        op: 'set' as const,
        path: `/n${n}`,
        value: n,
      }));
      const item = container.item('a', 'p');
      expect(await refusalOf(() => item.patch(operations))).toBe(400);
      expect(await refusalOf(() => item.patch(operations.slice(1)))).toBe(0);
    }));
});

describe('time to live', () => {
  it('hides a document at the second it ends, everywhere, and frees its id', async () => {
    let now = Date.now();
    await withEmulator(
      async ({ container }) => {
        await container.items.create({ id: 'short', pk: 'p', ttl: 10 });
        await container.items.create({ id: 'long', pk: 'p' });
        now += 11_000;
        expect((await container.item('short', 'p').read()).statusCode).toBe(404);
        const { resources } = await container.items
          .query('SELECT VALUE c.id FROM c', { partitionKey: 'p' })
          .fetchAll();
        expect(resources).toEqual(['long']);
        expect(await refusalOf(() => container.item('short', 'p').delete())).toBe(404);
        expect((await container.items.create({ id: 'short', pk: 'p' })).statusCode).toBe(201);
      },
      { now: () => now },
    );
  });

  it('of the container counts where the document has none, and -1 keeps a document', async () => {
    let now = Date.now();
    await withEmulator(
      async ({ container }) => {
        await container.items.create({ id: 'a', pk: 'p' });
        await container.items.create({ id: 'b', pk: 'p', ttl: -1 });
        now += 6_000;
        expect((await container.item('a', 'p').read()).statusCode).toBe(404);
        expect((await container.item('b', 'p').read()).statusCode).toBe(200);
      },
      { now: () => now, container: { defaultTtl: 5 } },
    );
  });

  it.each([0, -2, null, '5', 1.5, 2 ** 31])('refuses a ttl of %p', (ttl) =>
    withEmulator(async ({ container }) => {
      expect(await refusalOf(() => container.items.create({ id: 'a', pk: 'p', ttl: ttl as number }))).toBe(
        400,
      );
    }),
  );
});
