import { existsSync } from 'node:fs';
import { stat } from 'node:fs/promises';
import { DatabaseSync } from 'node:sqlite';
import { isJsonObject, type JsonObject } from '../../../../shared/conflict/json.ts';
import { PROTOCOL_VERSION } from '../../../../shared/protocol/version.ts';
import { TidemarkError } from '../../errors.ts';
import type { Command, Context } from '../command.ts';
import { exitOf, type Exit } from '../exit-codes.ts';
import { openClient, withClient } from '../open.ts';
import { NETWORK } from '../options.ts';
import { peek } from '../peek.ts';
import { isLoopback } from '../settings.ts';
import { duration, plural } from '../terminal.ts';
import { claimsOf, describePlan, tokenProvider } from '../token.ts';

/** What was looked at, what was found, and what to do about it. */
interface Check {
  readonly name: string;
  readonly state: 'ok' | 'warning' | 'failed' | 'skipped';
  readonly found: string;
  readonly remedy?: string;
  /** The exit code of a failure. */
  readonly exit?: Exit;
}

/** Milliseconds that one request may take. */
const LIMIT = 15_000;
/** Clocks further apart than this are told, in milliseconds; beyond the second, tokens are refused. */
const SKEW = 30_000;
const LARGE_SKEW = 240_000;
/** An edit that waits for longer than this is told. Milliseconds. */
const OLD_EDIT = 86_400_000;

export const doctor: Command = {
  synopsis: '',
  summary: 'Looks for what keeps this device from syncing, and says what to do',
  details:
    'It sends no edit and takes nothing in. It ends with the code of the first failure; warnings alone end with 0.',
  options: NETWORK,
  run: async (context) => {
    const { terminal, io } = context;
    const checks: Check[] = [];
    const note = (found: readonly Check[]) => {
      for (const check of found) {
        checks.push(check);
        terminal.say(`${mark(check, terminal)}  ${check.name.padEnd(10)}  ${check.found}`);
        if (check.remedy !== undefined) terminal.say(`            ${terminal.faint('→')} ${check.remedy}`);
      }
      io.signal.throwIfAborted();
    };
    note(checkSettings(context));
    const service = await checkService(context);
    note(service.checks);
    const token = await checkToken(context);
    note(token.checks);
    note(service.reached && token.text !== null ? await checkAccess(context, token.text) : []);
    note(await checkDatabase(context));
    const failed = checks.filter(({ state }) => state === 'failed');
    const warnings = checks.filter(({ state }) => state === 'warning');
    terminal.say();
    terminal.say(
      failed.length > 0
        ? terminal.bad(`${plural(failed.length, 'thing')} to mend.`)
        : terminal.good(
            warnings.length > 0 ? `It works; ${plural(warnings.length, 'warning')}.` : 'All is well.',
          ),
    );
    return {
      exit: failed[0]?.exit ?? 'done',
      result: {
        checks: checks.map(({ name, state, found, remedy = null }) => ({ name, state, found, remedy })),
      },
    };
  },
};

function mark({ state }: Check, terminal: Context['terminal']): string {
  if (state === 'ok') return terminal.good('ok     ');
  if (state === 'failed') return terminal.bad('FAILED ');
  return state === 'warning' ? terminal.bad('warning') : terminal.faint('skipped');
}

function checkSettings({ settings }: Context): Check[] {
  const { url, configFile, database } = settings;
  const from = configFile === null ? '' : ` (${configFile} was read)`;
  if (url === null) {
    return [
      {
        name: 'settings',
        state: 'failed',
        found: `There is no address of the service${from}.`,
        remedy: 'Use --url https://my-app.azurewebsites.net/api, TIDEMARK_URL, or "url" in tidemark.json.',
        exit: 'usage',
      },
    ];
  }
  const found = `${url}, ${database}${from}`;
  if (url.startsWith('http:') && !isLoopback(url)) {
    const remedy = 'Use https: on the way, anybody can read the token and the documents.';
    return [{ name: 'settings', state: 'warning', found, remedy }];
  }
  return [{ name: 'settings', state: 'ok', found }];
}

