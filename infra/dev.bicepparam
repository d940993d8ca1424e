using 'main.bicep'

// For trying out: pays for what is used, and nothing at rest but the logs.
param environmentName = 'tidemark-dev'
param location = 'westeurope'
param identityProvider = {
  issuer: 'https://identity.example.com/'
  audience: 'api://tidemark-dev'
}
param alertEmail = 'dev@example.com'
param monthlyBudget = 20
param appSettings = {
  TELEMETRY_SAMPLING_PERCENT: '100'
}
