import { renderTable } from './markdown-table.ts';

type Figures = Readonly<Record<string, number>>;

/** What one user does on a day, and keeps. Two devices, of which the second is brought what the first one wrote. */
const DAY = { idle: 20, edits: 4, deliveries: 4, kilobytes: 500 } as const;
const INSTANCE_GB = 2;
/** Peak of a day over its mean. */
const PEAK = 4;

/** The tables of docs/cost.md: what `npm run bench -- --save` measured, and money where prices are assumed. */
export function renderCost(measured: Figures, prices: Figures): string {
  const names = Object.keys(measured)
    .filter((name) => name.startsWith('cost of ') && name.endsWith(', RU'))
    .map((name) => name.slice('cost of '.length, -', RU'.length));
  const of = (figures: Figures, name: string): number => {
    const value = figures[name];
    if (value === undefined) throw new Error(`There is no figure for ${name}: npm run bench -- --save`);
    return value;
  };
  const units = (name: string): number => of(measured, `cost of ${name}, RU`);
  const syncs = DAY.idle + DAY.edits + DAY.deliveries;
  const perDay =
    DAY.idle * units('a sync with nothing to do') +
    DAY.edits * units('a sync that sends ten edits') +
    DAY.deliveries * units('a sync that brings eleven documents');
  const seconds = of(measured, 'sync with nothing to do, milliseconds') / 1000;

  const scale = [1_000, 100_000, 10_000_000].map((users) => {
    const month = users * perDay * 30;
    const mean = (users * perDay) / 86_400;
    const peak = mean * PEAK;
    const executions = users * syncs * 30;
    const stored = (users * DAY.kilobytes) / 1e6;
    const serverless = (month / 1e6) * of(prices, 'serverless, per million RU');
    // Autoscale is billed by the hour for the highest it reached: taken here as the mean, and at least a tenth.
    const autoscale =
      (Math.max(mean, peak / 10, 100) / 100) * 730 * of(prices, 'autoscale, per 100 RU/s and hour');
    const functions =
      (executions / 1e6) * of(prices, 'functions, per million executions') +
      executions * Math.max(seconds, 0.1) * INSTANCE_GB * of(prices, 'functions, per GB and second');
    return [
      users.toLocaleString('en-US'),
      round(mean),
      round(peak),
      money(Math.min(serverless, autoscale)),
      serverless < autoscale ? 'serverless' : 'autoscale',
      money(stored * of(prices, 'storage, per GB and month')),
      money(functions),
    ];
  });
  return [
    renderTable(
      ['What', 'Requests to Cosmos DB', 'RU'],
      names.map((name) => [name, round(of(measured, `cost of ${name}, requests`)), round(units(name))]),
    ),
    `A user's day is taken as ${DAY.idle} syncs with nothing to do, ${DAY.edits} that send ten edits and ${DAY.deliveries} that bring eleven
documents: ${round(perDay)} RU. ${DAY.kilobytes} KB are kept for each user. The peak is ${PEAK} times the mean.
`,
    renderTable(
      [
        'Users',
        'Mean RU/s',
        'Peak RU/s',
        'Throughput, a month',
        'Paid as',
        'Storage, a month',
        'Functions, a month',
      ],
      scale,
    ),
    `Prices that this was reckoned with, in US dollars. They are assumptions: put those of your region and contract into
\`bench/prices.json\` and run \`npm run docs\`.
`,
    renderTable(
      ['Price', 'USD'],
      Object.entries(prices).map(([name, price]) => [name, String(price)]),
    ).trimEnd(),
    '',
  ].join('\n');
}

const round = (value: number): string =>
  value.toLocaleString('en-US', { maximumFractionDigits: value < 100 ? 2 : 0 });
const money = (value: number): string =>
  `$${value.toLocaleString('en-US', { maximumFractionDigits: value < 10 ? 2 : 0 })}`;
