import type { ContainerDefinition, IndexingPolicy } from '@azure/cosmos';
import { PermissionMode } from '@azure/cosmos';
import { send, sendSigned } from './raw-request.ts';
import { refusalOf, withEmulator } from './with-emulator.ts';

describe('the account', () => {
  it('has an id that is not localhost, and itself as its only location', () =>
    withEmulator(async ({ client, emulator }) => {
      const { resource } = await client.getDatabaseAccount();
      expect(resource?.writableLocations).toEqual([
        { name: 'Local', databaseAccountEndpoint: emulator.endpoint },
      ]);
      const { text } = await sendSigned(emulator, { method: 'GET', path: '' });
      expect((JSON.parse(text) as { id: string }).id).not.toBe('localhost');
    }));
});

describe('databases', () => {
  it('are created, read, listed, queried and deleted with everything in them', () =>
    withEmulator(async ({ client, database, container }) => {
      await container.items.create({ id: 'a', pk: 'p' });
      expect((await client.databases.createIfNotExists({ id: 'db' })).statusCode).toBe(200);
      expect(await refusalOf(() => client.databases.create({ id: 'db' }))).toBe(409);
      await client.databases.create({ id: 'second' });
      expect((await client.databases.readAll().fetchAll()).resources.map(({ id }) => id)).toEqual([
        'db',
        'second',
      ]);
      const { resources } = await client.databases
        .query({ query: 'SELECT * FROM d WHERE d.id = @id', parameters: [{ name: '@id', value: 'second' }] })
        .fetchAll();
      expect(resources).toMatchObject([{ id: 'second', _colls: 'colls/', _users: 'users/' }]);
      await database.delete();
      expect(await refusalOf(() => database.read())).toBe(404);
      await client.databases.create({ id: 'db' });
      await database.containers.create({ id: 'items', partitionKey: { paths: ['/pk'] } });
      expect((await container.item('a', 'p').read()).statusCode).toBe(404);
    }));

  it.each(['a/b', 'a\\b', 'a?b', 'a#b', 'a ', ''])('refuse the name %p', (id) =>
    withEmulator(async ({ emulator }) => {
      const answer = await sendSigned(emulator, { method: 'POST', path: 'dbs', body: { id } });
      expect(answer.status).toBe(400);
    }),
  );
});

