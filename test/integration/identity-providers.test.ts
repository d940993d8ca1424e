import { CosmosClient } from '@azure/cosmos';
import { startIssuer, type Issuer } from '../../local/issuer.ts';
import { DATABASE } from '../../local/provision.ts';
import { startStack, type Stack } from '../../local/stack.ts';
import { DOCUMENTS } from '../../shared/cosmos/containers.ts';
import type { TokenResponse } from '../../shared/protocol/index.ts';
import {
  call,
  changedItems,
  Database,
  expectProblem,
  postSync,
  synced,
  touched,
  type Answer,
} from '../support/api.ts';

/*
 * Two identity providers and the platform's own principal header, on one app: whoever comes in by which door is one user
 * of one provider, and no door leads to the users behind another.
 */

let home: Issuer;
let partner: Issuer;
let stack: Stack;
let database: Database;

beforeAll(async () => {
  home = await startIssuer({ audience: 'api://home' });
  partner = await startIssuer({ audience: 'api://partner' });
  stack = await startStack({
    quiet: true,
    settings: {
      AUTH_ISSUERS: JSON.stringify([
        { issuer: home.issuer, audience: 'api://home' },
        {
          alias: 'partner',
          issuer: partner.issuer,
          audience: 'api://partner',
          requiredScopes: ['data.read', 'data.write'],
        },
      ]),
      AUTH_PLATFORM_PRINCIPAL: 'true',
      WEBSITE_AUTH_ENABLED: 'True',
    },
  });
  database = new Database(stack);
}, 60_000);
afterAll(async () => {
  database.dispose();
  await stack.dispose();
  await home.dispose();
  await partner.dispose();
});

const SCP = 'data.read data.write profile';
const bearer = (token: string) => ({ authorization: `Bearer ${token}` });
const ask = (headers: Record<string, string>): Promise<Answer> =>
  call(`${stack.api}/GetCosmosToken`, { headers });
const edit = (text: string) => ({
  type: 'upsert',
  collection: 'items',
  documentId: '1',
  lastModified: new Date().toISOString(),
  data: { text },
});

/** What the platform makes of a signed-in caller. */
const principal = (claims: readonly (readonly [string, string])[], more: object = {}) => ({
  'x-ms-client-principal': Buffer.from(
    JSON.stringify({
      auth_typ: 'aad',
      name_typ: 'name',
      role_typ: 'http://schemas.microsoft.com/ws/2008/06/identity/claims/role',
      claims: claims.map(([typ, val]) => ({ typ, val })),
      ...more,
    }),
  ).toString('base64'),
});

