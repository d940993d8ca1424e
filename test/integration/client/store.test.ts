import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { collection, createClient } from '../../../client/src/index.ts';
import { DRIVERS, type Item } from '../../support/client.ts';
import { STORE_OPTIONS, storeContract } from '../../support/store-contract.ts';

/** What a store promises, on every driver that runs here; test/browser has the one that does not. */

const folder = mkdtempSync(join(tmpdir(), 'tidemark-store-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
let files = 0;

describe.each(Object.entries(DRIVERS))('on %s', (_name, driver) => {
  storeContract(() => {
    const path = join(folder, `${(files += 1)}.db`);
    return {
      driver: () => driver(path),
      exec: async (sql) => {
        const connection = await driver(path).connect();
        connection.exec(sql);
        connection.close();
      },
    };
  });
});

describe('what a client refuses', () => {
  const client = createClient({ ...STORE_OPTIONS, database: DRIVERS['node:sqlite'](':memory:') });
  afterAll(() => client.close());

  it('a shared collection without a scope, and one of another kind', () => {
    expect(() => client.store('visits')).toThrow(expect.objectContaining({ code: 'scope_needed' }));
    expect(() => client.store('visits', { scope: 'team:1' })).toThrow(
      expect.objectContaining({ code: 'scope_needed' }),
    );
    expect(() => client.store('nothing' as 'items')).toThrow(
      expect.objectContaining({ code: 'unknown_collection' }),
    );
  });

  it('names that are no tables', () => {
    const build = (name: string) =>
      createClient({
        ...STORE_OPTIONS,
        collections: { [name]: collection<Item>() },
        database: DRIVERS['node:sqlite'](':memory:'),
      });
    expect(() => build('a"b')).toThrow(expect.objectContaining({ code: 'unknown_collection' }));
    expect(() => build('Tidemark_Users')).toThrow(expect.objectContaining({ code: 'unknown_collection' }));
  });

  it('a document that its schema refuses', async () => {
    const schema = {
      '~standard': {
        version: 1 as const,
        vendor: 'test',
        validate: (value: unknown) =>
          typeof (value as Item).title === 'string'
            ? { value }
            : { issues: [{ message: 'title is no text' }] },
        types: undefined as { input: unknown; output: Item } | undefined,
      },
    };
    const strict = createClient({
      ...STORE_OPTIONS,
      collections: { items: collection({ schema }) },
      database: DRIVERS['node:sqlite'](':memory:'),
    });
    const items = strict.store('items');
    await items.upsert({ id: '1', title: 'fine' });
    await expect(items.upsert({ id: '2', title: 5 as unknown as string })).rejects.toThrow(
      'title is no text',
    );
    await expect(items.patch('1', { title: null })).rejects.toThrow('title is no text');
    await strict.close();
  });
});
