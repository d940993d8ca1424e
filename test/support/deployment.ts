import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startEmulator, type Emulator, type RoleAssignment } from '../../emulator/src/index.ts';
import { startHostProcess, type HostProcess } from '../../local/host-process.ts';
import { startIssuer, type Issuer } from '../../local/issuer.ts';
import { DATABASE, provision } from '../../local/provision.ts';
import { readBicep, type Body, type Declaration } from '../infra/bicep.ts';
import { at } from '../infra/rules.ts';
import { startIngestion, type Ingestion } from './ingestion.ts';
import { startKeyVault, type KeyVault } from './key-vault.ts';
import { startManagedIdentity, type ManagedIdentity } from './managed-identity.ts';

/** The app as `azd deploy` puts it into Azure, and what Azure provides, played on this machine over the real protocols. */
export interface Deployment {
  /** `http://127.0.0.1:1234/api` */
  readonly api: string;
  readonly host: HostProcess;
  readonly cosmos: Emulator;
  readonly identity: ManagedIdentity;
  readonly issuer: Issuer;
  readonly ingestion: Ingestion;
  /** Null without a token service. */
  readonly vault: KeyVault | null;
  dispose(): Promise<void>;
}

const PRINCIPAL = 'the-app';
export const CLIENT_ID = '11111111-2222-4333-8444-555555555555';
const AUDIENCE = 'api://tidemark';
/** A name of Azure's, because the SDK sends its token to no other. */
const VAULT = 'kv-tidemark.vault.azure.net';

const read = (path: string): string => readFileSync(join(process.cwd(), 'infra', path), 'utf8');
const declared = (file: string): Declaration[] => readBicep(read(file));

/**
 * What the app may do with items, as modules/cosmos.bicep says: the roles that are assigned to it, each at its scope.
 *
 * @throws Error where an assignment names no role of that file, or a scope that is no container
 */
export function rolesOfBicep(): { readonly scope: string; readonly dataActions: readonly string[] }[] {
  const all = declared('modules/cosmos.bicep');
  const expression = (body: Body, path: string): string =>
    (at(body, path) as { expression?: string }).expression ?? '';
  return all
    .filter(({ type }) => type.endsWith('/sqlRoleAssignments'))
    .map(({ symbol, body }) => {
      const role = expression(body, 'properties.roleDefinitionId').replace(/\.id$/, '');
      const definition = all.find(
        (each) => each.symbol === role && each.type.endsWith('/sqlRoleDefinitions'),
      );
      const [permission] = at(definition?.body ?? {}, 'properties.permissions') as Body[];
      const scope = /^'\$\{account\.id\}(\/dbs\/)\$\{database\.name\}(\/colls\/\w+)'$/.exec(
        expression(body, 'properties.scope'),
      );
      if (permission === undefined || scope === null)
        throw new Error(`${symbol} cannot be read: its role, or its scope`);
      return {
        scope: `${scope[1] ?? ''}${DATABASE}${scope[2] ?? ''}`,
        dataActions: permission['dataActions'] as string[],
      };
    });
}

