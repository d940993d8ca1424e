metadata description = 'The keys of the database, for the token service: users and permissions can only be written with one of them.'

param location string
param tags object
param name string
param principalId string
param cosmosAccountName string
param isPrivate bool
param workspaceId string

// Key Vault Secrets User: read the value of a secret.
var secretsUser = subscriptionResourceId(
  'Microsoft.Authorization/roleDefinitions',
  '4633458b-17de-408a-b874-0445c86b69e6'
)

resource cosmos 'Microsoft.DocumentDB/databaseAccounts@2025-10-15' existing = {
  name: cosmosAccountName
}

resource vault 'Microsoft.KeyVault/vaults@2025-05-01' = {
  name: name
  location: location
  tags: tags
  properties: {
    tenantId: tenant().tenantId
    sku: { family: 'A', name: 'standard' }
    enableRbacAuthorization: true
    enableSoftDelete: true
    enablePurgeProtection: true
    softDeleteRetentionInDays: 90
    publicNetworkAccess: isPrivate ? 'Disabled' : 'Enabled'
    networkAcls: {
      bypass: 'None'
      defaultAction: isPrivate ? 'Deny' : 'Allow'
    }
  }

  // A deployment writes both keys anew: run it after a rotation and the vault is up to date.
  resource primary 'secrets' = {
    name: 'cosmos-primary-key'
    properties: { value: cosmos.listKeys().primaryMasterKey, contentType: 'Cosmos DB key' }
  }

  resource secondary 'secrets' = {
    name: 'cosmos-secondary-key'
    properties: { value: cosmos.listKeys().secondaryMasterKey, contentType: 'Cosmos DB key' }
  }
}

resource mayReadPrimary 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(vault::primary.id, principalId, secretsUser)
  scope: vault::primary
  properties: {
    principalId: principalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: secretsUser
  }
}

resource mayReadSecondary 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(vault::secondary.id, principalId, secretsUser)
  scope: vault::secondary
  properties: {
    principalId: principalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: secretsUser
  }
}

// Who read which secret, and when.
resource audit 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = {
  name: 'to-workspace'
  scope: vault
  properties: {
    workspaceId: workspaceId
    logs: [{ category: 'AuditEvent', enabled: true }]
  }
}

output vaultId string = vault.id
output uri string = vault.properties.vaultUri
output primarySecretName string = vault::primary.name
output secondarySecretName string = vault::secondary.name
