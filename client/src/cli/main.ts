import { EXITS } from './exit-codes.ts';
import { run } from './run.ts';

/** Milliseconds. */
const SECOND_THOUGHT = 500;

/** What the process owns: signals, streams, the exit code. Everything else is in `run`. */
export async function main(version: string): Promise<void> {
  const ending = new AbortController();
  let asked = 0;
  const stop = (): void => {
    // npx passes on what the terminal has sent to both of them: only a later one is meant as a second.
    if (ending.signal.aborted && Date.now() - asked > SECOND_THOUGHT) process.exit(EXITS.ended.code);
    asked = Date.now();
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
}
