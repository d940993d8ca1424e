import { COMMANDS } from './commands/index.ts';
import type { Command } from './command.ts';
import { EXITS } from './exit-codes.ts';
import { COMMON, OPTIONS, type Option, type OptionName } from './options.ts';

const columns = (rows: readonly (readonly [string, string])[]): string => {
  const width = Math.max(...rows.map(([first]) => first.length));
  return rows.map(([first, second]) => `  ${first.padEnd(width)}  ${second}\n`).join('');
};

/** `-o, --output <file>` */
export function flagOf(name: OptionName): string {
  const { short, value }: Option = OPTIONS[name];
  return `${short === undefined ? '' : `-${short}, `}--${name}${value === undefined ? '' : ` <${value}>`}`;
}

const optionLines = (names: readonly OptionName[]): string =>
  columns(
    names.map((name) => {
      const { help, env }: Option = OPTIONS[name];
      return [flagOf(name), `${help}${env === undefined ? '' : ` [${env}]`}`];
    }),
  );

const exitLines = (): string =>
  columns(Object.values(EXITS).map(({ code, meaning }) => [String(code), meaning]));

export const generalHelp = (): string => `Documents that are there without a network, from the command line.

Usage: tidemark <command> [options]

${columns(Object.entries(COMMANDS).map(([name, { summary }]) => [name, summary]))}
Options of every command:
${optionLines(COMMON)}  --version  The version of this program

A setting is taken from the command line, else from the environment, else from tidemark.json. The token is never an argument:
TIDEMARK_TOKEN holds it, or --token-file or --token-command gives it.

Exit codes:
${exitLines()}
tidemark <command> --help tells more.
`;

export const commandHelp = (
  name: string,
  { synopsis, summary, details, options }: Command,
): string => `${summary}.

Usage: tidemark ${name}${synopsis === '' ? '' : ` ${synopsis}`} [options]

${details === undefined ? '' : `${details}\n\n`}Options:
${optionLines([...options, ...COMMON])}
Exit codes:
${exitLines()}`;
