import { SAFE_ALGORITHMS } from './auth/verify.ts';
import type { EdgeSettings } from './http/edge.ts';
import type { RateLimit } from './http/rate-limit.ts';
import { readSettings, type Values } from './settings/read.ts';
import { choice, integer, list, origins, secret, text, url, type Given } from './settings/setting.ts';

export { ConfigError } from './settings/read.ts';

const needsKey = (given: Given): boolean =>
  given('KEY_VAULT_URI') === null && (given('COSMOS_AUTH') === 'key' || given('TOKEN_SERVICE') === 'on');

/**
 * Every setting of the app (an environment variable), in the order of the table in docs/operations.md, which
 * `npm run docs` makes of it. To add one: a line here, and its value in `Config` below.
 */
export const SETTINGS = {
  COSMOS_ENDPOINT: url(
    'The Cosmos DB account. Clients of the token service get this address as it stands here.',
    { example: 'https://<account>.documents.azure.com/' },
  ),
  COSMOS_DATABASE: text('Name of the database.', { default: 'tidemark' }),
  COSMOS_AUTH: choice(
    'How the gateway opens Cosmos DB: as the managed identity, which needs a data-plane role, or with the master key.',
    ['identity', 'key'],
    { default: 'identity' },
  ),
  TOKEN_SERVICE: choice(
    'Does `GetCosmosToken` give out resource tokens? With `off` and `COSMOS_AUTH=identity` the app needs no master key, and the account may have local authentication disabled.',
    ['on', 'off'],
    { default: 'on' },
  ),
  KEY_VAULT_URI: url('Key Vault that holds the master key. Wins over `COSMOS_KEY`.', { optional: true }),
  COSMOS_KEY_SECRET: text('Name of the secret in that vault.', { default: 'cosmos-primary-key' }),
  COSMOS_KEY: secret('The master key itself, for development.', {
    requiredWhen: 'when `KEY_VAULT_URI` is not, unless `TOKEN_SERVICE=off` and `COSMOS_AUTH=identity`',
    example: 'the primary key of the account; better: KEY_VAULT_URI',
    isRequired: needsKey,
  }),
  AUTH_ISSUER: url(
    'The identity provider: the `iss` of accepted tokens. Its discovery document names the keys.',
    { example: 'https://login.microsoftonline.com/<tenant id>/v2.0' },
  ),
  AUTH_AUDIENCE: text('The `aud` of accepted tokens.', { example: 'api://tidemark' }),
  AUTH_ALGORITHMS: list('Accepted signature algorithms.', SAFE_ALGORITHMS, { default: 'RS256' }),
  AUTH_JWKS_URI: url('Where the keys are, when discovery is not wanted.', { optional: true }),
  AUTH_USER_CLAIM: text('The claim that names the user. Changing it changes every user’s scope.', {
    default: 'sub',
  }),
  TOKEN_LIFETIME_SECONDS: integer(
    'Life of a resource token.',
    { min: 600, max: 86_400, unit: 'seconds' },
    { default: '3600' },
  ),
  SYNC_EPOCH: text('Change it after data was restored or replaced: every client starts its delta over.', {
    default: '1',
  }),
  SYNC_RETENTION_DAYS: integer(
    'How long tombstones and conflict records are kept. A device that is away for longer, less a day, starts its delta over.',
    { min: 2, max: 3650, unit: 'days' },
    { default: '90' },
  ),
  SYNC_DEADLINE_SECONDS: integer(
    'Longest time of a sync. Later no batch is started, and what is under way is given up: 503, to be repeated.',
    { min: 1, max: 200, unit: 'seconds' },
    { default: '60' },
  ),
  SYNC_INTERVAL_SECONDS: integer(
    'How soon clients are asked to come back (`nextSyncRecommended`).',
    { min: 1, max: 86_400, unit: 'seconds' },
    { default: '300' },
  ),
  OPERATION_LOG: choice(
    'Which syncs the operation log tells of: those that changed or delivered something or were refused, all of them, or none.',
    ['changes', 'all', 'off'],
    { default: 'changes' },
  ),
  OPERATION_LOG_DAYS: integer(
    'How long records of the operation log are kept.',
    { min: 1, max: 3650, unit: 'days' },
    { default: '30' },
  ),
  RATE_LIMIT_PER_SECOND: integer(
    'Requests a second that one user may send in the long run, for each instance of the app; past it 429. 0: no limit.',
    { min: 0, max: 1000, unit: '' },
    { default: '20' },
  ),
  RATE_LIMIT_BURST: integer(
    'Requests that one user may send at once.',
    { min: 1, max: 10_000, unit: '' },
    { default: '200' },
  ),
  CORS_ALLOWED_ORIGINS: origins(
    'Whose pages may call the API from a browser. Leave the CORS settings of the platform empty: they would answer instead.',
    { optional: true },
  ),
  COMPRESS_FROM_BYTES: integer(
    'Answers of this size or more are compressed, where the client takes that.',
    { min: 1, max: 100_000_000, unit: 'bytes' },
    { default: '1024' },
  ),
} as const;

