import { readFile, realpath } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { createCoreModule, provideCoreModule, Registry } from './core-module.ts';
import { Hooks } from './hooks.ts';
import type { Log } from './log.ts';
import type { ProgrammingModel, RegisteredFunction } from './types.ts';

/** A function app that has been loaded and has started. */
export interface App {
  readonly functions: readonly RegisteredFunction[];
  readonly hooks: Hooks;
  readonly model: ProgrammingModel;
  readonly routePrefix: string;
  /** Runs the `appTerminate` hooks and forgets the app's code. */
  stop(): Promise<void>;
}

/** What the Node.js worker tells the library about itself. */
const CAPABILITIES = {
  RawHttpBodyBytes: 'true',
  RpcHttpTriggerMetadataRemoved: 'true',
  RpcHttpBodyOnly: 'true',
  IgnoreEmptyValuedRpcHttpHeaders: 'true',
  UseNullableValueDictionaryForHttp: 'true',
  WorkerStatus: 'true',
  TypedDataCollection: 'true',
  HandlesWorkerTerminateMessage: 'true',
};

/**
 * Loads a built function app: the folder that would be deployed, unchanged.
 *
 * @param logFor makes the log of this app, which its log hooks may alter.
 * @throws Error when the folder is no function app, its code fails while loading, or it registers nothing.
 */
export async function loadApp(folder: string, logFor: (hooks: Hooks) => Log): Promise<App> {
  const appDir = await realpath(folder).catch((cause: unknown) => {
    throw new Error(`There is no function app in ${folder}. Build it first: npm run build`, { cause });
  });
  const routePrefix = readRoutePrefix(await readJson(appDir, 'host.json'));
  const entry = readEntry(await readJson(appDir, 'package.json'));

  const registry = new Registry();
  const hooks = new Hooks();
  const require = createRequire(join(appDir, 'package.json'));
  const core = createCoreModule(registry, hooks, logFor(hooks));
  const forget = provideCoreModule(appDir, core, require.cache);
  try {
    require(join(appDir, entry));
    const model = await start(registry, hooks, appDir);
    return {
      functions: [...registry.functions.values()],
      hooks,
      model,
      routePrefix,
      stop: () => hooks.runForApp('appTerminate', appDir).finally(forget),
    };
  } catch (error) {
    forget();
    throw error;
  }
}

async function start(registry: Registry, hooks: Hooks, appDir: string): Promise<ProgrammingModel> {
  await hooks.runForApp('appStart', appDir);
  registry.close();
  const { model } = registry;
  if (model === undefined || registry.functions.size === 0) {
    throw new Error(
      `The app in ${appDir} registered no function. Is "@azure/functions-core" left out of its bundle (esbuild: external)?`,
    );
  }
  const capabilities = await model.getCapabilities?.({ ...CAPABILITIES });
  if (capabilities?.['HttpUri'] !== undefined) {
    // The library then opens a proxy on every network interface and passes bodies through it.
    throw new Error('This host does not support app.setup({ enableHttpStream: true }).');
  }
  return model;
}

async function readJson(folder: string, name: string): Promise<Record<string, unknown>> {
  const file = join(folder, name);
  const text = await readFile(file, 'utf8').catch((cause: unknown) => {
    throw new Error(`A function app needs ${file}.`, { cause });
  });
  try {
    const content: unknown = JSON.parse(text);
    if (isRecord(content)) return content;
  } catch (cause) {
    throw new Error(`${file} is not JSON.`, { cause });
  }
  throw new Error(`${file} does not hold a JSON object.`);
}

function readRoutePrefix(hostJson: Record<string, unknown>): string {
  if (hostJson['version'] !== '2.0') throw new Error('host.json lacks "version": "2.0".');
  const extensions = hostJson['extensions'];
  const http = isRecord(extensions) ? extensions['http'] : undefined;
  const prefix = isRecord(http) ? http['routePrefix'] : undefined;
  if (prefix === undefined) return 'api';
  if (typeof prefix !== 'string') throw new Error('extensions.http.routePrefix in host.json is not a text.');
  return prefix;
}

function readEntry(packageJson: Record<string, unknown>): string {
  const main = packageJson['main'];
  if (typeof main !== 'string' || /[*?{[]/.test(main)) {
    throw new Error('"main" in package.json must name the one file to load; this host takes no pattern.');
  }
  return main;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
