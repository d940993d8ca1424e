import { renderTable } from './markdown-table.ts';

type Figures = Readonly<Record<string, number>>;

/** A price in US dollars, and where it is from; null: assumed. */
export interface Price {
  readonly name: string;
  readonly usd: number;
  readonly region?: string;
  readonly date?: string;
  readonly source: string | null;
  readonly how?: string;
}

/** What one user does on a day, and keeps. Two devices, of which the second is brought what the first one wrote. */
const DAY = { idle: 20, edits: 4, deliveries: 4, kilobytes: 500 } as const;
const SYNCS = DAY.idle + DAY.edits + DAY.deliveries;
const INSTANCE_GB = 2;
/** Peak of a day over its mean. */
const PEAK = 4;
const HOURS = 730;
/** Flex Consumption bills the time in which an instance works on anything, and at least so long for a request alone. */
const LEAST_SECONDS = 1;
/** Part of the time that an instance works when requests are spread over several. */
const BUSY = 0.5;
/** What the Functions host tells of a request, taken as a kilobyte, and how many it tells a second (host.json). */
const HOST = { kilobytes: 1, perSecond: 5 } as const;
/** Users, and the sampling that fits them: TELEMETRY_SAMPLING_PERCENT. */
const SCALES = [
  { users: 1_000, percent: 10 },
  { users: 100_000, percent: 10 },
  { users: 10_000_000, percent: 1 },
] as const;
/** The availability test of infra/modules/alerts.bicep: from five places every five minutes. */
const TEST_RUNS = 5 * 12 * HOURS;
const METRIC_ALERTS = 2;

/**
 * The tables of docs/cost.md: what `npm run bench -- --save` measured, and money.
 *
 * @param alerts how many queries there are in infra/queries/alerts
 */
