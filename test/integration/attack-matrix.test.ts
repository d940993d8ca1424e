import { createHmac } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { ChangeFeedStartFrom, CosmosClient, type Container } from '@azure/cosmos';
import { DATABASE } from '../../local/provision.ts';
import { startStack, type Stack } from '../../local/stack.ts';
import { ACTIVITY, DOCUMENTS } from '../../shared/cosmos/containers.ts';
import { readFailure } from '../../shared/cosmos/failure.ts';
import type { TokenResponse } from '../../shared/protocol/index.ts';
import {
  call,
  changedItems,
  Database,
  expectProblem,
  postSync,
  synced,
  type Answer,
} from '../support/api.ts';
import { createForge } from '../support/forge.ts';

/*
 * Who tries what, and what comes of it: each attack is refused with its code, changes nothing that is stored, and is told
 * by the audit. Every cell comes from an address of its own, by which its line in the audit is found.
 */

const AUDIENCE = 'api://tidemark';
const ALICE = 'user:alice';
const BOB = 'user:bob';

let dataDir: string;
let stack: Stack;
let database: Database;
let forge: ReturnType<typeof createForge>;
let attacker: Server;
let attackerUrl: string;
let attackerRequests = 0;

beforeAll(async () => {
  dataDir = await mkdtemp(join(tmpdir(), 'tidemark-attack-'));
  stack = await startStack({ quiet: true, dataDir, settings: { DENY_LIST_REFRESH_SECONDS: '1' } });
  database = new Database(stack);
  forge = createForge(dataDir, stack.issuer, AUDIENCE);
  // Holds a key of the attacker's own, for tokens that say where their key is.
  attacker = createServer((_request, response) => {
    attackerRequests += 1;
    const jwk = {
      ...forge.foreign.publicKey.export({ format: 'jwk' }),
      kid: 'evil',
      alg: 'RS256',
      use: 'sig',
    };
    response.setHeader('content-type', 'application/json').end(JSON.stringify({ keys: [jwk] }));
  });
  await new Promise<void>((resolve) => attacker.listen(0, '127.0.0.1', resolve));
  attackerUrl = `http://127.0.0.1:${(attacker.address() as AddressInfo).port}/keys`;
  for (const sub of ['alice', 'bob']) {
    const change = {
      type: 'upsert',
      collection: 'items',
      documentId: '1',
      lastModified: now(),
      data: { of: sub },
    };
    await synced(stack, await stack.issuerHandle.token({ sub }), {
      protocol: 1,
      deviceId: 'phone',
      changes: [change],
    });
  }
}, 60_000);
afterAll(async () => {
  database.dispose();
  attacker.close();
  await stack.dispose();
  await rm(dataDir, { recursive: true, force: true });
});

const now = () => new Date().toISOString();
const bearer = (token: string) => ({ authorization: `Bearer ${token}` });
const principal = (user: string) => ({
  'x-ms-client-principal-id': user,
  'x-ms-client-principal': Buffer.from(
    JSON.stringify({
      auth_typ: 'aad',
      claims: [
        { typ: 'iss', val: stack.issuer },
        { typ: 'sub', val: user },
      ],
    }),
  ).toString('base64'),
});
const asUser = async (sub: string, claims: object = {}) =>
  bearer(await stack.issuerHandle.token({ sub, ...claims }));

let cells = 0;
/** A request from an address that no other cell has. */
function from(): { address: string; header: Record<string, string> } {
  cells += 1;
  const address = `10.1.${Math.floor(cells / 200)}.${(cells % 200) + 1}`;
  // What the caller writes there stands before what the platform adds.
  return { address, header: { 'x-forwarded-for': `6.6.6.6, ${address}:4711` } };
}

type Line = Record<string, unknown>;

/** What the audit has to tell by the end, by address. It is written in the background, so it is looked at once. */
const told = new Map<string, Line>();

