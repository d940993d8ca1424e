import { PermissionMode } from '@azure/cosmos';
import { startEmulator } from '../src/index.ts';
import type { Emulator } from '../src/index.ts';
import { send, sendSigned, signed } from './raw-request.ts';
import type { RawRequest } from './raw-request.ts';
import { refusalOf, tokenClient, withEmulator } from './with-emulator.ts';
import type { Bench } from './with-emulator.ts';

/** Every credential of the matrix, in the order of its columns. */
const columns = [
  'none',
  'wrong',
  'stale',
  'expired',
  'tampered',
  'foreign',
  'readOnly',
  'partRead',
  'partAll',
  'otherPart',
  'container',
  'document',
  'master',
] as const;
type Credential = (typeof columns)[number];

const key = { 'x-ms-documentdb-partitionkey': '["p"]' };
const query = { 'x-ms-documentdb-isquery': 'True', 'content-type': 'application/query+json' };
const docs = 'dbs/db/colls/items/docs';
const document = { id: 'new', pk: 'p' };

/** What is done, and what each credential gets for it. Columns in the order above; a fresh emulator for each row. */
const matrix: readonly (readonly [string, RawRequest, string])[] = [
  ['read the account', { method: 'GET', path: '' }, '401 401 403 403 401 401 200 200 200 200 200 200 200'],
  ['list databases', { method: 'GET', path: 'dbs' }, '401 401 403 403 401 401 200 403 403 403 403 403 200'],
  [
    'create a database',
    { method: 'POST', path: 'dbs', body: { id: 'x' } },
    '401 401 403 403 401 401 403 403 403 403 403 403 201',
  ],
  [
    'read a database',
    { method: 'GET', path: 'dbs/db' },
    '401 401 403 403 401 401 200 403 403 403 403 403 200',
  ],
  [
    'delete a database',
    { method: 'DELETE', path: 'dbs/db' },
    '401 401 403 403 401 401 403 403 403 403 403 403 204',
  ],
  [
    'list containers',
    { method: 'GET', path: 'dbs/db/colls' },
    '401 401 403 403 401 401 200 403 403 403 403 403 200',
  ],
  [
    'create a container',
    { method: 'POST', path: 'dbs/db/colls', body: { id: 'x', partitionKey: { paths: ['/pk'] } } },
    '401 401 403 403 401 401 403 403 403 403 403 403 201',
  ],
  [
    'read the container',
    { method: 'GET', path: 'dbs/db/colls/items' },
    '401 401 403 403 401 401 200 200 200 200 200 200 200',
  ],
  [
    'read another container',
    { method: 'GET', path: 'dbs/db/colls/other' },
    '401 401 403 403 401 401 200 403 403 403 403 403 200',
  ],
  [
    'read no container',
    { method: 'GET', path: 'dbs/db/colls/absent' },
    '401 401 403 403 401 401 404 403 403 403 403 403 404',
  ],
  [
    'replace the container',
    {
      method: 'PUT',
      path: 'dbs/db/colls/items',
      body: { id: 'items', partitionKey: { paths: ['/pk'], version: 2 } },
    },
    '401 401 403 403 401 401 403 403 403 403 403 403 200',
  ],
  [
    'delete the container',
    { method: 'DELETE', path: 'dbs/db/colls/items' },
    '401 401 403 403 401 401 403 403 403 403 403 403 204',
  ],
  [
    'read partition ranges',
    { method: 'GET', path: 'dbs/db/colls/items/pkranges' },
    '401 401 403 403 401 401 200 200 200 200 200 200 200',
  ],
  [
    'query a partition range',
    {
      method: 'POST',
      path: docs,
      headers: { ...query, 'x-ms-documentdb-partitionkeyrangeid': '0' },
      body: { query: 'SELECT * FROM c' },
    },
    '401 401 403 403 401 401 200 403 403 403 200 403 200',
  ],
  [
    'plan a query of a partition',
    {
      method: 'POST',
      path: docs,
      headers: { ...key, 'x-ms-cosmos-is-query-plan-request': 'True' },
      body: { query: 'SELECT * FROM c' },
    },
    '401 401 403 403 401 401 200 200 200 403 200 403 200',
  ],
  [
    'read a document',
    { method: 'GET', path: `${docs}/a`, headers: key },
    '401 401 403 403 401 401 200 200 200 403 200 200 200',
  ],
  [
    'read another document',
    { method: 'GET', path: `${docs}/b`, headers: key },
    '401 401 403 403 401 401 200 200 200 403 200 403 200',
  ],
  [
    'read no document',
    { method: 'GET', path: `${docs}/absent`, headers: key },
    '401 401 403 403 401 401 404 404 404 403 404 403 404',
  ],
  [
    'read a document without a key',
    { method: 'GET', path: `${docs}/a` },
    '401 401 403 403 401 401 400 403 403 403 400 403 400',
  ],
  [
    'create a document',
    { method: 'POST', path: docs, headers: key, body: document },
    '401 401 403 403 401 401 403 403 201 403 201 403 201',
  ],
  [
    'create a document under a false key',
    { method: 'POST', path: docs, headers: key, body: { id: 'new', pk: 'q' } },
    '401 401 403 403 401 401 403 403 400 403 400 403 400',
  ],
  [
    'upsert a document',
    { method: 'POST', path: docs, headers: { ...key, 'x-ms-documentdb-is-upsert': 'True' }, body: document },
    '401 401 403 403 401 401 403 403 201 403 201 403 201',
  ],
  [
    'replace a document',
    { method: 'PUT', path: `${docs}/a`, headers: key, body: { id: 'a', pk: 'p' } },
    '401 401 403 403 401 401 403 403 200 403 200 200 200',
  ],
  [
    'patch a document',
    { method: 'PATCH', path: `${docs}/a`, headers: key, body: [{ op: 'set', path: '/n', value: 1 }] },
    '401 401 403 403 401 401 403 403 200 403 200 200 200',
  ],
  [
    'delete a document',
    { method: 'DELETE', path: `${docs}/a`, headers: key },
    '401 401 403 403 401 401 403 403 204 403 204 204 204',
  ],
  [
    'list a partition',
    { method: 'GET', path: docs, headers: key },
    '401 401 403 403 401 401 200 200 200 403 200 403 200',
  ],
  ['list everything', { method: 'GET', path: docs }, '401 401 403 403 401 401 200 403 403 403 200 403 200'],
  [
    'query a partition',
    { method: 'POST', path: docs, headers: { ...key, ...query }, body: { query: 'SELECT * FROM c' } },
    '401 401 403 403 401 401 200 200 200 403 200 403 200',
  ],
  [
    'query everything',
    { method: 'POST', path: docs, headers: query, body: { query: 'SELECT * FROM c' } },
    '401 401 403 403 401 401 200 403 403 403 200 403 200',
  ],
  [
    'plan a query',
    {
      method: 'POST',
      path: docs,
      headers: { 'x-ms-cosmos-is-query-plan-request': 'True' },
      body: { query: 'SELECT * FROM c' },
    },
    '401 401 403 403 401 401 200 403 403 403 200 403 200',
  ],
  [
    'read the change feed',
    { method: 'GET', path: docs, headers: { ...key, 'a-im': 'Incremental Feed' } },
    '401 401 403 403 401 401 200 200 200 403 200 403 200',
  ],
  [
    'send a batch',
    {
      method: 'POST',
      path: docs,
      headers: { ...key, 'x-ms-cosmos-is-batch-request': 'True', 'x-ms-cosmos-batch-atomic': 'True' },
      body: [{ operationType: 'Create', resourceBody: document }],
    },
    '401 401 403 403 401 401 403 403 200 403 200 403 200',
  ],
  [
    'send bulk',
    {
      method: 'POST',
      path: docs,
      headers: {
        'x-ms-documentdb-partitionkeyrangeid': '0',
        'x-ms-cosmos-is-batch-request': 'True',
        'x-ms-cosmos-batch-atomic': 'False',
      },
      body: [{ operationType: 'Create', partitionKey: '["p"]', resourceBody: document }],
    },
    '401 401 403 403 401 401 403 403 403 403 200 403 200',
  ],
  [
    'list conflicts',
    { method: 'GET', path: 'dbs/db/colls/items/conflicts' },
    '401 401 403 403 401 401 200 403 403 403 403 403 200',
  ],
  [
    'list users',
    { method: 'GET', path: 'dbs/db/users' },
    '401 401 403 403 401 401 200 403 403 403 403 403 200',
  ],
  [
    'create a user',
    { method: 'POST', path: 'dbs/db/users', body: { id: 'x' } },
    '401 401 403 403 401 401 403 403 403 403 403 403 201',
  ],
  [
    'list permissions',
    { method: 'GET', path: 'dbs/db/users/alice/permissions' },
    '401 401 403 403 401 401 403 403 403 403 403 403 200',
  ],
  [
    'read a permission',
    { method: 'GET', path: 'dbs/db/users/alice/permissions/partRead' },
    '401 401 403 403 401 401 403 403 403 403 403 403 200',
  ],
  [
    'delete a permission',
    { method: 'DELETE', path: 'dbs/db/users/alice/permissions/partRead' },
    '401 401 403 403 401 401 403 403 403 403 403 403 204',
  ],
  ['list offers', { method: 'GET', path: 'offers' }, '401 401 403 403 401 401 200 403 403 403 403 403 200'],
  [
    'list stored procedures',
    { method: 'GET', path: 'dbs/db/colls/items/sprocs' },
    '401 401 403 403 401 401 501 403 403 403 403 403 501',
  ],
  [
    'ask for nonsense',
    { method: 'GET', path: 'a/b/c/d/e' },
    '401 401 403 403 401 401 501 403 403 403 403 403 501',
  ],
];

