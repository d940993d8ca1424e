import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { startStack, type Stack } from '../../local/stack.ts';

/** The clinic of examples/field-survey, as its surveyors and its health office run it. */

jest.setTimeout(120_000);

const folder = mkdtempSync(join(tmpdir(), 'tidemark-survey-'));
let stack: Stack;
beforeAll(async () => {
  stack = await startStack({ quiet: true });
});
afterAll(async () => {
  await stack.dispose();
  rmSync(folder, { recursive: true, force: true });
});

async function run(file: string, words: readonly string[], env: Record<string, string>): Promise<string> {
  const program = join(process.cwd(), 'examples', 'field-survey', file);
  const { stdout } = await promisify(execFile)(
    process.execPath,
    ['--disable-warning=ExperimentalWarning', program, ...words],
    { cwd: folder, env: { ...process.env, ...env } },
  );
  return stdout;
}

const surveyor =
  (name: string, more: Record<string, string> = {}) =>
  (...words: string[]) =>
    run('survey.ts', words, {
      SURVEYOR: name,
      TIDEMARK_URL: stack.api,
      TIDEMARK_DEV_ISSUER: stack.issuer,
      ...more,
    });
const ana = surveyor('ana');
const ben = surveyor('ben');
/** Without a network: nothing listens there. */
const benOffline = surveyor('ben', { TIDEMARK_URL: 'http://127.0.0.1:9/api' });

const listed = (text: string): unknown[] =>
  [...text.matchAll(/^(\S+) {2}.* {2}(\{.*\})$/gm)].map(([, id, rest = '']) => [
    id,
    JSON.parse(rest) as unknown,
  ]);

it('two surveyors edit one record offline, both edits stay, and what is the server’s stays the server’s', async () => {
  await ana('add', 'p1', 'Maria Sol');
  await ana('add', 'p2', 'Jon Vik');
  expect(await ana('sync')).toBe('synced: 2 sent, 0 fetched\n');
  expect(await ben('sync')).toBe('synced: 0 sent, 2 fetched\n');

  await ana('set', 'p1', 'weight=61', 'vaccinations=polio', 'status=approved');
  await benOffline('set', 'p1', 'notes=fever since Monday', 'vaccinations=measles');
  expect(await benOffline('sync')).toMatch(/^offline: 0 sent, 0 fetched/);
  expect(await benOffline('list')).toMatch(/fever since Monday[^]*1 to send/);

  // Ana's own status is undone, and she is told.
  const toldAna = await ana('sync');
  expect(toldAna).toContain('p1 was changed by others, too');
  expect(toldAna).toMatch(/yours .*"status":"approved"/);
  expect(toldAna).not.toMatch(/stored .*"status"/);
  const toldBen = await ben('sync');
  expect(toldBen).toMatch(
    /p1 was changed by others, too:\n {2}yours {3}.*"notes".*\n {2}stored {2}.*"weight":61/,
  );
  await ana('sync');

  const both = [
    ['p2', {}],
    [
      'p1',
      { weight: 61, notes: 'fever since Monday', vaccinations: expect.arrayContaining(['polio', 'measles']) },
    ],
  ];
  expect(listed(await ana('list'))).toEqual(both);
  expect(listed(await ben('list'))).toEqual(both);
  expect(await ana('list')).toContain('0 to send');
});

it('the office sets its field on Cosmos DB, and a surveyor’s concurrent edit leaves it there', async () => {
  await ben('set', 'p2', 'weight=80');
  const office = { COSMOS_ENDPOINT: stack.cosmosEndpoint, COSMOS_KEY: stack.cosmosKey };
  expect(await run('office.ts', ['p2', 'approved'], office)).toBe('p2 is approved.\n');
  await ben('sync');
  await ana('sync');
  const [jon] = listed(await ana('list'));
  expect(jon).toEqual(['p2', { weight: 80, status: 'approved' }]);
});

it('a surveyor of another facility sees none of it', async () => {
  const other = surveyor('cai', { FACILITY: '13' });
  expect(await other('sync')).toBe('synced: 0 sent, 0 fetched\n');
  expect(listed(await other('list'))).toEqual([]);
});
