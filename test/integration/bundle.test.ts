import { readFile, readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { startHostProcess } from '../../local/host-process.ts';
import { METHODS } from '../../shared/http/edge.ts';
import { OPERATIONS } from '../../shared/protocol/operations.ts';

/** The app as it ships (jest's global set-up has built it). */
const APP = join(process.cwd(), 'dist', 'app');

it('is a bundle for the app, one for its telemetry, one for the rules of the application, their maps and three files beside them, and nothing else', async () => {
  expect((await readdir(APP)).sort()).toEqual([
    'host.json',
    'main.cjs',
    'main.cjs.map',
    'package.json',
    'sync.config.json',
    'sync.rules.cjs',
    'sync.rules.cjs.map',
    'telemetry.cjs',
    'telemetry.cjs.map',
  ]);
  expect((await stat(join(APP, 'main.cjs'))).size).toBeLessThanOrEqual(1_500_000);
  expect(await readFile(join(APP, 'host.json'), 'utf8')).toBe(await readFile('host.json', 'utf8'));
});

const SETTINGS = {
  COSMOS_ENDPOINT: 'http://127.0.0.1:9/',
  COSMOS_AUTH: 'key',
  COSMOS_KEY: Buffer.from('not a key').toString('base64'),
  AUTH_ISSUER: 'http://127.0.0.1:9',
  AUTH_AUDIENCE: 'api://tidemark',
};

const run = (settings: Record<string, string>, onLine: (line: string) => void = () => undefined) =>
  startHostProcess({
    appDir: APP,
    root: process.cwd(),
    port: 0,
    quiet: true,
    onLine,
    onDeath: () => undefined,
    settings,
  });

it('registers a function for every operation of the API, one for everything else, and the timer', async () => {
  const host = await run(SETTINGS);
  try {
    const http = { methods: [...METHODS], authLevel: 'anonymous', trigger: 'httpTrigger' };
    const operations = Object.entries(OPERATIONS).map(([name, { path }]) => ({
      name,
      route: `api/${path}`,
      ...http,
    }));
    const { functions } = host;
    expect(functions).toHaveLength(operations.length + 2);
    expect(functions).toContainEqual({ name: 'RemoveUnusedTokenUsers', trigger: 'timerTrigger' });
    expect(functions).toEqual(expect.arrayContaining(operations));
    expect(functions).toContainEqual({
      name: 'Unmatched',
      route: expect.stringContaining('{*path:'),
      ...http,
    });
  } finally {
    await host.dispose();
  }
});

it('tells every missing setting at the start, at once', async () => {
  const lines: string[] = [];
  const failure = await run({}, (line) => lines.push(line)).then(
    (host) => host.dispose().then(() => 'started'),
    (error: unknown) => String(error),
  );
  const told = [failure, ...lines].join('\n');
  for (const name of ['COSMOS_ENDPOINT', 'COSMOS_KEY', 'AUTH_ISSUER', 'AUTH_AUDIENCE'])
    expect(told).toContain(name);
});
