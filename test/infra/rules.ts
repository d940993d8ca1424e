import type { Body, Declaration, Value } from './bicep.ts';

/** Roles that the app gets, by their ids: what they are, and on what kind of resource alone they are in place. */
const ROLES: Readonly<Record<string, { readonly name: string; readonly on: string }>> = {
  'b7e6dc6d-f1e7-4753-8033-0f276bb0955b': {
    name: 'Storage Blob Data Owner',
    on: 'Microsoft.Storage/storageAccounts',
  },
  '4633458b-17de-408a-b874-0445c86b69e6': {
    name: 'Key Vault Secrets User',
    on: 'Microsoft.KeyVault/vaults/secrets',
  },
  '3913510d-42f4-4e42-8a64-420c390055eb': {
    name: 'Monitoring Metrics Publisher',
    on: 'Microsoft.Insights/components',
  },
};

/** Types without a stable API version of the last two years: the newest there is. */
const NOTHING_NEWER: Readonly<Record<string, string>> = {
  'Microsoft.Authorization/roleAssignments': '2022-04-01',
  'Microsoft.Insights/actionGroups': '2023-01-01',
  'Microsoft.Insights/components': '2020-02-02',
  'Microsoft.Insights/diagnosticSettings': '2021-05-01-preview',
  'Microsoft.Insights/webtests': '2022-06-15',
  'Microsoft.Insights/workbooks': '2023-06-01',
  'Microsoft.Network/privateDnsZones': '2024-06-01',
  'Microsoft.Network/privateDnsZones/virtualNetworkLinks': '2024-06-01',
};

/** What has to be so, by type: the path of a property, and what may stand there. */
const MUST: Readonly<Record<string, Readonly<Record<string, Value>>>> = {
  'Microsoft.Storage/storageAccounts': {
    'properties.allowSharedKeyAccess': false,
    'properties.allowBlobPublicAccess': false,
    'properties.allowCrossTenantReplication': false,
    'properties.supportsHttpsTrafficOnly': true,
    'properties.minimumTlsVersion': 'TLS1_2',
    'properties.publicNetworkAccess': { expression: "isPrivate ? 'Disabled' : 'Enabled'" },
    'properties.networkAcls.defaultAction': { expression: "isPrivate ? 'Deny' : 'Allow'" },
  },
  'Microsoft.Storage/storageAccounts/blobServices/containers': { 'properties.publicAccess': 'None' },
  'Microsoft.DocumentDB/databaseAccounts': {
    'properties.minimalTlsVersion': 'Tls12',
    'properties.disableLocalAuth': { expression: '!hasLocalAuth' },
    'properties.publicNetworkAccess': { expression: "isPrivate ? 'Disabled' : 'Enabled'" },
    'properties.enableMultipleWriteLocations': false,
    'properties.backupPolicy.type': 'Continuous',
  },
  'Microsoft.KeyVault/vaults': {
    'properties.enableRbacAuthorization': true,
    'properties.enableSoftDelete': true,
    'properties.enablePurgeProtection': true,
    'properties.publicNetworkAccess': { expression: "isPrivate ? 'Disabled' : 'Enabled'" },
    'properties.networkAcls.defaultAction': { expression: "isPrivate ? 'Deny' : 'Allow'" },
  },
  'Microsoft.Insights/components': { 'properties.DisableLocalAuth': true },
  'Microsoft.OperationalInsights/workspaces': { 'properties.features.disableLocalAuth': true },
  'Microsoft.Web/serverfarms': { 'sku.name': 'FC1', 'properties.reserved': true },
  'Microsoft.Web/sites': {
    'properties.httpsOnly': true,
    'properties.siteConfig.minTlsVersion': '1.2',
    'properties.siteConfig.ftpsState': 'Disabled',
    'properties.functionAppConfig.runtime': { name: 'node', version: '22' },
    'properties.functionAppConfig.deployment.storage.authentication.type': 'UserAssignedIdentity',
  },
  'Microsoft.Web/sites/basicPublishingCredentialsPolicies': { 'properties.allow': false },
  'Microsoft.Network/privateDnsZones/virtualNetworkLinks': {
    'properties.virtualNetwork.id': { expression: 'network.id' },
  },
};

