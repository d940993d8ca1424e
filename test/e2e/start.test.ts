import { CosmosClient } from '@azure/cosmos';
import { execFile, spawn, spawnSync } from 'node:child_process';
import type { ChildProcess, SpawnOptions } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { startStack } from '../../local/stack.ts';
import { HELP, readStartOptions } from '../../local/start/options.ts';
import type { Stack } from '../../local/stack.ts';

// Each test starts the whole product, some through npm.
jest.setTimeout(120_000);

const folder = mkdtempSync(join(tmpdir(), 'tidemark-start-test-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

let folders = 0;
/** A place for temporary files, to see what is left in it. */
function newFolder(): string {
  const path = join(folder, String((folders += 1)));
  mkdirSync(path);
  return path;
}

interface Running {
  readonly child: ChildProcess;
  readonly temporary: string;
  output(): string;
  /** Resolves when stdout holds what is looked for; rejects when the process ends before. */
  until(pattern: RegExp): Promise<string>;
  /** Exit code, once it and all that share its stdout have ended. */
  readonly closed: Promise<number | null>;
  errors(): string;
}

function run(command: string, args: readonly string[], options: SpawnOptions = {}): Running {
  const temporary = newFolder();
  const env = { ...process.env, TMPDIR: temporary, TEMP: temporary, TMP: temporary };
  const child = spawn(command, args, { env, stdio: ['ignore', 'pipe', 'pipe'], ...options });
  let output = '';
  let errors = '';
  const waiting = new Set<() => void>();
  child.stdout?.setEncoding('utf8').on('data', (text: string) => {
    output += text;
    for (const check of waiting) check();
  });
  child.stderr?.setEncoding('utf8').on('data', (text: string) => (errors += text));
  const closed = new Promise<number | null>((resolve) => child.once('close', resolve));
  const until = (pattern: RegExp) =>
    new Promise<string>((resolve, reject) => {
      const check = () => {
        if (!pattern.test(output)) return;
        waiting.delete(check);
        resolve(output);
      };
      waiting.add(check);
      check();
      void closed.then((code) => reject(new Error(`It ended with ${String(code)}: ${errors}`)));
    });
  return { child, temporary, closed, until, output: () => output, errors: () => errors };
}

const start = (...args: string[]) =>
  run(process.execPath, ['--disable-warning=ExperimentalWarning', 'local/start.ts', ...args]);

/** What Tidemark left among the temporary files; npm keeps a cache of its own there. */
const leftovers = ({ temporary }: Running) =>
  readdirSync(temporary).filter((name) => name.startsWith('tidemark'));

/** What the JSON line says. */
interface Line {
  api: string;
  issuer: string;
  cosmosEndpoint: string;
  cosmosKey: string;
}

async function signIn(issuer: string, sub: string): Promise<string> {
  const response = await fetch(`${issuer}/token`, { method: 'POST', body: new URLSearchParams({ sub }) });
  return ((await response.json()) as { access_token: string }).access_token;
}

async function sync(api: string, token: string, changes: object[] = []) {
  const response = await fetch(`${api}/sync`, {
    method: 'POST',
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
    body: JSON.stringify({ protocol: 1, deviceId: 'test-1', collections: ['items'], changes }),
  });
  expect(response.status).toBe(200);
  return (await response.json()) as {
    results: { status: string }[];
    delta: { documents: { documentId: string; data: object }[] };
  };
}

const change = (documentId: string, data: object) => ({
  type: 'upsert',
  collection: 'items',
  documentId,
  lastModified: '2026-11-21T10:00:00.000Z',
  data,
});

async function isGone(url: string): Promise<boolean> {
  return fetch(url).then(
    () => false,
    () => true,
  );
}

describe('npm start -- --ephemeral --json', () => {
  it('prints one line, serves the product, and leaves nothing when npm is told to end', async () => {
    const npm = process.platform === 'win32' ? 'npm.cmd' : 'npm';
    const running = run(npm, ['start', '--silent', '--', '--ephemeral', '--json'], {
      shell: process.platform === 'win32',
    });
    const line = JSON.parse(await running.until(/\n/)) as Line;
    expect(Object.keys(line)).toEqual(['api', 'issuer', 'cosmosEndpoint', 'cosmosKey']);
    expect(line.api).toMatch(/^http:\/\/127\.0\.0\.1:\d+\/api$/);

    const token = await signIn(line.issuer, 'ann');
    const minted = await fetch(`${line.api}/GetCosmosToken`, {
      headers: { authorization: `Bearer ${token}` },
    });
    expect(minted.status).toBe(200);
    await minted.json();
    expect(await sync(line.api, token, [change('1', { title: 'one' })])).toMatchObject({
      results: [{ status: 'applied' }],
    });
    const client = new CosmosClient({ endpoint: line.cosmosEndpoint, key: line.cosmosKey });
    const documents = client.database('tidemark').container('documents');
    expect((await documents.item('items:1', 'user:ann').read()).statusCode).toBe(200);
    client.dispose();

    running.child.kill('SIGTERM');
    await running.closed;
    expect(await isGone(line.api)).toBe(true);
    expect(running.output().split('\n')).toHaveLength(2);
    expect(leftovers(running)).toEqual([]);
  });
});

describe('local/start.ts', () => {
  it('ends with code 0 on SIGINT and leaves nothing', async () => {
    const running = start('--ephemeral', '--json');
    const { api, issuer, cosmosEndpoint } = JSON.parse(await running.until(/\n/)) as Line;
    running.child.kill('SIGINT');
    expect(await running.closed).toBe(0);
    expect(await Promise.all([api, issuer, cosmosEndpoint].map(isGone))).toEqual([true, true, true]);
    expect(leftovers(running)).toEqual([]);
  });

  it('ends cleanly when it is told to while it is still starting', async () => {
    const running = start('--ephemeral', '--json');
    await new Promise<void>((resolve) => {
      const look = () => (leftovers(running).length > 0 ? resolve() : setImmediate(look));
      look();
    });
    running.child.kill('SIGTERM');
    expect(await running.closed).toBe(0);
    expect(leftovers(running)).toEqual([]);
  });

  it('takes the function app along when it is killed', async () => {
    const running = start('--ephemeral', '--json');
    const { api } = JSON.parse(await running.until(/\n/)) as Line;
    running.child.kill('SIGKILL');
    await running.closed;
    let isOver = false;
    while (!isOver) isOver = await isGone(api);
  });

  const hasCurl = spawnSync('curl', ['--version']).status === 0;
  (hasCurl ? it : it.skip)('prints commands that work when pasted', async () => {
    const running = start('--ephemeral');
    const page = await running.until(/token -d sub=bob\n/);
    const commands = page.split('\n').filter((line) => line.startsWith('curl '));
    const answers = await Promise.all(
      commands.map(async (command) => {
        const { stdout } = await promisify(execFile)('sh', ['-c', command]);
        return JSON.parse(stdout) as object;
      }),
    );
    expect(answers).toEqual([
      expect.objectContaining({ mode: expect.anything() as unknown, partitionKey: ['user:alice'] }),
      expect.objectContaining({ results: [expect.objectContaining({ status: 'applied' })] }),
      expect.objectContaining({ token_type: 'Bearer' }),
    ]);
    running.child.kill('SIGTERM');
    expect(await running.closed).toBe(0);
  });

  it.each(['--port', '--cosmos-port', '--issuer-port'])('names %s when its port is in use', async (flag) => {
    const other = createServer().listen(0, '127.0.0.1');
    await once(other, 'listening');
    const { port } = other.address() as { port: number };
    const running = start('--ephemeral', flag, String(port));
    expect(await running.closed).toBe(1);
    expect(running.errors()).toBe(
      `Port ${port} is in use by another program. Stop that one, or choose another port: npm start -- ${flag} <number>\n`,
    );
    expect(leftovers(running)).toEqual([]);
    await new Promise((resolve) => other.close(resolve));
  });

  it('explains itself', async () => {
    const running = start('--help');
    expect(await running.closed).toBe(0);
    expect(running.output()).toBe(HELP);
  });

  it('refuses an option it does not know with a hint and code 2', async () => {
    const running = start('--nonsense');
    expect(await running.closed).toBe(2);
    expect(running.errors()).toContain("Unknown option '--nonsense'");
    expect(running.errors()).toContain('npm start -- --help');
  });
});

describe('the options of npm start', () => {
  it('are fixed ports, or free ones for an ephemeral stack, unless a flag says otherwise', () => {
    expect(readStartOptions([]).ports).toEqual({ api: 7071, cosmos: 8081, issuer: 7072 });
    expect(readStartOptions(['--ephemeral']).ports).toEqual({ api: 0, cosmos: 0, issuer: 0 });
    const flags = ['--ephemeral', '--port', '1', '--cosmos-port=2', '--issuer-port', '3'];
    expect(readStartOptions(flags).ports).toEqual({ api: 1, cosmos: 2, issuer: 3 });
  });

  it.each([
    ['--port=http', '--port takes a number from 0 to 65535, not "http"'],
    ['--issuer-port=65536', '--issuer-port takes a number'],
    ['--cosmos-port=', '--cosmos-port takes a number'],
    ['extra', "Unexpected argument 'extra'"],
  ])('refuse %s', (argument, words) => {
    expect(() => readStartOptions([argument])).toThrow(words);
  });

  it('are all in the help', () => {
    for (const flag of [
      '--port',
      '--cosmos-port',
      '--issuer-port',
      '--ephemeral',
      '--json',
      '--quiet',
      '--help',
    ]) {
      expect(HELP).toContain(`  ${flag} `);
    }
  });
});

describe('the stack', () => {
  it('keeps data, key and tokens over a restart when it has a folder', async () => {
    const dataDir = join(newFolder(), 'data');
    const first = await startStack({ dataDir, quiet: true });
    const token = await signIn(first.issuer, 'ann');
    await sync(first.api, token, [change('kept', { n: 1 })]);
    await first.dispose();
    await first.dispose();

    const issuer = Number(new URL(first.issuer).port);
    const second = await startStack({ dataDir, quiet: true, ports: { issuer } });
    expect(second.cosmosKey).toBe(first.cosmosKey);
    const { delta } = await sync(second.api, token);
    expect(delta.documents).toMatchObject([{ documentId: 'kept', data: { n: 1 } }]);
    await second.dispose();
    expect(existsSync(dataDir)).toBe(true);
  });

  it('hands settings of the caller to the app and nothing of the environment', async () => {
    const stack = await startStack({ quiet: true, settings: { AUTH_AUDIENCE: 'api://other' } });
    const status = async (aud?: string) => {
      const token = await stack.issuerHandle.token({ sub: 'ann', ...(aud === undefined ? {} : { aud }) });
      const response = await fetch(`${stack.api}/GetCosmosToken`, {
        headers: { authorization: `Bearer ${token}` },
      });
      await response.arrayBuffer();
      return response.status;
    };
    expect([await status(), await status('api://other')]).toEqual([401, 200]);
    await stack.dispose();
  });

  /** An app without the library, which does what its one function is called for: ends the process. */
  const MORTAL = `
    const core = require('@azure/functions-core');
    core.setProgrammingModel({ name: 'test', version: '1', getInvocationModel: () => ({
      getArguments: async () => ({ context: {}, inputs: [] }),
      invokeFunction: async () => { console.error('last words'); process.exit(3); },
      getResponse: async () => ({}),
    }) });
    core.registerFunction({ name: 'die', bindings: { req: { type: 'httpTrigger', direction: 'in', methods: ['GET'] } } }, () => {});
  `;

  const silent = () => undefined;

  function writeApp(code: string): string {
    const appDir = newFolder();
    writeFileSync(join(appDir, 'main.cjs'), code);
    writeFileSync(join(appDir, 'host.json'), '{"version":"2.0"}');
    writeFileSync(join(appDir, 'package.json'), '{"main":"main.cjs"}');
    return appDir;
  }

  it('says so when the app dies, with its last words', async () => {
    let stack: Stack | undefined;
    const death = await new Promise<Error>((resolve, reject) => {
      startStack({ onLine: silent, appDir: writeApp(MORTAL), onDeath: resolve }).then(async (started) => {
        stack = started;
        await isGone(`${started.api}/die`);
      }, reject);
    });
    expect(death.message).toContain('The function host ended with code 3.');
    expect(death.message).toContain('last words');
    await stack?.dispose();
  });

  it('ends what it has started when the app does not start, and says why', async () => {
    const dataDir = newFolder();
    const port = createServer().listen(0, '127.0.0.1');
    await once(port, 'listening');
    const { port: issuer } = port.address() as { port: number };
    await new Promise((resolve) => port.close(resolve));
    const started = startStack({
      dataDir,
      ports: { issuer },
      onLine: silent,
      appDir: writeApp(`throw new Error('no luck');`),
    });
    await expect(started).rejects.toThrow('no luck');
    expect(await isGone(`http://127.0.0.1:${issuer}/`)).toBe(true);
  });

  it('says how to build the app when there is none', async () => {
    await expect(startStack({ appDir: join(folder, 'none') })).rejects.toThrow('npm run build');
  });
});
