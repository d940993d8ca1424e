import { BulkOperationType, ConsistencyLevel, CosmosClient } from '@azure/cosmos';
import type { OperationInput } from '@azure/cosmos';
import { sendSigned } from './raw-request.ts';
import { refusalOf, withEmulator } from './with-emulator.ts';

describe('the request log', () => {
  it('tells data from metadata and counts the operations of a batch', () =>
    withEmulator(async ({ container, emulator }) => {
      await container.items.batch(
        ['a', 'b'].map((id) => ({ operationType: 'Create' as const, resourceBody: { id, pk: 'p' } })),
        'p',
      );
      await container.item('a', 'p').read();
      await container.read();
      await container.items.query('SELECT * FROM c', { partitionKey: 'p' }).fetchAll();
      const rows = emulator.requests.entries.map(
        ({ resource, operation, kind, operations, partitionKey }) => ({
          resource,
          operation,
          kind,
          operations,
          partitionKey,
        }),
      );
      expect(rows).toEqual(
        expect.arrayContaining([
          { resource: 'document', operation: 'batch', kind: 'data', operations: 2, partitionKey: '["p"]' },
          { resource: 'document', operation: 'read', kind: 'data', operations: 1, partitionKey: '["p"]' },
          { resource: 'container', operation: 'read', kind: 'metadata', operations: 1, partitionKey: null },
          { resource: 'document', operation: 'query', kind: 'data', operations: 1, partitionKey: '["p"]' },
          {
            resource: 'document',
            operation: 'queryPlan',
            kind: 'metadata',
            operations: 1,
            partitionKey: null,
          },
        ]),
      );
      emulator.requests.clear();
      expect(emulator.requests.entries).toEqual([]);
    }));
});

describe('the fault plan', () => {
  it('answers a status for the requests it was told to, after those it was told to skip', () =>
    withEmulator(async ({ container, emulator }) => {
      const read = () => refusalOf(() => container.item('a', 'p').read());
      await container.items.create({ id: 'a', pk: 'p' });
      emulator.faults.add({
        operation: 'read',
        resource: 'document',
        skip: 1,
        times: 2,
        action: { kind: 'status', status: 400, subStatus: 7 },
      });
      expect([await read(), await read(), await read(), await read()]).toEqual([0, 400, 400, 0]);
    }));

  it('meets only the partition key it names', () =>
    withEmulator(async ({ container, emulator }) => {
      emulator.faults.add({ partitionKey: 'p', action: { kind: 'status', status: 400 } });
      expect(await refusalOf(() => container.items.create({ id: 'a', pk: 'q' }))).toBe(0);
      expect(await refusalOf(() => container.items.create({ id: 'a', pk: 'p' }))).toBe(400);
    }));

  it('loses an answer after the commit', () =>
    withEmulator(async ({ container, emulator }) => {
      emulator.faults.add({ operation: 'batch', action: { kind: 'loseAnswer' } });
      const operations: OperationInput[] = [{ operationType: 'Create', resourceBody: { id: 'a', pk: 'p' } }];
      await expect(container.items.batch(operations, 'p')).rejects.toThrow();
      expect((await container.item('a', 'p').read()).statusCode).toBe(200);
    }));

  it('cuts a connection before anything is processed', () =>
    withEmulator(async ({ container, emulator }) => {
      emulator.faults.add({ operation: 'batch', action: { kind: 'cut' } });
      const operations: OperationInput[] = [{ operationType: 'Create', resourceBody: { id: 'a', pk: 'p' } }];
      await expect(container.items.batch(operations, 'p')).rejects.toThrow();
      expect((await container.item('a', 'p').read()).statusCode).toBe(404);
    }));

  it('delivers a request twice and answers the first result', () =>
    withEmulator(async ({ container, emulator }) => {
      await container.items.create({ id: 'a', pk: 'p', n: 0 });
      emulator.faults.add({ operation: 'patch', action: { kind: 'duplicate' } });
      const { resource } = await container
        .item('a', 'p')
        .patch<{ n: number }>([{ op: 'incr', path: '/n', value: 1 }]);
      expect(resource?.n).toBe(1);
      expect((await container.item('a', 'p').read<{ n: number }>()).resource?.n).toBe(2);
    }));

  it('delays, and the request is processed all the same', () =>
    withEmulator(async ({ container, emulator }) => {
      emulator.faults.add({ operation: 'create', action: { kind: 'delay', ms: 30 } });
      const started = performance.now();
      await container.items.create({ id: 'a', pk: 'p' });
      expect(performance.now() - started).toBeGreaterThan(25);
    }));
});

