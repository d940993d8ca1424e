using 'main.bicep'

// What `azd up` deploys: everything comes from the azd environment (`azd env set NAME value`).
param environmentName = readEnvironmentVariable('AZURE_ENV_NAME')
param location = readEnvironmentVariable('AZURE_LOCATION')
param identityProvider = {
  issuer: readEnvironmentVariable('AUTH_ISSUER')
  audience: readEnvironmentVariable('AUTH_AUDIENCE')
}
param alertEmail = readEnvironmentVariable('ALERT_EMAIL')
param monthlyBudget = int(readEnvironmentVariable('MONTHLY_BUDGET', '50'))
param tokenService = bool(readEnvironmentVariable('TOKEN_SERVICE', 'true'))
param cosmosAccountName = readEnvironmentVariable('COSMOS_ACCOUNT_NAME', '')
param privateNetworking = bool(readEnvironmentVariable('PRIVATE_NETWORKING', 'false'))
param zoneRedundant = bool(readEnvironmentVariable('ZONE_REDUNDANT', 'false'))
param appSettings = json(readEnvironmentVariable('APP_SETTINGS', '{}'))
