import { parseArgs } from 'node:util';
import { usage } from './exit-codes.ts';

/** An option of the command line: the one table that `--help`, docs/cli.md and the parser are made from. */
export interface Option {
  /** Absent: a flag without a value. */
  readonly value?: string;
  readonly short?: string;
  readonly multiple?: true;
  /** The environment variable and the member of tidemark.json that say the same. */
  readonly env?: string;
  readonly config?: string;
  readonly help: string;
}

export const OPTIONS = {
  url: {
    value: 'url',
    env: 'TIDEMARK_URL',
    config: 'url',
    help: 'Where the functions of the service are: https://my-app.azurewebsites.net/api',
  },
  database: {
    value: 'file',
    env: 'TIDEMARK_DATABASE',
    config: 'database',
    help: 'The local SQLite database. Default: tidemark.db',
  },
  user: {
    value: 'name',
    env: 'TIDEMARK_USER',
    config: 'user',
    help: 'Whose documents. Default: the development user, the only user of the database, or `sub` of the token',
  },
  collection: {
    value: 'name',
    short: 'c',
    multiple: true,
    config: 'collections',
    help: 'A collection, beside those that the database has. May be repeated',
  },
  'token-file': {
    value: 'file',
    env: 'TIDEMARK_TOKEN_FILE',
    config: 'tokenFile',
    help: 'A file that holds the token; read anew when the service refuses it',
  },
  'token-command': {
    value: 'command',
    env: 'TIDEMARK_TOKEN_COMMAND',
    config: 'tokenCommand',
    help: 'A shell command that prints the token; run again when the service refuses it',
  },
  'dev-user': {
    value: 'name',
    env: 'TIDEMARK_DEV_USER',
    config: 'devUser',
    help: 'Sign in at the development issuer of `npm start`. For addresses of this machine only',
  },
  'dev-issuer': {
    value: 'url',
    env: 'TIDEMARK_DEV_ISSUER',
    config: 'devIssuer',
    help: 'That issuer. Default: http://127.0.0.1:7072',
  },
  'dev-claim': {
    value: 'name=value',
    multiple: true,
    config: 'devClaims',
    help: 'A claim of the development token, such as facilities=\'["12"]\'. May be repeated',
  },
  config: { value: 'file', help: 'Default: tidemark.json of this folder, where there is one' },
  json: { help: 'One JSON document on stdout (`watch`: one line for each event)' },
  quiet: { short: 'q', help: 'No progress' },
  help: { short: 'h', help: 'This text' },
  'pull-only': { help: 'Fetch, and send nothing that was never sent' },
  scope: {
    value: 'scope',
    help: 'A shared scope, such as facility:12. Default: the own documents of the user',
  },
  limit: { value: 'n', help: 'How many to list. Default: 100' },
  all: { help: 'All of them' },
  data: { value: 'json', help: 'The corrected document, whole' },
  file: { value: 'file', help: 'The same in a file; - is stdin' },
  format: { value: 'format', help: 'json, ndjson or csv. Default: by the name of the file' },
  'skip-bad': {
    help: 'Import the good rows and report the others. Default: one bad row, and nothing is imported',
  },
  key: { value: 'name', help: 'The member that holds the id. Default: id' },
  column: {
    value: 'name:type',
    multiple: true,
    help: 'Type of a CSV column: auto, text, number, boolean or json; `*:text` for all others. May be repeated',
  },
  delimiter: { value: 'character', help: 'Between cells of CSV. Default: a comma' },
  encoding: { value: 'name', help: 'How the file is written. Default: utf-8' },
  output: { value: 'file', short: 'o', help: 'Default: stdout' },
  every: { value: 'seconds', help: 'Sync so often, for development. Default: as the service recommends' },
} as const satisfies Record<string, Option>;

export type OptionName = keyof typeof OPTIONS;

/** Options of every command. */
export const COMMON: readonly OptionName[] = [
  'database',
  'user',
  'collection',
  'config',
  'json',
  'quiet',
  'help',
];
/** Options of commands that talk to the service. */
export const NETWORK: readonly OptionName[] = [
  'url',
  'token-file',
  'token-command',
  'dev-user',
  'dev-issuer',
  'dev-claim',
];

/** What was typed: texts, lists of them, and flags. */
export class Typed {
  readonly #values: Readonly<Record<string, unknown>>;
  readonly positionals: readonly string[];

  constructor(values: Readonly<Record<string, unknown>>, positionals: readonly string[]) {
    this.#values = values;
    this.positionals = positionals;
  }

  text(name: OptionName): string | undefined {
    const value = this.#values[name];
    return typeof value === 'string' ? value : undefined;
  }

  list(name: OptionName): readonly string[] {
    const value = this.#values[name];
    return Array.isArray(value) ? (value as string[]) : [];
  }

  flag(name: OptionName): boolean {
    return this.#values[name] === true;
  }
}

/** @throws CliError for an option that the command does not have */
export function readOptions(args: readonly string[], names: readonly OptionName[]): Typed {
  if (args.some((arg) => arg === '--token' || arg.startsWith('--token='))) {
    throw usage(
      'There is no --token: whoever may list processes would see it. Set TIDEMARK_TOKEN, or use --token-file or --token-command.',
    );
  }
  const options = Object.fromEntries(
    names.map((name) => {
      const option: Option = OPTIONS[name];
      const { short, multiple = false } = option;
      const type = option.value === undefined ? ('boolean' as const) : ('string' as const);
      return [name, { type, multiple, ...(short === undefined ? {} : { short }) }];
    }),
  );
  try {
    const { values, positionals } = parseArgs({ args: [...args], options, allowPositionals: true });
    return new Typed(values, positionals);
  } catch (error) {
    throw usage(error instanceof Error ? error.message : String(error));
  }
}
