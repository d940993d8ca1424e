import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { captureTelemetry } from '../support/captured-telemetry.ts';
import { run, times, toTables, type Tables } from './kql.ts';

const QUERIES = join(process.cwd(), 'infra', 'queries');
const named = (folder: string): string[] =>
  readdirSync(join(QUERIES, folder)).map((name) => `${folder}/${name}`);
const read = (name: string): string => readFileSync(join(QUERIES, name), 'utf8');

let trouble: Tables;
let health: Tables;
beforeAll(async () => {
  trouble = toTables((await captureTelemetry('trouble')).envelopes);
  health = toTables((await captureTelemetry('health')).envelopes);
}, 120_000);

it.each([...named('alerts'), ...named('workbook')])('%s says what it is for', (name) => {
  expect(read(name)).toMatch(/^\/\/ .+\n/);
});

/** What the app was seen to send in trouble, from two hundred times the traffic, sets off each alert; in health none. */
it.each(named('alerts'))('%s fires in trouble, and only then', (name) => {
  expect(run(read(name), times(trouble, 200)).length).toBeGreaterThan(0);
  expect(run(read(name), times(health, 200))).toEqual([]);
  expect(run(read(name), times(trouble, 0))).toEqual([]);
});

it.each(named('workbook'))('%s shows what the app was seen to send', (name) => {
  const rows = run(read(name), trouble);
  expect(rows.length).toBeGreaterThan(0);
  for (const row of rows) {
    for (const [column, value] of Object.entries(row))
      expect({ column, value }).not.toEqual({ column, value: null });
  }
});

it('a share is the share, a percentile the percentile, an average the average', () => {
  const row = (Name: string, Sum: number, status: string) => ({
    TimeGenerated: 0,
    Name,
    Sum,
    ItemCount: 2,
    Max: Sum,
    Properties: { status, milliseconds: String(Sum) },
  });
  const rows = [row('a', 90, '200'), row('a', 10, '429'), row('b', 1000, '429')];
  const tables = { AppMetrics: rows, AppEvents: rows };
  const of = (steps: string) => run(`AppMetrics\n| where Name == "a"\n| ${steps}`, tables);
  expect(of('summarize share = sumif(Sum, toint(Properties.status) == 429) / sum(Sum)')).toEqual([
    { share: 0.1 },
  ]);
  expect(of('summarize p50 = percentile(todouble(Properties.milliseconds), 50), n = count()')).toEqual([
    { p50: 10, n: 2 },
  ]);
  expect(of('summarize mean = sum(Sum) / sum(ItemCount), most = max(Max)')).toEqual([{ mean: 25, most: 90 }]);
});

it.each([
  ['AppMetrics\n| where Nome == "tidemark.requests"', 'no column Nome'],
  ['AppMetric\n| where Name == "tidemark.requests"', 'no table AppMetric'],
  [
    'AppEvents\n| where Name == "SyncDone"\n| where toint(Properties.milis) > 1',
    'no property Properties.milis',
  ],
  ['AppEvents\n| where Name == "Resync"\n| summarize n = count()\n| where scopes > 1', 'no column scopes'],
  ['AppMetrics\n| project Name\n| where Sum > 1', 'no column Sum'],
  ['AppMetrics\n| where Name == "tidemark.requests"\n| where Properties.status >= 500', 'do not compare'],
  ['AppEvents\n| summarize n = sum(Properties.changes)', 'is no number'],
])('a query that asks for something else is caught: %j', (query, told) => {
  expect(() => run(query, trouble)).toThrow(told);
});

it('an alert that asks for a name that is never sent does not pass for one that fires', () => {
  const query = read('alerts/resyncs.kql').replace('"Resync"', '"Resynced"');
  expect(run(query, times(trouble, 200))).toEqual([]);
});
