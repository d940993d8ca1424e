/**
 * `npm start`: builds the app and runs the whole product on this machine, staying up. See `--help`.
 *
 * stdout carries what was asked for and nothing else; the log goes to stderr. SIGTERM and SIGINT end everything with
 * code 0.
 */
import { resolve } from 'node:path';
import { buildApp } from '../scripts/build-app.ts';
import { PortInUseError } from './listen.ts';
import { requireFreePorts, startStack } from './stack.ts';
import type { Stack } from './stack.ts';
import { HELP, PORT_FLAGS, readStartOptions, UsageError } from './start/options.ts';
import type { PortName, StartOptions } from './start/options.ts';
import { TOKEN_LIFETIME, toJsonLine, toPage } from './start/welcome.ts';

const ROOT = resolve(import.meta.dirname, '..');
const DATA_DIR = resolve(ROOT, '.local');

/** How often to look whether npm is still there, in milliseconds. */
const PARENT_CHECK_MS = 100;

let stack: Stack | undefined;
let ending: Promise<never> | undefined;

/** Ends once, whatever asks first; a stack that is still starting is waited for, so that nothing of it stays. */
function end(code: number): void {
  ending ??= (async () => {
    await starting.catch(() => undefined);
    try {
      await stack?.dispose();
    } catch (error) {
      process.stderr.write(`${describe(error)}\n`);
      process.exit(1);
    }
    process.exit(code);
  })();
}

/**
 * npm passes signals to the shell it started, which may die of them without passing them on. Under npm, losing the
 * parent therefore means that npm was told to end.
 */
function endWithNpm(): void {
  if (process.env['npm_lifecycle_event'] === undefined) return;
  const parent = process.ppid;
  setInterval(() => {
    if (process.ppid !== parent) end(0);
  }, PARENT_CHECK_MS).unref();
}

async function start(options: StartOptions): Promise<void> {
  await requireFreePorts(options.ports);
  await buildApp(ROOT);
  stack = await startStack({
    root: ROOT,
    ports: options.ports,
    quiet: options.quiet || options.json,
    ...(options.ephemeral ? {} : { dataDir: DATA_DIR }),
    onDeath: (error) => {
      process.stderr.write(`${error.message}\n`);
      end(1);
    },
  });
  const place = options.ephemeral ? 'a temporary folder, removed at the end' : DATA_DIR;
  const token = await stack.issuerHandle.token({ sub: 'alice', lifetime: TOKEN_LIFETIME });
  process.stdout.write(options.json ? toJsonLine(stack) : toPage(stack, token, place, Date.now()));
}

/** What went wrong, and for a port which flag changes it. */
function describe(error: unknown, ports?: StartOptions['ports']): string {
  if (error instanceof PortInUseError && ports !== undefined) {
    const name = (Object.keys(ports) as PortName[]).find((each) => ports[each] === error.port);
    const flag = name && PORT_FLAGS[name];
    if (flag) return `${error.message} Stop that one, or choose another port: npm start -- ${flag} <number>`;
  }
  return error instanceof Error ? error.message : String(error);
}

async function main(): Promise<void> {
  const options = readStartOptions(process.argv.slice(2));
  if (options.help) {
    process.stdout.write(HELP);
    return;
  }
  process.on('SIGTERM', () => end(0)).on('SIGINT', () => end(0));
  endWithNpm();
  await start(options).catch((error: unknown) => {
    throw new Error(describe(error, options.ports), { cause: error });
  });
}

const starting = main();
starting.catch((error: unknown) => {
  process.stderr.write(
    `${describe(error)}\n${error instanceof UsageError ? '\nTry: npm start -- --help\n' : ''}`,
  );
  process.exitCode = error instanceof UsageError ? 2 : 1;
});
