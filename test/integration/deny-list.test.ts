import { setTimeout as sleep } from 'node:timers/promises';
import { startStack, type Stack } from '../../local/stack.ts';
import { call, changedItems, Database, expectProblem, postSync, synced, touched } from '../support/api.ts';

let stack: Stack;
let database: Database;

beforeAll(async () => {
  stack = await startStack({ quiet: true, settings: { DENY_LIST_REFRESH_SECONDS: '1' } });
  database = new Database(stack);
}, 30_000);
afterAll(async () => {
  database.dispose();
  await stack.dispose();
});

const jwt = (sub: string, claims: object = {}) => stack.issuerHandle.token({ sub, ...claims });
const post = async (path: string, body: object, roles: readonly string[] = ['admin']) =>
  call(`${stack.api}/manage/${path}`, {
    method: 'POST',
    headers: { authorization: `Bearer ${await jwt('root', { roles })}`, 'content-type': 'application/json' },
    body: JSON.stringify(body),
  });
const denied = async () => {
  const { body } = await call(`${stack.api}/manage/denied`, {
    headers: { authorization: `Bearer ${await jwt('root', { roles: ['admin'] })}` },
  });
  return body['entries'] as Record<string, unknown>[];
};
const askToken = (token: string, query = '') =>
  call(`${stack.api}/GetCosmosToken${query}`, { headers: { authorization: `Bearer ${token}` } });
const sync = (token: string, deviceId: string) =>
  postSync(stack, token, {
    protocol: 1,
    deviceId,
    changes: [
      {
        type: 'upsert',
        collection: 'items',
        documentId: deviceId,
        lastModified: new Date().toISOString(),
        data: {},
      },
    ],
  });
const tomorrow = () => new Date(Date.now() + 86_400_000).toISOString();
const idOf = (token: string) =>
  (JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString()) as { jti: string }).jti;

it('a user who is locked out gets no token, may not sync, and changes nothing; afterwards all is as before', async () => {
  const alice = await jwt('alice');
  await synced(stack, alice, { protocol: 1, deviceId: 'phone' });
  expect((await askToken(alice)).status).toBe(200);
  const answer = await post('deny', { target: 'user', userId: 'alice', until: tomorrow(), reason: 'left' });
  expect(answer.body).toMatchObject({ target: 'user', userId: 'alice', reason: 'left', by: 'root' });
  expect(await denied()).toEqual([answer.body]);

  const before = await database.snapshot();
  stack.emulator.requests.clear();
  // Also one who has a token kept by the service already.
  expectProblem(await askToken(alice), 403, 'access_denied');
  expectProblem(await sync(alice, 'phone'), 403, 'access_denied');
  expectProblem(
    await call(`${stack.api}/manage/denied`, { headers: { authorization: `Bearer ${alice}` } }),
    403,
    'access_denied',
  );
  expect(touched(stack)).toEqual([]);
  expect(changedItems(before, await database.snapshot())).toEqual([]);
  expect((await sync(await jwt('bob'), 'phone')).status).toBe(200);

  expect((await post('allow', { id: answer.body['id'] })).status).toBe(200);
  expect(await denied()).toEqual([]);
  expect((await sync(alice, 'phone')).status).toBe(200);
  expectProblem(await post('allow', { id: answer.body['id'] }), 404, 'entry_not_found');
});

it('one device of a user is locked out, and leaving its name out does not help', async () => {
  const alice = await jwt('alice');
  const entry = await post('deny', {
    target: 'device',
    userId: 'alice',
    deviceId: 'lost',
    until: tomorrow(),
  });
  expectProblem(await sync(alice, 'lost'), 403, 'access_denied');
  expectProblem(await askToken(alice, '?deviceId=lost'), 403, 'access_denied');
  expectProblem(await askToken(alice), 403, 'access_denied');
  // Nor does an empty one.
  expectProblem(await askToken(alice, '?deviceId='), 400, 'invalid_request');
  expectProblem(await sync(alice, ''), 403, 'access_denied');
  expect((await sync(alice, 'tablet')).status).toBe(200);
  expect((await askToken(alice, '?deviceId=tablet')).status).toBe(200);
  // The device of the same name of another user is another device.
  expect((await sync(await jwt('bob'), 'lost')).status).toBe(200);
  await post('allow', { id: entry.body['id'] });
});

it('one bearer token is locked out, and the user may go on with another', async () => {
  const [stolen, fresh] = [await jwt('alice'), await jwt('alice')];
  const entry = await post('deny', { target: 'token', tokenId: idOf(stolen), until: tomorrow() });
  expectProblem(await sync(stolen, 'phone'), 403, 'access_denied');
  expect((await sync(fresh, 'phone')).status).toBe(200);
  await post('allow', { id: entry.body['id'] });
});

