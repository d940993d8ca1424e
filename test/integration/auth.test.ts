import { createHmac } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { startIssuer } from '../../local/issuer.ts';
import { startStack, type Stack } from '../../local/stack.ts';
import { call, expectProblem, touched, type Answer } from '../support/api.ts';
import { base64url, createForge } from '../support/forge.ts';

const AUDIENCE = 'api://tidemark';

let dataDir: string;
let stack: Stack;
let good: string;
let forge: ReturnType<typeof createForge>;

beforeAll(async () => {
  dataDir = await mkdtemp(join(tmpdir(), 'tidemark-auth-'));
  stack = await startStack({ quiet: true, dataDir });
  forge = createForge(dataDir, stack.issuer, AUDIENCE);
  good = await stack.issuerHandle.token({ sub: 'alice' });
}, 30_000);
afterAll(async () => {
  await stack.dispose();
  await rm(dataDir, { recursive: true, force: true });
});

/** A token with these claims instead of those that are taken, signed as the issuer signs unless told otherwise. */
const sign = (claims: object, header: Record<string, unknown> = {}, signer?: (input: string) => string) =>
  forge.signAs(claims, header, signer);

const without = (name: string) =>
  Object.fromEntries(Object.entries(forge.claims).filter(([claim]) => claim !== name));
const signedByForeign = (input: string) => forge.signedByForeign(input);
const tamper = (token: string, part: number, change: (text: string) => string) =>
  token
    .split('.')
    .map((text, index) => (index === part ? change(text) : text))
    .join('.');
const asClaims = (change: object) => (text: string) =>
  base64url({ ...(JSON.parse(Buffer.from(text, 'base64url').toString()) as object), ...change });

const ENDPOINTS = ['GET GetCosmosToken', 'POST GetCosmosToken', 'POST sync'] as const;

/** The request would be a good one, were it not for the token. */
function request(endpoint: (typeof ENDPOINTS)[number], authorization: string | undefined): Promise<Answer> {
  const [method, path] = endpoint.split(' ') as [string, string];
  const change = {
    type: 'upsert',
    collection: 'items',
    documentId: '1',
    lastModified: '2026-11-21T10:00:00Z',
    data: {},
  };
  return call(`${stack.api}/${path}`, {
    method,
    headers: {
      'content-type': 'application/json',
      ...(authorization === undefined ? {} : { authorization }),
    },
    ...(path === 'sync'
      ? { body: JSON.stringify({ protocol: 1, deviceId: 'phone', changes: [change] }) }
      : {}),
  });
}

// First, because the keys are looked up anew only so often for tokens that name an unknown one.
it('A key that the issuer begins to use is found by a running app, and the old one stays good', async () => {
  expect((await request('GET GetCosmosToken', `Bearer ${good}`)).status).toBe(200);
  await stack.issuerHandle.rotateKeys();
  const next = await stack.issuerHandle.token({ sub: 'alice' });
  expect((await request('GET GetCosmosToken', `Bearer ${next}`)).status).toBe(200);
  expect((await request('POST sync', `Bearer ${good}`)).status).toBe(200);
});

