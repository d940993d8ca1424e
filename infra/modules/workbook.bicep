metadata description = 'The dashboard: every query is a file that can be tried out by itself.'

param location string
param tags object
param workspaceId string

var charts = [
  { title: 'Requests', kind: 'timechart', query: loadTextContent('../queries/workbook/requests.kql') }
  { title: 'How long syncs take, in milliseconds', kind: 'timechart', query: loadTextContent('../queries/workbook/latency.kql') }
  { title: 'Where the time goes', kind: 'table', query: loadTextContent('../queries/workbook/phases.kql') }
  { title: 'Documents', kind: 'timechart', query: loadTextContent('../queries/workbook/documents.kql') }
  { title: 'Request units a second', kind: 'timechart', query: loadTextContent('../queries/workbook/request-units.kql') }
  { title: 'Share of throttled requests', kind: 'timechart', query: loadTextContent('../queries/workbook/throttled.kql') }
  { title: 'Conflicts and rejected changes', kind: 'barchart', query: loadTextContent('../queries/workbook/conflicts.kql') }
  { title: 'Why requests were refused', kind: 'table', query: loadTextContent('../queries/workbook/refusals.kql') }
  { title: 'How long edits waited on devices, in seconds', kind: 'timechart', query: loadTextContent('../queries/workbook/pending-age.kql') }
  { title: 'Resource tokens minted', kind: 'timechart', query: loadTextContent('../queries/workbook/tokens.kql') }
  { title: 'Slowest calls to Cosmos DB', kind: 'table', query: loadTextContent('../queries/workbook/slow-calls.kql') }
]

var timeRange = {
  type: 9
  content: {
    version: 'KqlParameterItem/1.0'
    parameters: [
      {
        id: guid(workspaceId, 'range')
        version: 'KqlParameterItem/1.0'
        name: 'range'
        label: 'Time'
        type: 4
        value: { durationMs: 86400000 }
        typeSettings: {
          selectableValues: [
            { durationMs: 3600000 }
            { durationMs: 86400000 }
            { durationMs: 604800000 }
            { durationMs: 2592000000 }
          ]
        }
      }
    ]
  }
  name: 'range'
}

var items = map(charts, chart => {
  type: 3
  content: {
    version: 'KqlItem/1.0'
    query: chart.query
    size: 0
    title: chart.title
    timeContextFromParameter: 'range'
    queryType: 0
    resourceType: 'microsoft.operationalinsights/workspaces'
    crossComponentResources: [workspaceId]
    visualization: chart.kind
  }
  name: chart.title
})

resource workbook 'Microsoft.Insights/workbooks@2023-06-01' = {
  name: guid(workspaceId, 'tidemark')
  location: location
  tags: tags
  kind: 'shared'
  properties: {
    displayName: 'Tidemark'
    category: 'workbook'
    sourceId: workspaceId
    version: '1.0'
    serializedData: string({ version: 'Notebook/1.0', items: concat([timeRange], items) })
  }
}
