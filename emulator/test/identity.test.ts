import { generateKeyPairSync, sign } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { createServer } from 'node:http';
import { Agent } from 'node:https';
import type { AddressInfo } from 'node:net';
import { CosmosClient } from '@azure/cosmos';
import { startEmulator } from '../src/index.ts';
import type { RoleAssignment } from '../src/index.ts';
import { send } from './raw-request.ts';
import { withEmulator } from './with-emulator.ts';

const part = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url');

interface Issuer {
  readonly url: string;
  token(claims?: object, options?: { key?: KeyObject; kid?: string; alg?: string }): string;
}

/** An issuer with discovery document and keys, as Microsoft Entra has them. */
async function withIssuer(work: (issuer: Issuer) => Promise<void>): Promise<void> {
  const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 });
  let url = '';
  const server = createServer((request, response) => {
    const answer = request.url?.endsWith('openid-configuration')
      ? { issuer: url, jwks_uri: `${url}/keys` }
      : { keys: [{ ...rsa.publicKey.export({ format: 'jwk' }), kid: 'one', use: 'sig' }] };
    response.setHeader('connection', 'close').end(JSON.stringify(answer));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  try {
    await work({
      url,
      token: (claims = {}, { key = rsa.privateKey, kid = 'one', alg = 'RS256' } = {}) => {
        const seconds = Math.floor(Date.now() / 1000);
        const body = {
          iss: url,
          aud: 'cosmos',
          oid: 'gateway',
          nbf: seconds - 5,
          exp: seconds + 300,
          ...claims,
        };
        const signed = `${part({ alg, kid, typ: 'JWT' })}.${part(body)}`;
        return `${signed}.${sign('sha256', Buffer.from(signed), key).toString('base64url')}`;
      },
    });
  } finally {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  }
}

const bearer = (token: string): string => encodeURIComponent(`type=aad&ver=1.0&sig=${token}`);
const key = { 'x-ms-documentdb-partitionkey': '["p"]' };
const docs = 'dbs/db/colls/items/docs';
const account = 'Microsoft.DocumentDB/databaseAccounts';
const containers = `${account}/sqlDatabases/containers`;

const requests = {
  account: { method: 'GET', path: '' },
  databases: { method: 'GET', path: 'dbs' },
  container: { method: 'GET', path: 'dbs/db/colls/items' },
  ranges: { method: 'GET', path: 'dbs/db/colls/items/pkranges' },
  read: { method: 'GET', path: `${docs}/a`, headers: key },
  list: { method: 'GET', path: docs, headers: key },
  upsert: {
    method: 'POST',
    path: docs,
    headers: { ...key, 'x-ms-documentdb-is-upsert': 'True' },
    body: { id: 'a', pk: 'p' },
  },
  other: { method: 'GET', path: 'dbs/db/colls/other' },
  makeDatabase: { method: 'POST', path: 'dbs', body: { id: 'x' } },
  makeContainer: {
    method: 'POST',
    path: 'dbs/db/colls',
    body: { id: 'x', partitionKey: { paths: ['/pk'] } },
  },
  users: { method: 'GET', path: 'dbs/db/users' },
} as const;

describe('data-plane roles', () => {
  it.each<[string, RoleAssignment[], string]>([
    ['no role', [], '403 403 403 403 403 403 403 403 403 403 403'],
    [
      'reader of the account',
      [{ principal: 'gateway', role: 'reader', scope: '/' }],
      '200 200 200 200 200 200 403 200 403 403 403',
    ],
    [
      'contributor of the account',
      [{ principal: 'gateway', role: 'contributor', scope: '/' }],
      '200 200 200 200 200 200 200 200 403 403 403',
    ],
    [
      'reader of the database',
      [{ principal: 'gateway', role: 'reader', scope: '/dbs/db' }],
      '200 403 200 200 200 200 403 200 403 403 403',
    ],
    [
      'contributor of the container',
      [{ principal: 'gateway', role: 'contributor', scope: '/dbs/db/colls/items' }],
      '200 403 200 200 200 200 200 403 403 403 403',
    ],
    [
      'contributor of a container whose name it only begins with',
      [{ principal: 'gateway', role: 'contributor', scope: '/dbs/db/colls/item' }],
      '200 403 403 403 403 403 403 403 403 403 403',
    ],
    [
      'a role of its own that may read metadata and upsert',
      [
        {
          principal: 'gateway',
          role: { dataActions: [`${account}/readMetadata`, `${containers}/items/upsert`] },
          scope: '/dbs/db',
        },
      ],
      '200 403 200 200 403 403 200 200 403 403 403',
    ],
    [
      'a role of its own that may do everything to items, and so neither lists them nor reads metadata',
      [{ principal: 'gateway', role: { dataActions: [`${containers}/items/*`] }, scope: '/' }],
      '403 403 403 403 200 403 200 403 403 403 403',
    ],
    [
      'a role of somebody else',
      [{ principal: 'stranger', role: 'contributor', scope: '/' }],
      '403 403 403 403 403 403 403 403 403 403 403',
    ],
  ])('%s', (_, assignments, expected) =>
    withIssuer((issuer) =>
      withEmulator(
        async ({ emulator, database, container }) => {
          await database.containers.create({ id: 'other', partitionKey: { paths: ['/pk'] } });
          await container.items.create({ id: 'a', pk: 'p' });
          const statuses: number[] = [];
          for (const request of Object.values(requests))
            statuses.push((await send(emulator, request, bearer(issuer.token()))).status);
          expect(statuses.join(' ')).toBe(expected);
        },
        { identity: { issuer: issuer.url, audience: 'cosmos', assignments } },
      ),
    ),
  );
});

it('a batch needs the action of each operation in it, and says which one is missing', () =>
  withIssuer((issuer) =>
    withEmulator(
      async ({ emulator }) => {
        const batch = async (...names: string[]) =>
          send(
            emulator,
            {
              method: 'POST',
              path: docs,
              headers: {
                ...key,
                'x-ms-cosmos-is-batch-request': 'True',
                'x-ms-cosmos-batch-atomic': 'True',
              },
              body: names.map((operationType) => ({
                operationType,
                id: 'a',
                resourceBody: { id: 'a', pk: 'p' },
              })),
            },
            bearer(issuer.token()),
          );
        expect((await batch('Create', 'Replace')).status).toBe(200);
        const refused = await batch('Replace', 'Delete');
        expect(refused.status).toBe(403);
        expect(refused.text).toContain('items/delete');
        expect((await batch('Nonsense')).status).toBe(403);
        const kept = emulator.requests.entries.filter(({ dataActions }) => dataActions.length > 0);
        expect(kept[0]?.dataActions).toEqual([`${containers}/items/create`, `${containers}/items/replace`]);
      },
      {
        identity: {
          issuer: issuer.url,
          assignments: [
            {
              principal: 'gateway',
              role: { dataActions: [`${containers}/items/create`, `${containers}/items/replace`] },
              scope: '/dbs/db/colls/items',
            },
          ],
        },
      },
    ),
  ));

describe('a bearer token', () => {
  it('counts only with the right issuer, audience, times, key, algorithm and signature', () =>
    withIssuer((issuer) =>
      withEmulator(
        async ({ emulator }) => {
          const ask = async (token: string) =>
            (await send(emulator, requests.databases, bearer(token))).status;
          const seconds = Math.floor(Date.now() / 1000);
          const stranger = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey;
          const good = issuer.token();
          expect(await ask(good)).toBe(200);
          expect(await ask(issuer.token({ iss: 'https://evil.example' }))).toBe(401);
          expect(await ask(issuer.token({ aud: 'other' }))).toBe(401);
          expect(await ask(issuer.token({ exp: seconds - 1 }))).toBe(401);
          expect(await ask(issuer.token({ exp: undefined }))).toBe(401);
          expect(await ask(issuer.token({ nbf: seconds + 3600 }))).toBe(401);
          expect(await ask(issuer.token({}, { key: stranger }))).toBe(401);
          expect(await ask(issuer.token({}, { kid: 'two' }))).toBe(401);
          expect(await ask(issuer.token({}, { alg: 'none' }))).toBe(401);
          expect(await ask(issuer.token({}, { alg: 'ES256' }))).toBe(401);
          expect(await ask(`${good.slice(0, -8)}AAAAAAAA`)).toBe(401);
          expect(await ask('rubbish')).toBe(401);
        },
        {
          identity: {
            issuer: issuer.url,
            audience: 'cosmos',
            assignments: [{ principal: 'gateway', role: 'reader', scope: '/' }],
          },
        },
      ),
    ));

  it('is refused where the emulator knows no issuer', () =>
    withEmulator(async ({ emulator }) => {
      expect((await send(emulator, requests.databases, bearer('a.b.c'))).status).toBe(401);
    }));

  it('works through the credential of the SDK, over HTTPS with the self-made certificate', () =>
    withIssuer(async (issuer) => {
      const emulator = await startEmulator({
        https: true,
        identity: {
          issuer: issuer.url,
          assignments: [{ principal: 'gateway', role: 'reader', scope: '/' }],
        },
      });
      const agent = new Agent({ ca: emulator.certificate });
      const setup = new CosmosClient({ endpoint: emulator.endpoint, key: emulator.key, agent });
      const client = new CosmosClient({
        endpoint: emulator.endpoint,
        agent,
        aadCredentials: {
          getToken: () =>
            Promise.resolve({ token: issuer.token(), expiresOnTimestamp: Date.now() + 300_000 }),
        },
      });
      try {
        await setup.databases.create({ id: 'db' });
        expect((await client.database('db').read()).resource?.id).toBe('db');
      } finally {
        setup.dispose();
        client.dispose();
        agent.destroy();
        await emulator.dispose();
      }
    }));
});

it('an account with local authorization disabled takes neither keys nor resource tokens', async () => {
  const emulator = await startEmulator({ disableLocalAuth: true });
  const client = new CosmosClient({ endpoint: emulator.endpoint, key: emulator.key });
  try {
    await expect(client.database('db').read()).rejects.toMatchObject({ code: 401, substatus: 5202 });
  } finally {
    client.dispose();
    await emulator.dispose();
  }
});