/** Lines of the audit by address, when there is one for each that is expected. */
async function readAudit(): Promise<Map<string, Line[]>> {
  const headers = await asUser('root', { roles: ['admin'] });
  for (let tries = 0; ; tries += 1) {
    const lines = new Map<string, Line[]>();
    let continuation: string | null = null;
    do {
      const query: string = continuation === null ? '' : `&continuation=${continuation}`;
      const { body } = await call(`${stack.api}/manage/audit?limit=20${query}`, { headers });
      for (const line of body['entries'] as Line[]) {
        const address = String(line['from']);
        lines.set(address, [...(lines.get(address) ?? []), line]);
      }
      continuation = body['continuation'] as string | null;
    } while (continuation !== null);
    if (tries === 20 || [...told.keys()].every((address) => lines.has(address))) return lines;
    await sleep(500);
  }
}

/** What a request would be that is good but for who sends it. */
const edit = (fields: object = {}) => ({
  type: 'upsert',
  collection: 'items',
  documentId: 'forged',
  lastModified: now(),
  data: {},
  ...fields,
});

async function expectRefused(
  attack: (headers: Record<string, string>) => Promise<Answer>,
  status: number,
  code: string,
  line: Line,
): Promise<void> {
  const { address, header } = from();
  const before = await database.snapshot();
  expectProblem(await attack(header), status, code);
  expect(changedItems(before, await database.snapshot())).toEqual([]);
  told.set(address, { event: 'refused', code, count: 1, ...line });
}

describe.each(['GetCosmosToken', 'Sync'])('%s with a bearer token', (operation) => {
  const send = (headers: Record<string, string>, query = '') =>
    operation === 'Sync'
      ? call(`${stack.api}/sync${query}`, {
          method: 'POST',
          headers: { 'content-type': 'application/json', ...headers },
          body: JSON.stringify({ protocol: 1, deviceId: 'phone', changes: [edit()] }),
        })
      : call(`${stack.api}/GetCosmosToken${query}`, { headers });

  it.each<[string, 'missing_token' | 'invalid_token' | 'token_expired', () => Record<string, string>]>([
    ['of alg none', 'invalid_token', () => bearer(forge.sign({}, { alg: 'none' }, () => ''))],
    [
      'signed HS256 with the public key',
      'invalid_token',
      () =>
        bearer(
          forge.sign({}, { alg: 'HS256' }, (input) =>
            createHmac('sha256', forge.publicPem).update(input).digest('base64url'),
          ),
        ),
    ],
    ['of another issuer', 'invalid_token', () => bearer(forge.sign({ iss: 'https://evil.example' }))],
    ['for another audience', 'invalid_token', () => bearer(forge.sign({ aud: 'api://other' }))],
    ['that has expired', 'token_expired', () => bearer(forge.sign({ exp: forge.now - 120 }))],
    ['that is not valid yet', 'invalid_token', () => bearer(forge.sign({ nbf: forge.now + 600 }))],
    [
      'of an unknown kid',
      'invalid_token',
      () => bearer(forge.sign({}, { kid: 'evil' }, forge.signedByForeign)),
    ],
    [
      'whose kid, jku and x5u point elsewhere',
      'invalid_token',
      () =>
        bearer(
          forge.sign({}, { kid: attackerUrl, jku: attackerUrl, x5u: attackerUrl }, forge.signedByForeign),
        ),
    ],
    [
      'that brings its own key',
      'invalid_token',
      () =>
        bearer(
          forge.sign({}, { jwk: forge.foreign.publicKey.export({ format: 'jwk' }) }, forge.signedByForeign),
        ),
    ],
    ['of 20 kB', 'invalid_token', () => bearer(forge.sign({ padding: 'x'.repeat(15_000) }))],
    ['that is missing', 'missing_token', () => ({})],
    ['that is missing, and a forged principal header', 'missing_token', () => principal('bob')],
  ])('%s: 401 %s', async (_, code, headers) => {
    await expectRefused((header) => send({ ...header, ...headers() }), 401, code, {
      operation,
      userId: '~nobody',
    });
  });

  it('in the query: 401 missing_token', async () => {
    const token = await stack.issuerHandle.token({ sub: 'alice' });
    const query = `?access_token=${token}&token=${token}`;
    await expectRefused((header) => send(header, query), 401, 'missing_token', { operation });
  });

  it.each([
    ['2 kB', 'a'.repeat(2_048)],
    ['nothing', ''],
  ])('of a user id of %s: 403 user_id_unusable', async (_, sub) => {
    const headers = bearer(forge.sign({ sub }));
    await expectRefused((header) => send({ ...header, ...headers }), 403, 'user_id_unusable', {
      operation,
      userId: '~nobody',
    });
  });

  it('asked nobody for a key but its issuer', () => expect(attackerRequests).toBe(0));
});

