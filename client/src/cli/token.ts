import { spawn } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { isJsonObject, type JsonObject } from '../../../shared/conflict/json.ts';
import { TidemarkError } from '../errors.ts';
import { CachedTokenProvider } from '../tokens/cached-token-provider.ts';
import { SampleTokenProvider } from '../tokens/sample-token-provider.ts';
import type { ExpiringToken, TokenProvider } from '../tokens/token-provider.ts';
import type { Io } from './io.ts';
import type { TokenPlan } from './settings.ts';

/** A command that asks a person for something gets this many milliseconds. */
const COMMAND_LIMIT = 120_000;

/**
 * Gives the token as it was said to come, and tells `secrets` of each, so that no message repeats it.
 *
 * @param secrets hears every token
 */
export function tokenProvider(
  plan: TokenPlan | null,
  io: Pick<Io, 'fetch' | 'env'>,
  secrets: (token: string) => void,
): TokenProvider {
  const get = async (signal?: AbortSignal): Promise<ExpiringToken> => {
    const given = await fetchToken(plan, io, signal);
    const token = given.token.trim();
    if (token !== '') secrets(token);
    if (!/^[\x21-\x7e]+$/.test(token)) {
      throw new TidemarkError('no_token', `${describePlan(plan)} gave no token: one word is expected.`);
    }
    return { ...expiryOf(token), ...given, token };
  };
  return new CachedTokenProvider({ getToken: ({ signal } = {}) => get(signal) });
}

async function fetchToken(
  plan: TokenPlan | null,
  io: Pick<Io, 'fetch' | 'env'>,
  signal: AbortSignal | undefined,
): Promise<ExpiringToken> {
  switch (plan?.kind) {
    case 'text':
      return { token: plan.text };
    case 'file':
      return { token: await readFile(plan.path, 'utf8').catch(() => fail(`${plan.path} cannot be read.`)) };
    case 'command':
      return { token: await runCommand(plan.command, io.env, signal) };
    case 'development': {
      const { issuer, user, claims } = plan;
      return new SampleTokenProvider({ issuer, user, claims, fetch: io.fetch }).getToken(
        signal === undefined ? {} : { signal },
      );
    }
    default:
      return fail(
        'There is no token. Set TIDEMARK_TOKEN, or use --token-command or --token-file; against `npm start`: --dev-user alice.',
      );
  }
}

function fail(message: string): never {
  throw new TidemarkError('no_token', message);
}

/** What the command prints on stderr is shown: it may ask for something, or say what is wrong. */
function runCommand(command: string, env: NodeJS.ProcessEnv, signal?: AbortSignal): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, {
      shell: true,
      env,
      stdio: ['inherit', 'pipe', 'inherit'],
      timeout: COMMAND_LIMIT,
      ...(signal === undefined ? {} : { signal }),
    });
    let output = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => (output += text));
    child.once('error', (cause) =>
      reject(new TidemarkError('no_token', 'The token command did not run.', { cause })),
    );
    child.once('close', (code, by) => {
      if (code === 0) resolve(output);
      else reject(new TidemarkError('no_token', `The token command ended with ${String(code ?? by)}.`));
    });
  });
}

export function describePlan(plan: TokenPlan | null): string {
  switch (plan?.kind) {
    case 'text':
      return 'TIDEMARK_TOKEN';
    case 'file':
      return plan.path;
    case 'command':
      return 'The token command';
    case 'development':
      return `The development issuer ${plan.issuer}`;
    default:
      return 'Nothing';
  }
}

/** What a JWT says; null where the token is none. Nothing is verified: the service does that. */
export function claimsOf(token: string): JsonObject | null {
  try {
    const claims: unknown = JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString('utf8'));
    return isJsonObject(claims) ? claims : null;
  } catch {
    return null;
  }
}

function expiryOf(token: string): { expiresAt?: string } {
  const seconds = claimsOf(token)?.['exp'];
  return typeof seconds === 'number' && Math.abs(seconds) < 8e12
    ? { expiresAt: new Date(seconds * 1000).toISOString() }
    : {};
}
