import { setTimeout as sleep } from 'node:timers/promises';
import { startStack, type Stack } from '../../local/stack.ts';
import { call, postSync } from '../support/api.ts';
import { startSecretWatch, type SecretWatch } from '../support/secret-watch.ts';

/*
 * A watch like this one listens to every test file (test/support/watched-environment.ts). Here it is seen to hear of
 * every key and token, and of everything that the app writes, chatter included: nothing else would show that it does.
 */

const lines: string[] = [];
/** Every key and token that the app was given or gave out, and its kind. */
const used = new Map<string, string>();
let watch: SecretWatch;
let stack: Stack;

beforeAll(async () => {
  watch = startSecretWatch();
  stack = await startStack({ onLine: (line) => lines.push(line) });
  used.set(stack.cosmosKey, 'key');
}, 30_000);
afterAll(async () => {
  await stack.dispose();
  watch.stop();
});

const jwt = async (sub: string, claims: object = {}): Promise<string> => {
  const token = await stack.issuerHandle.token({ sub, ...claims });
  used.set(token, 'bearer token');
  return token;
};
const askToken = async (token: string, query = ''): Promise<number> => {
  const { status, body } = await call(`${stack.api}/GetCosmosToken${query}`, {
    headers: { authorization: `Bearer ${token}` },
  });
  if (typeof body['token'] === 'string') used.set(body['token'], 'resource token');
  return status;
};
const edit = (documentId: string) => ({
  type: 'upsert',
  collection: 'items',
  documentId,
  lastModified: new Date().toISOString(),
  data: { text: 'written by alice' },
});

it('what the app writes holds no key and no token, whatever goes right or wrong', async () => {
  const alice = await jwt('alice');
  const root = await jwt('root', { roles: ['admin'] });
  const body = (id: string) => ({ protocol: 1, deviceId: 'phone', changes: [edit(id)] });

  expect(await askToken(alice)).toBe(200);
  expect((await postSync(stack, alice, body('1'))).status).toBe(200);
  // Refused: altered, expired, not granted, bad input, not an administrator.
  expect(await askToken(`${alice}x`)).toBe(401);
  expect(await askToken(await jwt('alice', { lifetime: -120 }))).toBe(401);
  expect(await askToken(alice, '?scopes=user:bob')).toBe(403);
  expect(await askToken(alice, `?access_token=${alice}`)).toBe(400);
  expect((await postSync(stack, alice, '{"protocol":')).status).toBe(400);
  const manage = { headers: { authorization: `Bearer ${alice}` } };
  expect((await call(`${stack.api}/manage/audit`, manage)).status).toBe(403);
  // Failing: the key is refused, the connection is cut, the account throttles, and errors are logged with their causes.
  used.set(stack.emulator.regenerateKey('primary'), 'key');
  expect(await askToken(await jwt('bob'))).toBe(503);
  expect((await postSync(stack, alice, body('2'))).status).toBe(503);
  expect(
    (await call(`${stack.api}/manage/denied`, { headers: { authorization: `Bearer ${root}` } })).status,
  ).toBe(503);

  // The log arrives by a pipe.
  for (
    let tries = 0;
    tries < 50 && lines.filter((line) => line.includes('unavailable')).length < 3;
    tries += 1
  ) {
    await sleep(100);
  }
  expect(lines.filter((line) => line.includes('unavailable')).length).toBeGreaterThanOrEqual(3);
  expect([...used.values()].sort()).toEqual([
    ...Array<string>(4).fill('bearer token'),
    ...['key', 'key', 'resource token'],
  ]);
  expect([...used.keys()].filter((secret) => !watch.secrets.has(secret))).toEqual([]);
  expect(watch.leaks()).toEqual([]);
  expect(lines.filter((line) => line.includes('written by alice'))).toEqual([]);
}, 60_000);

it('the search would find each of them', () => {
  for (const [secret, kind] of used) {
    const planted = startSecretWatch();
    planted.stop();
    planted.secret(secret);
    planted.wrote('planted', `it failed with ${secret}`);
    expect([kind, ...planted.leaks()]).toEqual([kind, expect.stringMatching(/^planted: .*\[a secret\]$/)]);
  }
});

it('the watch hears the log of the app and its audit', async () => {
  const address = 'an-address-that-nobody-has-asked-for-so-far';
  const token = await jwt('carol');
  const [, claims = ''] = token.split('.');
  const { jti } = JSON.parse(Buffer.from(claims, 'base64url').toString()) as { jti: string };
  expect(await askToken(`${token}x`)).toBe(401);
  expect(await askToken(token, `?scopes=user:bob`)).toBe(403);
  await call(`${stack.api}/${address}`);
  // What waits to be written is written at the end.
  await stack.dispose();
  // Neither is a secret: they are taken for such, to see where they show.
  watch.secret(address);
  watch.secret(jti);
  const places = watch.leaks().map((leak) => leak.replace(/:.*/s, ''));
  expect([...new Set(places)].sort()).toEqual(['audit or operation log', 'log of the app']);
});