/** The app settings of modules/app.bicep, with a value for each expression. */
function settingsOfBicep(values: Readonly<Record<string, string>>): Record<string, string> {
  const find = (file: string, symbol: string, path: string): Body =>
    at(declared(file).find((each) => each.symbol === symbol)?.body ?? {}, path) as Body;
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

/** The names of secrets that modules/vault.bicep writes. */
const secretsOfBicep = (): string[] =>
  declared('modules/vault.bicep')
    .filter(({ type }) => type === 'Microsoft.KeyVault/vaults/secrets')
    .map(({ body }) => body['name'] as string);

/** DNS, as far as Azure's names go: they lead to this machine. Loaded into the app's process before the app. */
const RESOLVE = `
const dns = require('node:dns');
const { lookup } = dns;
dns.lookup = (name, ...rest) => lookup(name === '${VAULT}' ? '127.0.0.1' : name, ...rest);
`;

/**
 * Starts the packaged folder alone, somewhere else than in this repository, with the settings that Bicep sets and no
 * others, as the managed identity with the roles that Bicep gives it.
 *
 * @param tokenService as the parameter of main.bicep: without it Cosmos DB knows no keys, and there is no vault
 */
export async function startDeployment(tokenService: boolean): Promise<Deployment> {
  const ends: (() => unknown)[] = [];
  const dispose = async (): Promise<void> => {
    for (const end of ends.splice(0).reverse()) await end();
  };
  const started = <T extends { dispose(): unknown }>(part: T): T => {
    ends.push(() => part.dispose());
    return part;
  };
  try {
    const folder = mkdtempSync(join(tmpdir(), 'tidemark-deployed-'));
    ends.push(() => rmSync(folder, { recursive: true, force: true }));
    cpSync(join(process.cwd(), 'dist', 'app'), join(folder, 'app'), { recursive: true });
    const identity = started(await startManagedIdentity(PRINCIPAL));
    const issuer = started(
      await startIssuer({ port: 0, audience: AUDIENCE, keyFile: join(folder, 'issuer.json') }),
    );
    const ingestion = started(await startIngestion());
    // The control plane makes the containers: here with a key, before keys are switched off.
    const data = join(folder, 'cosmos.sqlite');
    const keyed = await startEmulator({ data });
    await provision(keyed.endpoint, keyed.key);
    await keyed.dispose();
    const assignments: RoleAssignment[] = rolesOfBicep().map(({ scope, dataActions }) => ({
      principal: PRINCIPAL,
      role: { dataActions },
      scope,
    }));
    const cosmos = started(
      await startEmulator({
        data,
        https: true,
        disableLocalAuth: !tokenService,
        identity: { issuer: identity.issuer, assignments },
      }),
    );
    const [primary = '', secondary = ''] = secretsOfBicep();
    const vault = tokenService
      ? started(
          await startKeyVault(
            { [primary]: cosmos.key, [secondary]: cosmos.secondaryKey },
            { host: VAULT, accepts: (token) => identity.accepts(token, 'https://vault.azure.net') },
          ),
        )
      : null;

    const ca = join(folder, 'ca.pem');
    const { NODE_EXTRA_CA_CERTS = '', APPLICATIONINSIGHTS_CONNECTION_STRING = '' } = ingestion.settings;
    const certificates = [
      cosmos.certificate,
      vault?.certificate,
      readFileSync(NODE_EXTRA_CA_CERTS, 'utf8'),
    ].filter((each) => each !== undefined);
    writeFileSync(ca, certificates.join('\n'));
    writeFileSync(join(folder, 'resolve.cjs'), RESOLVE);
    const settings = settingsOfBicep({
      COSMOS_ENDPOINT: cosmos.endpoint,
      COSMOS_DATABASE: DATABASE,
      TOKEN_SERVICE_ENABLED: String(tokenService),
      AZURE_CLIENT_ID: CLIENT_ID,
      KEY_VAULT_URI: vault?.uri ?? '',
      COSMOS_KEY_SECRET: vault === null ? '' : primary,
      COSMOS_KEY_SECRET_SECONDARY: vault === null ? '' : secondary,
      AUTH_ISSUER: issuer.issuer,
      AUTH_AUDIENCE: AUDIENCE,
      AzureWebJobsStorage__accountName: 'storage',
      AzureWebJobsStorage__clientId: CLIENT_ID,
      APPLICATIONINSIGHTS_CONNECTION_STRING,
      APPLICATIONINSIGHTS_AUTHENTICATION_STRING: `ClientId=${CLIENT_ID};Authorization=AAD`,
    });
    const host = started(
      await startHostProcess({
        appDir: join(folder, 'app'),
        quiet: true,
        settings: {
          ...settings,
          // Of the platform.
          ...identity.environment,
          NODE_EXTRA_CA_CERTS: ca,
          NODE_OPTIONS: `--require ${join(folder, 'resolve.cjs')}`,
        },
      }),
    );
    return { api: `${host.url}/api`, host, cosmos, identity, issuer, ingestion, vault, dispose };
  } catch (error) {
    await dispose();
    throw error;
  }
}
