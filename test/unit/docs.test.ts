import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { renderCli } from '../../scripts/cli-doc.ts';
import { renderCost, renderTelemetryCost, type Price } from '../../scripts/cost-doc.ts';
import { replaceGenerated } from '../../scripts/generated.ts';
import { renderOperations } from '../../scripts/operations-doc.ts';
import { renderSettings } from '../../scripts/settings-doc.ts';

const read = (path: string): string => readFileSync(join(process.cwd(), path), 'utf8');

const pages = [
  ...readdirSync(process.cwd()).filter((name) => name.endsWith('.md')),
  ...readdirSync(join(process.cwd(), 'docs'), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.md'))
    .map((name) => join('docs', name)),
];

/** Anchors as GitHub makes them of headings. */
const anchorsOf = (page: string): Set<string> =>
  new Set(
    [...page.replace(/^```[^]*?^```/gm, '').matchAll(/^#+ (.+)$/gm)].map(([, title = '']) =>
      title
        .toLowerCase()
        .replace(/[^\p{L}\p{N} _-]/gu, '')
        .replaceAll(' ', '-'),
    ),
  );

describe('The pages of the documentation', () => {
  it.each(pages)('%s links to nothing that is not there', (path) => {
    const broken = [...read(path).matchAll(/\]\(([^)\s]+)\)/g)]
      .map(([, target = '']) => target)
      .filter((target) => !/^[a-z]+:/.test(target))
      .filter((target) => {
        const [file = '', anchor] = target.split('#');
        const to = file === '' ? path : join(dirname(path), file);
        if (!existsSync(join(process.cwd(), to))) return true;
        return anchor !== undefined && !anchorsOf(read(to)).has(anchor);
      });
    expect(broken).toEqual([]);
  });

  it.each(pages)('%s names no file that is not there', (path) => {
    const named = [
      ...read(path).matchAll(/`((?:client|docs|emulator|functions|local|scripts|shared|test)\/[\w./-]*)`/g),
    ].map(([, file = '']) => file);
    expect(named.filter((file) => !existsSync(join(process.cwd(), file)))).toEqual([]);
  });
});

describe('docs/operations.md', () => {
  it('has the table of settings that `npm run docs` makes of shared/config.ts', () => {
    const page = read('docs/operations.md');
    expect(replaceGenerated(page, 'settings', renderSettings())).toBe(page);
  });

  it('tells what telemetry costs as `npm run bench` measured it', () => {
    const page = read('docs/operations.md');
    const measured = JSON.parse(read('bench/baseline.json')) as Record<string, number>;
    expect(replaceGenerated(page, 'telemetry-cost', renderTelemetryCost(measured))).toBe(page);
  });
});

it('docs/protocol.md lists every address of the API, and no other', () => {
  const page = read('docs/protocol.md');
  expect(replaceGenerated(page, 'addresses', renderOperations())).toBe(page);
});

it.each(Object.entries(renderCli()))('docs/cli.md has the %s as the code has them', (part, content) => {
  const page = read('docs/cli.md');
  expect(replaceGenerated(page, part, content)).toBe(page);
});

describe('docs/cost.md', () => {
  it('has the tables that `npm run docs` makes of what `npm run bench` measured', () => {
    const page = read('docs/cost.md');
    const measured = JSON.parse(read('bench/baseline.json')) as Record<string, number>;
    const prices = JSON.parse(read('bench/prices.json')) as Price[];
    const alerts = readdirSync(join(process.cwd(), 'infra', 'queries', 'alerts'));
    expect(replaceGenerated(page, 'cost', renderCost(measured, prices, alerts.length))).toBe(page);
    for (const { name, source, date, region } of prices)
      expect([name, source === null || (date !== undefined && region !== undefined)]).toEqual([name, true]);
  });
});

describe('docs/threat-model.md', () => {
  const [, ...tables] = read('docs/threat-model.md').split(/^\| Threat +\| What stops it +\| Shown by +\|$/m);
  const rows = tables.flatMap((table) =>
    table
      .split(/\n(?!\|)/)[0]!
      .split('\n')
      .filter((line) => line.startsWith('|') && !line.startsWith('| -'))
      .map((line): [string, string] => {
        const cells = line.split(/(?<!\\)\|/).map((cell) => cell.trim());
        return [cells[1] ?? '', cells[3] ?? ''];
      }),
  );
  /** The text of a test file, or of all below a folder. */
  const source = (path: string): string =>
    path.endsWith('/')
      ? readdirSync(join(process.cwd(), path))
          .map((name) => read(join(path, name)))
          .join('\n')
      : read(path);

  it('has tables of threats', () => expect(rows.length).toBeGreaterThan(40));

  it.each(rows)('%s: names a test, and every title it quotes is in that test', (_, shown) => {
    const named = shown
      .replaceAll('the matrix', '`test/integration/attack-matrix.test.ts`')
      .split(';')
      .map((part) => ({
        files: [...part.matchAll(/`((?:test|emulator\/test)\/[\w./-]+)`/g)].map(([, file = '']) => file),
        titles: [...part.matchAll(/"([^"]+)"/g)].map(([, title = '']) => title),
      }));
    expect(named.flatMap(({ files }) => files)).not.toEqual([]);
    for (const { files, titles } of named) {
      const text = files.map(source).join('\n');
      expect(titles.filter((title) => !text.replaceAll("\\'", "'").includes(title))).toEqual([]);
    }
  });
});