describe('throughput limits', () => {
  it('answer 429 with the time to wait once the partition is overdrawn, and let in again after it', async () => {
    let now = Date.now();
    await withEmulator(
      async ({ emulator }) => {
        emulator.limits.set({ partition: 10 });
        const create = (id: string) =>
          sendSigned(emulator, {
            method: 'POST',
            path: 'dbs/db/colls/items/docs',
            headers: { 'x-ms-documentdb-partitionkey': '["p"]' },
            body: { id, pk: 'p' },
          });
        const answers = [await create('1'), await create('2'), await create('3'), await create('4')];
        expect(answers.map(({ status }) => status)).toEqual([201, 201, 201, 429]);
        const wait = Number(answers[3]?.headers.get('x-ms-retry-after-ms'));
        expect(answers[3]?.subStatus).toBe(3200);
        expect(wait).toBeGreaterThan(0);
        now += wait;
        expect((await create('4')).status).toBe(201);
        emulator.limits.set({});
        expect((await create('5')).status).toBe(201);
      },
      { now: () => now },
    );
  });

  it('of the metadata leave the data alone', async () => {
    const now = Date.now();
    await withEmulator(
      async ({ emulator, container }) => {
        emulator.limits.set({ metadata: 2 });
        const list = async () => (await sendSigned(emulator, { method: 'GET', path: 'dbs' })).status;
        expect([await list(), await list(), await list()]).toEqual([200, 200, 429]);
        expect((await container.item('a', 'p').read()).statusCode).toBe(404);
      },
      { now: () => now },
    );
  });

  it('are waited out by the SDK', () =>
    withEmulator(async ({ emulator, container }) => {
      emulator.limits.set({ partition: 60 });
      // All at once: a slow machine would stay below the limit with one after the other.
      const ids = Array.from({ length: 20 }, (_, n) => String(n));
      await Promise.all(ids.map((id) => container.items.create({ id, pk: 'p' })));
      expect(emulator.requests.entries.some(({ status }) => status === 429)).toBe(true);
    }));
});

describe('bulk', () => {
  it('applies each operation for itself and answers each', () =>
    withEmulator(
      async ({ container }) => {
        await container.items.create({ id: 'a', pk: 'p' });
        const operations: OperationInput[] = [
          { operationType: BulkOperationType.Create, partitionKey: 'p', resourceBody: { id: 'a', pk: 'p' } },
          { operationType: BulkOperationType.Create, partitionKey: 'q', resourceBody: { id: 'a', pk: 'q' } },
          { operationType: BulkOperationType.Read, partitionKey: 'p', id: 'absent' },
          {
            operationType: BulkOperationType.Patch,
            partitionKey: 'p',
            id: 'a',
            resourceBody: { operations: [{ op: 'set', path: '/n', value: 1 }] },
          },
        ];
        // eslint-disable-next-line @typescript-eslint/no-deprecated -- its successor waits a second before it sends
        const results = await container.items.bulk(operations);
        expect(results.map(({ statusCode }) => statusCode)).toEqual([409, 201, 404, 200]);
      },
      { partitions: 2 },
    ));

  it('meets a throughput limit operation by operation', async () => {
    const now = Date.now();
    await withEmulator(
      async ({ emulator }) => {
        emulator.limits.set({ partition: 10 });
        const operation = (id: string): object => ({
          operationType: 'Create',
          partitionKey: '["p"]',
          resourceBody: { id, pk: 'p' },
        });
        const answer = await sendSigned(emulator, {
          method: 'POST',
          path: 'dbs/db/colls/items/docs',
          headers: {
            'x-ms-cosmos-is-batch-request': 'true',
            'x-ms-cosmos-batch-atomic': 'false',
            'x-ms-documentdb-partitionkeyrangeid': '0',
          },
          body: ['1', '2', '3', '4', '5'].map(operation),
        });
        expect(answer.status).toBe(207);
        const results = JSON.parse(answer.text) as { statusCode: number; retryAfterMilliseconds?: number }[];
        expect(results.map(({ statusCode }) => statusCode)).toEqual([201, 201, 201, 429, 429]);
        expect(results[3]?.retryAfterMilliseconds).toBeGreaterThan(0);
      },
      { now: () => now },
    );
  });

  it('works through executeBulkOperations', () =>
    withEmulator(
      async ({ container }) => {
        const operations = Array.from({ length: 150 }, (_, n) => ({
          operationType: BulkOperationType.Create,
          partitionKey: `key-${n}`,
          resourceBody: { id: 'a', pk: `key-${n}` },
        }));
        const results = await container.items.executeBulkOperations(operations);
        expect(results.every(({ response }) => response?.statusCode === 201)).toBe(true);
      },
      { partitions: 3 },
    ));
});

