import { readFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { isJsonObject, type JsonObject } from '../../../shared/conflict/json.ts';
import { usage } from './exit-codes.ts';
import { OPTIONS, type Option, type OptionName, type Typed } from './options.ts';

export const CONFIG_FILE = 'tidemark.json';
const DEV_API = 'http://127.0.0.1:7071/api';
const DEV_ISSUER = 'http://127.0.0.1:7072';

/** Where the token comes from. */
export type TokenPlan =
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'file'; readonly path: string }
  | { readonly kind: 'command'; readonly command: string }
  | {
      readonly kind: 'development';
      readonly user: string;
      readonly issuer: string;
      readonly claims: JsonObject;
    };

export interface CollectionSettings {
  readonly scope?: string;
  readonly table?: string;
  readonly key?: string;
  readonly indexes?: readonly string[];
}

/** What a command was told, by the command line, the environment and tidemark.json, in this order. */
export interface Settings {
  readonly url: string | null;
  readonly database: string;
  readonly user: string | null;
  readonly collections: Readonly<Record<string, CollectionSettings>>;
  readonly token: TokenPlan | null;
  /** The file that was read, for messages. */
  readonly configFile: string | null;
}

type Level = (name: OptionName) => string | undefined;

/** @throws CliError */
export function readSettings(
  typed: Typed,
  env: Readonly<Record<string, string | undefined>>,
  cwd: string,
): Settings {
  const file = readConfigFile(typed.text('config'), cwd);
  const levels: readonly Level[] = [
    (name) => typed.text(name),
    (name) => {
      const { env: variable }: Option = OPTIONS[name];
      return (variable === undefined ? undefined : env[variable]) || undefined;
    },
    (name) => fromFile(file, name),
  ];
  const find = (name: OptionName): string | undefined => {
    for (const level of levels) {
      const value = level(name);
      if (value !== undefined) return value;
    }
    return undefined;
  };
  const claims = typed.list('dev-claim');
  const token = findToken(levels, env['TIDEMARK_TOKEN'] || undefined, {
    issuer: find('dev-issuer') ?? DEV_ISSUER,
    claims: claims.length > 0 ? readClaims(claims) : claimsOf(file),
  });
  const url = find('url') ?? (token?.kind === 'development' ? DEV_API : null);
  if (url !== null) checkUrl(url, 'The url');
  if (token?.kind === 'development') requireLoopback(url, token.issuer);
  return {
    url,
    token: token?.kind === 'file' ? { kind: 'file', path: resolve(cwd, token.path) } : token,
    database: resolve(cwd, find('database') ?? 'tidemark.db'),
    user: find('user') ?? (token?.kind === 'development' ? token.user : null),
    collections: {
      ...collectionsOf(file),
      ...Object.fromEntries(typed.list('collection').map((name) => [name, collectionsOf(file)[name] ?? {}])),
    },
    configFile: file?.path ?? null,
  };
}

/** The first level that names a token decides; two on one level contradict each other. */
function findToken(
  levels: readonly Level[],
  text: string | undefined,
  development: { issuer: string; claims: JsonObject },
): TokenPlan | null {
  for (const [index, level] of levels.entries()) {
    const path = level('token-file');
    const command = level('token-command');
    const user = level('dev-user');
    const isEnvironment = index === 1;
    const plans: TokenPlan[] = [
      ...(isEnvironment && text !== undefined ? [{ kind: 'text' as const, text }] : []),
      ...(path === undefined ? [] : [{ kind: 'file' as const, path }]),
      ...(command === undefined ? [] : [{ kind: 'command' as const, command }]),
      ...(user === undefined ? [] : [{ kind: 'development' as const, user, ...development }]),
    ];
    const [first, second] = plans;
    if (second !== undefined) {
      const place = ['The command line', 'The environment', 'The file'][index] ?? '';
      throw usage(`${place} says in ${plans.length} ways where the token comes from. Keep one of them.`);
    }
    if (first !== undefined) return first;
  }
  return null;
}

