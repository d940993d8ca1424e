import { TidemarkError } from '../errors.ts';

/** How the process ends: the one table that `--help` and docs/cli.md are made from. */
export const EXITS = {
  done: { code: 0, meaning: 'Done.' },
  attention: {
    code: 1,
    meaning: 'Done, but something waits for you: edits were rejected or set aside, or a file has bad rows.',
  },
  usage: { code: 2, meaning: 'The command line, `tidemark.json` or the environment is wrong.' },
  offline: {
    code: 3,
    meaning: 'The service was not reached, or asked to be left alone for a while. Edits wait.',
  },
  auth: { code: 4, meaning: 'There is no token, or the service does not accept it.' },
  refused: {
    code: 5,
    meaning: 'What answered refused the request for another reason, or is not the service.',
  },
  busy: { code: 6, meaning: 'Another process syncs this user in this database now.' },
  local: { code: 7, meaning: 'A file or the local database cannot be read or written.' },
  internal: { code: 70, meaning: 'A fault of this program. Please report it.' },
  ended: {
    code: 130,
    meaning: 'Ended by Ctrl-C, or whoever read the output went away. What was done stays.',
  },
} as const satisfies Record<string, { code: number; meaning: string }>;

export type Exit = keyof typeof EXITS;

/** What the command line cannot do, with the exit code that says which kind it is. */
export class CliError extends Error {
  readonly exit: Exit;
  /** Stable, for programs. */
  readonly code: string;

  constructor(exit: Exit, code: string, message: string, options?: ErrorOptions) {
    super(message, options);
    this.exit = exit;
    this.code = code;
  }
}

export const usage = (message: string): CliError => new CliError('usage', 'usage', message);

const LOCAL_CODES = new Set(['database_too_new', 'closed']);
const USAGE_CODES = new Set(['unknown_collection', 'scope_needed', 'user_changed']);

/** Which exit code an error means. */
export function exitOf(error: unknown): Exit {
  if (error instanceof CliError) return error.exit;
  if (isSystemError(error)) return 'local';
  if (!(error instanceof TidemarkError)) return 'internal';
  const { code, status, retryable, cause } = error;
  if (code === 'aborted') return 'ended';
  if (code === 'busy') return 'busy';
  if (code === 'no_token' || status === 401 || status === 403) return 'auth';
  if (status === null && LOCAL_CODES.has(code)) return 'local';
  if (status === null && USAGE_CODES.has(code)) return 'usage';
  if (code === 'offline' || code === 'circuit_open' || (retryable && code !== 'contended')) return 'offline';
  if (status === null && code === 'internal_error') return isSystemError(cause) ? 'local' : 'internal';
  return 'refused';
}

/** The file system's and SQLite's. */
const isSystemError = (error: unknown): error is Error & { code: string } =>
  error instanceof Error &&
  'code' in error &&
  typeof error.code === 'string' &&
  ('syscall' in error || error.code === 'ERR_SQLITE_ERROR');