describe('session tokens', () => {
  it('come with every answer on documents and grow with every write', () =>
    withEmulator(async ({ container }) => {
      const first = await container.items.create({ id: 'a', pk: 'p' });
      const second = await container.items.upsert({ id: 'a', pk: 'p' });
      expect(first.headers['x-ms-session-token']).toBe('0:-1#1');
      expect(second.headers['x-ms-session-token']).toBe('0:-1#2');
    }));

  it('of a later state than the stored one are refused with 404 and sub-status 1002', () =>
    withEmulator(async ({ emulator, container }) => {
      await container.items.create({ id: 'a', pk: 'p' });
      const answer = await sendSigned(emulator, {
        method: 'GET',
        path: 'dbs/db/colls/items/docs/a',
        headers: { 'x-ms-documentdb-partitionkey': '["p"]', 'x-ms-session-token': '0:-1#99' },
      });
      expect([answer.status, answer.subStatus]).toEqual([404, 1002]);
    }));
});

describe('lagging replicas', () => {
  it('serve reads without a session token from the past, and those with one from the present', () =>
    withEmulator(async ({ emulator, container }) => {
      await container.items.create({ id: 'old', pk: 'p', n: 0 });
      emulator.replicas.set({ lag: 3 });
      // The SDK sends session tokens only where the consistency level is asked for by name.
      const { endpoint, key } = emulator;
      const client = new CosmosClient({ endpoint, key, consistencyLevel: ConsistencyLevel.Session });
      const own = client.database('db').container('items').items;
      await own.upsert({ id: 'old', pk: 'p', n: 1 });
      await own.create({ id: 'new', pk: 'p' });
      const stranger = new CosmosClient({ endpoint: emulator.endpoint, key: emulator.key });
      // A client that was just made has no session; every answer gives it one, so each question needs its own.
      const view = async (asker: CosmosClient) => {
        const items = asker.database('db').container('items').items;
        const { resources } = await items
          .query<unknown>('SELECT VALUE [c.id, c.n] FROM c', { partitionKey: 'p' })
          .fetchAll();
        return resources;
      };
      try {
        expect(await view(client)).toEqual([['old', 1], ['new']]);
        expect(await view(stranger)).toEqual([['old', 0]]);
      } finally {
        stranger.dispose();
        client.dispose();
      }
      const feed = async (token?: string) => {
        const headers = { 'x-ms-documentdb-partitionkey': '["p"]', 'a-im': 'Incremental Feed' };
        const session = token === undefined ? {} : { 'x-ms-session-token': token };
        const path = 'dbs/db/colls/items/docs';
        const { text } = await sendSigned(emulator, {
          method: 'GET',
          path,
          headers: { ...headers, ...session },
        });
        return (JSON.parse(text) as { Documents: { id: string }[] }).Documents.map(({ id }) => id);
      };
      expect(await feed()).toEqual(['old']);
      expect(await feed('0:-1#3')).toEqual(['old', 'new']);
      emulator.replicas.set({ lag: 0 });
      expect(await feed()).toEqual(['old', 'new']);
    }));
});

describe('query metrics', () => {
  it('tell how much was read and how much came out', () =>
    withEmulator(async ({ container }) => {
      for (let n = 0; n < 5; n++) await container.items.create({ id: String(n), pk: 'p', n });
      const { queryMetrics } = await container.items
        .query('SELECT * FROM c WHERE c.n > 2', { partitionKey: 'p', populateQueryMetrics: true })
        .fetchNext();
      expect(JSON.stringify(queryMetrics)).toContain('"outputDocumentCount":2');
    }));
});

describe('request charges', () => {
  it('follow the documented points', () =>
    withEmulator(
      async ({ container }) => {
        const { requestCharge: write } = await container.items.create({ id: 'a', pk: 'p', x: 1, y: 2, z: 3 });
        expect(write).toBeCloseTo(5, 1);
        expect((await container.item('a', 'p').read()).requestCharge).toBe(1);
        const large = { id: 'b', pk: 'p', filler: 'x'.repeat(16 * 1024 - 300), y: 1, z: 1 };
        expect((await container.items.create(large)).requestCharge).toBeCloseTo(9.5, 0);
        expect((await container.item('b', 'p').read()).requestCharge).toBeCloseTo(1.7, 1);
        expect((await container.item('a', 'p').delete()).requestCharge).toBeCloseTo(7, 0);
      },
      { container: { defaultTtl: -1 } },
    ));
});
