import { SAFE_ALGORITHMS } from './auth/verify.ts';

/** What the app reads from its settings (environment variables), checked once at the start. */
export interface Config {
  readonly cosmos: {
    readonly endpoint: string;
    readonly database: string;
    /** How the gateway opens Cosmos DB: `identity` (managed identity with a data-plane role) or `key`. */
    readonly auth: 'identity' | 'key';
  };
  readonly masterKey:
    | { readonly kind: 'setting'; readonly key: string }
    | { readonly kind: 'vault'; readonly uri: string; readonly secret: string };
  readonly identity: {
    readonly issuer: string;
    readonly audience: string;
    readonly algorithms: readonly string[];
    readonly jwksUri: string | null;
    readonly userClaim: string;
  };
  readonly token: { /** In seconds. */ readonly lifetime: number };
  readonly sync: {
    readonly epoch: string;
    /** In seconds. */
    readonly retention: number;
    /** In milliseconds. */
    readonly deadline: number;
    /** In milliseconds. */
    readonly interval: number;
  };
}

/** Every problem of the settings at once, each with what to do. */
export class ConfigError extends Error {
  readonly problems: readonly string[];

  constructor(problems: readonly string[]) {
    super(`The settings are not complete:\n${problems.map((problem) => `  - ${problem}`).join('\n')}`);
    this.name = 'ConfigError';
    this.problems = problems;
  }
}

const LOOPBACK: ReadonlySet<string> = new Set(['127.0.0.1', 'localhost', '[::1]']);

/** @throws ConfigError */
export function readConfig(env: Readonly<Record<string, string | undefined>>): Config {
  const problems: string[] = [];
  const text = (name: string, fallback?: string): string => {
    const value = env[name]?.trim();
    if (value) return value;
    if (fallback === undefined) problems.push(`${name} is not set.`);
    return fallback ?? '';
  };
  const optional = (name: string): string | null => env[name]?.trim() || null;
  const url = (name: string, value: string): string => {
    if (value === '') return value;
    const { protocol, hostname } = URL.canParse(value) ? new URL(value) : { protocol: '', hostname: '' };
    // Keys and tokens travel there: without TLS only on this machine.
    if (protocol !== 'https:' && !(protocol === 'http:' && LOOPBACK.has(hostname))) {
      problems.push(`${name} is not an https URL; http is for this machine only.`);
    }
    return value;
  };
  const integer = (name: string, fallback: number, min: number, max: number): number => {
    const value = Number(text(name, String(fallback)));
    if (Number.isInteger(value) && value >= min && value <= max) return value;
    problems.push(`${name} is not a whole number from ${min} to ${max}.`);
    return fallback;
  };

  const auth = text('COSMOS_AUTH', 'identity');
  if (auth !== 'identity' && auth !== 'key') problems.push('COSMOS_AUTH is neither `identity` nor `key`.');
  const vault = optional('KEY_VAULT_URI');
  const key = optional('COSMOS_KEY');
  if (vault === null && key === null) problems.push('Neither KEY_VAULT_URI nor COSMOS_KEY is set.');
  const algorithms = text('AUTH_ALGORITHMS', 'RS256').split(/[ ,]+/);
  const unsafe = algorithms.filter((name) => !SAFE_ALGORITHMS.includes(name));
  if (unsafe.length > 0)
    problems.push(`AUTH_ALGORITHMS names ${unsafe.join(', ')}; take of ${SAFE_ALGORITHMS.join(', ')}.`);
  const jwksUri = optional('AUTH_JWKS_URI');

  const config: Config = {
    cosmos: {
      endpoint: url('COSMOS_ENDPOINT', text('COSMOS_ENDPOINT')),
      database: text('COSMOS_DATABASE', 'tidemark'),
      auth: auth === 'key' ? 'key' : 'identity',
    },
    masterKey:
      vault === null
        ? { kind: 'setting', key: key ?? '' }
        : {
            kind: 'vault',
            uri: url('KEY_VAULT_URI', vault),
            secret: text('COSMOS_KEY_SECRET', 'cosmos-primary-key'),
          },
    identity: {
      issuer: url('AUTH_ISSUER', text('AUTH_ISSUER')),
      audience: text('AUTH_AUDIENCE'),
      algorithms,
      jwksUri: jwksUri === null ? null : url('AUTH_JWKS_URI', jwksUri),
      userClaim: text('AUTH_USER_CLAIM', 'sub'),
    },
    token: { lifetime: integer('TOKEN_LIFETIME_SECONDS', 3600, 600, 86_400) },
    sync: {
      epoch: text('SYNC_EPOCH', '1'),
      retention: integer('SYNC_RETENTION_DAYS', 90, 2, 3650) * 86_400,
      deadline: integer('SYNC_DEADLINE_SECONDS', 60, 1, 200) * 1000,
      interval: integer('SYNC_INTERVAL_SECONDS', 300, 1, 86_400) * 1000,
    },
  };
  if (problems.length > 0) throw new ConfigError(problems);
  return config;
}
