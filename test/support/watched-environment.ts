import { TestEnvironment } from 'jest-environment-node';
import { startSecretWatch } from './secret-watch.ts';

const MOST_SHOWN = 20;

/**
 * The environment of every test file. A file fails when anything that the app wrote while its tests ran shows a key or a
 * token that was used meanwhile: whichever test it was, and whether or not that test looks for it.
 */
// eslint-disable-next-line no-restricted-syntax -- Jest takes the default export.
export default class WatchedEnvironment extends TestEnvironment {
  readonly #watch = startSecretWatch();

  handleTestEvent(event: { readonly name: string }, state: { readonly unhandledErrors: unknown[] }): void {
    // After the last afterAll: what processes say at their end counts, too.
    if (event.name !== 'run_finish') return;
    for (const { message } of bufferOf(this.global.console)) this.#watch.wrote('console', `${message}\n`);
    const leaks = [...new Set(this.#watch.leaks())].slice(0, MOST_SHOWN);
    if (leaks.length === 0) return;
    const error = new Error(`Keys or tokens in what the app wrote:\n${leaks.join('\n')}`);
    // Where it was noticed says nothing.
    error.stack = error.message;
    state.unhandledErrors.push([error, error]);
  }

  override async teardown(): Promise<void> {
    this.#watch.stop();
    await super.teardown();
  }
}

/** What Jest keeps of the console until the file is done; nothing where it writes at once. */
const bufferOf = (console: object): readonly { readonly message: string }[] =>
  (console as { getBuffer?: () => readonly { readonly message: string }[] | undefined }).getBuffer?.() ?? [];
