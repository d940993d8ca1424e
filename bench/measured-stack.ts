import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { startHostProcess, type HostProcess } from '../local/host-process.ts';
import { startIssuer, type Issuer } from '../local/issuer.ts';
import { DATABASE, provision } from '../local/provision.ts';
import { buildApp } from '../scripts/build-app.ts';
import { spawnEmulator } from '../test/support/emulator-process.ts';

export interface MeasuredStack {
  readonly api: string;
  readonly issuer: Issuer;
  readonly host: HostProcess;
  /** Memory of the gateway's process in MB: now, and the most it ever had. Zero where the system does not say (`/proc`). */
  readonly memory: () => Promise<{ readonly now: number; readonly peak: number }>;
  readonly dispose: () => Promise<void>;
}

/**
 * The product as `npm start` runs it, each part in a process of its own, so that the gateway's can be measured: the built
 * app, and the emulator with its data in a file, every acknowledged write on disk.
 */
export async function startMeasuredStack(): Promise<MeasuredStack> {
  const root = resolve(import.meta.dirname, '..');
  await buildApp(root);
  const folder = await mkdtemp(join(tmpdir(), 'tidemark-bench-'));
  const emulator = await spawnEmulator(join(folder, 'cosmos.sqlite'));
  await provision(emulator.endpoint, emulator.key);
  const audience = 'api://tidemark';
  const issuer = await startIssuer({ port: 0, audience, keyFile: join(folder, 'issuer-keys.json') });
  const host = await startHostProcess({
    root,
    appDir: join(root, 'dist', 'app'),
    port: 0,
    quiet: true,
    onLine: (line) => process.stderr.write(`${line}\n`),
    settings: {
      COSMOS_ENDPOINT: emulator.endpoint,
      COSMOS_DATABASE: DATABASE,
      COSMOS_AUTH: 'key',
      COSMOS_KEY: emulator.key,
      AUTH_ISSUER: issuer.issuer,
      AUTH_AUDIENCE: audience,
    },
  });
  return {
    api: `${host.url}/api`,
    issuer,
    host,
    memory: async () => {
      const status = await readFile(`/proc/${host.process.pid}/status`, 'utf8').catch(() => '');
      const read = (name: string) =>
        Math.round(Number(new RegExp(`${name}:\\s+(\\d+) kB`).exec(status)?.[1] ?? 0) / 1024);
      return { now: read('VmRSS'), peak: read('VmHWM') };
    },
    dispose: async () => {
      const ended = host.process.exitCode === null ? once(host.process, 'close') : Promise.resolve();
      await host.dispose();
      await ended;
      await issuer.dispose();
      await emulator.kill();
      await rm(folder, { recursive: true, force: true });
    },
  };
}