/** An address on which nothing listens any more. */
const nobodyThere = (): Promise<string> =>
  new Promise((resolve) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const { port } = server.address() as AddressInfo;
      server.close(() => resolve(`http://127.0.0.1:${port}`));
    });
  });

it('while the keys of the issuer cannot be had: 503 unavailable, told by the audit', async () => {
  const issuer = await nobodyThere();
  const other = await startStack({ quiet: true, settings: { AUTH_ISSUER: issuer } });
  try {
    const { address, header } = from();
    const answer = await call(`${other.api}/GetCosmosToken`, {
      headers: { ...header, ...bearer(forge.sign({ iss: issuer })) },
    });
    expectProblem(answer, 503, 'unavailable');
    const admin = new CosmosClient({ endpoint: other.cosmosEndpoint, key: other.cosmosKey });
    const items = admin.database(DATABASE).container(ACTIVITY).items;
    let lines: unknown[] = [];
    for (let tries = 0; tries < 50 && lines.length === 0; tries += 1) {
      await sleep(200);
      lines = (await items.query(`SELECT c.code FROM c WHERE c["from"] = "${address}"`).fetchAll()).resources;
    }
    admin.dispose();
    expect(lines).toEqual([{ code: 'unavailable' }]);
  } finally {
    await other.dispose();
  }
}, 60_000);

describe('Users whose ids look alike, or like a path', () => {
  const IDS = [
    'alice',
    'a/lice',
    'a%2flice',
    'a%2Flice',
    '\u0430lice',
    'Alice',
    'alice ',
    'al\u200bice',
    'a=2Flice',
  ];

  it('have each a scope of their own, and none sees what is of another', async () => {
    const before = await database.snapshot();
    const scopes = new Map<string, string>();
    for (const sub of IDS) {
      const token = await stack.issuerHandle.token({ sub });
      const { body } = await call(`${stack.api}/GetCosmosToken`, { headers: bearer(token) });
      const answer = await synced(stack, token, { protocol: 1, deviceId: 'phone' });
      expect(answer.scopes).toEqual([body['scope']]);
      const seen = answer.delta.documents.map(({ scope }) => scope);
      expect(seen.filter((scope) => scope !== body['scope'])).toEqual([]);
      expect(seen).toHaveLength(sub === 'alice' ? 1 : 0);
      scopes.set(sub, String(body['scope']));
    }
    expect(new Set(scopes.values()).size).toBe(IDS.length);
    expect(changedItems(before, await database.snapshot())).toEqual([]);
  });
});

