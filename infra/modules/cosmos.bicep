metadata description = 'The database, its containers, and what the app may do with their items.'

param location string
param tags object
param name string
param principalId string
param throughput object
param backupTier string
param zoneRedundant bool
@description('Keys and resource tokens work. Without, only identities with a role get in.')
param hasLocalAuth bool
param isPrivate bool
param workspaceId string

// Written by `npm run docs` from shared/cosmos/containers.ts, which the local start uses too.
var containers = loadJsonContent('../generated/containers.json')
var isServerless = throughput.mode == 'serverless'
var highest = isServerless ? {} : { documents: throughput.documents, activity: throughput.activity }

resource account 'Microsoft.DocumentDB/databaseAccounts@2025-10-15' = {
  name: name
  location: location
  tags: tags
  kind: 'GlobalDocumentDB'
  properties: {
    databaseAccountOfferType: 'Standard'
    locations: [{ locationName: location, failoverPriority: 0, isZoneRedundant: zoneRedundant }]
    capabilities: isServerless ? [{ name: 'EnableServerless' }] : []
    consistencyPolicy: { defaultConsistencyLevel: 'Session' }
    // Conflicts are decided by the gateway, on the condition of an ETag: that needs one place of writing.
    enableMultipleWriteLocations: false
    backupPolicy: {
      type: 'Continuous'
      continuousModeProperties: { tier: backupTier }
    }
    minimalTlsVersion: 'Tls12'
    disableLocalAuth: !hasLocalAuth
    publicNetworkAccess: isPrivate ? 'Disabled' : 'Enabled'
  }
}

resource database 'Microsoft.DocumentDB/databaseAccounts/sqlDatabases@2025-10-15' = {
  parent: account
  name: 'tidemark'
  properties: { resource: { id: 'tidemark' } }
}

// Changes to one database are taken one at a time.
@batchSize(1)
resource container 'Microsoft.DocumentDB/databaseAccounts/sqlDatabases/containers@2025-10-15' = [
  for each in containers: {
    parent: database
    name: each.id
    properties: {
      resource: each
      options: isServerless ? {} : { autoscaleSettings: { maxThroughput: highest[each.id] } }
    }
  }
]

// Less than the built-in contributor, for each container what the gateway does there and no more: documents are never
// deleted by it (tombstones expire), no stored procedures, no conflict feed. test/integration/deployed.test.ts runs the app
// with exactly these, and finds each of them used.
resource documentsRole 'Microsoft.DocumentDB/databaseAccounts/sqlRoleDefinitions@2025-10-15' = {
  parent: account
  name: guid(account.id, 'tidemark-documents')
  properties: {
    roleName: 'Tidemark gateway, documents'
    type: 'CustomRole'
    assignableScopes: ['${account.id}/dbs/${database.name}/colls/documents']
    permissions: [
      {
        dataActions: [
          'Microsoft.DocumentDB/databaseAccounts/readMetadata'
          'Microsoft.DocumentDB/databaseAccounts/sqlDatabases/containers/items/create'
          'Microsoft.DocumentDB/databaseAccounts/sqlDatabases/containers/items/replace'
          'Microsoft.DocumentDB/databaseAccounts/sqlDatabases/containers/items/upsert'
          'Microsoft.DocumentDB/databaseAccounts/sqlDatabases/containers/executeQuery'
          'Microsoft.DocumentDB/databaseAccounts/sqlDatabases/containers/readChangeFeed'
        ]
      }
    ]
  }
}

resource activityRole 'Microsoft.DocumentDB/databaseAccounts/sqlRoleDefinitions@2025-10-15' = {
  parent: account
  name: guid(account.id, 'tidemark-activity')
  properties: {
    roleName: 'Tidemark gateway, activity'
    type: 'CustomRole'
    assignableScopes: ['${account.id}/dbs/${database.name}/colls/activity']
    permissions: [
      {
        dataActions: [
          'Microsoft.DocumentDB/databaseAccounts/readMetadata'
          'Microsoft.DocumentDB/databaseAccounts/sqlDatabases/containers/items/read'
          'Microsoft.DocumentDB/databaseAccounts/sqlDatabases/containers/items/upsert'
          'Microsoft.DocumentDB/databaseAccounts/sqlDatabases/containers/items/delete'
          'Microsoft.DocumentDB/databaseAccounts/sqlDatabases/containers/executeQuery'
        ]
      }
    ]
  }
}

resource documentsRoleOfApp 'Microsoft.DocumentDB/databaseAccounts/sqlRoleAssignments@2025-10-15' = {
  parent: account
  name: guid(database.id, principalId, documentsRole.id)
  properties: {
    principalId: principalId
    roleDefinitionId: documentsRole.id
    scope: '${account.id}/dbs/${database.name}/colls/documents'
  }
  dependsOn: [container]
}

resource activityRoleOfApp 'Microsoft.DocumentDB/databaseAccounts/sqlRoleAssignments@2025-10-15' = {
  parent: account
  name: guid(database.id, principalId, activityRole.id)
  properties: {
    principalId: principalId
    roleDefinitionId: activityRole.id
    scope: '${account.id}/dbs/${database.name}/colls/activity'
  }
  dependsOn: [container]
}

// Who changed the account, and how full its partitions run. Requests are not logged: their partition keys name users.
resource logs 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = {
  name: 'to-workspace'
  scope: account
  properties: {
    workspaceId: workspaceId
    logAnalyticsDestinationType: 'Dedicated'
    logs: [{ category: 'ControlPlaneRequests', enabled: true }]
    metrics: [{ category: 'Requests', enabled: true }]
  }
}

output accountId string = account.id
output accountName string = account.name
output endpoint string = account.properties.documentEndpoint
output databaseName string = database.name
