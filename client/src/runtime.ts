/** Time, chance, the network and the platform, as this library uses them: tests and other platforms bring their own. */
export interface Runtime {
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  /** From 0 up to 1. */
  readonly random: () => number;
  /** A new id that nobody else has: letters, digits and hyphens, at most 64. */
  readonly createId: () => string;
  /** Calls back once, after some milliseconds. @returns how to prevent it */
  readonly setTimer: (callback: () => void, milliseconds: number) => () => void;
  readonly fetch: typeof fetch;
  readonly platform: Platform;
}

/** What the engine hears from the platform. Each returns how to stop listening. */
export interface Platform {
  /** False: certainly without a network. */
  readonly isOnline: () => boolean;
  readonly onOnline: (listener: () => void) => () => void;
  /** The app came to the foreground. */
  readonly onVisible: (listener: () => void) => () => void;
  /** Takes turns among the tabs of a browser; null where there is no such thing. */
  readonly locks: Locks | null;
}

/** The part of the Web Locks API that is used. */
export interface Locks {
  request<R>(name: string, options: { readonly signal: AbortSignal }, work: () => Promise<R>): Promise<R>;
}

interface EventSource {
  addEventListener?: (type: string, listener: () => void) => void;
  removeEventListener?: (type: string, listener: () => void) => void;
}

interface BrowserGlobals extends EventSource {
  readonly navigator?: { readonly onLine?: boolean; readonly locks?: Locks };
  readonly document?: EventSource & { readonly visibilityState?: string };
  readonly process?: { readonly versions?: { readonly node?: string } };
}

/** The platform this runs on: a browser's page or worker, Node.js, React Native. */
export function thisPlatform(globals = globalThis as unknown as BrowserGlobals): Platform {
  const { document } = globals;
  const isNode = globals.process?.versions?.node !== undefined;
  return {
    isOnline: () => globals.navigator?.onLine !== false,
    onOnline: (listener) => listen(globals, 'online', listener),
    onVisible: (listener) =>
      document === undefined
        ? () => undefined
        : listen(document, 'visibilitychange', () => {
            if (document.visibilityState === 'visible') listener();
          }),
    // Node.js has Web Locks too, for the threads of one process: not enough where several open one file.
    locks: isNode ? null : (globals.navigator?.locks ?? null),
  };
}

function listen(source: EventSource, type: string, listener: () => void): () => void {
  source.addEventListener?.(type, listener);
  return () => source.removeEventListener?.(type, listener);
}

export const thisRuntime = (given: Partial<Runtime> = {}): Runtime => ({
  now: Date.now,
  random: Math.random,
  createId: () => crypto.randomUUID(),
  setTimer: (callback, milliseconds) => {
    // Longer than a timer can count: it would fire at once.
    const timer = setTimeout(callback, Math.min(milliseconds, 2 ** 31 - 1));
    return () => clearTimeout(timer);
  },
  fetch: (...args) => fetch(...args),
  platform: thisPlatform(),
  ...given,
});

/** Waits, or ends at once with the signal's reason. */
export function wait(
  runtime: Pick<Runtime, 'setTimer'>,
  milliseconds: number,
  signal: AbortSignal,
): Promise<void> {
  return new Promise((resolve, reject) => {
    const fail = () => {
      cancel();
      reject(signal.reason as Error);
    };
    const cancel = runtime.setTimer(() => {
      signal.removeEventListener('abort', fail);
      resolve();
    }, milliseconds);
    if (signal.aborted) fail();
    else signal.addEventListener('abort', fail, { once: true });
  });
}

/** The promise, or the signal's reason: work of others may take no notice of the signal. */
export function untilAborted<R>(work: Promise<R>, signal: AbortSignal): Promise<R> {
  return new Promise((resolve, reject) => {
    const fail = () => reject(signal.reason as Error);
    if (signal.aborted) fail();
    signal.addEventListener('abort', fail, { once: true });
    work.then(resolve, reject).finally(() => signal.removeEventListener('abort', fail));
  });
}