/** One token of each kind. The clock is moved past the life of the one that is to be expired when its turn comes. */
async function credentials(
  bench: Bench,
): Promise<Record<Exclude<Credential, 'none' | 'wrong' | 'stale' | 'readOnly' | 'master'>, string>> {
  const { database, container } = bench;
  const { user } = await database.users.create({ id: 'alice' });
  const mint = async (
    id: string,
    mode: PermissionMode,
    resource: string,
    partitionKey?: string,
  ): Promise<string> => {
    const { resource: permission } = await user.permissions.create(
      {
        id,
        permissionMode: mode,
        resource,
        ...(partitionKey === undefined ? {} : { resourcePartitionKey: [partitionKey] }),
      },
      { resourceTokenExpirySeconds: 600 },
    );
    return encodeURIComponent((permission as unknown as { _token: string })._token);
  };
  const partAll = await mint('partAll', PermissionMode.All, container.url, 'p');
  const at = partAll.length - 40;
  return {
    partAll,
    partRead: await mint('partRead', PermissionMode.Read, `dbs/db/colls/items/`, 'p'),
    otherPart: await mint('otherPart', PermissionMode.All, container.url, 'q'),
    container: await mint('container', PermissionMode.All, container.url),
    document: await mint('document', PermissionMode.All, `${container.url}/docs/a`, 'p'),
    tampered: `${partAll.slice(0, at)}${partAll[at] === 'A' ? 'B' : 'A'}${partAll.slice(at + 1)}`,
    expired: await mint('expired', PermissionMode.All, container.url, 'expired'),
    foreign: await foreignToken(),
  };
}