/** @param today `2026-11-22` */
export function findProblems(declarations: readonly Declaration[], source: string, today: string): string[] {
  const made = declarations.filter(({ kind, isExisting }) => kind === 'resource' && !isExisting);
  const logged = made
    .filter(({ type }) => type === 'Microsoft.Insights/diagnosticSettings')
    .map(({ body }) => expressionAt(body, 'scope').replace(/.*::/, ''));
  return made.flatMap((declaration) => {
    const { symbol, type, version, body } = declaration;
    const wrong = Object.entries(MUST[type] ?? {})
      .filter(([path, value]) => JSON.stringify(at(body, path)) !== JSON.stringify(value))
      .map(([path, value]) => `${symbol}: ${path} has to be ${JSON.stringify(value)}`);
    if (isOld(type, version, today)) wrong.push(`${symbol}: API version ${version} is older than two years`);
    if (type === 'Microsoft.Authorization/roleAssignments') {
      wrong.push(...roleProblems(declaration, declarations, source));
    }
    if (type.endsWith('/sqlRoleDefinitions')) wrong.push(...dataRoleProblems(declaration));
    if (type.endsWith('/sqlRoleAssignments') && !ONE_CONTAINER.test(expressionAt(body, 'properties.scope')))
      wrong.push(`${symbol}: a data-plane role is in place on one container`);
    if (LOGGED.has(type) && !logged.includes(symbol))
      wrong.push(`${symbol}: no diagnostic setting says what was done to it`);
    if (takesTags(declaration) && !expressionAt(body, 'tags').includes('tags'))
      wrong.push(`${symbol}: it has no tags`);
    if (isGloballyNamed(type) && !/token|^name$/.test(expressionAt(body, 'name')))
      wrong.push(`${symbol}: its name has to hold what uniqueString gave`);
    return wrong;
  });
}

const isOld = (type: string, version: string, today: string): boolean => {
  if (NOTHING_NEWER[type] === version) return false;
  const limit = `${Number(today.slice(0, 4)) - 2}${today.slice(4)}`;
  return version.slice(0, 10) < limit || version.includes('preview');
};

/** What a vault gives out, and what is done to the database and to the package, is kept. */
const LOGGED: ReadonlySet<string> = new Set([
  'Microsoft.DocumentDB/databaseAccounts',
  'Microsoft.KeyVault/vaults',
  'Microsoft.Storage/storageAccounts/blobServices',
]);

/** Types that have no tags of their own. */
const UNTAGGED = /^Microsoft\.(Authorization|Consumption)\/|\/diagnosticSettings$|\/privateDnsZoneGroups$/;

/** Parts of another resource have none either: an account's databases, a site's settings. */
const takesTags = ({ type, body }: Declaration): boolean =>
  !UNTAGGED.test(type) &&
  (type.split('/').length === 2 || type === 'Microsoft.Network/privateDnsZones/virtualNetworkLinks') &&
  body['parent'] === undefined;

const isGloballyNamed = (type: string): boolean =>
  [
    'Microsoft.DocumentDB/databaseAccounts',
    'Microsoft.KeyVault/vaults',
    'Microsoft.Storage/storageAccounts',
    'Microsoft.Web/sites',
  ].includes(type);

const ONE_CONTAINER = /^'\$\{account\.id\}\/dbs\/\$\{database\.name\}\/colls\/\w+'$/;

function dataRoleProblems({ symbol, body }: Declaration): string[] {
  const permissions = at(body, 'properties.permissions') as readonly Body[];
  const actions = permissions.flatMap((each) => each['dataActions'] as readonly string[]);
  const scopes = at(body, 'properties.assignableScopes') as readonly { expression: string }[];
  return [
    ...actions
      .filter((action) => action.includes('*'))
      .map((action) => `${symbol}: ${action} allows what nobody looked at`),
    ...scopes
      .filter(({ expression }) => !ONE_CONTAINER.test(expression))
      .map(({ expression }) => `${symbol}: it can be assigned to more than one container: ${expression}`),
  ];
}

/** What is written at a path, where it has to be computed; else ''. */
function expressionAt(body: Body, path: string): string {
  const value = at(body, path);
  return typeof value === 'object' &&
    value !== null &&
    'expression' in value &&
    typeof value.expression === 'string'
    ? value.expression
    : '';
}

function roleProblems({ symbol, body }: Declaration, all: readonly Declaration[], source: string): string[] {
  const text = (path: string): string => expressionAt(body, path);
  const [scope, role] = [text('scope'), text('properties.roleDefinitionId')];
  const [, id = ''] =
    new RegExp(`var ${role} = subscriptionResourceId\\([^)]*'([0-9a-f-]{36})'`).exec(source) ?? [];
  const target = all.find((each) => each.symbol === scope.replace(/.*::/, ''));
  const problems: string[] = [];
  if (ROLES[id] === undefined) problems.push(`${symbol}: role ${id || role} is none that the app needs`);
  else if (target?.type !== ROLES[id].on) {
    problems.push(
      `${symbol}: ${ROLES[id].name} belongs on ${ROLES[id].on} alone, not on ${scope || 'the whole group'}`,
    );
  }
  if (text('name') !== `guid(${scope}.id, principalId, ${role})`) {
    problems.push(`${symbol}: its name has to be guid(scope, principal, role)`);
  }
  if (at(body, 'properties.principalType') !== 'ServicePrincipal') {
    problems.push(`${symbol}: without principalType a new identity may not be found yet`);
  }
  return problems;
}

/** The value at a path of names. */
export const at = (body: Body, path: string): Value | undefined =>
  path
    .split('.')
    .reduce<Value | undefined>(
      (value, name) =>
        typeof value === 'object' && value !== null && !Array.isArray(value)
          ? (value as Body)[name]
          : undefined,
      body,
    );
