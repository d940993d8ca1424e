import { ChangeFeedStartFrom, CosmosClient, PermissionMode, type Container } from '@azure/cosmos';
import { startEmulator, type Emulator } from '../../emulator/src/index.ts';
import { DATABASE, provision } from '../../local/provision.ts';
import { startStack, type Stack } from '../../local/stack.ts';
import { DOCUMENTS } from '../../shared/cosmos/containers.ts';
import type { TokenResponse } from '../../shared/protocol/index.ts';
import { call, changedItems, Database, synced } from '../support/api.ts';

const ALICE = 'user:alice';
const BOB = 'user:bob';
const SECRET = 'only bob may read this';

let stack: Stack;
let database: Database;
let answer: TokenResponse;
const clients: CosmosClient[] = [];

beforeAll(async () => {
  stack = await startStack({ quiet: true });
  database = new Database(stack);
  for (const [sub, text] of [
    ['alice', 'hello'],
    ['bob', SECRET],
  ] as const) {
    const change = {
      type: 'upsert',
      collection: 'items',
      documentId: '1',
      lastModified: '2026-11-21T10:00:00Z',
      data: { text },
    };
    const token = await stack.issuerHandle.token({ sub });
    await synced(stack, token, { protocol: 1, deviceId: 'phone', changes: [change] });
  }
  answer = (await askToken('alice')).body as unknown as TokenResponse;
}, 30_000);
afterAll(async () => {
  for (const client of clients) client.dispose();
  database.dispose();
  await stack.dispose();
});

async function askToken(sub: string, method = 'GET') {
  const jwt = await stack.issuerHandle.token({ sub });
  return call(`${stack.api}/GetCosmosToken`, { method, headers: { authorization: `Bearer ${jwt}` } });
}

/** The container as a holder of nothing but a token opens it. */
function open(token: string, endpoint = stack.cosmosEndpoint, name = DOCUMENTS): Container {
  const client = new CosmosClient({
    endpoint,
    tokenProvider: () => Promise.resolve(token),
    connectionPolicy: { enablePartitionLevelFailover: false },
  });
  clients.push(client);
  return client.database(DATABASE).container(name);
}

/** What a result shows its caller; the SDK's own objects in it are no data. */
function shown(result: unknown): string {
  const { resource, resources, result: items } = result as Record<string, unknown>;
  return JSON.stringify({ resource, resources, items });
}

/** With which status a call is refused, and everything the caller got to see; null when it is served. */
async function refusal(
  work: () => Promise<unknown>,
  account: Emulator = stack.emulator,
): Promise<{ code: unknown; text: string } | null> {
  try {
    const result = await work();
    // Reading an item that is not there resolves.
    const { statusCode } = result as { statusCode?: number };
    return (statusCode ?? 0) >= 400 ? { code: statusCode, text: shown(result) } : null;
  } catch (error) {
    const { code, cause, message } = error as Error & { code?: unknown };
    const inner = cause as { code?: unknown; message?: unknown } | undefined;
    // The SDK's change feed throws away the status: it is read from the log of the account instead.
    const status = code ?? inner?.code ?? account.requests.entries.at(-1)?.status;
    return { code: status, text: `${message} ${String(inner?.message)} ${JSON.stringify(error)}` };
  }
}

const document = (scope: string) => ({ id: 'items:forged', scope, data: {} });
const feedOf = (scope: string) => ChangeFeedStartFrom.Beginning(scope) as unknown as ChangeFeedStartFrom;