it('an entry ends by itself', async () => {
  const alice = await jwt('alice');
  const until = Date.now() + 2_500;
  await post('deny', { target: 'user', userId: 'alice', until: new Date(until).toISOString() });
  expectProblem(await sync(alice, 'phone'), 403, 'access_denied');
  while (Date.now() <= until) await sleep(100);
  expect((await sync(alice, 'phone')).status).toBe(200);
  expect(await denied()).toEqual([]);
});

it('another process knows of it within the refresh time, and syncs cost no request for it', async () => {
  const other = await startStack({
    quiet: true,
    settings: {
      DENY_LIST_REFRESH_SECONDS: '1',
      COSMOS_ENDPOINT: stack.cosmosEndpoint,
      COSMOS_KEY: stack.cosmosKey,
      AUTH_ISSUER: stack.issuer,
    },
  });
  try {
    const alice = await jwt('alice');
    const there = () =>
      call(`${other.api}/sync`, {
        method: 'POST',
        headers: { authorization: `Bearer ${alice}`, 'content-type': 'application/json' },
        body: JSON.stringify({ protocol: 1, deviceId: 'phone' }),
      });
    expect((await there()).status).toBe(200);
    const entry = await post('deny', { target: 'user', userId: 'alice', until: tomorrow() });
    let status = 200;
    for (let tries = 0; tries < 50 && status === 200; tries += 1) {
      status = (await there()).status;
      if (status === 200) await sleep(100);
    }
    expect(status).toBe(403);
    await post('allow', { id: entry.body['id'] });

    stack.emulator.requests.clear();
    await Promise.all(Array.from({ length: 20 }, async () => sync(await jwt('carol'), 'phone')));
    const lists = stack.emulator.requests.entries.filter(
      ({ path, partitionKey }) => path.includes('activity') && partitionKey === '["~denied"]',
    );
    // At most one look, of the query and its plan, for all of them.
    expect(lists.length).toBeLessThanOrEqual(4);
  } finally {
    await other.dispose();
  }
}, 60_000);

it.each<[string, object]>([
  ['no target', { userId: 'bob', until: '2030-01-01T00:00:00Z' }],
  ['a target that is not there', { target: 'house', userId: 'bob', until: '2030-01-01T00:00:00Z' }],
  ['a user without a name', { target: 'user', until: '2030-01-01T00:00:00Z' }],
  ['a user with a device', { target: 'user', userId: 'bob', deviceId: 'x', until: '2030-01-01T00:00:00Z' }],
  ['a device of nobody', { target: 'device', deviceId: 'x', until: '2030-01-01T00:00:00Z' }],
  ['no end', { target: 'user', userId: 'bob' }],
  ['an end that is over', { target: 'user', userId: 'bob', until: '2020-01-01T00:00:00Z' }],
  ['an end that is no date', { target: 'user', userId: 'bob', until: 'soon' }],
  ['a user as no answer spells it', { target: 'user', userId: 'bob smith', until: '2030-01-01T00:00:00Z' }],
  ['a user who cannot be', { target: 'user', userId: 'bob=2', until: '2030-01-01T00:00:00Z' }],
  ['an end in a hundred years', { target: 'user', userId: 'bob', until: '2126-01-01T00:00:00Z' }],
])('an entry with %s is refused, and nobody is locked out', async (_, body) => {
  expectProblem(await post('deny', body), 400, 'invalid_request');
  expect(await denied()).toEqual([]);
});

it.each(['../~nobody/x', 'a/b', 'a?b', '..', '', 'x'.repeat(101)])(
  'the end of an entry %j, which none can be called, is bad input and no failure',
  async (id) => {
    expectProblem(await post('allow', { id }), 400, 'invalid_request');
  },
);

it('an entry that somebody spoilt past the service does not hide those behind it', async () => {
  const alice = await jwt('alice');
  const entry = await post('deny', { target: 'user', userId: 'alice', until: tomorrow() });
  const activity = database.container.database.container('activity');
  // The list is read in pages of a thousand: this one is full, and one of it is no entry.
  const newer = Array.from({ length: 1_000 }, (_, index) => ({
    id: `spoilt-${index}`,
    userId: '~denied',
    kind: 'denied',
    at: '2099-01-01T00:00:00.000Z',
    target: 'user',
    deniedUser: `nobody-${index}`,
    until: tomorrow(),
    by: 'root',
    ...(index === 7 ? {} : { ttl: 60 }),
  }));
  for (let at = 0; at < newer.length; at += 100) {
    await activity.items.batch(
      newer.slice(at, at + 100).map((resourceBody) => ({ operationType: 'Create', resourceBody })),
      '~denied',
    );
  }
  expect(await denied()).toHaveLength(1_000);
  expectProblem(await sync(alice, 'phone'), 403, 'access_denied');
  for (let at = 0; at < newer.length; at += 100) {
    await activity.items.batch(
      newer.slice(at, at + 100).map(({ id }) => ({ operationType: 'Delete', id })),
      '~denied',
    );
  }
  await post('allow', { id: entry.body['id'] });
});