describe('containers', () => {
  const definition = {
    id: 'full',
    partitionKey: { paths: ['/a/b'], version: 2 },
    defaultTtl: 60,
    indexingPolicy: {
      indexingMode: 'consistent' as const,
      automatic: true,
      includedPaths: [{ path: '/a/?' }],
      excludedPaths: [{ path: '/*' }],
    },
    uniqueKeyPolicy: { uniqueKeys: [{ paths: ['/email'] }] },
    conflictResolutionPolicy: { mode: 'LastWriterWins' as const, conflictResolutionPath: '/time' },
  };

  it('keep and give back what they were made with', () =>
    withEmulator(async ({ database }) => {
      const { resource } = await database.containers.create(definition);
      const { excludedPaths } = definition.indexingPolicy;
      expect(resource).toMatchObject({
        ...definition,
        // ETags are indexed nowhere: the service adds them to what is left out.
        indexingPolicy: {
          ...definition.indexingPolicy,
          excludedPaths: [...excludedPaths, { path: '/"_etag"/?' }],
        },
      });
      expect(resource?._rid).toMatch(/^[A-Za-z0-9+-]{11}=$/);
      expect(resource?._self).toMatch(/^dbs\/.+\/colls\/.+\/$/);
      expect((await database.container('full').read()).resource).toEqual(resource);
    }));

  it('have their indexing policy completed as the service completes it', () =>
    withEmulator(async ({ database }) => {
      const etag = { path: '/"_etag"/?' };
      const completed = async (id: string, indexingPolicy?: IndexingPolicy) =>
        (await database.containers.create({ id, ...(indexingPolicy ? { indexingPolicy } : {}) })).resource
          ?.indexingPolicy;
      const all = { indexingMode: 'consistent', automatic: true, includedPaths: [{ path: '/*' }] };
      expect(await completed('none given')).toEqual({ ...all, excludedPaths: [etag] });
      expect(await completed('empty', {})).toEqual({ ...all, excludedPaths: [etag] });
      expect(await completed('excludes', { excludedPaths: [{ path: '/a/*' }] })).toEqual({
        ...all,
        excludedPaths: [{ path: '/a/*' }, etag],
      });
      expect(await completed('off', { indexingMode: 'none' })).toEqual({
        indexingMode: 'none',
        automatic: false,
        includedPaths: [],
        excludedPaths: [],
      });
    }));

  it.each([
    [{ throughput: 400 }, 1],
    [{ throughput: 10_000 }, 1],
    [{ throughput: 10_100 }, 2],
    [{ throughput: 21_000 }, 4],
    [{ maxThroughput: 30_000 }, 5],
  ])('made with %p have %p physical partitions', (throughput, count) =>
    withEmulator(async ({ database }) => {
      const { container } = await database.containers.create({ id: 'wide', ...throughput });
      expect(await container.getFeedRanges()).toHaveLength(count);
    }),
  );

  it('tell what they hold and how far their index is, when asked', () =>
    withEmulator(async ({ container }) => {
      await container.items.create({ id: 'a', pk: 'p', text: 'x'.repeat(2000) });
      const { headers } = await container.read({ populateQuotaInfo: true });
      expect(headers['x-ms-documentdb-collection-index-transformation-progress']).toBe('100');
      expect(headers['x-ms-resource-usage']).toMatch(/documentsSize=3;documentsCount=1;collectionSize=3;/);
      expect(headers['x-ms-resource-quota']).toContain('documentsCount=-1;');
      const { headers: plain } = await container.read();
      expect(plain['x-ms-resource-usage']).toBeUndefined();
    }));

  it('have a conflicts feed, which is empty: one region has no conflicts', () =>
    withEmulator(async ({ container, emulator }) => {
      expect((await container.conflicts.readAll().fetchAll()).resources).toEqual([]);
      expect((await container.conflicts.query('SELECT * FROM c').fetchAll()).resources).toEqual([]);
      const none = { method: 'GET', path: 'dbs/db/colls/items/conflicts/none' };
      expect((await sendSigned(emulator, none)).status).toBe(404);
    }));

  it('are replaced except for their partition key', () =>
    withEmulator(async ({ container }) => {
      const { resource } = await container.read();
      expect((await container.replace({ ...resource, defaultTtl: 5 })).resource?.defaultTtl).toBe(5);
      const other = { ...resource, partitionKey: { paths: ['/other'] } } as ContainerDefinition;
      expect(await refusalOf(() => container.replace(other))).toBe(400);
    }));

  it.each([
    ['no path', { paths: [] }],
    ['a path without a slash', { paths: ['pk'] }],
    ['two paths of kind Hash', { paths: ['/a', '/b'] }],
    ['an unknown kind', { paths: ['/a'], kind: 'Range' }],
    ['four levels', { paths: ['/a', '/b', '/c', '/d'], kind: 'MultiHash', version: 2 }],
  ])('refuse a partition key with %s', (_, partitionKey) =>
    withEmulator(async ({ database }) => {
      const made = () => database.containers.create({ id: 'x', partitionKey: partitionKey as never });
      expect(await refusalOf(made)).toBe(400);
    }),
  );

  it('made without a partition key take documents without one', () =>
    withEmulator(async ({ database }) => {
      const { container } = await database.containers.create({ id: 'plain' });
      await container.items.create({ id: 'a', n: 1 });
      expect((await container.items.query('SELECT * FROM c').fetchAll()).resources).toMatchObject([
        { id: 'a', n: 1 },
      ]);
      expect((await container.item('a', undefined).read()).statusCode).toBe(200);
    }));

  it('made anew under the same name are other ones', () =>
    withEmulator(async ({ database, container }) => {
      const { resource: before } = await container.read();
      await container.items.create({ id: 'a', pk: 'p' });
      await container.delete();
      const { resource: after } = await database.containers.create({
        id: 'items',
        partitionKey: { paths: ['/pk'] },
      });
      expect(after?._rid).not.toBe(before?._rid);
      expect((await container.item('a', 'p').read()).statusCode).toBe(404);
    }));
});

