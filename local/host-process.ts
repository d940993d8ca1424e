import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import type { FunctionInfo } from './host.ts';

/** How long the process may take to end before it is killed; a little more than the host gives running calls. */
const END_MS = 8_000;

/** Lines of its log that are kept, to tell what went wrong. */
const KEPT_LINES = 40;

/** What any program needs to run. Nothing else of this process's environment reaches the app. */
const BASICS = ['PATH', 'HOME', 'TMPDIR', 'TEMP', 'TMP', 'SystemRoot', 'LANG', 'TZ'] as const;

export interface HostProcessOptions {
  readonly appDir: string;
  /** 0 (default) takes a free one. */
  readonly port?: number;
  /** The app's settings: its environment. */
  readonly settings?: Readonly<Record<string, string>>;
  /** Errors only. */
  readonly quiet?: boolean;
  /** Gets each line the process logs. */
  readonly onLine?: (line: string) => void;
  /** Called when the process ends without having been asked to. */
  readonly onDeath?: (error: Error) => void;
  /** Folder of this repository. Default: the working directory, which npm scripts and Jest set to it. */
  readonly root?: string;
}

export interface HostProcess {
  readonly url: string;
  readonly functions: readonly FunctionInfo[];
  readonly process: ChildProcess;
  /** The last lines of its log. */
  readonly lines: readonly string[];
  /** Asks it to end and waits until it has. Safe to repeat. */
  dispose(): Promise<void>;
}

/**
 * Runs the local host in a process of its own, with exactly the given settings.
 *
 * @throws Error with the last lines of its log when it ends before it is ready.
 */
export async function startHostProcess(options: HostProcessOptions): Promise<HostProcess> {
  const main = join(options.root ?? process.cwd(), 'local', 'host-main.ts');
  if (!existsSync(main))
    throw new Error(`${main} does not exist. Run this from the folder of the repository.`);
  const flags = ['--disable-warning=ExperimentalWarning', '--enable-source-maps'];
  const args = ['--app', resolve(options.appDir), '--port', String(options.port ?? 0)];
  const child = spawn(process.execPath, [...flags, main, ...args, ...(options.quiet ? ['--quiet'] : [])], {
    env: { ...basicEnvironment(), ...options.settings },
    // Its stdin is the rope it hangs on: when this process dies, however it dies, the pipe closes and the host ends.
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  child.stdin.on('error', () => undefined);

  const lines: string[] = [];
  createInterface({ input: child.stderr }).on('line', (line) => {
    lines.push(line);
    if (lines.length > KEPT_LINES) lines.shift();
    options.onLine?.(line);
  });
  let isWanted = true;
  const ended = new Promise<Error>((resolveEnded) => {
    child.once('error', resolveEnded);
    // 'close' comes after the last line of the log, 'exit' may come before it.
    child.once('close', (code, signal) => {
      const how = signal === null ? `with code ${String(code)}` : `by ${signal}`;
      resolveEnded(new Error([`The function host ended ${how}.`, ...lines].join('\n')));
    });
  });
  void ended.then((error) => {
    if (isWanted && isReady) options.onDeath?.(error);
  });

  let isReady = false;
  const output = createInterface({ input: child.stdout });
  const first = await Promise.race([
    new Promise<string>((resolveLine) => output.once('line', resolveLine)),
    ended.then((error) => Promise.reject(error)),
  ]);
  isReady = true;
  const { url, functions } = JSON.parse(first) as Pick<HostProcess, 'url' | 'functions'>;

  const end = async () => {
    isWanted = false;
    child.stdin.end();
    child.kill('SIGTERM');
    const timer = setTimeout(() => child.kill('SIGKILL'), END_MS);
    await ended;
    clearTimeout(timer);
  };
  let ending: Promise<void> | undefined;
  return { url, functions, process: child, lines, dispose: () => (ending ??= end()) };
}

function basicEnvironment(): Record<string, string> {
  return Object.fromEntries(
    BASICS.flatMap((name) => {
      const value = process.env[name];
      return value === undefined ? [] : [[name, value]];
    }),
  );
}