async function checkService(context: Context): Promise<{ reached: boolean; checks: Check[] }> {
  const { url } = context.settings;
  if (url === null) return { reached: false, checks: [] };
  const { now } = context.io;
  const started = now();
  const name = 'service';
  try {
    const { status, body, date } = await ask(context, `${base(url)}/health`);
    const took = now() - started;
    if (status !== 200 || body?.['status'] !== 'ok') {
      const elsewhere = await isHealthy(context, `${base(url)}/api/health`);
      return {
        reached: false,
        checks: [
          {
            name,
            state: 'failed',
            found: `${url}/health answered ${status}, and not as Tidemark does.`,
            remedy: elsewhere
              ? `It is at ${base(url)}/api: use that address.`
              : 'Is this the address of the functions, with /api at its end? A network that asks you to sign in answers like this, too.',
            exit: 'refused',
          },
        ],
      };
    }
    const clock = date === null ? [] : [checkClock(started + took / 2 - date)];
    return {
      reached: true,
      checks: [{ name, state: 'ok', found: `It answers in ${duration(took)}.` }, ...clock],
    };
  } catch (error) {
    const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
    const code = cause instanceof Error && 'code' in cause ? String(cause.code) : '';
    const reason = (cause instanceof Error ? cause.message : String(cause)) || code;
    return {
      reached: false,
      checks: [
        {
          name,
          state: 'failed',
          found: `${url} was not reached: ${reason || 'no answer'}.`,
          remedy: isLoopback(url)
            ? 'Does `npm start` run, and on this port?'
            : 'Is this machine online, the address spelled as it should be, and a proxy or a firewall in the way?',
          exit: 'offline',
        },
      ],
    };
  }
}

/** @param ahead milliseconds that this clock is ahead of the service's; `Date` counts in whole seconds */
function checkClock(ahead: number): Check {
  const apart = Math.abs(ahead);
  const name = 'clock';
  if (apart < SKEW) return { name, state: 'ok', found: 'It agrees with that of the service.' };
  const found = `It is ${duration(apart)} ${ahead > 0 ? 'ahead of' : 'behind'} that of the service.`;
  return {
    name,
    state: 'warning',
    found,
    remedy:
      apart < LARGE_SKEW
        ? 'Set the clock by the network. Edits through the gateway are corrected for it; direct mode takes times as they are.'
        : 'Set the clock by the network: tokens will seem expired, or not valid yet.',
  };
}

async function checkToken(context: Context): Promise<{ text: string | null; checks: Check[] }> {
  const { settings, io, terminal } = context;
  const name = 'token';
  if (settings.token === null) {
    const remedy =
      'Set TIDEMARK_TOKEN, or use --token-command or --token-file; against `npm start`: --dev-user alice.';
    return { text: null, checks: [{ name, state: 'failed', found: 'There is none.', remedy, exit: 'auth' }] };
  }
  let text: string;
  try {
    ({ token: text } = await tokenProvider(settings.token, io, (secret) => terminal.hide(secret)).getToken({
      signal: io.signal,
    }));
  } catch (error) {
    const found = error instanceof Error ? error.message : String(error);
    const remedy =
      settings.token.kind === 'development'
        ? 'Does `npm start` run? --dev-issuer names its issuer.'
        : 'Sign in again.';
    return { text: null, checks: [{ name, state: 'failed', found, remedy, exit: 'auth' }] };
  }
  const from = describePlan(settings.token);
  const claims = claimsOf(text);
  if (claims === null) {
    return {
      text,
      checks: [
        {
          name,
          state: 'warning',
          found: `${from} gave one, which is no JWT.`,
          remedy: 'The service takes JWTs.',
        },
      ],
    };
  }
  const { iss, aud, sub } = claims;
  const about = `from ${String(iss)} for ${[aud].flat().map(String).join(', ')}, user ${String(sub)}`;
  const checks: Check[] = [checkLifetime(claims, about, io.now())];
  if (settings.token.kind === 'file' && process.platform !== 'win32') {
    const { mode } = await stat(settings.token.path);
    if ((mode & 0o077) !== 0) {
      const remedy = `chmod 600 ${settings.token.path}`;
      checks.push({ name, state: 'warning', found: 'Others on this machine may read its file.', remedy });
    }
  }
  return { text, checks };
}

