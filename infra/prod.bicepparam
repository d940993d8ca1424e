using 'main.bicep'

// For users: over the zones of a region, with private addresses, a month of restore points, two warm instances.
// Gateway only, so the account has no keys that work.
param environmentName = 'tidemark-prod'
param location = 'westeurope'
param identityProvider = {
  issuer: 'https://identity.example.com/'
  audience: 'api://tidemark'
}
param tokenService = false
param privateNetworking = true
param zoneRedundant = true
param throughput = {
  mode: 'autoscale'
  documents: 10000
  activity: 1000
}
param backupTier = 'Continuous30Days'
param scale = {
  memoryMB: 2048
  maximumInstances: 100
  alwaysReadyInstances: 2
  concurrency: 32
}
param alertEmail = 'operations@example.com'
param monthlyBudget = 2000
param logRetentionDays = 90
param logDailyCapGB = 20
