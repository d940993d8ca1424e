import { Module } from 'node:module';
import { sep } from 'node:path';
import type { Hooks } from './hooks.ts';
import type { Log } from './log.ts';
import type {
  FunctionCallback,
  FunctionMetadata,
  HookCallback,
  LogCategory,
  LogLevel,
  ProgrammingModel,
  RegisteredFunction,
} from './types.ts';

const CORE_MODULE = '@azure/functions-core';

/** Version of the Node.js worker whose behaviour this host follows; the library asks it for features, not for bugs. */
const WORKER_VERSION = '3.12.0';
const HOST_VERSION = '4.1042.0';

/** Something that can be taken back, in the shape the runtime offers it to apps. */
class Disposable {
  #undo: (() => unknown) | undefined;

  static from(...parts: { dispose(): unknown }[]): Disposable {
    return new Disposable(() => parts.forEach((part) => part.dispose()));
  }

  constructor(undo: () => unknown) {
    this.#undo = undo;
  }

  dispose(): void {
    this.#undo?.();
    this.#undo = undefined;
  }
}

/** What one app told the runtime while it was loaded. */
export class Registry {
  readonly functions = new Map<string, RegisteredFunction>();
  model: ProgrammingModel | undefined;
  #closed = false;

  /** From here on the app is running; the real worker takes no functions any more either. */
  close(): void {
    this.#closed = true;
  }

  add(metadata: FunctionMetadata, callback: FunctionCallback): () => void {
    if (this.#closed) throw new Error('A function can only be registered during app startup.');
    const key = metadata.name.toLowerCase();
    if (this.functions.has(key)) {
      throw new Error(
        `Two functions are called "${metadata.name}". Function names are unique in an app, whatever their case.`,
      );
    }
    this.functions.set(key, { metadata, callback });
    return () => {
      if (this.#closed) throw new Error('A function can only be disposed during app startup.');
      this.functions.delete(key);
    };
  }
}

/** The module `@azure/functions-core` as one app sees it. */
export function createCoreModule(registry: Registry, hooks: Hooks, log: Log) {
  return {
    version: WORKER_VERSION,
    hostVersion: HOST_VERSION,
    Disposable,
    registerFunction: (metadata: FunctionMetadata, callback: FunctionCallback) =>
      new Disposable(registry.add(metadata, callback)),
    registerHook: (name: string, callback: HookCallback) => new Disposable(hooks.add(name, callback)),
    setProgrammingModel: (model: ProgrammingModel) => {
      registry.model = model;
    },
    getProgrammingModel: () => registry.model,
    log: (level: LogLevel, category: LogCategory, message: string) => log({ level, category, message }),
  };
}

export type CoreModule = ReturnType<typeof createCoreModule>;

/** By app folder, with a separator at the end. */
const apps = new Map<string, CoreModule>();
let isInstalled = false;

/**
 * Answers `require('@azure/functions-core')` from any file of the app with `core`. The real worker does it the same
 * way, by wrapping `Module.prototype.require`: the module exists nowhere on disk.
 *
 * @param appDir real path of the app's folder.
 * @returns a function that takes it back and forgets the app's loaded files, so that it can be loaded anew.
 */
export function provideCoreModule(
  appDir: string,
  core: CoreModule,
  cache: NodeJS.Dict<NodeJS.Module>,
): () => void {
  const folder = appDir.endsWith(sep) ? appDir : appDir + sep;
  if (apps.has(folder)) throw new Error(`The app in ${appDir} already runs in this process.`);
  apps.set(folder, core);
  wrapRequire();
  return () => {
    apps.delete(folder);
    for (const file of Object.keys(cache)) {
      // eslint-disable-next-line @typescript-eslint/no-dynamic-delete -- the cache is a dictionary by file name
      if (file.startsWith(folder)) delete cache[file];
    }
  };
}

function wrapRequire(): void {
  if (isInstalled) return;
  isInstalled = true;
  // eslint-disable-next-line @typescript-eslint/unbound-method -- called with its own `this` below
  const original = Module.prototype.require;
  Module.prototype.require = function require(this: NodeJS.Module, id: string): unknown {
    if (id === CORE_MODULE) {
      for (const [folder, core] of apps) if (this.filename.startsWith(folder)) return core;
    }
    return original.call(this, id);
  } as NodeJS.Require;
}
