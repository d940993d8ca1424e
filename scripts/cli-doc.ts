import { COMMANDS } from '../client/src/cli/commands/index.ts';
import { EXITS } from '../client/src/cli/exit-codes.ts';
import { flagOf } from '../client/src/cli/help.ts';
import { COMMON, OPTIONS, type Option, type OptionName } from '../client/src/cli/options.ts';
import { renderTable } from './markdown-table.ts';

const code = (text: string): string => `\`${text}\``;

/** The tables of docs/cli.md, by the name of their part. */
export const renderCli = (): Readonly<Record<string, string>> => ({
  commands: renderTable(
    ['Command', 'What it does'],
    Object.entries(COMMANDS).map(([name, { synopsis, summary }]) => [
      code(`${name} ${synopsis}`.trim()),
      `${summary}.`,
    ]),
  ),
  settings: renderTable(
    ['Option', 'Environment', '`tidemark.json`', 'Meaning'],
    Object.entries<Option>(OPTIONS)
      .filter(([, { env, config }]) => env !== undefined || config !== undefined)
      .map(([name, { env, config, help }]) => [
        code(flagOf(name as OptionName)),
        env === undefined ? '' : code(env),
        config === undefined ? '' : code(config),
        sentence(help),
      ]),
  ),
  options: renderTable(
    ['Option', 'Of', 'Meaning'],
    Object.entries<Option>(OPTIONS)
      .filter(([, { env, config }]) => env === undefined && config === undefined)
      .map(([name, { help }]) => [
        code(flagOf(name as OptionName)),
        ownersOf(name as OptionName),
        sentence(help),
      ]),
  ),
  exits: renderTable(
    ['Code', 'Meaning'],
    Object.values(EXITS).map(({ code: number, meaning }) => [String(number), meaning]),
  ),
});

const sentence = (text: string): string => (text.endsWith('.') ? text : `${text}.`);

const ownersOf = (name: OptionName): string =>
  COMMON.includes(name)
    ? 'all'
    : Object.entries(COMMANDS)
        .filter(([, { options }]) => options.includes(name))
        .map(([command]) => code(command))
        .join(', ');
