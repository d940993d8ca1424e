targetScope = 'subscription'

metadata description = 'Tidemark: function app, Cosmos DB, Key Vault, storage, monitoring, and private networking when asked for.'

@description('Name of the environment; it becomes part of the name of the resource group, and of every unique name.')
@minLength(2)
@maxLength(20)
param environmentName string

@description('Region of every resource. It has to offer Flex Consumption.')
param location string

@description('Who may call: the identity provider.')
param identityProvider identityProviderSettings

type identityProviderSettings = {
  @description('The iss of accepted tokens, an https URL. Several: leave this as the first and list all in appSettings.AUTH_ISSUERS.')
  @minLength(9)
  issuer: string
  @description('The aud of accepted tokens.')
  @minLength(1)
  audience: string
}

@description('Does the app give out resource tokens? Without (gateway only) the account has no keys that work: local authentication is disabled, and there is no vault.')
param tokenService bool = true

@description('Other settings of the app, by name, on top of its defaults: docs/operations.md lists them.')
param appSettings { *: string } = {}

@description('How Cosmos DB is paid for.')
param throughput throughputSettings = { mode: 'serverless' }

@discriminator('mode')
type throughputSettings = serverless | autoscale
type serverless = {
  mode: 'serverless'
}
type autoscale = {
  mode: 'autoscale'
  @description('Highest RU/s of the documents; a tenth of it is paid for at rest.')
  @minValue(1000)
  documents: int
  @description('Highest RU/s of the activity log.')
  @minValue(1000)
  activity: int
}

@description('How far back the data can be restored. Seven days cost nothing beyond the data.')
param backupTier ('Continuous7Days' | 'Continuous30Days') = 'Continuous7Days'

@description('Name of the database account, where it is another than usual: one that data was restored into.')
param cosmosAccountName string = ''

@description('Reach storage, vault and database by private addresses. The database stays public where a token service hands out tokens to devices: they have to reach it.')
param privateNetworking bool = false

@description('Address space of the network, /22 or larger.')
param addressPrefix string = '10.40.0.0/22'

@description('Spread every part over the zones of the region. Cannot be changed later without moving.')
param zoneRedundant bool = false

@description('Size and number of instances.')
param scale scaleSettings = { memoryMB: 2048, maximumInstances: 40, alwaysReadyInstances: 0, concurrency: 32 }

type scaleSettings = {
  memoryMB: 512 | 2048 | 4096
  @description('More instances than this are never paid for; requests wait instead.')
  @minValue(1)
  @maxValue(1000)
  maximumInstances: int
  @description('Instances that are paid for at rest and spare users the cold start.')
  @minValue(0)
  @maxValue(100)
  alwaysReadyInstances: int
  @description('Requests that one instance works on at a time.')
  @minValue(1)
  @maxValue(1000)
  concurrency: int
}

@description('Who hears of alerts and of the budget.')
param alertEmail string

@description('In the currency of the subscription, a month.')
@minValue(1)
param monthlyBudget int = 50

@description('First day of the budget: the first of a month.')
param budgetStart string = utcNow('yyyy-MM-01')

@description('Days that logs are kept.')
@minValue(30)
@maxValue(730)
param logRetentionDays int = 30

@description('Gigabytes of logs a day after which no more are taken in: a bound for the bill. -1: none.')
param logDailyCapGB int = 1

var token = toLower(uniqueString(subscription().id, environmentName, location))
var tags = {
  'azd-env-name': environmentName
  application: 'tidemark'
}

resource group 'Microsoft.Resources/resourceGroups@2025-04-01' = {
  name: 'rg-${environmentName}'
  location: location
  tags: tags
}

module identity 'modules/identity.bicep' = {
  scope: group
  params: { location: location, tags: tags, name: 'id-${token}' }
}

module monitoring 'modules/monitoring.bicep' = {
  scope: group
  params: {
    location: location
    tags: tags
    token: token
    principalId: identity.outputs.principalId
    alertEmail: alertEmail
    retentionDays: logRetentionDays
    dailyCapGB: logDailyCapGB
  }
}

