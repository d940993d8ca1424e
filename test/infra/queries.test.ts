import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { captureTelemetry } from '../support/captured-telemetry.ts';
import { findUnknown, toTables, type Tables } from './kql.ts';

const QUERIES = join(process.cwd(), 'infra', 'queries');
const queries = ['alerts', 'workbook'].flatMap((folder) =>
  readdirSync(join(QUERIES, folder)).map((name) => `${folder}/${name}`),
);
const read = (name: string): string => readFileSync(join(QUERIES, name), 'utf8');

let tables: Tables;
beforeAll(async () => {
  tables = toTables((await captureTelemetry()).envelopes);
}, 120_000);

it.each(queries)('%s asks for nothing that the app does not tell', (name) => {
  expect(read(name)).toMatch(/^\/\/ .+\n/);
  expect(findUnknown(read(name), tables)).toEqual([]);
});

it.each([
  ['AppMetrics\n| where Nome == "tidemark.requests"', 'column Nome'],
  ['AppMetric\n| where Name == "tidemark.requests"', 'table AppMetric'],
  ['AppMetrics\n| where Name == "tidemark.request"', '"tidemark.request" in AppMetrics'],
  ['AppEvents\n| where Name == "SyncDone" and toint(Properties.milis) > 1', 'SyncDone.Properties.milis'],
  ['AppEvents\n| where Name == "Resync"\n| summarize n = count()\n| where scopes > 1', 'column scopes'],
  ['AppMetrics\n| project Name\n| where Sum > 1', 'column Sum'],
])('a query that asks for something else is caught: %j', (query, told) => {
  expect(findUnknown(query, tables)).toContain(told);
});
