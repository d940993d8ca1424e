import type { JsonObject } from '../../../shared/conflict/json.ts';
import { scopeKind } from '../../../shared/protocol/ids.ts';
import { createClient, type Client } from '../client.ts';
import { nodeSqlite } from '../drivers/node-sqlite.ts';
import type { Collection, Collections } from '../store/collection.ts';
import type { EngineOptions } from '../sync/sync-engine.ts';
import type { TokenProvider } from '../tokens/token-provider.ts';
import { CliError, usage } from './exit-codes.ts';
import type { Io } from './io.ts';
import { peek } from './peek.ts';
import type { CollectionSettings, Settings } from './settings.ts';
import type { Terminal } from './terminal.ts';
import { claimsOf, tokenProvider } from './token.ts';

export type CliClient = Client<Record<string, Collection<JsonObject>>>;

export interface OpenOptions {
  /** May the database be made, where there is none? */
  readonly create: boolean;
  /** Is the service needed? */
  readonly network: boolean;
  /** A collection that the command works on, with its shared scope and key. */
  readonly extra?: { readonly name: string; readonly scope: string | null; readonly key: string | null };
  readonly sync?: EngineOptions;
}

export interface Opened {
  readonly client: CliClient;
  readonly settings: Settings;
  readonly collections: Readonly<Record<string, CollectionSettings>>;
  readonly token: TokenProvider;
}

/**
 * Opens the local database of the settings with every collection that it has.
 *
 * @throws CliError
 */
export async function openClient(
  settings: Settings,
  io: Io,
  terminal: Terminal,
  { create, network, extra, sync }: OpenOptions,
): Promise<Opened> {
  const found = peek(settings.database);
  if (found === null && !create) {
    throw new CliError(
      'local',
      'no_database',
      `There is no database ${settings.database}. Name it with --database; \`tidemark sync\` and \`tidemark import\` make one.`,
    );
  }
  if (network && settings.url === null) {
    throw usage(
      'Which service? Use --url, TIDEMARK_URL, or "url" in tidemark.json; against `npm start`: --dev-user alice.',
    );
  }
  const collections = collectionsOf(settings, found?.models ?? [], extra);
  if (Object.keys(collections).length === 0) {
    throw usage('Which collections? Use --collection items, or "collections" in tidemark.json.');
  }
  const token = tokenProvider(settings.token, io, (secret) => terminal.hide(secret));
  const userId = settings.user ?? (await findUser(found?.users ?? [], settings, token, io.signal));
  const client = createClient({
    url: settings.url ?? 'http://127.0.0.1:0',
    token,
    userId,
    database: nodeSqlite(settings.database),
    collections: collections as Collections as Record<string, Collection<JsonObject>>,
    runtime: { fetch: io.fetch, now: io.now },
    ...(sync === undefined ? {} : { sync }),
  });
  return { client, settings, collections, token };
}

/** Those of the database stay, whatever else is asked for: what a client is not told of leaves the device. */
function collectionsOf(
  { collections: named }: Settings,
  models: readonly (readonly [string, string])[],
  extra: OpenOptions['extra'],
): Record<string, CollectionSettings> {
  const known = models.map(([name, table]) => [name, { ...named[name], table }] as const);
  const all: Record<string, CollectionSettings> = { ...named, ...Object.fromEntries(known) };
  if (extra === undefined) return all;
  const { name, scope, key } = extra;
  return {
    ...all,
    [name]: {
      ...all[name],
      ...(scope === null ? {} : { scope: scopeKind(scope) }),
      ...(key === null ? {} : { key }),
    },
  };
}

async function findUser(
  users: readonly string[],
  { token: plan }: Settings,
  token: TokenProvider,
  signal: AbortSignal,
): Promise<string> {
  const [only, other] = users;
  if (only !== undefined && other === undefined) return only;
  if (plan !== null && only === undefined) {
    const subject = claimsOf((await token.getToken({ signal })).token)?.['sub'];
    if (typeof subject === 'string' && subject !== '') return subject;
  }
  throw usage(
    only === undefined
      ? 'Which user? Use --user, TIDEMARK_USER, or "user" in tidemark.json.'
      : `The database has several users: ${users.join(', ')}. Choose one with --user.`,
  );
}

/** Runs with a client that is closed in any case. */
export async function withClient<R>(
  opening: Promise<Opened>,
  work: (opened: Opened) => Promise<R>,
): Promise<R> {
  const opened = await opening;
  try {
    return await work(opened);
  } finally {
    await opened.client.close();
  }
}