module storage 'modules/storage.bicep' = {
  scope: group
  params: {
    location: location
    tags: tags
    name: 'st${token}'
    principalId: identity.outputs.principalId
    zoneRedundant: zoneRedundant
    isPrivate: privateNetworking
    workspaceId: monitoring.outputs.workspaceId
  }
}

module cosmos 'modules/cosmos.bicep' = {
  scope: group
  params: {
    location: location
    tags: tags
    name: empty(cosmosAccountName) ? 'cosmos-${token}' : cosmosAccountName
    principalId: identity.outputs.principalId
    throughput: throughput
    backupTier: backupTier
    zoneRedundant: zoneRedundant
    hasLocalAuth: tokenService
    isPrivate: privateNetworking && !tokenService
    workspaceId: monitoring.outputs.workspaceId
  }
}

module vault 'modules/vault.bicep' = if (tokenService) {
  scope: group
  params: {
    location: location
    tags: tags
    name: 'kv-${token}'
    principalId: identity.outputs.principalId
    cosmosAccountName: cosmos.outputs.accountName
    isPrivate: privateNetworking
    workspaceId: monitoring.outputs.workspaceId
  }
}

module network 'modules/network.bicep' = if (privateNetworking) {
  scope: group
  params: {
    location: location
    tags: tags
    token: token
    addressPrefix: addressPrefix
    storageAccountId: storage.outputs.accountId
    cosmosAccountId: cosmos.outputs.accountId
    vaultId: vault.?outputs.vaultId ?? ''
  }
}

module app 'modules/app.bicep' = {
  scope: group
  params: {
    location: location
    tags: union(tags, { 'azd-service-name': 'api' })
    token: token
    identityId: identity.outputs.id
    identityClientId: identity.outputs.clientId
    storageAccountName: storage.outputs.accountName
    packageContainerUrl: storage.outputs.packageContainerUrl
    appInsightsName: monitoring.outputs.appInsightsName
    subnetId: network.?outputs.appSubnetId ?? ''
    zoneRedundant: zoneRedundant
    scale: scale
    settings: {
      COSMOS_ENDPOINT: cosmos.outputs.endpoint
      COSMOS_DATABASE: cosmos.outputs.databaseName
      COSMOS_AUTH: 'identity'
      TOKEN_SERVICE_ENABLED: tokenService ? 'true' : 'false'
      AZURE_IDENTITY: 'managed'
      AZURE_CLIENT_ID: identity.outputs.clientId
      KEY_VAULT_URI: vault.?outputs.uri ?? ''
      COSMOS_KEY_SECRET: vault.?outputs.primarySecretName ?? ''
      COSMOS_KEY_SECRET_SECONDARY: vault.?outputs.secondarySecretName ?? ''
      AUTH_ISSUER: identityProvider.issuer
      AUTH_AUDIENCE: identityProvider.audience
    }
    moreSettings: appSettings
  }
}

module alerts 'modules/alerts.bicep' = {
  scope: group
  params: {
    location: location
    tags: tags
    token: token
    workspaceId: monitoring.outputs.workspaceId
    appInsightsId: monitoring.outputs.appInsightsId
    actionGroupId: monitoring.outputs.actionGroupId
    cosmosAccountId: cosmos.outputs.accountId
    hasThroughput: throughput.mode == 'autoscale'
    healthUrl: '${app.outputs.url}/api/health'
  }
}

module workbook 'modules/workbook.bicep' = {
  scope: group
  params: { location: location, tags: tags, workspaceId: monitoring.outputs.workspaceId }
}

module budget 'modules/budget.bicep' = {
  scope: group
  params: { amount: monthlyBudget, startDate: budgetStart, email: alertEmail }
}

output AZURE_LOCATION string = location
output AZURE_RESOURCE_GROUP string = group.name
output API_URL string = '${app.outputs.url}/api'
output FUNCTION_APP string = app.outputs.name
output COSMOS_ENDPOINT string = cosmos.outputs.endpoint
output COSMOS_ACCOUNT string = cosmos.outputs.accountName
