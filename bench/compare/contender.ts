import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

/** A document as the app has it, without its id. */
export interface Content {
  readonly title: string;
  readonly done: boolean;
  readonly priority: number;
}
export interface Stored {
  readonly id: string;
  readonly data: Content;
}

/** A product that brings documents from one device to another. */
export interface Contender {
  /**
   * One device with nothing but these documents, which sends them to an empty place on the server, and another one, which
   * fetches them. Only the sending and the fetching are timed.
   *
   * @param place nobody used it before
   * @returns seconds
   */
  round(
    documents: readonly Stored[],
    place: string,
  ): Promise<{ readonly push: number; readonly pull: number }>;
  dispose(): Promise<void>;
}

export async function seconds(work: () => Promise<unknown>): Promise<number> {
  const started = performance.now();
  await work();
  return (performance.now() - started) / 1000;
}

/** A server of this folder in a process of its own, which prints its address. */
export async function startServer(
  file: string,
  data: string,
): Promise<{ readonly url: string; readonly stop: () => Promise<void> }> {
  const server = spawn(
    process.execPath,
    ['--disable-warning=ExperimentalWarning', join(import.meta.dirname, file), data],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  );
  const ended = once(server, 'exit').then(() => undefined);
  const [url] = (await Promise.race([
    once(createInterface({ input: server.stdout }), 'line'),
    ended.then(() => Promise.reject(new Error(`${file} ended before it listened.`))),
  ])) as [string];
  return {
    url,
    stop: () => {
      server.kill('SIGKILL');
      return ended;
    },
  };
}
