import { execFile, spawn } from 'node:child_process';
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { startStack, type Stack } from '../../local/stack.ts';

/**
 * Every block of commands in docs/operations.md is run as it stands there, one after the other, against a stack of its
 * own. What cannot be had here says so in its first line, for people, and in a comment before it, for this test:
 * `<!-- needs: azure -->`. `<!-- runs: until stopped -->` is for what ends when it is told to.
 */
const PAGE = readFileSync(join(process.cwd(), 'docs', 'operations.md'), 'utf8');
const NEEDS: Readonly<Record<string, string>> = { azure: 'Azure', 'core-tools': 'Core Tools' };

interface Block {
  readonly heading: string;
  /** `needs: azure`, or '' . */
  readonly mark: string;
  readonly script: string;
}

const blocks: Block[] = [
  ...PAGE.matchAll(/(?:^<!-- ((?:needs|runs): [\w -]+?) -->\n\n)?^```sh\n([^]*?)^```/gm),
].map(({ index, 1: mark = '', 2: script = '' }) => ({
  heading:
    PAGE.slice(0, index)
      .replace(/^```[^]*?^```/gm, '')
      .match(/^#+ .*$/gm)
      ?.at(-1)
      ?.replace(/^#+ /, '') ?? '',
  mark,
  script,
}));
const marked = (kind: string): Block[] => blocks.filter(({ mark }) => mark.startsWith(kind));

const bash = (script: string, env: Readonly<Record<string, string | undefined>>): Promise<string> =>
  new Promise((resolve, reject) => {
    execFile('bash', ['-euo', 'pipefail', '-c', script], { env, timeout: 60_000 }, (error, stdout, stderr) =>
      error === null ? resolve(stdout) : reject(new Error(`${script}\n${stdout}\n${stderr}`)),
    );
  });

let stack: Stack;
let folder: string;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'tidemark-operations-'));
  stack = await startStack({ quiet: true });
}, 60_000);
afterAll(async () => {
  await stack.dispose();
  rmSync(folder, { recursive: true, force: true });
});

it('reads every block of commands', () => {
  expect(blocks).toHaveLength(PAGE.match(/^ *```(sh|bash|shell|console)/gm)?.length ?? 0);
  expect(marked('needs').length).toBeGreaterThan(8);
  expect(blocks.filter(({ mark }) => mark === '').length).toBeGreaterThan(5);
});

describe('Commands that can run here', () => {
  it.each(blocks.filter(({ mark }) => mark === ''))(
    'under "$heading" run',
    async ({ script }) => {
      const { api: API, issuer: ISSUER, cosmosEndpoint: COSMOS_ENDPOINT, cosmosKey: COSMOS_KEY } = stack;
      await bash(script, { ...process.env, API, ISSUER, COSMOS_ENDPOINT, COSMOS_KEY });
    },
    60_000,
  );

  it.each(marked('runs'))(
    'under "$heading" run until they are stopped',
    async ({ script }) => {
      const child = spawn('bash', ['-euo', 'pipefail', '-c', script], { detached: true });
      try {
        for await (const line of createInterface({ input: child.stdout })) {
          if (/http:\/\/127\.0\.0\.1:\d+\/api/.test(line)) return;
        }
        throw new Error('It ended before it was ready.');
      } finally {
        process.kill(-(child.pid ?? 0), 'SIGTERM');
        await new Promise((resolve) => child.once('close', resolve));
      }
    },
    60_000,
  );
});

/** What an operator would have after `azd provision`, and nothing else. */
const OPERATOR = {
  TENANT_ID: 'tenant',
  AZURE_LOCATION: 'westeurope',
  ADMIN: 'token',
  LAST_GOOD_TAG: 'v1',
  AZURE_RESOURCE_GROUP: 'rg',
  COSMOS_ACCOUNT: 'cosmos',
  FUNCTION_APP: 'func',
  API_URL: 'https://func.example/api',
};

describe('Commands that need what cannot be had here', () => {
  it.each(marked('needs'))('under "$heading" say so in their first line', ({ mark, script }) => {
    const name = NEEDS[mark.replace('needs: ', '')];
    expect(script.split('\n')[0]).toBe(`# needs ${name ?? 'something that this test knows'}`);
    // Not marked without need.
    expect(script).toMatch(name === 'Azure' ? /\b(az|azd) / : /\bfunc /);
  });

  it.each(marked('needs: azure'))(
    'under "$heading" miss no variable, with stand-ins for the tools',
    async ({ script }) => {
      const log = join(folder, 'commands');
      for (const tool of ['az', 'azd', 'git', 'curl', 'npm', 'func']) {
        const file = join(folder, tool);
        writeFileSync(file, `#!/bin/sh\necho "${tool} $*" >> "${log}"\n`);
        chmodSync(file, 0o755);
      }
      writeFileSync(log, '');
      await bash(script, { ...OPERATOR, PATH: `${folder}:${process.env['PATH'] ?? ''}` });
      expect(readFileSync(log, 'utf8')).not.toBe('');
    },
  );
});

it('uses the names that Bicep puts out', () => {
  const main = readFileSync(join(process.cwd(), 'infra', 'main.bicep'), 'utf8');
  const outputs = [...main.matchAll(/^output (\w+)/gm)].map(([, name]) => name);
  const [, told = ''] = /get-values .*# (.*)/.exec(PAGE) ?? [];
  expect(told.split(', ').length).toBeGreaterThan(3);
  for (const name of told.split(', ')) expect(outputs).toContain(name);
});