describe('an indexing policy', () => {
  it('with named paths changes no answer, whatever their names, and can be replaced', () =>
    withEmulator(async ({ database }) => {
      const paths = ["/it's/?", '/"a b"/c/?', '/n/?', '/tags/[]/?', '/rest/*'];
      const policy = (included: string[]) => ({
        indexingMode: 'consistent' as const,
        includedPaths: included.map((path) => ({ path })),
        excludedPaths: [{ path: '/*' }],
      });
      const { container } = await database.containers.create({
        id: 'indexed',
        partitionKey: { paths: ['/pk'] },
        indexingPolicy: policy(paths),
      });
      for (let n = 0; n < 20; n++)
        await container.items.create({ id: `i${n}`, pk: 'p', n, "it's": n % 3, 'a b': { c: n % 2 === 0 } });
      const ask = async (where: string): Promise<number> => {
        const query = `SELECT * FROM c WHERE ${where}`;
        return (await container.items.query(query, { partitionKey: 'p' }).fetchAll()).resources.length;
      };
      const answers = () =>
        Promise.all(['c.n >= 15', 'c["it\'s"] = 1', 'c["a b"].c = true', 'c.n = "1"'].map(ask));
      expect(await answers()).toEqual([5, 7, 10, 0]);
      const { resource } = await container.read();
      await container.replace({ ...resource, indexingPolicy: policy(['/n/?']) });
      expect(await answers()).toEqual([5, 7, 10, 0]);
      await container.delete();
    }));
});

describe('paging', () => {
  it('goes through every feed and query a page at a time', () =>
    withEmulator(async ({ client, database, container }) => {
      for (let n = 0; n < 5; n++) {
        await client.databases.create({ id: `d${n}` });
        await database.users.create({ id: `u${n}` });
        await container.items.create({ id: `i${n}`, pk: 'p', tags: [1, 2] });
      }
      const pages = async (iterator: { getAsyncIterator(): AsyncIterable<{ resources: unknown[] }> }) => {
        const sizes: number[] = [];
        for await (const { resources } of iterator.getAsyncIterator()) sizes.push(resources.length);
        return sizes;
      };
      const two = { maxItemCount: 2, partitionKey: 'p' };
      expect(await pages(client.databases.readAll({ maxItemCount: 2 }))).toEqual([2, 2, 2]);
      expect(await pages(database.users.readAll({ maxItemCount: 2 }))).toEqual([2, 2, 1]);
      expect(await pages(container.items.query('SELECT * FROM c', two))).toEqual([2, 2, 1]);
      expect(await pages(container.items.query('SELECT * FROM c ORDER BY c.id DESC', two))).toEqual([
        2, 2, 1,
      ]);
      expect(
        await pages(container.items.query('SELECT t FROM c JOIN t IN c.tags', { ...two, maxItemCount: 3 })),
      ).toEqual([3, 3, 3, 1]);
    }));

  it('of a query loses and repeats nothing while documents come and go', () =>
    withEmulator(async ({ container }) => {
      for (let n = 0; n < 6; n++) await container.items.create({ id: `i${n}`, pk: 'p' });
      const query = container.items.query<{ id: string }>('SELECT * FROM c', {
        maxItemCount: 2,
        partitionKey: 'p',
      });
      const seen = (await query.fetchNext()).resources.map(({ id }) => id);
      await container.item('i0', 'p').delete();
      await container.items.create({ id: 'late', pk: 'p' });
      while (query.hasMoreResults()) seen.push(...(await query.fetchNext()).resources.map(({ id }) => id));
      expect(seen).toEqual(['i0', 'i1', 'i2', 'i3', 'i4', 'i5', 'late']);
    }));
});