let foreign: Promise<string> | undefined;

/** A token of the same words from another account; one serves for all rows. */
const foreignToken = (): Promise<string> => (foreign ??= mintElsewhere());

async function mintElsewhere(): Promise<string> {
  let token = '';
  await withEmulator(async ({ database, container }) => {
    const { user } = await database.users.create({ id: 'alice' });
    const { resource } = await user.permissions.create({
      id: 'p',
      permissionMode: PermissionMode.All,
      resource: container.url,
    });
    token = encodeURIComponent((resource as unknown as { _token: string })._token);
  });
  return token;
}

describe('authorization', () => {
  it.each(matrix)('to %s is given to the right callers and nobody else', async (_, request, expected) => {
    let now = Date.now();
    await withEmulator(
      async (bench) => {
        const { emulator, database, container } = bench;
        await database.containers.create({ id: 'other', partitionKey: { paths: ['/pk'] } });
        for (const id of ['a', 'b']) await container.items.create({ id, pk: 'p', secret: 'TOPSECRET' });
        const early = await credentials(bench);
        const statuses: Record<string, number> = {};
        for (const credential of columns) {
          // Every caller finds the data as it was: what a successful one changed is put back.
          const date = new Date(credential === 'stale' ? now - 3_600_000 : now).toUTCString();
          const header = headerOf(credential, emulator, request, date, early);
          const before = now;
          if (credential === 'expired') now += 601_000;
          const answer = await send(emulator, request, header, date);
          now = before;
          statuses[credential] = answer.status;
          if (answer.status >= 400) {
            expect(JSON.parse(answer.text)).toMatchObject({ code: expect.any(String) as string });
            expect(answer.text).not.toContain('TOPSECRET');
          } else if (request.method !== 'GET') await restore(bench);
        }
        expect(columns.map((credential) => statuses[credential]).join(' ')).toBe(expected);
      },
      { now: () => now },
    );
  });

  it('changes nothing for callers it refuses', () =>
    withEmulator(async ({ emulator, container }) => {
      const { resource } = await container.items.create({ id: 'a', pk: 'p' });
      const request: RawRequest = { method: 'DELETE', path: `${docs}/a`, headers: key };
      for (const header of [undefined, 'nonsense', signed('AAAAAAAAAAAAAAAAAAAAAA==', request, 'x')])
        expect((await send(emulator, request, header)).status).toBe(401);
      expect((await container.item('a', 'p').read()).resource).toEqual(resource);
    }));

  it('accepts dates up to 15 minutes off and no more', () =>
    withEmulator(async ({ emulator }) => {
      const request: RawRequest = { method: 'GET', path: 'dbs' };
      const at = async (minutes: number): Promise<number> => {
        const date = new Date(Date.now() + minutes * 60_000).toUTCString();
        return (await send(emulator, request, signed(emulator.key, request, date), date)).status;
      };
      expect(await Promise.all([-14, 14, -16, 16].map(at))).toEqual([200, 200, 403, 403]);
    }));

  it('is over the verb, the link and the date: a signature for one request opens no other', () =>
    withEmulator(async ({ emulator }) => {
      const date = new Date().toUTCString();
      const header = signed(emulator.key, { method: 'GET', path: 'dbs/db' }, date);
      const ask = (method: string, path: string, when = date) =>
        send(emulator, { method, path }, header, when);
      expect((await ask('GET', 'dbs/db')).status).toBe(200);
      expect((await ask('DELETE', 'dbs/db')).status).toBe(401);
      expect((await ask('GET', 'dbs')).status).toBe(401);
      expect((await ask('GET', 'dbs/db', new Date(Date.now() + 5000).toUTCString())).status).toBe(401);
    }));

  it('may be with the secondary key; a key that was made anew takes over, and the old one opens nothing', () =>
    withEmulator(async ({ emulator }) => {
      const date = new Date().toUTCString();
      const request = { method: 'GET', path: 'dbs/db' };
      const ask = async (with_: string) =>
        (await send(emulator, request, signed(with_, request, date), date)).status;
      const { key: primary, secondaryKey: secondary } = emulator;
      expect([await ask(primary), await ask(secondary)]).toEqual([200, 200]);
      const next = emulator.regenerateKey('primary');
      expect(emulator.key).toBe(next);
      expect([await ask(primary), await ask(next), await ask(secondary)]).toEqual([401, 200, 200]);
      emulator.regenerateKey('secondary');
      expect([await ask(secondary), await ask(emulator.secondaryKey), await ask(next)]).toEqual([
        401, 200, 200,
      ]);
    }));
});