function checkLifetime({ exp, nbf }: JsonObject, about: string, now: number): Check {
  const name = 'token';
  if (typeof exp === 'number' && exp * 1_000 <= now) {
    const found = `It ended ${duration(now - exp * 1_000)} ago: ${about}.`;
    return {
      name,
      state: 'failed',
      found,
      remedy: 'Sign in again, or look at the clock above.',
      exit: 'auth',
    };
  }
  if (typeof nbf === 'number' && nbf * 1_000 > now + LARGE_SKEW) {
    const found = `It is not valid yet: ${about}.`;
    return { name, state: 'failed', found, remedy: 'Is the clock of this machine behind?', exit: 'auth' };
  }
  const left = typeof exp === 'number' ? `, good for ${duration(exp * 1_000 - now)}` : '';
  return { name, state: 'ok', found: `A JWT ${about}${left}.` };
}

/** A sync that sends nothing and takes nothing in: it says what the service thinks of token, user, protocol and collections. */
async function checkAccess(context: Context, token: string): Promise<Check[]> {
  const { settings, io } = context;
  const { url, database, user } = settings;
  if (url === null) return [];
  const found = peekOr(database);
  const collections = [
    ...new Set([...Object.keys(settings.collections), ...found.models.map(([name]) => name)]),
  ];
  const [only, other] = found.users;
  const userId = user ?? (other === undefined ? only : undefined);
  const answer = await ask(context, `${base(url)}/sync`, token, {
    protocol: PROTOCOL_VERSION,
    deviceId: 'doctor',
    clientTime: new Date(io.now()).toISOString(),
    collections,
    limit: 1,
    ...(userId === undefined ? {} : { userId }),
  });
  const name = 'access';
  const { status, body } = answer;
  if (status !== 200) {
    const code = typeof body?.['code'] === 'string' ? body['code'] : 'no code';
    const said = reasonOf(body);
    const error = new TidemarkError(code, said, { status, retryable: status === 429 || status >= 500 });
    return [
      {
        name,
        state: 'failed',
        found: `The service refused (${status}, ${code}): ${said}`,
        remedy: REMEDIES[code] ?? 'docs/errors.md tells what to do for each code.',
        exit: exitOf(error),
      },
    ];
  }
  const scopes = Array.isArray(body?.['scopes']) ? body['scopes'].map(String) : [];
  return [
    {
      name,
      state: 'ok',
      found: `Protocol ${PROTOCOL_VERSION}, ${plural(scopes.length, 'scope')}: ${scopes.join(', ')}.`,
    },
    await checkReady(context, token),
  ];
}

/** What a problem document says. */
function reasonOf(problem: JsonObject | null): string {
  const said = problem?.['detail'] ?? problem?.['title'];
  return typeof said === 'string' ? said : 'It gave no reason.';
}

/** What only the answers of the service can tell, and what to do then. */
const REMEDIES: Readonly<Record<string, string>> = {
  invalid_token:
    'Compare issuer and audience of the token, above, with AUTH_ISSUER and AUTH_AUDIENCE of the service.',
  token_expired: 'Sign in again.',
  user_mismatch:
    'The token is of another user than this database: sign in as that one, or choose one with --user.',
  unsupported_protocol: 'Update @tidemark/client, or the service: they speak different versions.',
  unknown_collection: 'Compare the collections with sync.config.json of the service.',
  access_denied: 'An administrator locked out this user or device: ask one.',
  rate_limited: 'Wait a little.',
};

