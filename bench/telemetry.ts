import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { startStack } from '../local/stack.ts';
import { startIngestion, type Envelope } from '../test/support/ingestion.ts';

const RUNS = 5;

/** Loads a bundle in a process of its own, then tells of so many things; everything in microseconds. */
const SCRIPT = `
const [bundle] = process.argv.slice(1);
const time = (count, work) => {
  const started = performance.now();
  for (let i = 0; i < count; i += 1) work();
  return ((performance.now() - started) / count) * 1000;
};
let sink;
const load = time(1, () => {
  const { createAppInsights } = require(bundle);
  const endpoint = 'https://127.0.0.1:9/';
  sink = createAppInsights({
    connectionString: 'InstrumentationKey=00000000-0000-4000-8000-000000000000;IngestionEndpoint=' + endpoint,
    credential: null,
  });
});
const trace = { traceId: '0af7651916cd43dd8448eb211c80319c', spanId: '00f067aa0ba902b7' };
const metric = time(10000, () => sink.metric('tidemark.requests', 1, { operation: 'Sync', status: 200 }));
const event = time(1000, () => sink.event('SyncDone', { changes: 1, milliseconds: 2 }, trace));
const call = time(1000, () =>
  sink.call({ call: 'batch docs', host: 'h', status: 200, requestUnits: 5, startedAt: 1, endedAt: 2, ...trace,
    parentSpanId: trace.spanId, spanId: '00f067aa0ba902b8', weight: 1 }));
console.log(JSON.stringify({ load, metric, event, call }));
process.exit();
`;

/** A sync: its request, two phases, two directions, and two calls with two metrics each. */
const METRICS = 9;
const CALLS = 2;

const SYNCS = 20;
const kilobytes = (bytes: number): number => Math.round(bytes / 100) / 10;

/** What the app sends of a sync that brings an edit, where all are sampled, and of a minute's metrics, uncompressed. */
async function measureBytes(): Promise<{ readonly sync: number; readonly metrics: number }> {
  const ingestion = await startIngestion();
  const stack = await startStack({
    quiet: true,
    settings: { ...ingestion.settings, TELEMETRY_SAMPLING_PERCENT: '100' },
  });
  try {
    const bearer = await stack.issuerHandle.token({ sub: 'alice' });
    for (let i = 0; i < SYNCS; i += 1) {
      const lastModified = new Date().toISOString();
      const change = { type: 'upsert', collection: 'items', documentId: `${i}`, lastModified, data: { i } };
      const response = await fetch(`${stack.api}/sync`, {
        method: 'POST',
        headers: { authorization: `Bearer ${bearer}`, 'content-type': 'application/json' },
        body: JSON.stringify({ protocol: 1, deviceId: 'phone', changes: [change] }),
      });
      if (!response.ok) throw new Error(`${response.status} ${await response.text()}`);
    }
    await stack.dispose();
    const bytes = (isWanted: (type: string) => boolean): number =>
      ingestion.envelopes
        .filter(({ data }: Envelope) => isWanted(data.baseType))
        .reduce((sum, envelope) => sum + JSON.stringify(envelope).length, 0);
    return {
      sync: bytes((type) => type !== 'MetricData') / SYNCS,
      metrics: bytes((type) => type === 'MetricData'),
    };
  } finally {
    await stack.dispose();
    await ingestion.dispose();
  }
}

/** What telemetry costs the process: loading it, and telling of one sync at a tenth and at all of the events. */
export async function benchTelemetry(): Promise<Record<string, number>> {
  const runs = Array.from(
    { length: RUNS },
    () =>
      JSON.parse(
        execFileSync(process.execPath, ['-e', SCRIPT, join(process.cwd(), 'dist', 'app', 'telemetry.cjs')], {
          encoding: 'utf8',
        }),
      ) as Record<'load' | 'metric' | 'event' | 'call', number>,
  );
  const least = (name: 'load' | 'metric' | 'event' | 'call') => Math.min(...runs.map((run) => run[name]));
  const sync = (share: number) =>
    Math.round(METRICS * least('metric') + share * (least('event') + CALLS * least('call'))) / 1000;
  const { sync: ofSync, metrics } = await measureBytes();
  return {
    'telemetry of a sync, all of it sampled, kilobytes': kilobytes(ofSync),
    'telemetry of a minute, metrics, kilobytes': kilobytes(metrics),
    'telemetry, load, milliseconds': Math.round(least('load') / 1000),
    'telemetry of a sync, 10 % sampled, milliseconds': sync(0.1),
    'telemetry of a sync, 100 % sampled, milliseconds': sync(1),
  };
}