describe('users and permissions', () => {
  it('are created, upserted, replaced, listed and deleted', () =>
    withEmulator(async ({ database, container }) => {
      const { user } = await database.users.create({ id: 'u' });
      expect((await database.users.upsert({ id: 'u' })).statusCode).toBe(200);
      expect((await user.replace({ id: 'renamed' })).resource?.id).toBe('renamed');
      const renamed = database.user('renamed');
      const definition = { id: 'p', permissionMode: PermissionMode.Read, resource: container.url };
      const { resource } = await renamed.permissions.create(definition);
      expect((resource as unknown as { _token: string })._token).toMatch(/^type=resource&ver=1&sig=.+;.+;$/);
      const all = { ...definition, permissionMode: PermissionMode.All };
      expect((await renamed.permission('p').replace(all)).resource).toMatchObject(all);
      expect((await renamed.permissions.readAll().fetchAll()).resources).toHaveLength(1);
      await renamed.permission('p').delete();
      await renamed.delete();
      expect(await refusalOf(() => renamed.read())).toBe(404);
    }));
});

describe('offers', () => {
  it('carry the throughput and can be replaced', () =>
    withEmulator(async ({ client, database }) => {
      const { container } = await database.containers.create({
        id: 'paid',
        partitionKey: { paths: ['/pk'] },
        throughput: 700,
      });
      const { resource } = await container.readOffer();
      expect(resource?.content?.offerThroughput).toBe(700);
      const content = { ...resource?.content, offerThroughput: 900 };
      const offer = client.offer(resource?.id ?? '');
      await offer.replace({ ...resource, content } as never);
      expect((await offer.read()).resource?.content?.offerThroughput).toBe(900);
    }));

  it('may be autoscale', () =>
    withEmulator(async ({ database }) => {
      const { container } = await database.containers.create({
        id: 'auto',
        partitionKey: { paths: ['/pk'] },
        maxThroughput: 4000,
      });
      const { resource } = await container.readOffer();
      expect(resource?.content?.offerAutopilotSettings).toMatchObject({ maxThroughput: 4000 });
    }));
});

it('what is not supported says so with 501', () =>
  withEmulator(async ({ container, emulator }) => {
    expect(await refusalOf(() => container.scripts.storedProcedures.readAll().fetchAll())).toBe(501);
    const triggers = { preTriggerInclude: 'x' };
    expect(await refusalOf(() => container.items.create({ id: 'a', pk: 'p' }, triggers))).toBe(501);
    const { status } = await sendSigned(emulator, {
      method: 'GET',
      path: 'dbs/db/colls/items/docs',
      headers: { 'a-im': 'Full-Fidelity Feed', 'x-ms-documentdb-partitionkey': '["p"]' },
    });
    expect(status).toBe(501);
  }));

describe('the explorer', () => {
  it('is a page without data that may run its own script only', () =>
    withEmulator(async ({ emulator, container }) => {
      await container.items.create({ id: 'a', pk: 'p', secret: 'TOPSECRET' });
      const response = await fetch(`${emulator.endpoint}_explorer`);
      expect(response.status).toBe(200);
      expect(response.headers.get('content-security-policy')).toContain("default-src 'none'");
      expect(await response.text()).not.toContain('TOPSECRET');
    }));

  it('gives the last requests to holders of a key only', () =>
    withEmulator(async ({ emulator, container }) => {
      await container.item('a', 'p').read();
      const request = { method: 'GET', path: '_explorer/requests' };
      expect((await send(emulator, request, undefined)).status).toBe(401);
      const { status, text } = await sendSigned(emulator, request);
      expect(status).toBe(200);
      const seen = (JSON.parse(text) as { resource: string; operation: string }[]).map(
        ({ resource, operation }) => `${operation} ${resource}`,
      );
      expect(seen).toContain('read document');
    }));
});