function headerOf(
  credential: Credential,
  emulator: Emulator,
  request: RawRequest,
  date: string,
  tokens: Awaited<ReturnType<typeof credentials>>,
): string | undefined {
  switch (credential) {
    case 'none':
      return undefined;
    case 'wrong':
      return signed(Buffer.alloc(64, 7).toString('base64'), request, date);
    case 'stale':
    case 'master':
      return signed(emulator.key, request, date);
    case 'readOnly':
      return signed(emulator.readOnlyKey, request, date);
    default:
      return tokens[credential];
  }
}

/** Puts back what a successful row changed. Tokens hold the container's rid, so a deleted container ends the row. */
async function restore({ emulator, container }: Bench): Promise<void> {
  const remove = (path: string) => sendSigned(emulator, { method: 'DELETE', path, headers: key });
  if ((await sendSigned(emulator, { method: 'GET', path: 'dbs/db/colls/items' })).status !== 200) return;
  await remove(`${docs}/new`);
  await container.items.upsert({ id: 'a', pk: 'p', secret: 'TOPSECRET' });
}

describe('a resource token', () => {
  it('lives for the seconds it was minted for: 600 to 86400, an hour by default', async () => {
    let now = Date.now();
    await withEmulator(
      async ({ emulator, database, container }) => {
        await container.items.create({ id: 'a', pk: 'p' });
        const { user } = await database.users.create({ id: 'u' });
        const body = { permissionMode: PermissionMode.Read, resource: container.url };
        const mint = async (id: string, seconds?: number): Promise<string> => {
          const options = seconds === undefined ? {} : { resourceTokenExpirySeconds: seconds };
          const of = { ...body, id, resourcePartitionKey: ['p', id].slice(0, 1) };
          const { resource } = await user.permissions.upsert(of, options);
          return (resource as unknown as { _token: string })._token;
        };
        for (const seconds of [599, 86_401, 1]) expect(await refusalOf(() => mint('p', seconds))).toBe(400);
        const token = await mint('p', 600);
        const client = tokenClient(emulator, token);
        try {
          const item = client.database('db').container('items').item('a', 'p');
          now += 599_000;
          expect((await item.read()).statusCode).toBe(200);
          now += 2_000;
          expect(await refusalOf(() => item.read())).toBe(403);
        } finally {
          client.dispose();
        }
      },
      { now: () => now },
    );
  });

  it('still opens after its permission is deleted, and not after its container was made anew', () =>
    withEmulator(async ({ emulator, database, container }) => {
      const { user } = await database.users.create({ id: 'u' });
      const { resource, permission } = await user.permissions.create({
        id: 'p',
        permissionMode: PermissionMode.All,
        resource: container.url,
        resourcePartitionKey: ['p'],
      });
      const client = tokenClient(emulator, (resource as unknown as { _token: string })._token);
      try {
        await permission.delete();
        const mine = client.database('db').container('items');
        expect((await mine.items.create({ id: 'a', pk: 'p' })).statusCode).toBe(201);
        await container.delete();
        await database.containers.create({ id: 'items', partitionKey: { paths: ['/pk'] } });
        expect(await refusalOf(() => mine.item('a', 'p').read())).toBe(403);
      } finally {
        client.dispose();
      }
    }));

  it('works through the SDK for point operations, batches, queries and the change feed of its key', () =>
    withEmulator(async ({ emulator, database, container }) => {
      const { user } = await database.users.create({ id: 'u' });
      const { resource } = await user.permissions.create({
        id: 'p',
        permissionMode: PermissionMode.All,
        resource: container.url,
        resourcePartitionKey: ['p'],
      });
      const client = tokenClient(emulator, (resource as unknown as { _token: string })._token);
      try {
        const mine = client.database('db').container('items');
        await mine.items.create({ id: 'a', pk: 'p' });
        await mine.items.upsert({ id: 'a', pk: 'p', n: 1 });
        await mine.item('a', 'p').patch([{ op: 'incr', path: '/n', value: 1 }]);
        const batch = await mine.items.batch([{ operationType: 'Read', id: 'a' }], 'p');
        expect(batch.result?.[0]?.resourceBody).toMatchObject({ n: 2 });
        const { resources } = await mine.items.query('SELECT * FROM c', { partitionKey: 'p' }).fetchAll();
        expect(resources).toHaveLength(1);
        expect(await refusalOf(() => mine.items.query('SELECT * FROM c').fetchAll())).toBe(403);
        expect(await refusalOf(() => mine.items.create({ id: 'b', pk: 'q' }))).toBe(403);
      } finally {
        client.dispose();
      }
    }));

  it('of one user is minted once per resource and key: a second permission is a conflict', () =>
    withEmulator(async ({ database, container }) => {
      const { user } = await database.users.create({ id: 'u' });
      const permission = (id: string, partitionKey: string) => ({
        id,
        permissionMode: PermissionMode.All,
        resource: container.url,
        resourcePartitionKey: [partitionKey],
      });
      await user.permissions.create(permission('1', 'p'));
      expect(await refusalOf(() => user.permissions.create(permission('2', 'p')))).toBe(409);
      expect(await refusalOf(() => user.permissions.create(permission('3', 'q')))).toBe(0);
      expect(
        await refusalOf(() => user.permissions.create({ ...permission('4', 'r'), resource: 'dbs/db' })),
      ).toBe(400);
    }));
});

it('the emulator binds loopback addresses only', async () => {
  await expect(startEmulator({ host: '0.0.0.0' })).rejects.toThrow(/loopback/);
});