describe('Users of one name at two providers', () => {
  const open = ({ token }: TokenResponse) => {
    const client = new CosmosClient({
      endpoint: stack.cosmosEndpoint,
      tokenProvider: () => Promise.resolve(token),
      connectionPolicy: { enablePartitionLevelFailover: false },
    });
    return { client, container: client.database(DATABASE).container(DOCUMENTS) };
  };

  it('are two users: documents and resource tokens keep them apart', async () => {
    const tokens = [await home.token({ sub: 'alice' }), await partner.token({ sub: 'alice', scp: SCP })];
    const users = ['alice', 'partner.alice'];
    for (const [index, token] of tokens.entries()) {
      await synced(stack, token, { protocol: 1, deviceId: 'phone', changes: [edit(users[index]!)] });
    }
    const answers: TokenResponse[] = [];
    for (const [index, token] of tokens.entries()) {
      const { scopes, delta } = await synced(stack, token, { protocol: 1, deviceId: 'tablet' });
      expect(scopes).toEqual([`user:${users[index]!}`]);
      expect(delta.documents.map(({ data }) => data)).toEqual([{ text: users[index] }]);
      const { body } = await ask(bearer(token));
      expect(body).toMatchObject({ userId: users[index], scope: `user:${users[index]!}` });
      answers.push(body as unknown as TokenResponse);
    }
    for (const [index, answer] of answers.entries()) {
      const { client, container } = open(answer);
      const own = await container.item('items:1', `user:${users[index]!}`).read<{ data: object }>();
      expect(own.resource?.data).toEqual({ text: users[index] });
      await expect(
        container.items.query('SELECT * FROM c', { partitionKey: `user:${users[1 - index]!}` }).fetchAll(),
      ).rejects.toMatchObject({ code: 403 });
      client.dispose();
    }
  });

  it('are locked out one by one', async () => {
    const admin = {
      ...bearer(await home.token({ sub: 'root', roles: ['admin'] })),
      'content-type': 'application/json',
    };
    const post = (path: string, body: object) =>
      call(`${stack.api}/manage/${path}`, { method: 'POST', headers: admin, body: JSON.stringify(body) });
    const until = new Date(Date.now() + 3_600_000).toISOString();
    const { body } = await post('deny', { target: 'user', userId: 'partner.alice', until });
    expectProblem(await ask(bearer(await partner.token({ sub: 'alice', scp: SCP }))), 403, 'access_denied');
    expect((await ask(bearer(await home.token({ sub: 'alice' })))).status).toBe(200);
    await post('allow', { id: body['id'] });
  });

  it.each<[string, () => Promise<string>, number, string]>([
    ['a name of the other provider', () => home.token({ sub: 'partner.alice' }), 403, 'user_id_unusable'],
    [
      "the other provider's audience",
      () => home.token({ sub: 'alice', aud: 'api://partner' }),
      401,
      'invalid_token',
    ],
    [
      "the other provider's audience, the other way round",
      () => partner.token({ sub: 'alice', scp: SCP, aud: 'api://home' }),
      401,
      'invalid_token',
    ],
    [
      'an issuer that is not configured',
      () => stack.issuerHandle.token({ sub: 'alice', aud: 'api://home' }),
      401,
      'invalid_token',
    ],
  ])('cannot be reached with %s', async (_, token, status, code) => {
    const before = await database.snapshot();
    stack.emulator.requests.clear();
    const headers = await token();
    expectProblem(await ask(bearer(headers)), status, code);
    expectProblem(
      await postSync(stack, headers, { protocol: 1, deviceId: 'phone', changes: [edit('forged')] }),
      status,
      code,
    );
    expect(touched(stack).filter((request) => request.includes('/users/'))).toEqual([]);
    expect(changedItems(before, await database.snapshot())).toEqual([]);
  });
});

describe('A provider whose tokens need scopes', () => {
  it.each<[string, object]>([
    ['none', {}],
    ['one of two', { scp: 'data.read' }],
    ['words that only begin alike', { scp: 'data.read data.writer' }],
    ['them in no text', { scp: { 'data.read': true, 'data.write': true } }],
    ['them under another name', { roles: ['data.read', 'data.write'] }],
  ])('refuses a token with %s: 403 insufficient_scope, and says which are wanted', async (_, claims) => {
    const answer = await ask(bearer(await partner.token({ sub: 'alice', ...claims })));
    expectProblem(answer, 403, 'insufficient_scope');
    expect(answer.headers.get('www-authenticate')).toBe(
      'Bearer error="insufficient_scope", scope="data.read data.write"',
    );
  });

  it.each<[string, object]>([
    ['one text', { scp: 'data.write data.read' }],
    ['`scope`', { scope: 'openid data.read data.write' }],
    ['a list', { scp: ['data.read', 'data.write'] }],
    ['both claims together', { scp: 'data.read', scope: 'data.write' }],
  ])('takes them in %s', async (_, claims) => {
    expect((await ask(bearer(await partner.token({ sub: 'alice', ...claims })))).status).toBe(200);
  });

  it('does not ask them of another', async () => {
    expect((await ask(bearer(await home.token({ sub: 'alice' })))).status).toBe(200);
  });
});

