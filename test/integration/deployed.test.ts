import { OPERATIONS } from '../../shared/protocol/operations.ts';
import { call, type Answer } from '../support/api.ts';
import { CLIENT_ID, rolesOfBicep, startDeployment, type Deployment } from '../support/deployment.ts';

/**
 * The packaged folder alone, with the settings and the roles that Bicep gives it and no others: once with a token
 * service, whose keys come from the vault, and once gateway only, on an account that knows no keys. Everything that the
 * API offers is called; what was needed for it is then held against what was granted, both ways.
 */
const SCOPE = 'user:alice';
/** What was used, by the scope of the role that grants it. */
const used = new Map<string, Set<string>>();

interface Change {
  readonly changeId: string;
  readonly seq: number;
}

/** Calls every operation of the API for what it is there for, and fails where one does not do it. */
async function useEverything({ api, host, issuer }: Deployment, tokenService: boolean): Promise<void> {
  const tokens = {
    alice: await issuer.token({ sub: 'alice' }),
    admin: await issuer.token({ sub: 'root', roles: ['admin'] }),
  };
  const ask = async (who: keyof typeof tokens, path: string, body?: object): Promise<Answer> => {
    const answer = await call(`${api}/${path}`, {
      method: body === undefined ? 'GET' : 'POST',
      headers: { authorization: `Bearer ${tokens[who]}`, 'content-type': 'application/json' },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    if (answer.status !== 200) throw new Error(`${path}: ${answer.status} ${answer.text}`);
    return answer;
  };
  const streams = new Map<string, Change | null>();
  let seq = 0;
  const sync = async (deviceId: string, changes: readonly object[]) => {
    const numbered = changes.map((change) => ({
      changeId: `${deviceId}.${++seq}`,
      seq,
      collection: 'items',
      lastModified: new Date().toISOString(),
      ...change,
    }));
    const { body } = await ask('alice', 'sync', {
      protocol: 1,
      deviceId,
      clientTime: new Date().toISOString(),
      streams: { [SCOPE]: streams.get(deviceId) ?? null },
      changes: numbered,
    });
    const answer = body as {
      streams: Record<string, Change>;
      results: { status: string; version: string }[];
      checkpoints: Record<string, string>;
    };
    streams.set(deviceId, answer.streams[SCOPE] ?? null);
    return answer;
  };
  const edit = (documentId: string, n: number, baseVersion: string | null = null) => ({
    type: 'upsert',
    documentId,
    data: { n },
    baseVersion,
  });

  // Created, replaced, patched, deleted; without a stream; in conflict; again after a lost answer.
  const made = await sync('phone', [edit('1', 1), edit('2', 1)]);
  const { version } = made.results[0] ?? { version: '' };
  await sync('phone', [edit('1', 2, version)]);
  await sync('phone', [{ type: 'patch', documentId: '2', data: { m: 1 }, baseVersion: 'live' }]);
  // The second one comes from the past, and loses.
  for (const lastModified of [new Date().toISOString(), '2026-01-01T00:00:00.000Z']) {
    const change = {
      type: 'upsert',
      collection: 'items',
      documentId: '3',
      lastModified,
      data: { lastModified },
    };
    await ask('alice', 'sync', { protocol: 1, deviceId: 'thin', changes: [change] });
  }
  await sync('tablet', [edit('1', 3)]);
  streams.set('tablet', null);
  const { checkpoints } = await sync('tablet', [edit('4', 1)]);
  await sync('phone', [{ type: 'delete', documentId: '2', baseVersion: 'live' }]);

  const { conflicts } = (await ask('alice', 'sync/conflicts')).body as { conflicts: { id: string }[] };
  await ask('alice', `sync/conflicts/${encodeURIComponent(conflicts[0]?.id ?? '')}/restore`, {});
  await ask('alice', 'sync/deletions');
  const at = encodeURIComponent(checkpoints[SCOPE] ?? '');
  await ask('alice', `sync/integrity?checkpoint=${at}`);
  await ask('alice', 'sync/integrity/documents', {
    collection: 'items',
    buckets: ['00'],
  });
  await ask('alice', 'sync/operations');
  await ask('admin', 'sync/operations');
  const { body: entry } = await ask('admin', 'manage/deny', {
    target: 'user',
    userId: 'mallory',
    until: new Date(Date.now() + 3_600_000).toISOString(),
    reason: 'a lost phone',
  });
  await ask('admin', 'manage/denied');
  await ask('admin', 'manage/allow', { id: entry['id'] });
  await ask('admin', 'manage/audit');
  await ask('admin', 'ready');
  await ask('alice', 'health');
  await ask('alice', 'openapi.json');
  if (tokenService) await ask('alice', 'GetCosmosToken');
  await fetch(`${host.url}/admin/functions/RemoveUnusedTokenUsers`, { method: 'POST' });
}

describe.each([
  ['with a token service', true],
  ['gateway only', false],
])('Deployed %s', (_, tokenService) => {
  let deployment: Deployment;
  beforeAll(async () => {
    deployment = await startDeployment(tokenService);
  }, 120_000);
  afterAll(() => deployment.dispose());

  it('indexes every function of the API', () => {
    const names = deployment.host.functions.map(({ name }) => name);
    expect(names).toEqual(expect.arrayContaining(Object.keys(OPERATIONS)));
  });

  it('does everything that the API offers', async () => {
    await useEverything(deployment, tokenService);
  }, 60_000);

  it(
    tokenService
      ? 'mints with the key that the vault gave its identity'
      : 'gives out no tokens, and says so, and asks for no key',
    async () => {
      const { api, cosmos, issuer, vault, identity } = deployment;
      const response = await fetch(`${api}/GetCosmosToken`, {
        headers: { authorization: `Bearer ${await issuer.token({ sub: 'bob' })}` },
      });
      const asked = identity.asked.map(({ resource }) => resource);
      if (!tokenService) {
        expect(await response.json()).toMatchObject({ code: 'token_service_disabled' });
        expect(asked).not.toContain('https://vault.azure.net');
        return;
      }
      expect(await response.json()).toMatchObject({ token: expect.stringMatching(/^type=resource&/) });
      const minted = cosmos.requests.entries.filter(
        ({ path, status }) => path.includes('/users/bob/permissions') && status < 300,
      );
      expect(minted).toHaveLength(1);
      expect(vault?.requests).toContain('cosmos-primary-key');
      expect(asked).toContain('https://vault.azure.net');
    },
  );

  it('is refused nothing', async () => {
    const { host, cosmos } = deployment;
    await host.dispose(); // Writes the operation log and the telemetry, too.
    const refused = cosmos.requests.entries.filter(({ status }) => status === 401 || status === 403);
    expect(refused).toEqual([]);
    for (const { scope } of rolesOfBicep()) {
      const actions = cosmos.requests.entries
        .filter(({ path }) => path.startsWith(scope))
        .flatMap(({ dataActions }) => dataActions);
      used.set(scope, new Set([...(used.get(scope) ?? []), ...actions]));
    }
  });

  it('is nobody but its managed identity, and sends its telemetry as that', () => {
    const { identity, ingestion } = deployment;
    expect(identity.asked.length).toBeGreaterThan(0);
    for (const { clientId } of identity.asked) expect(clientId).toBe(CLIENT_ID);
    expect(ingestion.envelopes.length).toBeGreaterThan(5);
    for (const header of ingestion.authorizations) expect(header).toMatch(/^Bearer ey/);
    expect(identity.asked.map(({ resource }) => resource)).toContain('https://monitor.azure.com');
  });
});

it.each(rolesOfBicep())('was granted on $scope what it used, and nothing else', ({ scope, dataActions }) => {
  expect([...(used.get(scope) ?? [])].sort()).toEqual([...dataActions].sort());
});
