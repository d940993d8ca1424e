import type { LogEntry } from './log.ts';
import type { HookCallback, HookName } from './types.ts';

const HOOK_NAMES: readonly string[] = [
  'appStart',
  'appTerminate',
  'preInvocation',
  'postInvocation',
  'log',
] satisfies HookName[];

type Shared = Record<string, unknown>;

function isHookName(name: string): name is HookName {
  return HOOK_NAMES.includes(name);
}

/** A property that may be read but not replaced, as the runtime offers `hookData` and its like. */
function fixed(value: unknown): PropertyDescriptor {
  return { enumerable: true, value, writable: false };
}

/**
 * The hooks an app registered. They run in the order of their registration, one after the other; one that throws ends
 * what it belongs to.
 */
export class Hooks {
  /** Shared by all hooks of the app, app-level and per call. */
  readonly #appData: Shared = {};
  /** Shared by `appStart` and `appTerminate` only. */
  readonly #appLevelData: Shared = {};
  readonly #callbacks = new Map<HookName, HookCallback[]>();
  #logging = false;

  /** @returns a function that takes the hook away again. */
  add(name: string, callback: HookCallback): () => void {
    if (!isHookName(name)) {
      // The library looks at name and flag of this error to tell apps that their host is too old for a hook.
      throw Object.assign(new RangeError(`Unrecognized hook "${name}"`), {
        isAzureFunctionsSystemError: true,
      });
    }
    this.#callbacks.set(name, [...this.#of(name), callback]);
    return () => {
      this.#callbacks.set(
        name,
        this.#of(name).filter((each) => each !== callback),
      );
    };
  }

  async runForApp(name: 'appStart' | 'appTerminate', functionAppDirectory: string): Promise<void> {
    const context = this.#context(this.#appLevelData, { functionAppDirectory });
    for (const callback of this.#of(name)) await callback(context);
  }

  /**
   * @param hookData what the hooks of one call share.
   * @param changeable what hooks may replace; read it back from the answer.
   */
  async runForCall<Changeable extends object>(
    name: 'preInvocation' | 'postInvocation',
    hookData: Shared,
    invocationContext: unknown,
    changeable: Changeable,
  ): Promise<Changeable> {
    const context = this.#context(hookData, { invocationContext }, changeable);
    for (const callback of this.#of(name)) await callback(context);
    return context;
  }

  /** Lets log hooks see an entry and, for the app's own words, change level and message. */
  runForLog(entry: LogEntry, invocationContext: unknown): LogEntry {
    const callbacks = this.#of('log');
    // A log hook that logs would otherwise call itself forever.
    if (callbacks.length === 0 || this.#logging || entry.category === 'host') return entry;
    this.#logging = true;
    try {
      const context = this.#context(
        {},
        { invocationContext, category: entry.category },
        { level: entry.level, message: entry.message },
      );
      for (const callback of callbacks) callback(context);
      return entry.category === 'user' ? { ...entry, level: context.level, message: context.message } : entry;
    } finally {
      this.#logging = false;
    }
  }

  #of(name: HookName): readonly HookCallback[] {
    return this.#callbacks.get(name) ?? [];
  }

  #context<Changeable extends object>(
    hookData: Shared,
    readable: object,
    changeable: Changeable = Object.create(null) as Changeable,
  ): Changeable {
    const constants = { hookData, appHookData: this.#appData, ...readable };
    const descriptors = Object.fromEntries(
      Object.entries(constants).map(([key, value]) => [key, fixed(value)]),
    );
    return Object.defineProperties({ ...changeable }, descriptors);
  }
}