describe("The platform's principal header", () => {
  it('tells who is calling where there is no bearer token, by the claims as the platform names them', async () => {
    const { body } = await ask(
      principal([
        ['iss', home.issuer],
        ['http://schemas.xmlsoap.org/ws/2005/05/identity/claims/nameidentifier', 'alice'],
        ['facilities', '12'],
        ['facilities', '13'],
      ]),
    );
    expect(body).toMatchObject({ userId: 'alice', scope: 'user:alice' });
  });

  it('brings the roles that the platform names', async () => {
    const role = (name: string) =>
      principal([
        ['iss', home.issuer],
        ['sub', 'root'],
        ['http://schemas.microsoft.com/ws/2008/06/identity/claims/role', name],
      ]);
    const list = (headers: Record<string, string>) => call(`${stack.api}/manage/denied`, { headers });
    expect((await list(role('admin'))).status).toBe(200);
    expectProblem(await list(role('writer')), 403, 'role_insufficient');
  });

  it('keeps users of two providers apart, and asks the scopes that a provider asks', async () => {
    const claims = (scope: string) =>
      principal([
        ['iss', partner.issuer],
        ['sub', 'alice'],
        ['http://schemas.microsoft.com/identity/claims/scope', scope],
      ]);
    expect((await ask(claims('data.read data.write'))).body).toMatchObject({ userId: 'partner.alice' });
    expectProblem(await ask(claims('data.read')), 403, 'insufficient_scope');
  });

  it.each<[string, () => Record<string, string>]>([
    ['of no issuer', () => principal([['sub', 'alice']])],
    [
      'of an issuer that is not configured',
      () =>
        principal([
          ['iss', 'https://evil.example'],
          ['sub', 'alice'],
        ]),
    ],
    ['whose claims are no list', () => principal([], { claims: { sub: 'alice' } })],
    ['with a claim that is no text', () => principal([], { claims: [{ typ: 'sub', val: 7 }] })],
    ['that is no JSON', () => ({ 'x-ms-client-principal': Buffer.from('{').toString('base64') })],
    ['that is null', () => ({ 'x-ms-client-principal': Buffer.from('null').toString('base64') })],
    ['that is no base64', () => ({ 'x-ms-client-principal': '%%%' })],
  ])('%s is refused: 401 invalid_token', async (_, headers) => {
    const answer = await ask(headers());
    expectProblem(answer, 401, 'invalid_token');
    expect(answer.headers.get('www-authenticate')).toBe('Bearer error="invalid_token"');
  });

  it('of nobody is refused: 403 user_id_unusable', async () => {
    expectProblem(await ask(principal([['iss', home.issuer]])), 403, 'user_id_unusable');
  });

  it('does not stand in for a bearer token that is refused, nor beside a good one', async () => {
    const header = principal([
      ['iss', home.issuer],
      ['sub', 'bob'],
    ]);
    expectProblem(await ask({ ...header, authorization: 'Bearer garbage' }), 401, 'invalid_token');
    const token = await home.token({ sub: 'alice' });
    expect((await ask({ ...header, ...bearer(token) })).body).toMatchObject({ userId: 'alice' });
  });
});

it('An app without a token service says so, and syncs', async () => {
  const other = await startStack({ quiet: true, settings: { TOKEN_SERVICE_ENABLED: 'false' } });
  try {
    const token = await other.issuerHandle.token({ sub: 'alice' });
    const answer = await call(`${other.api}/GetCosmosToken`, { headers: bearer(token) });
    expectProblem(answer, 501, 'token_service_disabled');
    // Who is calling is asked first all the same.
    expectProblem(await call(`${other.api}/GetCosmosToken`), 401, 'missing_token');
    const { results } = await synced(other, token, {
      protocol: 1,
      deviceId: 'phone',
      changes: [edit('hello')],
    });
    expect(results).toMatchObject([{ status: 'applied' }]);
    expect(touched(other).filter((request) => request.includes('/users/'))).toEqual([]);
  } finally {
    await other.dispose();
  }
}, 60_000);
