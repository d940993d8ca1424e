import { execFile, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { startStack, type Stack } from '../../local/stack.ts';
import { blocksOf, examplePages, type Block } from '../support/doc-blocks.ts';

/**
 * Every example of the documentation is run: TypeScript is checked and executed, shell scripts are executed, all of them
 * against one local stack. The blocks of a page belong together and run one after the other. A block that cannot run says
 * why in a comment before it: `<!-- not run: … -->`.
 */

jest.setTimeout(180_000);

const root = process.cwd();
const blocks = examplePages(root).flatMap((page) => blocksOf(root, page));
const TYPESCRIPT = ['ts', 'js'];
const toRun = (languages: readonly string[]) =>
  blocks.filter(({ language, notRun }) => languages.includes(language) && notRun === null);
const byPage = (of: readonly Block[]): [string, Block[]][] =>
  [...new Set(of.map(({ page }) => page))].map((page) => [page, of.filter((block) => block.page === page)]);

/** Below the repository, so that packages are found from here. */
const programs = join(root, 'dist', `examples-${process.pid}`);
const scripts = mkdtempSync(join(tmpdir(), 'tidemark-examples-'));
let stack: Stack;
let token: string;
beforeAll(async () => {
  stack = await startStack({ quiet: true });
  token = await stack.issuerHandle.token({ sub: 'alice' });
  mkdirSync(programs, { recursive: true });
});
afterAll(async () => {
  await stack.dispose();
  for (const folder of [programs, scripts]) rmSync(folder, { recursive: true, force: true });
});

/** The addresses of `npm start` become those of this stack. */
const here = (code: string): string =>
  code
    .replaceAll('http://127.0.0.1:7071', stack.api.replace(/\/api$/, ''))
    .replaceAll('http://127.0.0.1:7072', stack.issuer);

/** What a program told on its way is why it failed. */
async function told(work: Promise<unknown>): Promise<void> {
  await work.catch((error: unknown) => {
    const { stdout = '', stderr = '' } = error as { stdout?: string; stderr?: string };
    throw new Error(`${stdout}${stderr}` || String(error));
  });
}

const SOURCES: Readonly<Record<string, string>> = {
  '@tidemark/client': 'client/src/index.ts',
  '@tidemark/client/node': 'client/src/drivers/node-sqlite.ts',
  '@tidemark/client/cosmos': 'client/src/cosmos/index.ts',
  '@tidemark/cosmos-emulator': 'emulator/src/index.ts',
};

/** What the pages take for granted: an app has a sign-in and a screen. */
const AN_APP = {
  getAccessToken: "const getAccessToken = (): string => process.env['TOKEN'] ?? '';",
  show: 'const show = (_: unknown): void => undefined;',
};

function toProgram(of: readonly Block[]): string {
  const code = of.map((block) => block.code).join('\n');
  const given = Object.entries(AN_APP).flatMap(([name, text]) => (code.includes(`${name}(`) ? [text] : []));
  // An app runs on; here it has to have synced, and to end.
  const end = /\bclient = createClient\(/.test(code)
    ? "const report = await client.sync(); if (report.outcome !== 'synced') throw report.error; await client.close();"
    : 'export {};';
  const whole = [...given, here(code), end].join('\n');
  return whole.replace(/ from '(@tidemark\/[^']+)'/g, (text, name: string) => {
    const source = SOURCES[name];
    return source === undefined ? text : ` from '../../${source}'`;
  });
}

const nameOf = (page: string): string => page.replace(/\W+/g, '-');

describe('TypeScript of the pages', () => {
  const pages = byPage(toRun(TYPESCRIPT));

  it('has the types that it says it has', async () => {
    const files = pages.map(([page, of]) => {
      const file = `${nameOf(page)}.ts`;
      writeFileSync(join(programs, file), toProgram(of));
      return file;
    });
    expect(files.length).toBeGreaterThan(3);
    // An example may make something for its reader to use.
    const compilerOptions = { noUnusedLocals: false, types: ['node'] };
    const tsconfig = { extends: '../../tsconfig.json', compilerOptions, include: [], files };
    writeFileSync(join(programs, 'tsconfig.json'), JSON.stringify(tsconfig));
    const tsc = join(root, 'node_modules', 'typescript', 'bin', 'tsc');
    await told(promisify(execFile)(process.execPath, [tsc, '-p', programs]));
  });

  it.each(pages)('%s runs', async (page, of) => {
    const file = join(programs, `${nameOf(page)}.ts`);
    writeFileSync(file, toProgram(of));
    const cwd = mkdtempSync(join(scripts, 'program-'));
    const flags = ['--disable-warning=ExperimentalWarning'];
    await told(
      promisify(execFile)(process.execPath, [...flags, file], { cwd, env: { ...process.env, TOKEN: token } }),
    );
  });
});