describe.each(ENDPOINTS)('%s', (endpoint) => {
  it.each<[string, () => string | undefined, 'missing_token' | 'invalid_token' | 'token_expired']>([
    ['no token', () => undefined, 'missing_token'],
    ['an empty header', () => '', 'missing_token'],
    ['the scheme alone', () => 'Bearer', 'invalid_token'],
    ['garbage', () => 'Bearer garbage', 'invalid_token'],
    ['three empty parts', () => 'Bearer ..', 'invalid_token'],
    ['the Basic scheme', () => `Basic ${Buffer.from('alice:secret').toString('base64')}`, 'invalid_token'],
    ['a token without a scheme', () => good, 'invalid_token'],
    ['another scheme', () => `Token ${good}`, 'invalid_token'],
    ['two tokens', () => `Bearer ${good}, Bearer ${good}`, 'invalid_token'],
    ['a token with a space in it', () => `Bearer ${good.slice(0, 40)} ${good.slice(40)}`, 'invalid_token'],
    ['characters beyond ASCII', () => 'Bearer \u00e9\u00e9\u00e9', 'invalid_token'],
    ['an expired token', () => `Bearer ${sign({ ...forge.claims, exp: forge.now - 120 })}`, 'token_expired'],
    [
      'a token that is not valid yet',
      () => `Bearer ${sign({ ...forge.claims, nbf: forge.now + 600 })}`,
      'invalid_token',
    ],
    ['a token without end', () => `Bearer ${sign(without('exp'))}`, 'invalid_token'],
    [
      'an end that is a text',
      () => `Bearer ${sign({ ...forge.claims, exp: '9999999999' })}`,
      'invalid_token',
    ],
    ['a tampered payload', () => `Bearer ${tamper(good, 1, asClaims({ sub: 'bob' }))}`, 'invalid_token'],
    [
      'an expired token, prolonged',
      () => `Bearer ${tamper(sign({ ...forge.claims, exp: 1 }), 1, asClaims({ exp: forge.now + 600 }))}`,
      'invalid_token',
    ],
    [
      'a tampered signature',
      () => `Bearer ${tamper(good, 2, (text) => `A${text.slice(1, -1)}A`)}`,
      'invalid_token',
    ],
    ['no signature', () => `Bearer ${tamper(good, 2, () => '')}`, 'invalid_token'],
    [
      'the signature of another token',
      () => `Bearer ${tamper(good, 2, () => sign(forge.claims).split('.')[2]!)}`,
      'invalid_token',
    ],
    [
      'a foreign key under a known name',
      () => `Bearer ${sign(forge.claims, {}, signedByForeign)}`,
      'invalid_token',
    ],
    [
      'a foreign key under an unknown name',
      () => `Bearer ${sign(forge.claims, { kid: 'nobody' }, signedByForeign)}`,
      'invalid_token',
    ],
    [
      'a foreign key in the header',
      () =>
        `Bearer ${sign(
          forge.claims,
          { jwk: forge.foreign.publicKey.export({ format: 'jwk' }), kid: undefined },
          signedByForeign,
        )}`,
      'invalid_token',
    ],
    [
      'a hostile key name',
      () => `Bearer ${sign(forge.claims, { kid: '../../etc/passwd\u0000' })}`,
      'invalid_token',
    ],
    ['alg none', () => `Bearer ${sign(forge.claims, { alg: 'none' }, () => '')}`, 'invalid_token'],
    ['alg NONE', () => `Bearer ${sign(forge.claims, { alg: 'NONE' }, () => '')}`, 'invalid_token'],
    [
      'HS256 with the public key as the secret',
      () =>
        `Bearer ${sign(forge.claims, { alg: 'HS256' }, (input) =>
          createHmac('sha256', forge.publicPem).update(input).digest('base64url'),
        )}`,
      'invalid_token',
    ],
    [
      'an algorithm that is not configured',
      () => `Bearer ${sign(forge.claims, { alg: 'RS512' }, (input) => forge.rs512(input))}`,
      'invalid_token',
    ],
    ['a critical extension', () => `Bearer ${sign(forge.claims, { crit: ['x'], x: 1 })}`, 'invalid_token'],
    [
      'another issuer',
      () => `Bearer ${sign({ ...forge.claims, iss: 'https://evil.example' })}`,
      'invalid_token',
    ],
    ['no issuer', () => `Bearer ${sign(without('iss'))}`, 'invalid_token'],
    ['another audience', () => `Bearer ${sign({ ...forge.claims, aud: 'api://other' })}`, 'invalid_token'],
    ['no audience', () => `Bearer ${sign(without('aud'))}`, 'invalid_token'],
    ['a payload that is a list', () => `Bearer ${sign([forge.claims])}`, 'invalid_token'],
    ['a huge token', () => `Bearer ${sign({ ...forge.claims, iss: 'x'.repeat(12_000) })}`, 'invalid_token'],
  ])('refuses %s: 401, nothing read or written', async (_name, authorization, code) => {
    stack.emulator.requests.clear();
    const answer = await request(endpoint, authorization());
    expectProblem(answer, 401, code);
    expect(answer.headers.get('www-authenticate')).toMatch(/^Bearer\b/);
    expect(answer.text).not.toMatch(/signature|kid|jwks|algorithm|claim|nbf/i);
    expect(touched(stack)).toEqual([]);
  });

  it.each<[string, () => object]>([
    ['no user', () => without('sub')],
    ['an empty user', () => ({ ...forge.claims, sub: '' })],
    ['a user of 201 characters', () => ({ ...forge.claims, sub: 'a'.repeat(201) })],
    ['a user that is a number', () => ({ ...forge.claims, sub: 7 })],
    ['a user that is a list', () => ({ ...forge.claims, sub: ['alice'] })],
    ['a user that is null', () => ({ ...forge.claims, sub: null })],
    ['half a surrogate pair', () => ({ ...forge.claims, sub: 'a\ud83d' })],
  ])('refuses a good token that names %s: 403, nothing read or written', async (_name, claims) => {
    stack.emulator.requests.clear();
    const answer = await request(endpoint, `Bearer ${sign(claims())}`);
    // A `sub` that is no text is no JWT at all (RFC 7519, section 4.1.2); a library may say so first.
    expect([401, 403]).toContain(answer.status);
    expectProblem(answer, answer.status, answer.status === 403 ? 'user_id_unusable' : 'invalid_token');
    expect(touched(stack)).toEqual([]);
  });

  it('refuses a token beyond what a header may hold, without an error of its own', async () => {
    stack.emulator.requests.clear();
    // The host says so before any function of the app is asked.
    const [method, path] = endpoint.split(' ') as [string, string];
    const headers = { authorization: `Bearer ${'a'.repeat(40_000)}` };
    expect((await fetch(`${stack.api}/${path}`, { method, headers })).status).toBe(431);
    expect(touched(stack)).toEqual([]);
  });

  it.each([
    '.',
    '..',
    'a/../b',
    '../bob',
    'a/b?c#d',
    '%2e%2e',
    'alice@example.com',
    'a:b',
    '\u00fcn\u00ef',
    ' x ',
  ])('keeps a user named %j apart from all others', async (sub) => {
    const answer = await request(endpoint, `Bearer ${await stack.issuerHandle.token({ sub })}`);
    expect([sub, answer.status]).toEqual([sub, 200]);
    const { scope, scopes } = answer.body as { scope?: string; scopes?: string[] };
    expect(scope ?? scopes?.[0]).toMatch(/^user:[A-Za-z0-9._@=-]+$/);
  });

  it('takes the scheme in any case', async () => {
    expect((await request(endpoint, `bearer ${good}`)).status).toBe(200);
  });
});

