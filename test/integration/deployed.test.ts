import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startEmulator, type Emulator } from '../../emulator/src/index.ts';
import { startHostProcess, type HostProcess } from '../../local/host-process.ts';
import { startIssuer, type Issuer } from '../../local/issuer.ts';
import { provision } from '../../local/provision.ts';
import { OPERATIONS } from '../../shared/protocol/operations.ts';
import { readBicep, type Body } from '../infra/bicep.ts';
import { at } from '../infra/rules.ts';
import { startIngestion, type Ingestion } from '../support/ingestion.ts';
import { startManagedIdentity, type ManagedIdentity } from '../support/managed-identity.ts';

/**
 * The app as `azd deploy` puts it into Azure: the packaged folder alone, somewhere else than in this repository, with
 * the settings that Bicep sets and no others, gateway only: Cosmos DB knows no keys, and the app is who its managed
 * identity says. What Azure provides is played on this machine over the real protocols.
 */
const PRINCIPAL = 'the-app';
const CLIENT_ID = '11111111-2222-4333-8444-555555555555';
const read = (path: string): string => readFileSync(join(process.cwd(), 'infra', path), 'utf8');

let folder: string;
let keyed: Emulator;
let cosmos: Emulator;
let identity: ManagedIdentity;
let issuer: Issuer;
let ingestion: Ingestion;
let host: HostProcess;
let settings: Record<string, string>;
/** What has been started, in this order. */
const ends: (() => unknown)[] = [];

/** The app settings of modules/app.bicep, with a value for each expression. */
function settingsOfBicep(values: Readonly<Record<string, string>>): Record<string, string> {
  const find = (file: string, symbol: string, path: string): Body =>
    at(readBicep(read(file)).find((each) => each.symbol === symbol)?.body ?? {}, path) as Body;
  const own = find('modules/app.bicep', 'appSettings', 'properties');
  const connecting = find('main.bicep', 'app', 'params.settings');
  const named = Object.entries({ ...connecting, ...own }).filter(([name]) => !name.startsWith('...'));
  const given = named.map(([name, value]) => {
    const known = typeof value === 'string' ? value : values[name];
    if (known === undefined) throw new Error(`${name} is set by Bicep, and not here`);
    return [name, known] as const;
  });
  const defaults = JSON.parse(read('generated/settings.json')) as Record<string, string>;
  return { ...defaults, ...Object.fromEntries(given) };
}

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'tidemark-deployed-'));
  ends.push(() => rmSync(folder, { recursive: true, force: true }));
  cpSync(join(process.cwd(), 'dist', 'app'), join(folder, 'app'), { recursive: true });
  identity = await startManagedIdentity(PRINCIPAL);
  ends.push(() => identity.dispose());
  issuer = await startIssuer({ port: 0, audience: 'api://tidemark', keyFile: join(folder, 'issuer.json') });
  ends.push(() => issuer.dispose());
  ingestion = await startIngestion();
  ends.push(() => ingestion.dispose());
  // The control plane makes the containers: here with a key, before keys are switched off.
  const data = join(folder, 'cosmos.sqlite');
  keyed = await startEmulator({ data });
  await provision(keyed.endpoint, keyed.key);
  await keyed.dispose();
  cosmos = await startEmulator({
    data,
    https: true,
    disableLocalAuth: true,
    identity: {
      issuer: identity.issuer,
      assignments: [{ principal: PRINCIPAL, role: 'contributor', scope: '/dbs/tidemark' }],
    },
  });
  ends.push(() => cosmos.dispose());
  const ca = join(folder, 'ca.pem');
  const { NODE_EXTRA_CA_CERTS = '', APPLICATIONINSIGHTS_CONNECTION_STRING = '' } = ingestion.settings;
  writeFileSync(ca, `${cosmos.certificate ?? ''}\n${readFileSync(NODE_EXTRA_CA_CERTS, 'utf8')}`);
  settings = settingsOfBicep({
    COSMOS_ENDPOINT: cosmos.endpoint,
    COSMOS_DATABASE: 'tidemark',
    TOKEN_SERVICE_ENABLED: 'false',
    AZURE_CLIENT_ID: CLIENT_ID,
    KEY_VAULT_URI: '',
    COSMOS_KEY_SECRET: '',
    COSMOS_KEY_SECRET_SECONDARY: '',
    AUTH_ISSUER: issuer.issuer,
    AUTH_AUDIENCE: 'api://tidemark',
    AzureWebJobsStorage__accountName: 'storage',
    AzureWebJobsStorage__clientId: CLIENT_ID,
    APPLICATIONINSIGHTS_CONNECTION_STRING,
    APPLICATIONINSIGHTS_AUTHENTICATION_STRING: `ClientId=${CLIENT_ID};Authorization=AAD`,
  });
  host = await startHostProcess({
    appDir: join(folder, 'app'),
    quiet: true,
    settings: { ...settings, ...identity.environment, NODE_EXTRA_CA_CERTS: ca },
  });
  ends.push(() => host.dispose());
}, 120_000);