/** What the app reads from its settings, checked once at the start. */
export interface Config {
  readonly cosmos: {
    readonly endpoint: string;
    readonly database: string;
    /** How the gateway opens Cosmos DB: `identity` (managed identity with a data-plane role) or `key`. */
    readonly auth: 'identity' | 'key';
  };
  /** Null where nothing needs it: no token service, and a gateway with an identity. */
  readonly masterKey:
    | { readonly kind: 'setting'; readonly key: string }
    | { readonly kind: 'vault'; readonly uri: string; readonly secret: string }
    | null;
  readonly identity: {
    readonly issuer: string;
    readonly audience: string;
    readonly algorithms: readonly string[];
    readonly jwksUri: string | null;
    readonly userClaim: string;
  };
  readonly token: {
    readonly isOffered: boolean;
    /** In seconds. */
    readonly lifetime: number;
  };
  readonly sync: {
    readonly epoch: string;
    /** In seconds. */
    readonly retention: number;
    /** In milliseconds. */
    readonly deadline: number;
    /** In milliseconds. */
    readonly interval: number;
  };
  readonly operationLog: {
    readonly level: 'changes' | 'all' | 'off';
    /** In seconds. */
    readonly ttl: number;
  };
  readonly http: EdgeSettings;
  readonly rateLimit: RateLimit;
}

/** @throws ConfigError */
export function readConfig(env: Readonly<Record<string, string | undefined>>): Config {
  const given = readSettings(SETTINGS, env);
  return {
    cosmos: {
      endpoint: given.COSMOS_ENDPOINT,
      database: given.COSMOS_DATABASE,
      auth: given.COSMOS_AUTH,
    },
    masterKey: masterKeyOf(given),
    identity: {
      issuer: given.AUTH_ISSUER,
      audience: given.AUTH_AUDIENCE,
      algorithms: given.AUTH_ALGORITHMS,
      jwksUri: given.AUTH_JWKS_URI,
      userClaim: given.AUTH_USER_CLAIM,
    },
    token: { isOffered: given.TOKEN_SERVICE === 'on', lifetime: given.TOKEN_LIFETIME_SECONDS },
    sync: {
      epoch: given.SYNC_EPOCH,
      retention: given.SYNC_RETENTION_DAYS * 86_400,
      deadline: given.SYNC_DEADLINE_SECONDS * 1000,
      interval: given.SYNC_INTERVAL_SECONDS * 1000,
    },
    operationLog: { level: given.OPERATION_LOG, ttl: given.OPERATION_LOG_DAYS * 86_400 },
    http: {
      allowedOrigins: new Set(given.CORS_ALLOWED_ORIGINS),
      compressFrom: given.COMPRESS_FROM_BYTES,
    },
    rateLimit: { perSecond: given.RATE_LIMIT_PER_SECOND, burst: given.RATE_LIMIT_BURST },
  };
}

function masterKeyOf(given: Values<typeof SETTINGS>): Config['masterKey'] {
  if (given.KEY_VAULT_URI !== null)
    return { kind: 'vault', uri: given.KEY_VAULT_URI, secret: given.COSMOS_KEY_SECRET };
  return given.COSMOS_KEY === null ? null : { kind: 'setting', key: given.COSMOS_KEY };
}
