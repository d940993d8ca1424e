import { execFile } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { build } from 'esbuild';

/** What is published, as those who install it find it. */

const run = promisify(execFile);
const root = join(__dirname, '..', '..', '..', 'client');
const tools = join(root, '..', 'node_modules', '.bin');
const folder = mkdtempSync(join(tmpdir(), 'tidemark-client-package-'));
const home = join(folder, 'home');
const tarball = join(folder, 'tidemark-client-0.1.0.tgz');

/** npm without what an npm around it says about its own project. */
const npm = (args: string[], cwd: string) =>
  run('npm', args, {
    cwd,
    env: Object.fromEntries(
      Object.entries(process.env).filter(([name]) => !name.toLowerCase().startsWith('npm_')),
    ),
  });

/** What a tool printed is why it failed. */
const told = <R>(work: Promise<R>): Promise<R> =>
  work.catch((error: unknown) => {
    const { stdout = '', stderr = '' } = error as { stdout?: string; stderr?: string };
    throw new Error(`${stdout}${stderr}`);
  });

beforeAll(async () => {
  await npm(['run', '--silent', 'build'], root);
  await npm(['pack', '--silent', '--pack-destination', folder], root);
  mkdirSync(home);
  writeFileSync(join(home, 'package.json'), '{"private":true,"type":"module"}');
  await npm(['install', '--offline', '--no-audit', '--no-fund', '--silent', tarball], home);
}, 240_000);
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const PROGRAM = `
const client = createClient({
  url: 'http://127.0.0.1:1/api',
  token: 'none',
  userId: 'alice',
  database: nodeSqlite(':memory:'),
  collections: { notes: collection() },
  sync: { retry: { attempts: 1 } },
});
const main = async () => {
  await client.store('notes').upsert({ id: '1', title: 'Hello' });
  const report = await client.sync();
  console.log(JSON.stringify([await client.store('notes').get('1'), report.outcome, report.error instanceof TidemarkError]));
  await client.close();
};
main();
`;

it.each([
  ['main.mjs', (names: string, from: string) => `import ${names} from '${from}';`],
  ['main.cjs', (names: string, from: string) => `const ${names} = require('${from}');`],
])('installs in an empty project, and works there as %s', async (file, load) => {
  const head = `${load('{ collection, createClient, TidemarkError }', '@tidemark/client')}\n${load('{ nodeSqlite }', '@tidemark/client/node')}`;
  writeFileSync(join(home, file), head + PROGRAM);
  const { stdout } = await run(process.execPath, ['--disable-warning=ExperimentalWarning', file], {
    cwd: home,
  });
  expect(JSON.parse(stdout)).toEqual([{ id: '1', title: 'Hello' }, 'offline', true]);
});

it('has the command line, which needs no more than is installed', async () => {
  const program = join(home, 'node_modules', '.bin', 'tidemark');
  writeFileSync(join(home, 'notes.ndjson'), '{"id":"1","title":"Hello"}\n');
  await run(program, ['import', 'notes.ndjson', '--collection', 'notes', '--user', 'alice'], { cwd: home });
  const { stdout, stderr } = await run(program, ['export'], { cwd: home });
  expect([stdout, stderr]).toEqual(['{"id":"1","title":"Hello"}\n', '']);
});

it('has types that infer, for programs without the types of Node.js and without the schema library', async () => {
  const program = `
    import { collection, createClient } from '@tidemark/client';
    import { wasmSqlite } from '@tidemark/client/wasm';
    const client = createClient({
      url: '/api', token: async () => '', userId: 'alice',
      database: wasmSqlite(new Worker('worker.js'), 'notes'),
      collections: { notes: collection<{ id: string; title: string; stars: number }>({ indexes: ['title'] }) },
    });
    const notes = client.store('notes');
    export const stars: Promise<number | undefined> = notes.get('1').then((note) => note?.stars);
    void notes.query({ where: { stars: { gte: 3 } }, orderBy: [['title', 'desc']] });
    void notes.patch('1', { title: 'x', stars: null });
    client.on('conflict', ({ mine, theirs }) => console.log(mine, theirs));
    client.on('rejected', ({ error }) => console.log(error.code, error.pointer));
    // @ts-expect-error
    client.store('nothing');
    // @ts-expect-error
    void notes.upsert({ id: '1', title: 5, stars: 1 });
    // @ts-expect-error
    void notes.query({ where: { stars: 'many' } });
    // @ts-expect-error
    collection<{ id: string }>({ indexes: ['title'] });
  `;
  writeFileSync(join(home, 'types.ts'), program);
  for (const modules of [{ module: 'nodenext' }, { module: 'esnext', moduleResolution: 'bundler' }]) {
    const compilerOptions = {
      ...modules,
      noEmit: true,
      strict: true,
      exactOptionalPropertyTypes: true,
      target: 'es2022',
      lib: ['es2022', 'dom'],
      types: [],
    };
    writeFileSync(join(home, 'tsconfig.json'), JSON.stringify({ compilerOptions, files: ['types.ts'] }));
    await told(run(process.execPath, [join(tools, 'tsc'), '-p', home]));
  }
}, 120_000);

it('bundles for a browser without anything of Node.js, and only what is used', async () => {
  const entry = join(home, 'browser.mjs');
  const program = (names: string) => `import { ${names} } from '@tidemark/client'; console.log(${names});`;
  const sizeOf = async (source: string): Promise<number> => {
    writeFileSync(entry, source);
    const { outputFiles, metafile } = await build({
      entryPoints: [entry],
      bundle: true,
      platform: 'browser',
      format: 'esm',
      minify: true,
      write: false,
      metafile: true,
      logLevel: 'silent',
    });
    const inputs = Object.keys(metafile.inputs);
    expect(inputs.filter((name) => !name.includes('@tidemark') && !name.endsWith('browser.mjs'))).toEqual([]);
    return outputFiles[0]!.contents.length;
  };
  const whole = await sizeOf(program('createClient'));
  expect(whole).toBeLessThan(80_000);
  const [, said] =
    /In a browser it is (\d+) kB minified/.exec(readFileSync(join(root, '..', 'README.md'), 'utf8')) ?? [];
  expect(Math.abs(whole / 1000 - Number(said))).toBeLessThan(2);
  expect(await sizeOf(program('collection'))).toBeLessThan(whole / 10);
});

it('publishes what its manifest names, and no source', () => {
  const installed = join(home, 'node_modules', '@tidemark', 'client');
  expect(readdirSync(installed).sort()).toEqual(['README.md', 'bin', 'dist', 'package.json']);
  const { exports } = JSON.parse(readFileSync(join(installed, 'package.json'), 'utf8')) as {
    exports: Record<string, string | Record<string, Record<string, string>>>;
  };
  const files = Object.values(exports).flatMap((entry) =>
    typeof entry === 'string' ? [entry] : Object.values(entry).flatMap((each) => Object.values(each)),
  );
  expect(files.filter((file) => !existsSync(join(installed, file)))).toEqual([]);
});

it('satisfies publint and "are the types wrong"', async () => {
  const { stdout } = await told(run(join(tools, 'publint'), ['run', tarball, '--strict'], { cwd: root }));
  expect(stdout).toContain('All good');
  // Its profile leaves out the resolution of 2015, which knows no subpaths.
  await told(run(join(tools, 'attw'), [tarball, '--profile', 'node16', '--no-color'], { cwd: root }));
}, 120_000);