export function renderCost(measured: Figures, prices: readonly Price[], alerts: number): string {
  const names = Object.keys(measured)
    .filter((name) => name.startsWith('cost of ') && name.endsWith(', RU'))
    .map((name) => name.slice('cost of '.length, -', RU'.length));
  const of = (name: string): number => {
    const value = measured[name];
    if (value === undefined) throw new Error(`There is no figure for ${name}: npm run bench -- --save`);
    return value;
  };
  const usd = (name: string): number => {
    const price = prices.find((each) => each.name === name);
    if (price === undefined) throw new Error(`There is no price for ${name} in bench/prices.json`);
    return price.usd;
  };
  const units = (name: string): number => of(`cost of ${name}, RU`);
  const perDay =
    DAY.idle * units('a sync with nothing to do') +
    DAY.edits * units('a sync that sends ten edits') +
    DAY.deliveries * units('a sync that brings eleven documents');
  const seconds = of('sync with nothing to do, milliseconds') / 1000;
  const fixed =
    TEST_RUNS * usd('availability test, per run') +
    alerts * usd('alert on logs every five minutes, per month') +
    METRIC_ALERTS * usd('alert on a metric, per month');

  const scale = SCALES.map(({ users, percent }) => {
    const month = users * perDay * 30;
    const mean = (users * perDay) / 86_400;
    const peak = mean * PEAK;
    const executions = users * SYNCS * 30;
    const serverless = (month / 1e6) * usd('serverless, per million RU');
    // Autoscale is billed by the hour for the highest it reached: taken here as the mean, and at least a tenth.
    const autoscale =
      (Math.max(mean, peak / 10, 100) / 100) * HOURS * usd('autoscale, per 100 RU/s and hour');
    const instances = Math.ceil(((executions / (HOURS * 3600)) * seconds) / BUSY);
    const active = Math.min(executions * LEAST_SECONDS, instances * HOURS * 3600);
    const functions =
      (executions / 1e6) * usd('functions, per million executions') +
      active * INSTANCE_GB * usd('functions, per GB and second');
    const kilobytes =
      executions * (percent / 100) * of('telemetry of a sync, all of it sampled, kilobytes') +
      instances * HOURS * 60 * of('telemetry of a minute, metrics, kilobytes') +
      Math.min(executions, instances * HOURS * 3600 * HOST.perSecond) * HOST.kilobytes;
    const costs = [
      Math.min(serverless, autoscale),
      ((users * DAY.kilobytes) / 1e6) * usd('storage, per GB and month'),
      functions,
      (kilobytes / 1e6) * usd('logs, per GB'),
      fixed,
    ];
    return [
      users.toLocaleString('en-US'),
      round(mean),
      round(peak),
      serverless < autoscale ? 'serverless' : 'autoscale',
      ...costs.map(money),
      money(costs.reduce((sum, cost) => sum + cost, 0)),
    ];
  });
  return [
    renderTable(
      ['What', 'Requests to Cosmos DB', 'RU'],
      names.map((name) => [name, round(of(`cost of ${name}, requests`)), round(units(name))]),
    ),
    `A user's day is taken as ${DAY.idle} syncs with nothing to do, ${DAY.edits} that send ten edits and ${DAY.deliveries} that bring eleven
documents: ${round(perDay)} RU. ${DAY.kilobytes} KB are kept for each user. The peak is ${PEAK} times the mean.
`,
    renderTable(
      [
        'Users',
        'Mean RU/s',
        'Peak RU/s',
        'Paid as',
        'Throughput',
        'Storage',
        'Functions',
        'Logs',
        'Fixed',
        'A month',
      ],
      scale,
    ),
    `- **Functions**: an instance of ${INSTANCE_GB} GB is paid for while it works on anything, a request alone for ${LEAST_SECONDS} second
  (https://learn.microsoft.com/azure/azure-functions/flex-consumption-plan#billing). A sync with nothing to do takes ${of('sync with nothing to do, milliseconds')} ms on
  the machine of the bench; instances that share a load work half of the time. Nothing is taken off for the free grant.
- **Logs**: a sync that is sampled tells ${of('telemetry of a sync, all of it sampled, kilobytes')} KB, an instance ${of('telemetry of a minute, metrics, kilobytes')} KB of metrics a minute, both measured; the Functions
  host at most ${HOST.perSecond} requests a second and instance, of ${HOST.kilobytes} KB, assumed. ${SCALES.map(({ users, percent }) => `${users.toLocaleString('en-US')} users: ${percent} % sampled`).join('; ')}.
- **Fixed**: the availability test from five places every five minutes, ${alerts} alerts on logs, ${METRIC_ALERTS} on metrics.

Prices that this was reckoned with, in US dollars, without discounts. Those without a source are **assumed**. Put those of your region
and contract into \`bench/prices.json\` and run \`npm run docs\`.
`,
    renderTable(
      ['Price', 'USD', 'Region', 'As of', 'Source'],
      prices.map(({ name, usd: price, region = '', date = '', source, how }) => [
        name,
        String(price),
        region,
        date,
        source === null ? '**assumed**' : how === undefined ? source : `${source}: ${how}`,
      ]),
    ).trimEnd(),
    '',
  ].join('\n');
}

/** The paragraph of docs/operations.md on what telemetry costs the process. */
export const renderTelemetryCost = (measured: Figures): string => {
  const of = (name: string): string => String(measured[`telemetry${name}, milliseconds`] ?? '?');
  return `What it costs the process, from \`npm run bench\`: ${of(', load')} ms of loading, after the start and beside the first requests, and
${of(' of a sync, 10 % sampled')} ms for a sync, ${of(' of a sync, 100 % sampled')} ms where everything is sampled.
`;
};

const round = (value: number): string =>
  value.toLocaleString('en-US', { maximumFractionDigits: value < 100 ? 2 : 0 });
const money = (value: number): string =>
  `$${value.toLocaleString('en-US', { maximumFractionDigits: value < 10 ? 2 : 0 })}`;
