/**
 * The local host as a process of its own:
 *
 *     node local/host-main.ts --app dist/app --port 7071 [--quiet]
 *
 * The app's settings are this process's environment. When ready it writes one line of JSON to stdout,
 * `{"url": …, "functions": […]}`; everything else, the app's own output included, goes to stderr. It ends on SIGTERM,
 * on SIGINT, and when the pipe at its stdin closes: a parent that is killed leaves no orphan.
 */
import { Console } from 'node:console';
import { existsSync, fstatSync } from 'node:fs';
import { resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { startHost } from './host.ts';
import { formatLogEntry, isWorthShowing } from './host/log.ts';
import type { LogEntry } from './host/log.ts';

const { values } = parseArgs({
  options: {
    app: { type: 'string', default: 'dist/app' },
    port: { type: 'string', default: '7071' },
    quiet: { type: 'boolean', default: false },
  },
});

globalThis.console = new Console({ stdout: process.stderr, stderr: process.stderr });

const log = (entry: LogEntry) => {
  const isShown = values.quiet ? ['error', 'critical'].includes(entry.level) : isWorthShowing(entry);
  if (isShown) process.stderr.write(`${formatLogEntry(entry)}\n`);
};

function stdinIsPipe(): boolean {
  try {
    const stdin = fstatSync(0);
    return stdin.isFIFO() || stdin.isSocket();
  } catch {
    return false;
  }
}

try {
  const appDir = resolve(values.app);
  // The worker too starts apps in their own folder.
  if (existsSync(appDir)) process.chdir(appDir);
  const host = await startHost({ appDir, port: Number(values.port), log });
  const end = () => {
    void host.dispose().then(
      () => process.exit(0),
      (error: unknown) => {
        console.error(error);
        process.exit(1);
      },
    );
  };
  process.on('SIGTERM', end).on('SIGINT', end);
  if (stdinIsPipe()) process.stdin.on('end', end).on('error', end).resume();
  process.stdout.write(`${JSON.stringify({ url: host.url, functions: host.functions })}\n`);
} catch (error) {
  console.error(values.quiet && error instanceof Error ? error.message : error);
  process.exit(1);
}
