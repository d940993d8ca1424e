import { execFile, spawn } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { sendSigned } from './raw-request.ts';
import type { Emulator } from '../src/index.ts';

const run = promisify(execFile);
const root = join(__dirname, '..');

/** npm without what an npm around it says about its own project. */
const npm = (args: string[], cwd: string) =>
  run('npm', args, {
    cwd,
    env: Object.fromEntries(
      Object.entries(process.env).filter(([name]) => !name.toLowerCase().startsWith('npm_')),
    ),
  });

it('the published package installs offline by itself; its tool starts and its module loads', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'cosmos-emulator-package-'));
  try {
    await npm(['run', '--silent', 'build'], root);
    await npm(['pack', '--silent', '--pack-destination', folder], root);
    const home = join(folder, 'home');
    mkdirSync(home);
    writeFileSync(join(home, 'package.json'), '{"private":true}');
    const tarball = join(folder, 'tidemark-cosmos-emulator-0.1.0.tgz');
    await npm(['install', '--offline', '--no-audit', '--no-fund', '--silent', tarball], home);
    const installed = join(home, 'node_modules', '@tidemark', 'cosmos-emulator');
    expect(existsSync(join(installed, 'src'))).toBe(false);
    expect(existsSync(join(installed, 'dist', 'types', 'index.d.ts'))).toBe(true);

    const bin = join(home, 'node_modules', '.bin', 'cosmos-emulator');
    const child = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', bin, '--json'], {
      cwd: home,
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const code = new Promise<number | null>((resolve) => child.once('close', resolve));
    try {
      const line = await Promise.race([
        new Promise<string>((resolve) =>
          child.stdout.once('data', (chunk: Buffer) => resolve(chunk.toString())),
        ),
        code.then((ended) => Promise.reject(new Error(`The tool ended with ${String(ended)}.`))),
      ]);
      const emulator = JSON.parse(line) as Emulator;
      expect((await sendSigned(emulator, { method: 'GET', path: 'dbs' })).status).toBe(200);
    } finally {
      child.kill('SIGTERM');
    }
    expect(await code).toBe(0);

    const program =
      "import { startEmulator } from '@tidemark/cosmos-emulator'; const e = await startEmulator(); console.log(e.endpoint); await e.dispose();";
    const flags = ['--disable-warning=ExperimentalWarning', '--input-type=module', '-e', program];
    expect((await run(process.execPath, flags, { cwd: home })).stdout).toMatch(
      /^http:\/\/127\.0\.0\.1:\d+\/\n$/,
    );
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}, 120_000);