afterAll(async () => {
  for (const end of ends.reverse()) await end();
});

it('indexes every function of the API', () => {
  const names = host.functions.map(({ name }) => name);
  expect(names).toEqual(expect.arrayContaining(Object.keys(OPERATIONS)));
});

it('syncs as its managed identity, on an account that knows no keys', async () => {
  const token = await issuer.token({ sub: 'alice' });
  const sync = (deviceId: string, changes: object[]) =>
    fetch(`${host.url}/api/sync`, {
      method: 'POST',
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
      body: JSON.stringify({ protocol: 1, deviceId, changes }),
    }).then(async (response) => ({ status: response.status, body: (await response.json()) as object }));
  const lastModified = new Date().toISOString();
  const change = { type: 'upsert', collection: 'items', documentId: '1', lastModified, data: { n: 1 } };
  expect(await sync('phone', [change])).toMatchObject({
    status: 200,
    body: { results: [{ status: 'applied' }] },
  });
  expect(await sync('tablet', [])).toMatchObject({
    status: 200,
    body: { delta: { documents: [{ documentId: '1', data: { n: 1 } }] } },
  });
  expect(identity.asked.length).toBeGreaterThan(0);
  for (const { clientId } of identity.asked) expect(clientId).toBe(CLIENT_ID);
});

it('gives out no tokens, and says so', async () => {
  const token = await issuer.token({ sub: 'alice' });
  const response = await fetch(`${host.url}/api/GetCosmosToken`, {
    headers: { authorization: `Bearer ${token}` },
  });
  expect(response.status).toBeGreaterThanOrEqual(400);
  expect(await response.json()).toMatchObject({ code: 'token_service_disabled' });
});

it('does nothing that the role of Bicep does not allow', async () => {
  await host.dispose(); // Writes the operation log and the telemetry, too.
  const ACTIONS: Readonly<Record<string, string>> = {
    create: 'items/create',
    read: 'items/read',
    replace: 'items/replace',
    upsert: 'items/upsert',
    delete: 'items/delete',
    patch: 'items/replace',
    query: 'executeQuery',
    changeFeed: 'readChangeFeed',
  };
  const granted = [
    ...read('modules/cosmos.bicep').matchAll(/databaseAccounts\/sqlDatabases\/containers\/([\w/]+)'/g),
  ].map(([, action = '']) => action);
  const done = new Set(
    cosmos.requests.entries
      .filter(({ resource }) => resource === 'document')
      .map(({ operation }) => operation),
  );
  const needed = [...done].flatMap((operation) => ACTIONS[operation] ?? []);
  expect(granted).toEqual(expect.arrayContaining(needed));
  const refused = cosmos.requests.entries.filter(({ status }) => status === 401 || status === 403);
  expect(refused).toEqual([]);
});

it('sends its telemetry as its managed identity', () => {
  expect(ingestion.envelopes.length).toBeGreaterThan(5);
  for (const header of ingestion.authorizations) expect(header).toMatch(/^Bearer ey/);
  expect(identity.asked.map(({ resource }) => resource)).toContain('https://monitor.azure.com');
});
