import { setTimeout as sleep } from 'node:timers/promises';
import { startStack, type Stack } from '../../local/stack.ts';
import { call, postSync } from '../support/api.ts';
import { findLeaks } from '../support/leaks.ts';

/** Everything the app's process writes, chatter included, and every key and token that it was given or gave out. */
const lines: string[] = [];
const secrets: string[] = [];
let stack: Stack;

beforeAll(async () => {
  stack = await startStack({ onLine: (line) => lines.push(line) });
  secrets.push(stack.cosmosKey);
}, 30_000);
afterAll(() => stack.dispose());

const jwt = async (sub: string, claims: object = {}): Promise<string> => {
  const token = await stack.issuerHandle.token({ sub, ...claims });
  secrets.push(token);
  return token;
};
const askToken = async (token: string, query = ''): Promise<number> => {
  const { status, body } = await call(`${stack.api}/GetCosmosToken${query}`, {
    headers: { authorization: `Bearer ${token}` },
  });
  if (typeof body['token'] === 'string') secrets.push(body['token']);
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
  const key = stack.emulator.regenerateKey('primary');
  secrets.push(key);
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
  expect(secrets.length).toBeGreaterThan(6);
  expect(findLeaks(lines, secrets)).toEqual([]);
  expect(lines.filter((line) => line.includes('written by alice'))).toEqual([]);
}, 60_000);

it.each<[string, (secret: string) => string]>([
  ['as it is', (secret) => `failed with ${secret}`],
  ['in a header', (secret) => JSON.stringify({ authorization: `Bearer ${secret}` })],
  ['percent-encoded', (secret) => `?sig=${encodeURIComponent(secret)}`],
  ['cut off', (secret) => secret.slice(0, -20)],
])('the search finds a secret %s', (_, write) => {
  const key = Buffer.alloc(64, 'k+/').toString('base64');
  const resource = `type=resource&ver=1&sig=${Buffer.alloc(32, 's').toString('base64')};${Buffer.alloc(90, 'p').toString('base64')};`;
  for (const secret of [key, resource]) expect(findLeaks(['fine', write(secret)], [secret])).toHaveLength(1);
});