describe('A user who asks for more', () => {
  const token = (headers: Record<string, string>, body: object) =>
    call(`${stack.api}/GetCosmosToken`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...headers },
      body: JSON.stringify(body),
    });

  it.each<[string, object, number, string]>([
    ["another user's scope", { scopes: [BOB] }, 403, 'scope_not_granted'],
    ["another user's scope beside the own", { scopes: [ALICE, BOB] }, 403, 'scope_not_granted'],
    ['a shared scope that the token does not name', { scopes: ['facility:13'] }, 403, 'scope_not_granted'],
    ['a token for writing', { mode: 'all' }, 403, 'mode_not_granted'],
    ["another user's name", { userId: 'bob' }, 403, 'user_mismatch'],
    ['a role', { roles: ['admin'] }, 400, 'invalid_request'],
    ['a scope by another name', { scope: BOB }, 400, 'invalid_request'],
    ['a life of a week', { lifetime: 604_800 }, 400, 'invalid_request'],
  ])('%s: refused', async (_, body, status, code) => {
    const headers = await asUser('alice', { facilities: ['12'] });
    await expectRefused((header) => token({ ...header, ...headers }, body), status, code, {
      userId: 'alice',
    });
  });

  it('a reader for a token for writing: 403 mode_not_granted', async () => {
    const headers = await asUser('alice', { roles: ['reader'] });
    await expectRefused(
      (header) => token({ ...header, ...headers }, { mode: 'all' }),
      403,
      'mode_not_granted',
      {
        userId: 'alice',
        mode: 'all',
        scope: ALICE,
      },
    );
  });

  it('to sync as another user: 403', async () => {
    const good = await stack.issuerHandle.token({ sub: 'alice' });
    const sync = (body: object) => (header: Record<string, string>) =>
      postSync(stack, good, { protocol: 1, deviceId: 'phone', changes: [edit()], ...body }, header);
    await expectRefused(sync({ userId: 'bob' }), 403, 'user_mismatch', {
      operation: 'Sync',
      userId: 'alice',
    });
  });

  it.each<[string, object]>([
    ['a role', { roles: ['admin'] }],
    ['a claim', { facilities: ['13'] }],
    ['a scope of the whole request', { scope: BOB }],
    ['a role in a change', { changes: [edit({ roles: ['admin'] })] }],
  ])('to sync with %s in the body: nothing of it is taken in', async (_, body) => {
    const good = await stack.issuerHandle.token({ sub: 'alice', roles: ['reader'] });
    const before = await database.snapshot();
    const answer = await postSync(stack, good, {
      protocol: 1,
      deviceId: 'phone',
      changes: [edit()],
      ...body,
    });
    // What no request may hold is bad input, which the audit does not tell; a change of that kind is rejected alone.
    if ('changes' in body)
      expect(answer.body['results']).toMatchObject([{ error: { code: 'invalid_change' } }]);
    else expectProblem(answer, 400, 'invalid_request');
    expect(changedItems(before, await database.snapshot())).toEqual([]);
  });

  // No error: a device whose scope was taken away has to hear which it still has (docs/protocol.md, "Scopes").
  it.each([
    ["another user's scope", [BOB]],
    ["another user's scope beside the own", [ALICE, BOB]],
    ['a shared scope that nobody has', ['facility:13']],
  ])('to sync %s: it is as if there were none, and the audit tells of it', async (_, scopes) => {
    const { address, header } = from();
    const token = await stack.issuerHandle.token({ sub: 'alice' });
    const own = scopes.filter((scope) => scope === ALICE);
    const before = await database.snapshot();
    const body = {
      protocol: 1,
      deviceId: 'spy',
      scopes,
      streams: { [BOB]: null },
      checkpoints: { [BOB]: 'WzEs' },
    };
    const answer = (await postSync(stack, token, body, header)).body;
    expect(answer).toMatchObject({ scopes: [ALICE], streams: {}, resync: [] });
    expect(JSON.stringify(answer['delta'])).not.toMatch(/bob|facility/);
    expect(Object.keys(answer['checkpoints'] as object)).toEqual(own);
    expect(changedItems(before, await database.snapshot())).toEqual([]);
    told.set(address, {
      event: 'refused',
      code: 'scope_forbidden',
      operation: 'Sync',
      userId: 'alice',
      deviceId: 'spy',
      scope: scopes.filter((scope) => scope !== ALICE).join(' '),
    });
  });

  it("with a change in another user's scope: the change is rejected, and the audit tells of it", async () => {
    const good = await stack.issuerHandle.token({ sub: 'alice' });
    const { address, header } = from();
    const before = await database.snapshot();
    const body = { protocol: 1, deviceId: 'phone', changes: [edit({ scope: BOB })] };
    const answer = await postSync(stack, good, body, header);
    expect(answer.body['results']).toEqual([
      expect.objectContaining({
        status: 'rejected',
        error: expect.objectContaining({ code: 'scope_forbidden' }) as unknown,
      }),
    ]);
    expect(changedItems(before, await database.snapshot())).toEqual([]);
    told.set(address, { event: 'refused', code: 'scope_forbidden', userId: 'alice', scope: BOB });
  });

  it('with a forged principal header beside a good token: it is not read', async () => {
    const headers = { ...(await asUser('alice')), ...principal('bob') };
    const { body } = await call(`${stack.api}/GetCosmosToken`, { headers });
    expect(body).toMatchObject({ scope: ALICE, userId: 'alice' });
  });

  it.each([
    ['GET', 'manage/audit'],
    ['GET', 'manage/denied'],
    ['POST', 'manage/deny'],
    ['POST', 'manage/allow'],
  ])('to administer, %s %s: 403 role_insufficient', async (method, path) => {
    const headers = {
      'content-type': 'application/json',
      ...(await asUser('alice', { roles: ['facility.admin', 'Admin'] })),
    };
    const body = JSON.stringify({ target: 'user', userId: 'bob', until: '2030-01-01T00:00:00Z', id: 'x' });
    await expectRefused(
      (header) =>
        call(`${stack.api}/${path}`, {
          method,
          headers: { ...header, ...headers },
          ...(method === 'POST' ? { body } : {}),
        }),
      403,
      'role_insufficient',
      { userId: 'alice' },
    );
  });
});

