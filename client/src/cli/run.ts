import { COMMANDS } from './commands/index.ts';
import type { Outcome } from './command.ts';
import { CliError, EXITS, exitOf, usage } from './exit-codes.ts';
import { commandHelp, generalHelp } from './help.ts';
import type { Io } from './io.ts';
import { COMMON, readOptions } from './options.ts';
import { readSettings } from './settings.ts';
import { Terminal } from './terminal.ts';

/**
 * Runs one command line.
 *
 * @param version of the package
 * @returns the exit code
 */
export async function run(args: readonly string[], io: Io, version: string): Promise<number> {
  const [name = '', ...rest] = args;
  const json = args.includes('--json');
  const terminal = new Terminal(io, { json, quiet: args.includes('--quiet') || args.includes('-q') });
  const secret = io.env['TIDEMARK_TOKEN'];
  if (secret) terminal.hide(secret);
  let outcome: Outcome | null;
  try {
    outcome = await dispatch(name, rest, { io, terminal, json, version });
  } catch (error) {
    outcome = { exit: io.signal.aborted ? 'ended' : exitOf(error), error: describe(error) };
  }
  terminal.endProgress();
  if (outcome === null) return 0;
  const { exit, result, error } = outcome;
  const { code } = EXITS[exit];
  if (json) {
    const head =
      name === 'watch' ? { event: 'end', at: new Date(io.now()).toISOString() } : { command: name };
    terminal.sayJson({
      ...head,
      exitCode: code,
      ...(error === undefined ? {} : { error }),
      ...(result === undefined ? {} : { result }),
    });
  } else if (error !== undefined && result === undefined && exit !== 'ended') {
    terminal.remark(
      `${error.message}${exit === 'usage' ? `\nTry: tidemark ${name in COMMANDS ? `${name} ` : ''}--help` : ''}`,
    );
    if (exit === 'internal') terminal.remark('This is a fault of tidemark. Please report it.');
  }
  return code;
}

/** @returns null where there was only something to be read */
async function dispatch(
  name: string,
  rest: readonly string[],
  { io, terminal, json, version }: { io: Io; terminal: Terminal; json: boolean; version: string },
): Promise<Outcome | null> {
  if (name === '--version') {
    io.stdout.write(`${version}\n`);
    return null;
  }
  if (name === '' || name === '--help' || name === '-h' || name === 'help') {
    const text = generalHelp();
    if (name === '') throw new CliError('usage', 'usage', text.trimEnd());
    io.stdout.write(text);
    return null;
  }
  const command = Object.hasOwn(COMMANDS, name) ? COMMANDS[name] : undefined;
  if (command === undefined) throw usage(`There is no command "${name}".`);
  const typed = readOptions(rest, [...command.options, ...COMMON]);
  if (typed.flag('help')) {
    io.stdout.write(commandHelp(name, command));
    return null;
  }
  const extra = command.synopsis === '' ? typed.positionals[0] : undefined;
  if (extra !== undefined) throw usage(`\`tidemark ${name}\` takes no "${extra}".`);
  return command.run({ typed, settings: readSettings(typed, io.env, io.cwd), io, terminal, json });
}

function describe(error: unknown): { code: string; message: string } {
  const message = error instanceof Error ? error.message : String(error);
  const code =
    error instanceof Error && 'code' in error && typeof error.code === 'string'
      ? error.code
      : 'internal_error';
  return { code, message };
}
