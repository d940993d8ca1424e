metadata description = 'What wakes somebody up. docs/operations.md says of each what to do.'

param location string
param tags object
param token string
param workspaceId string
param appInsightsId string
param actionGroupId string
param cosmosAccountId string
@description('Serverless accounts have no throughput that a partition could use up: their alert is throttled.')
param hasThroughput bool
param healthUrl string

// Every query tells when to worry itself, so that it can be tried out as it is: an alert fires where it gives a row.
var queries = [
  { name: 'sync-failures', severity: 1, window: 'PT15M', query: loadTextContent('../queries/alerts/sync-failures.kql') }
  { name: 'slow-syncs', severity: 2, window: 'PT15M', query: loadTextContent('../queries/alerts/slow-syncs.kql') }
  { name: 'throttled', severity: 2, window: 'PT15M', query: loadTextContent('../queries/alerts/throttled.kql') }
  { name: 'token-refusals', severity: 2, window: 'PT15M', query: loadTextContent('../queries/alerts/token-refusals.kql') }
  { name: 'token-failures', severity: 1, window: 'PT15M', query: loadTextContent('../queries/alerts/token-failures.kql') }
  { name: 'resyncs', severity: 2, window: 'PT1H', query: loadTextContent('../queries/alerts/resyncs.kql') }
  { name: 'edits-wait', severity: 3, window: 'PT6H', query: loadTextContent('../queries/alerts/edits-wait.kql') }
]

resource queryAlert 'Microsoft.Insights/scheduledQueryRules@2026-03-01' = [
  for each in queries: {
    name: 'alert-${each.name}-${token}'
    location: location
    tags: tags
    kind: 'LogAlert'
    properties: {
      displayName: 'Tidemark: ${each.name}'
      description: 'docs/operations.md#${each.name}'
      severity: each.severity
      enabled: true
      scopes: [workspaceId]
      evaluationFrequency: 'PT5M'
      windowSize: each.window
      criteria: {
        allOf: [
          {
            query: each.query
            timeAggregation: 'Count'
            operator: 'GreaterThan'
            threshold: 0
            failingPeriods: { numberOfEvaluationPeriods: 1, minFailingPeriodsToAlert: 1 }
          }
        ]
      }
      autoMitigate: true
      // A table is made by its first row; before that, its alerts ask in vain.
      skipQueryValidation: true
      actions: { actionGroups: [actionGroupId] }
    }
  }
]

// From the service itself, so that it speaks up where the app cannot.
resource hotPartition 'Microsoft.Insights/metricAlerts@2026-01-01' = if (hasThroughput) {
  name: 'alert-hot-partition-${token}'
  location: 'global'
  tags: tags
  properties: {
    description: 'docs/operations.md#hot-partition'
    severity: 2
    enabled: true
    scopes: [cosmosAccountId]
    evaluationFrequency: 'PT5M'
    windowSize: 'PT15M'
    criteria: {
      'odata.type': 'Microsoft.Azure.Monitor.SingleResourceMultipleMetricCriteria'
      allOf: [
        {
          name: 'busiest'
          criterionType: 'StaticThresholdCriterion'
          metricName: 'NormalizedRUConsumption'
          timeAggregation: 'Maximum'
          operator: 'GreaterThan'
          threshold: 95
        }
      ]
    }
    autoMitigate: true
    actions: [{ actionGroupId: actionGroupId }]
  }
}

resource availability 'Microsoft.Insights/webtests@2022-06-15' = {
  name: 'availability-${token}'
  location: location
  tags: union(tags, { 'hidden-link:${appInsightsId}': 'Resource' })
  kind: 'standard'
  properties: {
    SyntheticMonitorId: 'availability-${token}'
    Name: 'Tidemark answers'
    Kind: 'standard'
    Enabled: true
    Frequency: 300
    Timeout: 30
    RetryEnabled: true
    Locations: [
      { Id: 'emea-nl-ams-azr' }
      { Id: 'emea-gb-db3-azr' }
      { Id: 'us-va-ash-azr' }
      { Id: 'us-ca-sjc-azr' }
      { Id: 'apac-sg-sin-azr' }
    ]
    Request: { RequestUrl: healthUrl, HttpVerb: 'GET', ParseDependentRequests: false, FollowRedirects: false }
    ValidationRules: {
      ExpectedHttpStatusCode: 200
      SSLCheck: true
      SSLCertRemainingLifetimeCheck: 7
      ContentValidation: { ContentMatch: '"status":"ok"', PassIfTextFound: true }
    }
  }
}

resource unavailable 'Microsoft.Insights/metricAlerts@2026-01-01' = {
  name: 'alert-unavailable-${token}'
  location: 'global'
  tags: tags
  properties: {
    description: 'docs/operations.md#unavailable'
    severity: 0
    enabled: true
    scopes: [availability.id, appInsightsId]
    evaluationFrequency: 'PT1M'
    windowSize: 'PT5M'
    criteria: {
      'odata.type': 'Microsoft.Azure.Monitor.WebtestLocationAvailabilityCriteria'
      webTestId: availability.id
      componentId: appInsightsId
      failedLocationCount: 3
    }
    autoMitigate: true
    actions: [{ actionGroupId: actionGroupId }]
  }
}