const READS: [string, (container: Container, scope: string) => Promise<unknown>][] = [
  ['read', (container, scope) => container.item('items:1', scope).read()],
  [
    'query',
    (container, scope) => container.items.query('SELECT * FROM c', { partitionKey: scope }).fetchAll(),
  ],
  [
    'change feed',
    (container, scope) =>
      container.items.getChangeFeedIterator({ changeFeedStartFrom: feedOf(scope) }).readNext(),
  ],
];
const WRITES: [string, (container: Container, scope: string) => Promise<unknown>][] = [
  ['create', (container, scope) => container.items.create(document(scope))],
  ['upsert', (container, scope) => container.items.upsert(document(scope))],
  [
    'replace',
    (container, scope) => container.item('items:1', scope).replace({ ...document(scope), id: 'items:1' }),
  ],
  [
    'patch',
    (container, scope) => container.item('items:1', scope).patch([{ op: 'set', path: '/data/a', value: 1 }]),
  ],
  ['delete', (container, scope) => container.item('items:1', scope).delete()],
  [
    'batch',
    (container, scope) =>
      container.items.batch([{ operationType: 'Upsert', resourceBody: document(scope) }], scope),
  ],
];
const AROUND: [string, (container: Container) => Promise<unknown>][] = [
  ['query across partitions', (container) => container.items.query('SELECT * FROM c').fetchAll()],
  ['read every item', (container) => container.items.readAll().fetchAll()],
  [
    'read the change feed of all partitions',
    (container) =>
      container.items
        .getChangeFeedIterator({
          changeFeedStartFrom: ChangeFeedStartFrom.Beginning() as unknown as ChangeFeedStartFrom,
        })
        .readNext(),
  ],
  ['list the databases', ({ database: { client } }) => client.databases.readAll().fetchAll()],
  ['read the database', (container) => container.database.read()],
  ['list the containers', (container) => container.database.containers.readAll().fetchAll()],
  ['create a container', (container) => container.database.containers.create({ id: 'mine' })],
  ['delete the container', (container) => container.delete()],
  [
    'replace the container',
    (container) => container.replace({ id: DOCUMENTS, partitionKey: { paths: ['/scope'] } }),
  ],
  [
    'read another container',
    ({ database: { client } }) => client.database(DATABASE).container('activity').read(),
  ],
  [
    'read items of another container',
    ({ database: { client } }) => client.database(DATABASE).container('activity').item('1', ALICE).read(),
  ],
  ['list the users', (container) => container.database.users.readAll().fetchAll()],
  ['read another user', (container) => container.database.user('bob').read()],
  ['create a user', (container) => container.database.users.create({ id: 'mallory' })],
  ['read the own permission', (container) => container.database.user('alice').permission(DOCUMENTS).read()],
  [
    "read another user's permission",
    (container) => container.database.user('bob').permission(DOCUMENTS).read(),
  ],
  [
    'widen the own permission',
    (container) =>
      container.database.user('alice').permissions.upsert({
        id: DOCUMENTS,
        permissionMode: PermissionMode.All,
        resource: `dbs/${DATABASE}/colls/${DOCUMENTS}`,
      }),
  ],
  ['read the offers', ({ database: { client } }) => client.offers.readAll().fetchAll()],
];

const expectNothing = (refused: { code: unknown; text: string } | null, codes: number[]) => {
  expect(codes).toContain(refused?.code);
  expect(refused?.text).not.toContain(SECRET);
};

describe('The answer of GetCosmosToken', () => {
  it.each(['GET', 'POST'])(
    'to a %s has the documented fields and no more, and is kept by nobody',
    async (method) => {
      const { status, headers, body } = await askToken('alice', method);
      expect(status).toBe(200);
      expect(headers.get('cache-control')).toBe('no-store');
      expect(body).toEqual({
        token: expect.stringMatching(/^type=resource&ver=1&sig=/),
        endpoint: stack.cosmosEndpoint,
        database: DATABASE,
        container: DOCUMENTS,
        partitionKey: [ALICE],
        scope: ALICE,
        userId: 'alice',
        mode: 'read',
        expiresAt: expect.any(String),
        refreshAfter: expect.any(String),
      });
      const left = (name: string) => (Date.parse(String(body[name])) - Date.now()) / 1000;
      expect(left('expiresAt')).toBeGreaterThan(3_500);
      expect(left('expiresAt')).toBeLessThanOrEqual(3_600);
      expect(left('refreshAfter')).toBeLessThan(left('expiresAt'));
      expect(JSON.stringify(body)).not.toContain(stack.cosmosKey);
    },
  );

  it('costs one mint for a burst of fifty requests, and none while the token lives', async () => {
    stack.emulator.requests.clear();
    const answers = await Promise.all(Array.from({ length: 50 }, () => askToken('burst')));
    await askToken('burst');
    expect(new Set(answers.map(({ body }) => body['token'])).size).toBe(1);
    const { entries } = stack.emulator.requests;
    expect(entries.filter(({ resource, status }) => resource === 'permission' && status < 300)).toHaveLength(
      1,
    );
  });

  it('is another one for every user', async () => {
    const tokens = await Promise.all(['carol', 'dave'].map((sub) => askToken(sub)));
    expect(tokens.map(({ body }) => body['scope'])).toEqual(['user:carol', 'user:dave']);
    expect(tokens[0]?.body['token']).not.toBe(tokens[1]?.body['token']);
  });
});

