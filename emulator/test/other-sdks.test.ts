import { sendSigned } from './raw-request.ts';
import type { RawAnswer } from './raw-request.ts';
import { withEmulator } from './with-emulator.ts';

/** Requests as the SDKs of other languages send them, where those differ from what the JavaScript SDK sends. */
describe('requests of other SDKs', () => {
  it('reads partition key ranges as an incremental feed: all, nothing new, then the children of a split', () =>
    withEmulator(
      async ({ emulator }) => {
        const read = (seen?: string): Promise<RawAnswer> =>
          sendSigned(emulator, {
            method: 'GET',
            path: 'dbs/db/colls/items/pkranges',
            headers: {
              'a-im': 'Incremental Feed',
              ...(seen === undefined ? {} : { 'if-none-match': seen }),
            },
          });
        const idsOf = ({ text }: RawAnswer): string[] =>
          (JSON.parse(text) as { PartitionKeyRanges: { id: string }[] }).PartitionKeyRanges.map(
            ({ id }) => id,
          );
        const first = await read();
        expect(first.status).toBe(200);
        expect(idsOf(first)).toEqual(['0', '1']);
        const etag = first.headers.get('etag') ?? '';
        const second = await read(etag);
        expect(second.status).toBe(304);
        expect(second.headers.get('etag')).toBe(etag);
        emulator.split('db', 'items', '1');
        const third = await read(etag);
        expect(idsOf(third)).toEqual(['2', '3']);
        expect((await read(third.headers.get('etag') ?? '')).status).toBe(304);
      },
      { partitions: 2 },
    ));

  it('carries a change feed processor over a split: its range is gone, and the children go on where it stood', () =>
    withEmulator(async ({ emulator, container }) => {
      const feed = async (
        range: string,
        continuation?: string,
      ): Promise<{ answer: RawAnswer; ids: string[] }> => {
        const answer = await sendSigned(emulator, {
          method: 'GET',
          path: 'dbs/db/colls/items/docs',
          headers: {
            'a-im': 'Incremental Feed',
            'x-ms-documentdb-partitionkeyrangeid': range,
            'x-ms-max-item-count': '3',
            ...(continuation === undefined ? {} : { 'if-none-match': continuation }),
          },
        });
        if (answer.status !== 200) return { answer, ids: [] };
        const { Documents } = JSON.parse(answer.text) as { Documents: { id: string }[] };
        return { answer, ids: Documents.map(({ id }) => id) };
      };
      const create = async (from: number, to: number): Promise<void> => {
        for (let n = from; n < to; n++) await container.items.create({ id: `${n}`, pk: `p${n}` });
      };
      await create(0, 5);
      const first = await feed('0');
      expect(first.ids).toEqual(['0', '1', '2']);
      expect(first.answer.headers.get('x-ms-documentdb-partitionkeyrangeid')).toBe('0');
      emulator.split('db', 'items');
      await create(5, 9);

      const lease = first.answer.headers.get('etag') ?? '';
      const { answer } = await feed('0', lease);
      expect([answer.status, answer.subStatus]).toEqual([410, 1002]);
      const seen: string[] = [];
      for (const child of ['1', '2']) {
        let continuation = lease;
        for (let page = await feed(child, continuation); page.answer.status === 200;) {
          seen.push(...page.ids);
          continuation = page.answer.headers.get('etag') ?? '';
          page = await feed(child, continuation);
        }
      }
      expect(seen.sort()).toEqual(['3', '4', '5', '6', '7', '8']);
    }));

  it('answers no joined session tokens where one partition or none was asked', () =>
    withEmulator(
      async ({ emulator, container }) => {
        const session = async (path: string, headers: Record<string, string> = {}): Promise<string | null> =>
          (await sendSigned(emulator, { method: 'GET', path, headers })).headers.get('x-ms-session-token');
        const partition = { 'x-ms-documentdb-partitionkeyrangeid': '1' };
        const key = { 'x-ms-documentdb-partitionkey': '["p"]' };
        const feed = { 'a-im': 'Incremental Feed' };
        expect(await session('dbs/db/colls/items')).toBeNull();
        expect(await session('dbs/db/colls/items/pkranges')).toBeNull();
        expect(await session('dbs/db/colls/items/docs', partition)).toBe('1:-1#0');
        expect(await session('dbs/db/colls/items/docs', { ...partition, ...feed })).toBe('1:-1#0');
        expect(await session('dbs/db/colls/items/docs/none', key)).toBeNull();
        await container.items.create({ id: 'a', pk: 'p' });
        expect(await session('dbs/db/colls/items/docs/none', key)).toMatch(/^\d:-1#1$/);
        expect(await session('dbs/db/colls/items/docs/none')).toMatch(/^0:-1#\d,1:-1#\d$/);
      },
      { partitions: 2 },
    ));

  it('names the owner of what it answers: the database of a container, the container of a document', () =>
    withEmulator(async ({ emulator }) => {
      const owner = async (path: string): Promise<string | null> =>
        (await sendSigned(emulator, { method: 'GET', path })).headers.get('x-ms-alt-content-path');
      expect(await owner('dbs/db/colls/items')).toBe('dbs/db');
      expect(await owner('dbs/db/colls/items/docs')).toBe('dbs/db/colls/items');
    }));

  it('takes the name of a partition key version for its number', () =>
    withEmulator(async ({ emulator }) => {
      const create = (version: unknown): Promise<RawAnswer> =>
        sendSigned(emulator, {
          method: 'POST',
          path: 'dbs/db/colls',
          body: { id: 'named', partitionKey: { paths: ['/pk'], kind: 'Hash', version } },
        });
      expect((await create('V3')).status).toBe(400);
      expect((await create(['V2'])).status).toBe(400);
      const made = await create('V2');
      expect(made.status).toBe(201);
      expect(JSON.parse(made.text)).toMatchObject({ partitionKey: { version: 2 } });
    }));

  it('makes no container with computed properties: its queries would not see them', () =>
    withEmulator(async ({ emulator }) => {
      const create = (computedProperties: unknown): Promise<RawAnswer> =>
        sendSigned(emulator, {
          method: 'POST',
          path: 'dbs/db/colls',
          body: { id: 'computed', partitionKey: { paths: ['/pk'] }, computedProperties },
        });
      expect((await create([{ name: 'low', query: 'SELECT VALUE LOWER(c.x) FROM c' }])).status).toBe(501);
      expect((await create([])).status).toBe(201);
    }));
});