describe('While the issuer cannot be reached', () => {
  it('answers 503 with Retry-After, reads and writes nothing, and recovers by itself', async () => {
    const port = await freePort();
    const issuer = `http://127.0.0.1:${port}`;
    const other = await startStack({ quiet: true, settings: { AUTH_ISSUER: issuer } });
    const ask = (token: string) =>
      call(`${other.api}/GetCosmosToken`, { headers: { authorization: `Bearer ${token}` } });
    try {
      other.emulator.requests.clear();
      const down = await ask(sign({ ...forge.claims, iss: issuer }));
      expectProblem(down, 503, 'unavailable');
      expect(Number(down.headers.get('retry-after'))).toBeGreaterThan(0);
      expect(touched(other)).toEqual([]);

      const back = await startIssuer({ port, audience: AUDIENCE });
      try {
        const token = await back.token({ sub: 'alice' });
        let status = 503;
        // It is asked again once a second at most.
        for (let tries = 0; tries < 50 && status === 503; tries += 1) {
          await sleep(100);
          status = (await ask(token)).status;
        }
        expect(status).toBe(200);
      } finally {
        await back.dispose();
      }
    } finally {
      await other.dispose();
    }
  }, 30_000);

  const freePort = () =>
    new Promise<number>((resolve) => {
      const server = createServer().listen(0, '127.0.0.1', () => {
        const { port } = server.address() as { port: number };
        server.close(() => resolve(port));
      });
    });
});