/**
 * What stands first on the PATH: `npx tidemark` is the one of this repository, `npm start` has happened, `npm run ts` runs from
 * where the script does, and a curl that gets an error fails.
 */
function makeCommands(): string {
  const folder = join(scripts, 'bin');
  mkdirSync(folder, { recursive: true });
  const command = (name: string, code: string) => {
    writeFileSync(join(folder, name), `#!/bin/sh\n${code}\n`);
    chmodSync(join(folder, name), 0o755);
  };
  command(
    'npx',
    `[ "$1" = tidemark ] || { echo "npx $*: mark the block as not run" >&2; exit 64; }\nshift\nexec '${process.execPath}' '${join(root, 'client', 'bin', 'tidemark.js')}' "$@"`,
  );
  command(
    'npm',
    `case "$*" in
  start) ;;
  'run --silent ts -- '*) shift 4; exec '${process.execPath}' --disable-warning=ExperimentalWarning "$@" ;;
  *) echo "npm $*: mark the block as not run" >&2; exit 64 ;;
esac`,
  );
  const found = spawnSync('sh', ['-c', 'command -v curl'], { encoding: 'utf8' }).stdout.trim();
  command('curl', `exec '${found}' --fail-with-body "$@"`);
  return folder;
}

/** Ends what it started, too, when it takes too long. @returns what it printed */
async function runScript(code: string, cwd: string, env: NodeJS.ProcessEnv): Promise<string> {
  const child = spawn('sh', ['-euc', code], { cwd, env, stdio: ['ignore', 'pipe', 'pipe'], detached: true });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => (output += text));
  }
  const timer = setTimeout(() => process.kill(-(child.pid ?? 0), 'SIGKILL'), 120_000);
  const [status] = (await once(child, 'close')) as [number | null];
  clearTimeout(timer);
  if (status === 0) return output;
  throw new Error(`It ended with ${String(status)}.\n${output}`);
}

describe('Shell scripts of the pages', () => {
  for (const [page, of] of byPage(toRun(['sh']))) {
    const code = of.map((block) => block.code).join('\n');
    const needs = ['sh', 'curl', 'python3'].filter((name) => name === 'sh' || code.includes(name));
    const missing = needs.filter((name) => spawnSync('sh', ['-c', `command -v ${name}`]).status !== 0);
    const test = missing.length === 0 ? it : it.skip;
    test(`${page} runs (needs ${needs.join(', ')})`, async () => {
      const cwd = mkdtempSync(join(scripts, 'script-'));
      symlinkSync(join(root, 'examples'), join(cwd, 'examples'));
      const env = {
        ...process.env,
        PATH: `${makeCommands()}:${process.env['PATH'] ?? ''}`,
        TOKEN: token,
        API: stack.api,
        // Where the command line finds `npm start` by itself.
        TIDEMARK_URL: stack.api,
        TIDEMARK_DEV_ISSUER: stack.issuer,
      };
      const output = await runScript(here(code), cwd, env);
      for (const block of blocks)
        if (block.page === page && block.isOutput) expect(output).toContain(block.code);
    });
  }
});

it('JSON of the pages is JSON', () => {
  const broken = toRun(['json']).flatMap(({ page, line, code }) => {
    try {
      JSON.parse(code);
      return [];
    } catch {
      return [`${page}:${line}`];
    }
  });
  expect(broken).toEqual([]);
});

it('Blocks that are not run are few, and each says why', () => {
  const programs = blocks.filter(({ language }) => [...TYPESCRIPT, 'sh'].includes(language));
  const notRun = programs.filter((block) => block.notRun !== null);
  expect(notRun.every(({ notRun: reason }) => (reason ?? '').length > 10)).toBe(true);
  // What stays up, takes minutes or installs.
  expect(notRun.length).toBeLessThanOrEqual(12);
  expect(programs.length - notRun.length).toBeGreaterThanOrEqual(12);
});