const LOOPBACK = new Set(['127.0.0.1', '[::1]', 'localhost']);
export const isLoopback = (url: string): boolean => LOOPBACK.has(new URL(url).hostname);

/** A development token opens whatever is asked for: it has no business elsewhere. */
function requireLoopback(url: string | null, issuer: string): void {
  checkUrl(issuer, 'The address of the development issuer');
  for (const address of [url, issuer]) {
    if (address === null || isLoopback(address)) continue;
    throw usage(
      `--dev-user is for addresses of this machine only, and ${address} is none. Use --token-command or --token-file.`,
    );
  }
}

/** What stands in an address ends up in logs: nothing in it may be secret. */
function checkUrl(url: string, what: string): void {
  const parsed = URL.canParse(url) ? new URL(url) : null;
  if (parsed === null || !/^https?:$/.test(parsed.protocol)) {
    throw usage(`${what} is not an http or https address.`);
  }
  if (parsed.username !== '' || parsed.password !== '' || parsed.search !== '' || parsed.hash !== '') {
    throw usage(`${what} must have no user, password, query or fragment: only https://host/api.`);
  }
}

function readClaims(texts: readonly string[]): JsonObject {
  return Object.fromEntries(
    texts.map((text) => {
      const [, name, value = ''] = /^([^=]+)=(.*)$/s.exec(text) ?? [];
      if (name === undefined) throw usage(`--dev-claim takes name=value, not "${text}".`);
      try {
        return [name, JSON.parse(value) as unknown];
      } catch {
        return [name, value];
      }
    }),
  );
}

interface ConfigFile {
  readonly path: string;
  readonly content: JsonObject;
}

const TEXTS = Object.values<Option>(OPTIONS).flatMap(({ config, multiple }) =>
  config === undefined || multiple === true ? [] : [config],
);

/** Members of tidemark.json that are paths: they count from where it stands. */
const PATHS: ReadonlySet<string> = new Set(['database', 'tokenFile']);

function readConfigFile(named: string | undefined, cwd: string): ConfigFile | null {
  const path = resolve(cwd, named ?? CONFIG_FILE);
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (named === undefined && code === 'ENOENT') return null;
    throw usage(`${path} cannot be read: ${code ?? String(error)}.`);
  }
  let content: unknown;
  try {
    content = JSON.parse(text);
  } catch {
    content = null;
  }
  if (!isJsonObject(content)) throw usage(`${path} is not a JSON object.`);
  for (const [name, value] of Object.entries(content)) {
    if (name === 'token') {
      throw usage(
        `${path}: a token has no place in a file that others read. Use "tokenCommand" or "tokenFile".`,
      );
    }
    const fits = TEXTS.includes(name)
      ? typeof value === 'string' && value !== ''
      : name === '$schema' ||
        (name === 'collections' && areCollections(value)) ||
        (name === 'devClaims' && isJsonObject(value));
    if (!fits) throw usage(`${path}: "${name}" is unknown, or not of the kind it should be.`);
  }
  return { path, content };
}

const areCollections = (value: unknown): boolean =>
  isJsonObject(value) &&
  Object.values(value).every(
    (each) =>
      isJsonObject(each) &&
      Object.entries(each).every(([name, member]) =>
        name === 'indexes'
          ? Array.isArray(member) && member.every((path) => typeof path === 'string')
          : ['scope', 'table', 'key'].includes(name) && typeof member === 'string',
      ),
  );

function fromFile(file: ConfigFile | null, option: OptionName): string | undefined {
  const { config: name, multiple }: Option = OPTIONS[option];
  if (file === null || name === undefined || multiple === true) return undefined;
  const { [name]: value } = file.content;
  if (typeof value !== 'string') return undefined;
  return PATHS.has(name) ? resolve(dirname(file.path), value) : value;
}

const collectionsOf = (file: ConfigFile | null) =>
  (file?.content['collections'] ?? {}) as Record<string, CollectionSettings>;
const claimsOf = (file: ConfigFile | null) => (file?.content['devClaims'] ?? {}) as JsonObject;