async function checkReady(context: Context, token: string): Promise<Check> {
  const { status, body } = await ask(context, `${base(context.settings.url ?? '')}/ready`, token);
  const name = 'ready';
  if (status === 200) return { name, state: 'ok', found: 'All that the service leans on works.' };
  if (status === 403) {
    return {
      name,
      state: 'skipped',
      found: 'Only administrators may ask the service whether its parts work.',
    };
  }
  const found = `The service says: ${reasonOf(body)}`;
  return {
    name,
    state: 'failed',
    found,
    remedy: 'Its operator finds more in docs/operations.md.',
    exit: 'offline',
  };
}

async function checkDatabase(context: Context): Promise<Check[]> {
  const { settings, io, terminal } = context;
  const { database: path } = settings;
  const name = 'database';
  if (!existsSync(path)) {
    return [{ name, state: 'skipped', found: `There is none at ${path}: the first sync makes it.` }];
  }
  const broken = integrityOf(path);
  if (broken !== null) {
    const remedy =
      'Keep a copy, then save what can be read (`sqlite3 file .recover`), and let a sync make a new database.';
    return [{ name, state: 'failed', found: `${path}: ${broken}`, remedy, exit: 'local' }];
  }
  const checks: Check[] = [{ name, state: 'ok', found: 'Its structure is sound.' }];
  const { models, users } = peekOr(path);
  const [only, other] = users;
  const user = settings.user ?? (other === undefined ? only : undefined);
  if (models.length === 0 || user === undefined || !users.includes(user)) return checks;
  try {
    const opening = openClient({ ...settings, user }, io, terminal, { create: false, network: false });
    const { pending, oldestPending, rejected, setAside, lastError } = await withClient(
      opening,
      ({ client }) => client.status(),
    );
    const waits = oldestPending === null ? 0 : io.now() - Date.parse(oldestPending);
    if (waits > OLD_EDIT) {
      const found = `${plural(pending, 'edit')} wait, the oldest for ${duration(waits)}.`;
      const remedy =
        lastError === null ? '`tidemark sync` sends them.' : `The last sync failed: ${lastError.message}`;
      checks.push({ name, state: 'warning', found, remedy });
    }
    if (rejected + setAside > 0) {
      const found = `${plural(rejected + setAside, 'edit')} were not taken by the service.`;
      checks.push({ name, state: 'warning', found, remedy: '`tidemark rejected` lists them.' });
    }
  } catch (error) {
    const found = error instanceof Error ? error.message : String(error);
    checks.push({ name, state: 'failed', found, exit: exitOf(error) });
  }
  return checks;
}

/** Null, or what SQLite finds wrong with the file. */
function integrityOf(path: string): string | null {
  let database: DatabaseSync | undefined;
  try {
    database = new DatabaseSync(path, { readOnly: true });
    const [first] = database.prepare('PRAGMA integrity_check(1)').all();
    const said = String(first?.['integrity_check']);
    return said === 'ok' ? null : said;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  } finally {
    database?.close();
  }
}

/** A database that cannot be read is told of by its own check. */
function peekOr(path: string) {
  const nothing = { models: [], users: [] };
  try {
    return peek(path) ?? nothing;
  } catch {
    return nothing;
  }
}

interface Asked {
  readonly status: number;
  readonly body: JsonObject | null;
  /** The service's clock, in milliseconds since the epoch. */
  readonly date: number | null;
}

async function ask({ io }: Context, url: string, token?: string, body?: object): Promise<Asked> {
  const response = await io.fetch(url, {
    method: body === undefined ? 'GET' : 'POST',
    headers: {
      ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
    },
    signal: AbortSignal.any([io.signal, AbortSignal.timeout(LIMIT)]),
    redirect: 'manual',
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  const date = Date.parse(response.headers.get('date') ?? '');
  const value: unknown = await response.json().catch(() => null);
  return {
    status: response.status,
    body: isJsonObject(value) ? value : null,
    date: Number.isNaN(date) ? null : date,
  };
}

async function isHealthy(context: Context, url: string): Promise<boolean> {
  const answer = await ask(context, url).catch(() => null);
  return answer?.status === 200 && answer.body?.['status'] === 'ok';
}

const base = (url: string): string => url.replace(/\/+$/, '');