describe('The holder of a resource token', () => {
  let answer: TokenResponse;
  let client: CosmosClient;

  beforeAll(async () => {
    const { header } = from();
    const { body } = await call(`${stack.api}/GetCosmosToken`, {
      headers: { ...header, ...(await asUser('alice')) },
    });
    answer = body as unknown as TokenResponse;
    client = new CosmosClient({
      endpoint: stack.cosmosEndpoint,
      tokenProvider: () => Promise.resolve(answer.token),
      connectionPolicy: { enablePartitionLevelFailover: false },
    });
  });
  afterAll(() => client.dispose());

  const feed = () =>
    ({ changeFeedStartFrom: ChangeFeedStartFrom.Beginning(BOB) }) as unknown as Parameters<
      Container['items']['getChangeFeedIterator']
    >[0];

  it.each<[string, (container: Container) => Promise<unknown>]>([
    ['another partition', (container) => container.item('items:1', BOB).read()],
    [
      'a query of another partition',
      (container) => container.items.query('SELECT * FROM c', { partitionKey: BOB }).fetchAll(),
    ],
    ['a query of all partitions', (container) => container.items.query('SELECT * FROM c').fetchAll()],
    [
      'the change feed of another partition',
      (container) => container.items.getChangeFeedIterator(feed()).readNext(),
    ],
    [
      'a batch in another partition',
      (container) =>
        container.items.batch([{ operationType: 'Upsert', resourceBody: { id: 'x', scope: BOB } }], BOB),
    ],
    [
      'a write to the own partition',
      (container) => container.items.upsert({ id: 'items:forged', scope: ALICE }),
    ],
    ['another container', (container) => container.database.container(ACTIVITY).item('x', 'alice').read()],
    ['the users', (container) => container.database.users.readAll().fetchAll()],
    ['the own permission', (container) => container.database.user('alice').permission(DOCUMENTS).read()],
  ])('does not open %s', async (_, work) => {
    const before = await database.snapshot();
    const status = await work(client.database(DATABASE).container(DOCUMENTS)).then(
      (result) => (result as { statusCode?: number }).statusCode,
      (error: unknown) => readFailure(error).status,
    );
    expect(status).toBe(403);
    expect(changedItems(before, await database.snapshot())).toEqual([]);
  });
});

describe('The audit', () => {
  it('tells of every attack above: who, what, from where, with which code; by pages, for administrators', async () => {
    const lines = await readAudit();
    for (const [address, line] of told) {
      expect([address, lines.get(address)]).toEqual([address, [expect.objectContaining(line)]]);
    }
    expect(told.size).toBeGreaterThan(40);
  });

  it('tells who got a token, for what, until when, from where; never the token', async () => {
    const { address, header } = from();
    const { body } = await call(`${stack.api}/GetCosmosToken?deviceId=tablet`, {
      headers: { ...header, ...(await asUser('carol')) },
    });
    told.set(address, {});
    const lines = (await readAudit()).get(address);
    expect(lines).toEqual([
      {
        id: expect.stringMatching(/^audit:/) as unknown,
        at: expect.any(String) as unknown,
        event: 'mint',
        userId: 'carol',
        operation: 'GetCosmosToken',
        from: address,
        scope: 'user:carol',
        mode: 'read',
        deviceId: 'tablet',
        expiresAt: body['expiresAt'],
        tokenId: expect.any(String) as unknown,
        count: 1,
      },
    ]);
    expect(JSON.stringify([...(await readAudit()).values()])).not.toContain('type=resource');
  });
});
