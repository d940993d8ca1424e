import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startEmulator } from '../emulator/src/index.ts';
import type { Emulator } from '../emulator/src/index.ts';
import { refuseInAzure } from './development-only.ts';
import { startHostProcess } from './host-process.ts';
import { startIssuer } from './issuer.ts';
import type { Issuer } from './issuer.ts';
import { requireFreePort } from './listen.ts';
import { DATABASE, provision } from './provision.ts';

const AUDIENCE = 'api://tidemark';

export interface Ports {
  readonly api?: number;
  readonly cosmos?: number;
  readonly issuer?: number;
}

export interface StackOptions {
  /** Where data and keys are kept. Absent: a temporary folder that dispose removes. */
  readonly dataDir?: string;
  /** 0 or absent: a free one. */
  readonly ports?: Ports;
  /** App settings on top of those that connect the parts; they win. */
  readonly settings?: Readonly<Record<string, string>>;
  /** Leaves only errors in the app's log. */
  readonly quiet?: boolean;
  /** Gets the app's log line by line. Default: stderr. */
  readonly onLine?: (line: string) => void;
  /** Called when the function host dies. Default: its last words go to stderr. */
  readonly onDeath?: (error: Error) => void;
  /** The built app. Default: `dist/app` below `root`. */
  readonly appDir?: string;
  /** Folder of this repository. Default: the working directory. */
  readonly root?: string;
}

export interface Stack {
  /** `http://127.0.0.1:7071/api` */
  readonly api: string;
  readonly issuer: string;
  readonly cosmosEndpoint: string;
  readonly cosmosKey: string;
  readonly emulator: Emulator;
  readonly issuerHandle: Issuer;
  /** Ends everything, waits for it, and removes temporary data. Safe to repeat. */
  dispose(): Promise<void>;
}

/**
 * Starts the whole product on this machine: the Cosmos DB emulator and the identity issuer in this process, the built
 * function app in a process of its own. The app knows the others by its settings only, as in Azure.
 *
 * @throws PortInUseError before anything has started
 * @throws Error when a part does not start; those that had are ended first.
 */
export async function startStack(options: StackOptions = {}): Promise<Stack> {
  const { ports = {}, root = process.cwd() } = options;
  const appDir = options.appDir ?? join(root, 'dist', 'app');
  refuseInAzure('The local stack');
  if (!existsSync(appDir))
    throw new Error(`There is no function app in ${appDir}. Build it first: npm run build`);
  await requireFreePorts(ports);

  const cleanups: (() => Promise<void>)[] = [];
  let ending: Promise<void> | undefined;
  const dispose = () => (ending ??= runBackwards(cleanups));
  try {
    const dataDir = options.dataDir ?? (await mkdtemp(join(tmpdir(), 'tidemark-')));
    if (options.dataDir === undefined) cleanups.push(() => rm(dataDir, { recursive: true, force: true }));
    await mkdir(dataDir, { recursive: true });

    const emulator = await startEmulator({ port: ports.cosmos ?? 0, data: join(dataDir, 'cosmos.sqlite') });
    cleanups.push(() => emulator.dispose());
    await provision(emulator.endpoint, emulator.key);

    const issuer = await startIssuer({
      port: ports.issuer ?? 0,
      audience: AUDIENCE,
      keyFile: join(dataDir, 'issuer-keys.json'),
    });
    cleanups.push(() => issuer.dispose());

    const host = await startHostProcess({
      appDir,
      root,
      port: ports.api ?? 0,
      quiet: options.quiet ?? false,
      onLine: options.onLine ?? ((line) => process.stderr.write(`${line}\n`)),
      onDeath: options.onDeath ?? ((error) => process.stderr.write(`${error.message}\n`)),
      settings: {
        COSMOS_ENDPOINT: emulator.endpoint,
        COSMOS_DATABASE: DATABASE,
        COSMOS_AUTH: 'key',
        COSMOS_KEY: emulator.key,
        AUTH_ISSUER: issuer.issuer,
        AUTH_AUDIENCE: AUDIENCE,
        ...options.settings,
      },
    });
    cleanups.push(() => host.dispose());

    return {
      api: `${host.url}/api`,
      issuer: issuer.issuer,
      cosmosEndpoint: emulator.endpoint,
      cosmosKey: emulator.key,
      emulator,
      issuerHandle: issuer,
      dispose,
    };
  } catch (error) {
    await dispose();
    throw error;
  }
}

/**
 * Checks the fixed ones among the ports, before anything is done for nothing.
 *
 * @throws PortInUseError
 */
export async function requireFreePorts({ api, cosmos, issuer }: Ports): Promise<void> {
  for (const port of [api, cosmos, issuer]) if (port) await requireFreePort(port);
}

/** All of them, the last started first; one that fails does not keep the others from ending. */
async function runBackwards(cleanups: readonly (() => Promise<void>)[]): Promise<void> {
  const failures: unknown[] = [];
  for (const cleanup of cleanups.toReversed())
    await cleanup().catch((error: unknown) => failures.push(error));
  if (failures.length > 0) throw new AggregateError(failures, 'Not all parts of the stack ended cleanly.');
}