describe('A token for reading the own partition', () => {
  it.each(READS)('opens it: %s', async (_name, read) => {
    expect(shown(await read(open(answer.token), ALICE))).toContain('hello');
  });

  it.each(WRITES)('does not change it: %s', async (_name, write) => {
    const before = await database.snapshot();
    expectNothing(await refusal(() => write(open(answer.token), ALICE)), [403]);
    expect(changedItems(before, await database.snapshot())).toEqual([]);
  });

  it.each([...READS, ...WRITES])("does not open another user's: %s", async (_name, work) => {
    const before = await database.snapshot();
    expectNothing(await refusal(() => work(open(answer.token), BOB)), [403]);
    expect(changedItems(before, await database.snapshot())).toEqual([]);
  });

  it.each(AROUND)('does not %s', async (_name, work) => {
    const before = await database.snapshot();
    // A path that no token opens may be answered as not there.
    expectNothing(await refusal(() => work(open(answer.token))), [401, 403]);
    expect(changedItems(before, await database.snapshot())).toEqual([]);
  });

  it('does not reach a document of another partition that is named in its own', async () => {
    expectNothing(await refusal(() => open(answer.token).item('items:2', ALICE).read()), [404]);
  });
});

describe('A token that is not what the service gave out opens nothing', () => {
  const parts = () => /^(type=resource&ver=1&sig=)([^;]+);([^;]+);$/.exec(answer.token)!.slice(1);
  const grant = () => JSON.parse(Buffer.from(parts()[2]!, 'base64').toString()) as Record<string, unknown>;
  const regrant = (change: object) => {
    const payload = Buffer.from(JSON.stringify({ ...grant(), ...change })).toString('base64');
    return `${parts()[0]!}${parts()[1]!};${payload};`;
  };

  it.each<[string, () => string]>([
    ['empty', () => ''],
    ['garbage', () => 'garbage'],
    ['unsigned', () => `type=resource&ver=1&sig=;${parts()[2]!};`],
    ['cut off', () => answer.token.slice(0, -8)],
    [
      'with another signature',
      () => `${parts()[0]!}${parts()[1]!.replace(/^./, (c) => (c === 'A' ? 'B' : 'A'))};${parts()[2]!};`,
    ],
    ['made to write', () => regrant({ mode: 'All' })],
    ['made for another partition', () => regrant({ partitionKey: JSON.stringify([BOB]) })],
    ['made for every partition', () => regrant({ partitionKey: null })],
    ['made to last', () => regrant({ expires: Date.now() + 1e12 })],
    ['a user token in its place', () => stack.issuer],
    ['a master signature without the key', () => 'type=master&ver=1.0&sig=AAAA'],
  ])('%s', async (_name, forge) => {
    const token = forge();
    const before = await database.snapshot();
    for (const scope of [ALICE, BOB]) {
      for (const [, work] of [...READS, ...WRITES]) {
        expectNothing(await refusal(() => work(open(token), scope)), [401, 403]);
      }
    }
    expect(changedItems(before, await database.snapshot())).toEqual([]);
  });
});

describe('A token of another time or place opens nothing', () => {
  let other: Emulator;
  let now = Date.now();
  let admin: CosmosClient;

  beforeAll(async () => {
    other = await startEmulator({ now: () => now });
    await provision(other.endpoint, other.key);
    admin = new CosmosClient({ endpoint: other.endpoint, key: other.key });
    await admin
      .database(DATABASE)
      .container(DOCUMENTS)
      .items.create({ id: 'items:1', scope: ALICE, text: SECRET });
    await admin.database(DATABASE).users.create({ id: 'alice' });
  }, 30_000);
  afterAll(async () => {
    admin.dispose();
    await other.dispose();
  });

  const mint = async (seconds: number) => {
    const { resource } = await admin
      .database(DATABASE)
      .user('alice')
      .permissions.upsert(
        {
          id: DOCUMENTS,
          permissionMode: PermissionMode.All,
          resource: `dbs/${DATABASE}/colls/${DOCUMENTS}`,
          resourcePartitionKey: [ALICE],
        },
        { resourceTokenExpirySeconds: seconds },
      );
    return (resource as unknown as { _token: string })._token;
  };

  it('one of another account', async () => {
    const token = await mint(600);
    const before = await database.snapshot();
    for (const [, work] of [...READS, ...WRITES]) {
      expectNothing(await refusal(() => work(open(token), ALICE)), [401, 403]);
    }
    expect(changedItems(before, await database.snapshot())).toEqual([]);
  });

  it('one that has expired', async () => {
    const token = await mint(600);
    const container = open(token, other.endpoint);
    expect(await refusal(() => container.item('items:1', ALICE).read())).toBeNull();
    now += 601_000;
    try {
      for (const [, work] of [...READS, ...WRITES]) {
        expectNothing(await refusal(() => work(open(token, other.endpoint), ALICE), other), [401, 403]);
      }
    } finally {
      now -= 601_000;
    }
    const { resources } = await admin
      .database(DATABASE)
      .container(DOCUMENTS)
      .items.query<{ id: string }>('SELECT c.id FROM c')
      .fetchAll();
    expect(resources).toEqual([{ id: 'items:1' }]);
  });
});
