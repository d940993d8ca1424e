import { Worker } from 'node:worker_threads';
import type { AskRules, Candidate, Violation } from '../sync/rules.ts';

/**
 * The application's own rules run in a thread of their own: a rule that never ends, or takes all memory, must not take
 * the gateway with it. The thread is asked about one document after the other, so that it is known which one it hangs
 * on; it is then ended, and a new one goes on with the next.
 *
 * The module exports `rules`: by collection, a function of the document and its context that returns nothing, or
 * `{ pointer, rule, message }`. It may be asynchronous.
 */
const PROGRAM = `
const { parentPort, workerData } = require('node:worker_threads');
const { rules } = require(workerData);
if (typeof rules !== 'object' || rules === null) throw new TypeError('The module exports no \`rules\`.');
parentPort.postMessage(Object.keys(rules));
parentPort.on('message', async ({ data, ...context }) => {
  try {
    const rule = Object.hasOwn(rules, context.collection) ? rules[context.collection] : undefined;
    parentPort.postMessage({ violation: (await rule?.(data, context)) ?? null });
  } catch (error) {
    parentPort.postMessage({ failure: error instanceof Error ? error.message : String(error) });
  }
});
`;

export interface RuleWorker {
  readonly ask: AskRules;
  readonly dispose: () => Promise<void>;
}

export interface RuleWorkerOptions {
  /** File of the application's module, CommonJS. */
  readonly module: string;
  /** How long a rule may take for one document, in milliseconds; loading the module does not count. */
  readonly timeout: number;
  /** Told of rules that fail or take too long, without the document. */
  readonly log: (message: string) => void;
}

/** Documents that may wait for their turn. */
const MAX_WAITING = 10_000;
const MAX_MEMORY_MB = 256;
const MAX_TEXT = 1000;

/** To load the application's module. */
const START_MS = 10_000;

export function createRuleWorker({ module, timeout, log }: RuleWorkerOptions): RuleWorker {
  let running: { readonly worker: Worker; readonly ready: Promise<unknown> } | undefined;
  let turn: Promise<unknown> = Promise.resolve();
  let waiting = 0;
  /** Collections that have rules, once the module has said so: documents of others need not be asked about. */
  let ruled: ReadonlySet<string> | undefined;

  const start = () => {
    const worker = new Worker(PROGRAM, {
      eval: true,
      workerData: module,
      env: {},
      resourceLimits: { maxOldGenerationSizeMb: MAX_MEMORY_MB },
    });
    // The rules keep no process alive, and an error that comes when nobody waits must not end it either.
    worker.unref();
    worker.on('error', () => undefined);
    const ready = nextMessage(worker, START_MS).then((names) => {
      ruled = new Set(names as string[]);
    });
    return { worker, ready };
  };
  const dispose = async (): Promise<void> => {
    const ended = running;
    running = undefined;
    await ended?.worker.terminate();
  };

  const exchange = async (candidate: Candidate): Promise<unknown> => {
    try {
      running ??= start();
      await running.ready;
      if (ruled?.has(candidate.collection) === false) return { violation: null };
      running.worker.postMessage(candidate);
      return await nextMessage(running.worker, timeout);
    } catch (error) {
      await dispose();
      throw error;
    }
  };

  return {
    ask: async (candidate) => {
      if (ruled?.has(candidate.collection) === false) return null;
      if (waiting >= MAX_WAITING) throw new Error('Too many documents wait for the rules.');
      waiting += 1;
      const mine = turn.then(() => exchange(candidate));
      turn = mine.catch(() => undefined);
      try {
        return toViolation(await mine);
      } catch (error) {
        const reason = error instanceof Error ? error.message : String(error);
        log(`The rules for ${candidate.collection} could not be asked: ${reason}`);
        throw error;
      } finally {
        waiting -= 1;
      }
    },
    dispose,
  };
}

/** @throws Error when the thread ends, or is silent for too long */
function nextMessage(worker: Worker, timeout: number): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const settle = (how: () => void): void => {
      clearTimeout(timer);
      worker.off('message', onMessage).off('error', onError).off('exit', onExit);
      how();
    };
    const onMessage = (message: unknown): void => settle(() => resolve(message));
    const onError = (error: Error): void => settle(() => reject(error));
    const onExit = (code: number): void =>
      settle(() => reject(new Error(`their thread ended with ${code}.`)));
    const timer = setTimeout(() => {
      settle(() => reject(new Error(`there was no answer within ${timeout} ms.`)));
    }, timeout);
    worker.on('message', onMessage).on('error', onError).on('exit', onExit);
  });
}

/** @throws Error where the rule failed, or said something that is no violation */
function toViolation(message: unknown): Violation | null {
  const { violation, failure } = message as { violation?: unknown; failure?: unknown };
  if (typeof failure === 'string') throw new Error(failure.slice(0, MAX_TEXT));
  if (violation === null) return null;
  const { pointer = '', rule, message: text } = violation as Partial<Record<keyof Violation, unknown>>;
  if (typeof pointer !== 'string' || typeof rule !== 'string' || typeof text !== 'string') {
    throw new Error('a rule returned something other than `{ pointer, rule, message }`.');
  }
  return { pointer: pointer.slice(0, MAX_TEXT), rule: rule.slice(0, 100), message: text.slice(0, MAX_TEXT) };
}
