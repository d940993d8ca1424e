import { createRemoteJWKSet, decodeJwt, jwtVerify } from 'jose';
import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { request as rawRequest } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startIssuer } from '../../local/issuer.ts';
import type { Issuer } from '../../local/issuer.ts';

// Processes and RSA keys take their time on a busy machine.
jest.setTimeout(30_000);

const AUDIENCE = 'api://test';
const folder = mkdtempSync(join(tmpdir(), 'tidemark-issuer-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

interface TokenAnswer {
  access_token: string;
  token_type: string;
  expires_in: number;
  error?: string;
  error_description?: string;
}

/** Verifies a token as the app does: by what the issuer publishes. */
async function verify(issuer: string, token: string, now?: number) {
  const discovery = (await (await fetch(`${issuer}/.well-known/openid-configuration`)).json()) as {
    issuer: string;
    jwks_uri: string;
  };
  const keys = createRemoteJWKSet(new URL(discovery.jwks_uri));
  return jwtVerify(token, keys, {
    issuer: discovery.issuer,
    audience: AUDIENCE,
    algorithms: ['RS256'],
    ...(now === undefined ? {} : { currentDate: new Date(now) }),
  });
}

describe('a development issuer', () => {
  let issuer: Issuer;
  beforeAll(async () => {
    issuer = await startIssuer({ audience: AUDIENCE });
  });
  afterAll(() => issuer.dispose());

  const post = (body: string, contentType = 'application/json') =>
    fetch(`${issuer.issuer}/token`, { method: 'POST', body, headers: { 'content-type': contentType } });
  const ask = async (body: object) => (await (await post(JSON.stringify(body))).json()) as TokenAnswer;

  it('issues a token for any user, which verifies against what it publishes', async () => {
    const answer = await ask({ sub: 'Zoë 漢字', roles: ['admin'], facilities: ['12', '13'] });
    expect(answer).toMatchObject({ token_type: 'Bearer', expires_in: 3_600 });
    const { payload, protectedHeader } = await verify(issuer.issuer, answer.access_token);
    expect(payload).toMatchObject({
      sub: 'Zoë 漢字',
      roles: ['admin'],
      facilities: ['12', '13'],
      aud: AUDIENCE,
    });
    expect(payload.iss).toBe(issuer.issuer);
    expect(protectedHeader).toMatchObject({ alg: 'RS256', typ: 'JWT' });
  });

  it('issues the same to a form, as OAuth clients send it', async () => {
    const form =
      'grant_type=client_credentials&client_id=x&client_secret=y&sub=ann&roles=reader,writer&facilities=%5B%2212%22%5D&team=a&team=b&lifetime=60';
    const response = await post(form, 'application/x-www-form-urlencoded;charset=UTF-8');
    const answer = (await response.json()) as TokenAnswer;
    expect(answer.expires_in).toBe(60);
    const claims = decodeJwt(answer.access_token);
    expect(claims).toMatchObject({
      sub: 'ann',
      roles: ['reader', 'writer'],
      facilities: ['12'],
      team: ['a', 'b'],
    });
    expect(Object.keys(claims)).not.toEqual(expect.arrayContaining(['client_secret']));
  });

  it('publishes no private part of a key', async () => {
    const response = await fetch(`${issuer.issuer}/.well-known/jwks.json`);
    const { keys } = (await response.json()) as { keys: object[] };
    expect(keys.map((key) => Object.keys(key).sort())).toEqual([['alg', 'e', 'kid', 'kty', 'n', 'use']]);
  });

  it('gives each token an id of its own', async () => {
    const [first, second] = await Promise.all([issuer.token({ sub: 'ann' }), issuer.token({ sub: 'ann' })]);
    expect(decodeJwt(first).jti).not.toBe(decodeJwt(second).jti);
  });

  it('issues tokens that have expired, and tokens for another audience, to see what becomes of them', async () => {
    const expired = await issuer.token({ sub: 'ann', lifetime: -60 });
    await expect(verify(issuer.issuer, expired)).rejects.toMatchObject({ code: 'ERR_JWT_EXPIRED' });
    const foreign = await issuer.token({ sub: 'ann', aud: 'api://other' });
    await expect(verify(issuer.issuer, foreign)).rejects.toMatchObject({ claim: 'aud' });
  });

  it.each([
    ['no body', '', 'application/json', 400, 'not JSON'],
    ['text that is not JSON', '{', 'application/json', 400, 'not JSON'],
    ['a list', '[]', 'application/json', 400, 'not a JSON object'],
    ['no user', '{}', 'application/json', 400, '"sub"'],
    ['an empty form', '', 'application/x-www-form-urlencoded', 400, '"sub"'],
    ['a user that is a number', '{"sub":1}', 'application/json', 400, '"sub"'],
    ['an empty user', '{"sub":""}', 'application/json', 400, '"sub"'],
    ['a user of 256 characters', `{"sub":"${'x'.repeat(256)}"}`, 'application/json', 400, '"sub"'],
    ['roles that are no list', '{"sub":"a","roles":"admin"}', 'application/json', 400, '"roles"'],
    ['a role that is no text', '{"sub":"a","roles":[1]}', 'application/json', 400, '"roles"'],
    [
      'a lifetime that is no number',
      'sub=a&lifetime=long',
      'application/x-www-form-urlencoded',
      400,
      '"lifetime"',
    ],
    ['half a second', '{"sub":"a","lifetime":0.5}', 'application/json', 400, '"lifetime"'],
    ['two years', '{"sub":"a","lifetime":63072000}', 'application/json', 400, '"lifetime"'],
    ['a claim the issuer sets', '{"sub":"a","iss":"x"}', 'application/json', 400, '"iss"'],
    ['a prototype', '{"sub":"a","__proto__":{}}', 'application/json', 400, '__proto__'],
    ['a broken list in a form', 'sub=a&facilities=[', 'application/x-www-form-urlencoded', 400, 'not JSON'],
    [
      'thousands of levels',
      `{"sub":"a","x":${'['.repeat(20_000)}${']'.repeat(20_000)}}`,
      'application/json',
      400,
      'levels',
    ],
    ['another content type', 'sub=a', 'text/plain', 400, 'application/json'],
    ['64 KB and more', `{"sub":"a","x":"${'x'.repeat(70_000)}"}`, 'application/json', 413, 'bytes'],
  ])('answers %s with a clear error', async (_, body, contentType, status, words) => {
    const response = await post(body, contentType);
    expect(response.status).toBe(status);
    const answer = (await response.json()) as TokenAnswer;
    expect(answer.error).toBe('invalid_request');
    expect(answer.error_description).toContain(words);
  });

  it('names the way where there is none, and the method where it is another', async () => {
    const lost = await fetch(`${issuer.issuer}/authorize`);
    expect([lost.status, ((await lost.json()) as TokenAnswer).error_description]).toEqual([
      404,
      expect.stringContaining('/token'),
    ]);
    const read = await fetch(`${issuer.issuer}/token`);
    expect([read.status, read.headers.get('allow')]).toEqual([405, 'POST']);
    await read.text();
  });

  it('lets pages of this machine in, and no others', async () => {
    const allowed = async (origin: string) => {
      const response = await fetch(`${issuer.issuer}/token`, { method: 'OPTIONS', headers: { origin } });
      expect(response.status).toBe(204);
      return response.headers.get('access-control-allow-origin');
    };
    expect(await allowed('http://localhost:5173')).toBe('http://localhost:5173');
    expect(await allowed('http://127.0.0.1:3000')).toBe('http://127.0.0.1:3000');
    expect(await allowed('https://localhost.example.org')).toBeNull();
    expect(await allowed('null')).toBeNull();
  });

  it('answers to loopback names only, so that a rebound name reads no token', async () => {
    const status = await new Promise<number | undefined>((resolve, reject) => {
      const url = `${issuer.issuer}/.well-known/jwks.json`;
      rawRequest(url, { headers: { host: 'example.org' }, agent: false }, (response) => {
        response.resume();
        resolve(response.statusCode);
      })
        .on('error', reject)
        .end();
    });
    expect(status).toBe(403);
  });

  it('does not fall over a request that breaks off', async () => {
    const sent = rawRequest(`${issuer.issuer}/token`, {
      method: 'POST',
      headers: { 'content-length': 99 },
      agent: false,
    });
    sent.on('error', () => undefined);
    await new Promise<void>((resolve) => sent.write('{', () => resolve()));
    sent.destroy();
    await new Promise((resolve) => sent.on('close', resolve));
    expect(decodeJwt((await ask({ sub: 'ann' })).access_token).sub).toBe('ann');
  });
});

it('takes the time from its clock', async () => {
  const now = Date.UTC(2030, 0, 1);
  const issuer = await startIssuer({ audience: AUDIENCE, now: () => now, lifetime: 600 });
  const token = await issuer.token({ sub: 'ann' });
  const { iat, nbf, exp } = decodeJwt(token);
  expect([iat, nbf, exp]).toEqual([now / 1000, now / 1000, now / 1000 + 600]);
  await verify(issuer.issuer, token, now + 599_000);
  await issuer.dispose();
});

it('keeps earlier tokens valid over a rotation, and signs with the new key', async () => {
  const issuer = await startIssuer({ audience: AUDIENCE });
  const before = await issuer.token({ sub: 'ann' });
  await issuer.rotateKeys();
  const after = await issuer.token({ sub: 'ann' });
  const kids = await Promise.all(
    [before, after].map(async (token) => (await verify(issuer.issuer, token)).protectedHeader.kid),
  );
  expect(new Set(kids).size).toBe(2);
  await issuer.dispose();
});

it('keeps tokens valid over a restart when its keys have a file, readable by the owner only', async () => {
  const keyFile = join(folder, 'keys.json');
  const first = await startIssuer({ audience: AUDIENCE, keyFile });
  const token = await first.token({ sub: 'ann' });
  await first.dispose();
  const port = Number(new URL(first.issuer).port);
  const second = await startIssuer({ audience: AUDIENCE, keyFile, port });
  expect((await verify(second.issuer, token)).payload.sub).toBe('ann');
  await second.dispose();
  if (process.platform !== 'win32') expect(statSync(keyFile).mode & 0o777).toBe(0o600);
});

it('says what to do about a key file that holds no keys', async () => {
  const keyFile = join(folder, 'broken.json');
  for (const text of ['{', '{"keys":[{}]}', 'null']) {
    writeFileSync(keyFile, text);
    await expect(startIssuer({ audience: AUDIENCE, keyFile })).rejects.toThrow(
      'Delete it to start with new ones',
    );
  }
});

it('refuses other addresses than loopback, and Azure', async () => {
  await expect(startIssuer({ audience: AUDIENCE, host: '0.0.0.0' })).rejects.toThrow('127.0.0.1 or ::1 only');
  process.env['WEBSITE_INSTANCE_ID'] = 'x';
  try {
    await expect(startIssuer({ audience: AUDIENCE })).rejects.toThrow('does not run in Azure');
  } finally {
    delete process.env['WEBSITE_INSTANCE_ID'];
  }
});
