import { execFileSync } from 'node:child_process';
import {
  cpSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { renderContainers, renderSettingDefaults } from '../../scripts/infra-data.ts';
import { SETTINGS } from '../../shared/config.ts';
import { readBicep, type Body, type Declaration } from './bicep.ts';
import { at, findProblems } from './rules.ts';

const INFRA = join(process.cwd(), 'infra');
/** Rules age; what was fit at this day stays fit until somebody looks again. */
const TODAY = '2026-11-22';
const files = ['main.bicep', ...readdirSync(join(INFRA, 'modules')).map((name) => `modules/${name}`)];
const read = (name: string): string => readFileSync(join(INFRA, name), 'utf8');
const declared = (name: string): Declaration[] => readBicep(read(name));
const find = (file: string, symbol: string): Declaration => {
  const found = declared(file).find((each) => each.symbol === symbol);
  if (found === undefined) throw new Error(`${file} declares no ${symbol}`);
  return found;
};

describe('The Bicep files', () => {
  it.each(files)('%s is read, and nothing in it is against the rules', (file) => {
    const declarations = declared(file);
    const heads = [...read(file).matchAll(/^ *(resource|module) \w+ '/gm)];
    expect(declarations).toHaveLength(heads.length);
    expect(declarations.length).toBeGreaterThan(0);
    expect(findProblems(declarations, read(file), TODAY)).toEqual([]);
  });

  it.each([
    [
      'modules/storage.bicep',
      'allowBlobPublicAccess: false',
      'allowBlobPublicAccess: true',
      'allowBlobPublicAccess',
    ],
    ['modules/storage.bicep', 'allowSharedKeyAccess: false', '', 'allowSharedKeyAccess'],
    ['modules/storage.bicep', "isPrivate ? 'Disabled' : 'Enabled'", "'Enabled'", 'publicNetworkAccess'],
    ['modules/storage.bicep', "publicAccess: 'None'", "publicAccess: 'Blob'", 'publicAccess'],
    [
      'modules/storage.bicep',
      "'b7e6dc6d-f1e7-4753-8033-0f276bb0955b'",
      "'8e3af657-a8ff-443c-a75c-2fe8c4bcb635'",
      'none that the app needs',
    ],
    [
      'modules/storage.bicep',
      '  scope: account\n  properties: {\n    principalId',
      '  properties: {\n    principalId',
      'not on the whole group',
    ],
    ['modules/storage.bicep', '@2025-08-01', '@2023-05-01', 'older than two years'],
    [
      'modules/vault.bicep',
      'scope: vault::primary',
      'scope: vault',
      'belongs on Microsoft.KeyVault/vaults/secrets alone',
    ],
    [
      'modules/vault.bicep',
      'enablePurgeProtection: true',
      'enablePurgeProtection: false',
      'enablePurgeProtection',
    ],
    ['modules/cosmos.bicep', '!hasLocalAuth', 'false', 'disableLocalAuth'],
    [
      'modules/monitoring.bicep',
      'guid(appInsights.id, principalId, publisher)',
      "guid('publisher')",
      'guid(',
    ],
    [
      'modules/cosmos.bicep',
      "'Microsoft.DocumentDB/databaseAccounts/sqlDatabases/containers/items/delete'",
      "'Microsoft.DocumentDB/databaseAccounts/sqlDatabases/containers/items/*'",
      'nobody looked at',
    ],
    [
      'modules/cosmos.bicep',
      "    scope: '${account.id}/dbs/${database.name}/colls/documents'",
      '    scope: account.id',
      'on one container',
    ],
    [
      'modules/cosmos.bicep',
      "assignableScopes: ['${account.id}/dbs/${database.name}/colls/documents']",
      'assignableScopes: [account.id]',
      'more than one container',
    ],
    ['modules/vault.bicep', '  scope: vault\n', '', 'no diagnostic setting'],
    ['modules/network.bicep', '  location: location\n  tags: tags\n', '  location: location\n', 'no tags'],
    ['modules/app.bicep', "name: 'func-${token}'", "name: 'func-tidemark'", 'uniqueString'],
    ['modules/app.bicep', 'httpsOnly: true', 'httpsOnly: false', 'httpsOnly'],
    ['modules/network.bicep', 'virtualNetwork: { id: network.id }', '', 'virtualNetwork'],
  ])('%s with %j turned into %j is caught', (file, good, bad, told) => {
    const source = read(file);
    expect(source).toContain(good);
    const broken = source.replace(good, bad);
    expect(findProblems(readBicep(broken), broken, TODAY).join('\n')).toContain(told);
  });

  it('give nothing away: no output is a secret, no key is in a parameter', () => {
    for (const file of files) {
      const outputs = read(file).match(/^output .*$/gm) ?? [];
      for (const output of outputs)
        expect(output).not.toMatch(/listKeys|ConnectionString|\.value\b|sharedKey/i);
    }
    const keys = files.filter((file) => read(file).includes('listKeys()'));
    expect(keys).toEqual(['modules/vault.bicep']);
  });

  it('have a vault only where there is a token service, and local authentication only there', () => {
    expect(find('main.bicep', 'vault').condition).toBe('tokenService');
    expect(at(find('main.bicep', 'cosmos').body, 'params.hasLocalAuth')).toEqual({
      expression: 'tokenService',
    });
  });

  it('resolve every private address: a zone, its link to the network and its record for each target', () => {
    const network = declared('modules/network.bicep');
    const loops = ['zone', 'link', 'endpoint', 'record'];
    for (const name of loops) {
      expect(network.some(({ symbol }) => symbol === name)).toBe(true);
      expect(read('modules/network.bicep')).toMatch(
        new RegExp(`resource ${name} '[^']+' = \\[\\s+for [^\\n]* in targets:`),
      );
    }
    // https://learn.microsoft.com/azure/private-link/private-endpoint-dns
    const targets = [...read('modules/network.bicep').matchAll(/groupId: '(\w+)'[,\s]+zone: '([^']+)'/g)];
    expect(Object.fromEntries(targets.map(([, group, zone]) => [group, zone]))).toEqual({
      blob: 'privatelink.blob.${environment().suffixes.storage}',
      Sql: 'privatelink.documents.azure.com',
      vault: 'privatelink.vaultcore.azure.net',
    });
    // Whatever is closed to the public has an endpoint.
    const closed = declared('main.bicep').filter(({ body }) => at(body, 'params.isPrivate') !== undefined);
    const reached = Object.keys(at(find('main.bicep', 'network').body, 'params') as Body);
    expect(closed.map(({ symbol }) => symbol).sort()).toEqual(['cosmos', 'storage', 'vault']);
    for (const { symbol } of closed)
      expect(reached.some((name) => name.startsWith(symbol) && name.endsWith('Id'))).toBe(true);
    expect(at(find('main.bicep', 'app').body, 'params.subnetId')).toEqual({
      expression: "network.?outputs.appSubnetId ?? ''",
    });
  });

  it('create the containers that the code uses, as the code defines them', () => {
    expect(read('generated/containers.json')).toBe(renderContainers());
    const { body } = find('modules/cosmos.bicep', 'container');
    expect(at(body, 'properties.resource')).toEqual({ expression: 'each' });
    expect(read('modules/cosmos.bicep')).toContain(
      "var containers = loadJsonContent('../generated/containers.json')",
    );
    // Autoscale asks for the throughput of each by its name.
    for (const { id } of JSON.parse(renderContainers()) as { id: string }[]) {
      expect(read('modules/cosmos.bicep')).toContain(`${id}: throughput.${id}`);
    }
  });

  it('load every query, and load none that is not there', () => {
    const loaded = files.flatMap((file) =>
      [...read(file).matchAll(/loadTextContent\('\.\.\/(.*?)'\)/g)].map(([, path = '']) => path),
    );
    const present = ['alerts', 'workbook'].flatMap((folder) =>
      readdirSync(join(INFRA, 'queries', folder)).map((name) => `queries/${folder}/${name}`),
    );
    expect([...loaded].sort()).toEqual(present.sort());
  });
});

describe('The settings of the deployed app', () => {
  /** Read by the Functions host. */
  const HOST = [
    'AzureWebJobsStorage__accountName',
    'AzureWebJobsStorage__credential',
    'AzureWebJobsStorage__clientId',
  ];
  /** Flex Consumption sets these itself, and refuses a deployment that does. */
  const FORBIDDEN = [
    'FUNCTIONS_WORKER_RUNTIME',
    'FUNCTIONS_EXTENSION_VERSION',
    'WEBSITE_RUN_FROM_PACKAGE',
    'AzureWebJobsStorage',
  ];
  const defaults = JSON.parse(read('generated/settings.json')) as Record<string, string>;
  const connecting = Object.keys(at(find('main.bicep', 'app').body, 'params.settings') as Body);
  const written = at(find('modules/app.bicep', 'appSettings').body, 'properties') as Body;
  const spreads = Object.keys(written).filter((name) => name.startsWith('...'));
  const own = Object.keys(written).filter((name) => !name.startsWith('...'));
  const set = new Set([...Object.keys(defaults), ...connecting, ...own]);

  it('are the defaults of the code, what the deployment wants, and what connects the parts, in this order', () => {
    expect(read('generated/settings.json')).toBe(renderSettingDefaults());
    expect(spreads).toEqual(['...defaults', '...moreSettings', '...settings']);
  });

  it('hold every setting that the app reads but its secrets, which come from the vault', () => {
    const unset = Object.entries(SETTINGS).filter(([name]) => !set.has(name));
    expect(unset.filter(([, { isSecret }]) => !isSecret)).toEqual([]);
    expect(unset.length).toBeGreaterThan(0);
  });

  it('hold none that nobody reads', () => {
    expect([...set].filter((name) => !(name in SETTINGS) && !HOST.includes(name))).toEqual([]);
    expect(FORBIDDEN.filter((name) => set.has(name))).toEqual([]);
  });

  it('are accepted by the app, as far as they are known before the deployment', () => {
    for (const [name, value] of Object.entries(defaults)) {
      const { parse } = SETTINGS[name as keyof typeof SETTINGS];
      expect({ name, fits: value === '' || parse(value) !== undefined }).toEqual({ name, fits: true });
    }
  });
});

const CHECKER = join(process.cwd(), '..', 'shared', 'bicep-check', 'check.mjs');

(existsSync(CHECKER) ? describe : describe.skip)('The checker of types', () => {
  const check = (folder: string): string => {
    try {
      return execFileSync(process.execPath, [realpathSync(CHECKER), folder], { encoding: 'utf8' });
    } catch (error) {
      return String((error as { stdout?: string }).stdout);
    }
  };
  const checkWith = (file: string, good: string, bad: string): string => {
    const folder = mkdtempSync(join(tmpdir(), 'tidemark-bicep-'));
    try {
      cpSync(INFRA, folder, { recursive: true });
      const source = read(file);
      expect(source).toContain(good);
      writeFileSync(join(folder, file), source.replace(good, bad));
      return check(folder);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  };

  it('finds no error and no warning', () => {
    expect(check(INFRA)).toMatch(/^0 errors, 0 warnings in \d+ files\n$/);
  });

  it('catches a property that is not there', () => {
    const told = checkWith('modules/storage.bicep', 'allowSharedKeyAccess: false', 'allowSharedKeys: false');
    expect(told).toMatch(/modules\/storage\.bicep:\d+:\d+ error BCP(037|089)/);
  });

  it('catches a storage account that anybody may read, where that is no literal of ours', () => {
    const told = checkWith('modules/storage.bicep', "publicAccess: 'None'", "publicAccess: 'Everybody'");
    expect(told).toMatch(/modules\/storage\.bicep:\d+:\d+ error BCP(036|088)/);
  });

  it('catches a required property that is missing', () => {
    const told = checkWith('modules/storage.bicep', "  kind: 'StorageV2'\n", '');
    expect(told).toMatch(/modules\/storage\.bicep:\d+:\d+ error BCP035/);
  });

  it('catches a parameter that a module does not take', () => {
    const told = checkWith('main.bicep', '    hasLocalAuth: tokenService\n', '');
    expect(told).toMatch(/main\.bicep:\d+:\d+ error BCP035/);
  });
});
