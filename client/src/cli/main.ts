import { run } from './run.ts';

/** What the process owns: signals, streams, the exit code. Everything else is in `run`. */
export async function main(version: string): Promise<void> {
  const ending = new AbortController();
  const stop = (): void => {
    // The second time is meant.
    if (ending.signal.aborted) process.exit(130);
    ending.abort();
  };
  process.on('SIGINT', stop).on('SIGTERM', stop);
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error;
    // Whoever read has enough.
    stop();
  });
  const io = {
    stdout: process.stdout,
    stderr: process.stderr,
    stdin: process.stdin,
    env: process.env,
    cwd: process.cwd(),
    fetch,
    now: Date.now,
    signal: ending.signal,
  };
  process.exitCode = await run(process.argv.slice(2), io, version);
  process.off('SIGINT', stop).off('SIGTERM', stop);
}
