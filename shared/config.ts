import { SAFE_ALGORITHMS } from './auth/verify.ts';
import type { TrustedIssuer } from './auth/authenticate.ts';
import { parseIssuers } from './auth/issuers.ts';
import type { EdgeSettings } from './http/edge.ts';
import type { RateLimit } from './http/rate-limit.ts';
import { ConfigError, readSettings, type Values } from './settings/read.ts';
import {
  choice,
  flag,
  integer,
  isSafeUrl,
  list,
  origins,
  parsed,
  secret,
  text,
  url,
  type Given,
} from './settings/setting.ts';
import type { MintLimits } from './tokens/mint-limiter.ts';

export { ConfigError } from './settings/read.ts';

const needsKey = (given: Given): boolean =>
  given('KEY_VAULT_URI') === null &&
  (given('COSMOS_AUTH') === 'key' || given('TOKEN_SERVICE_ENABLED') === 'true');

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
  TOKEN_SERVICE_ENABLED: flag(
    'Does `GetCosmosToken` give out resource tokens? With `false` and `COSMOS_AUTH=identity` the app needs no master key, and the account may have local authentication disabled.',
    { default: 'true' },
  ),
  AZURE_IDENTITY: choice(
    'Who the app is to Azure: `default` tries what `DefaultAzureCredential` does, `managed` the managed identity alone.',
    ['default', 'managed'],
    { default: 'default' },
  ),
  AZURE_CLIENT_ID: text('Which managed identity, where the app has several; the Azure SDK reads it too.', {
    optional: true,
  }),
  KEY_VAULT_URI: url('Key Vault that holds the master key. Wins over `COSMOS_KEY`.', { optional: true }),
  COSMOS_KEY_SECRET: text('Name of the secret in that vault that holds the primary key.', {
    default: 'cosmos-primary-key',
  }),
  COSMOS_KEY_SECRET_SECONDARY: text(
    'Name of the secret with the secondary key, which is used when Cosmos DB refuses the primary one.',
    { default: 'cosmos-secondary-key' },
  ),
  COSMOS_KEY: secret('The master key itself, for development.', {
    requiredWhen:
      'when `KEY_VAULT_URI` is not, unless `TOKEN_SERVICE_ENABLED=false` and `COSMOS_AUTH=identity`',
    example: 'the primary key of the account; better: KEY_VAULT_URI',
    isRequired: needsKey,
  }),
  COSMOS_KEY_SECONDARY: secret('The secondary key, used when Cosmos DB refuses the first.', {
    optional: true,
  }),
  AUTH_ISSUER: url(
    'The identity provider: the `iss` of accepted tokens. Its discovery document names the keys.',
    {
      requiredWhen: 'unless `AUTH_ISSUERS` is',
      example: 'https://login.microsoftonline.com/<tenant id>/v2.0',
      isRequired: (given) => given('AUTH_ISSUERS') === null,
    },
  ),
  AUTH_AUDIENCE: text('The `aud` of accepted tokens.', {
    requiredWhen: 'unless `AUTH_ISSUERS` is',
    example: 'api://tidemark',
    isRequired: (given) => given('AUTH_ISSUERS') === null,
  }),
  AUTH_ALGORITHMS: list('Accepted signature algorithms.', SAFE_ALGORITHMS, { default: 'RS256' }),
  AUTH_JWKS_URI: url('Where the keys are, when discovery is not wanted.', { optional: true }),
  AUTH_USER_CLAIM: text('The claim that names the user. Changing it changes every user’s scope.', {
    default: 'sub',
  }),
  AUTH_ROLES_CLAIM: text('The claim that lists roles, where it is not the one of sync.config.json.', {
    optional: true,
  }),
  AUTH_REQUIRED_SCOPES: list('Words that `scp` or `scope` of a token must all hold.', null, {
    optional: true,
  }),
  AUTH_ISSUERS: parsed(
    'JSON list of `{ alias, issuer, audience, jwksUri, algorithms, userClaim, rolesClaim, requiredScopes }`',
    'Several identity providers, instead of the `AUTH_` settings above, which stand for a list of one. See below.',
    { optional: true },
    (given) => parseIssuers(given, isSafeUrl),
  ),
  AUTH_PLATFORM_PRINCIPAL: flag(
    'Take `x-ms-client-principal` for proof where there is no bearer token. Only where App Service authentication is on: the app does not start otherwise, because anybody could write that header.',
    { default: 'false' },
  ),
  DENY_LIST_REFRESH_SECONDS: integer(
    'How soon an entry of the deny list takes effect in every process.',
    { min: 1, max: 300, unit: 'seconds' },
    { default: '30' },
  ),
  AUDIT_RETENTION_DAYS: integer(
    'How long lines of the audit are kept.',
    { min: 1, max: 3650, unit: 'days' },
    { default: '90' },
  ),
  TOKEN_LIFETIME_SECONDS: integer(
    'Life of a resource token.',
    { min: 600, max: 86_400, unit: 'seconds' },
    { default: '3600' },
  ),
  TOKEN_MAX_LIFETIME_SECONDS: integer(
    'Longest life that a client can ask for; a shorter one than `TOKEN_LIFETIME_SECONDS` bounds that, too.',
    { min: 600, max: 86_400, unit: 'seconds' },
    { default: '3600' },
  ),
  TOKEN_METADATA_RUS: integer(
    'Request units of metadata that a process may spend on making tokens. An account has 240 for everything and all processes.',
    { min: 10, max: 200, unit: 'RU/s' },
    { default: '100' },
  ),
  TOKEN_QUEUE_SECONDS: integer(
    'How long a token request waits for its turn before it is answered `token_service_busy`.',
    { min: 0, max: 60, unit: 'seconds' },
    { default: '5' },
  ),
  TOKEN_UNUSED_DAYS: integer(
    'Cosmos DB users whose last token was made so long ago are removed.',
    { min: 2, max: 3650, unit: 'days' },
    { default: '30' },
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
  APPLICATIONINSIGHTS_CONNECTION_STRING: text(
    'Where telemetry goes; the Functions host reads it too. Without it none is sent, and the code for it is not loaded.',
    { optional: true },
  ),
  APPLICATIONINSIGHTS_AUTHENTICATION_STRING: text(
    'As whom telemetry is sent; the Functions host reads it too. With `Authorization=AAD` in it the app sends it as its managed identity.',
    { optional: true },
  ),
  TELEMETRY_SAMPLING_PERCENT: integer(
    'Of a hundred requests, how many tell their ordinary events and calls. Errors, conflicts and metrics are always told.',
    { min: 1, max: 100, unit: '' },
    { default: '10' },
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
    | { readonly kind: 'setting'; readonly keys: readonly string[] }
    | { readonly kind: 'vault'; readonly uri: string; readonly secrets: readonly string[] }
    | null;
  /** Is it the managed identity alone that the app is to Azure, and which of several. */
  readonly azure: { readonly managedOnly: boolean; readonly clientId: string | null };
  readonly identity: {
    readonly issuers: readonly TrustedIssuer[];
    readonly platformPrincipal: boolean;
    /** In milliseconds. */
    readonly denyListRefresh: number;
    /** In seconds. */
    readonly auditRetention: number;
  };
  readonly token: {
    readonly isOffered: boolean;
    /** In seconds. */
    readonly lifetime: number;
    /** In seconds. */
    readonly maxLifetime: number;
    readonly mints: MintLimits;
    /** In milliseconds. */
    readonly unused: number;
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
  readonly telemetry: {
    readonly connectionString: string | null;
    /** Is it sent with a token of the app's identity? */
    readonly isAuthenticated: boolean;
    readonly samplingPercent: number;
  };
}

/** @throws ConfigError */
export function readConfig(env: Readonly<Record<string, string | undefined>>): Config {
  const given = readSettings(SETTINGS, env);
  // App Service sets this where its authentication is on, and takes forged copies of the header away only then.
  if (given.AUTH_PLATFORM_PRINCIPAL && env['WEBSITE_AUTH_ENABLED']?.toLowerCase() !== 'true') {
    throw new ConfigError([
      'AUTH_PLATFORM_PRINCIPAL is `true`, and App Service authentication is not on (WEBSITE_AUTH_ENABLED): anybody could write that header. Switch that on, or this off.',
    ]);
  }
  return {
    cosmos: {
      endpoint: given.COSMOS_ENDPOINT,
      database: given.COSMOS_DATABASE,
      auth: given.COSMOS_AUTH,
    },
    masterKey: masterKeyOf(given),
    azure: { managedOnly: given.AZURE_IDENTITY === 'managed', clientId: given.AZURE_CLIENT_ID },
    identity: {
      issuers: issuersOf(given),
      platformPrincipal: given.AUTH_PLATFORM_PRINCIPAL,
      denyListRefresh: given.DENY_LIST_REFRESH_SECONDS * 1000,
      auditRetention: given.AUDIT_RETENTION_DAYS * 86_400,
    },
    token: {
      isOffered: given.TOKEN_SERVICE_ENABLED,
      lifetime: Math.min(given.TOKEN_LIFETIME_SECONDS, given.TOKEN_MAX_LIFETIME_SECONDS),
      maxLifetime: given.TOKEN_MAX_LIFETIME_SECONDS,
      mints: {
        requestUnitsPerSecond: given.TOKEN_METADATA_RUS,
        maxWait: given.TOKEN_QUEUE_SECONDS * 1000,
      },
      unused: given.TOKEN_UNUSED_DAYS * 86_400_000,
    },
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
    telemetry: {
      connectionString: given.APPLICATIONINSIGHTS_CONNECTION_STRING,
      isAuthenticated: /\bAuthorization=AAD\b/.test(given.APPLICATIONINSIGHTS_AUTHENTICATION_STRING ?? ''),
      samplingPercent: given.TELEMETRY_SAMPLING_PERCENT,
    },
  };
}

function masterKeyOf(given: Values<typeof SETTINGS>): Config['masterKey'] {
  if (given.KEY_VAULT_URI !== null) {
    const secrets = [given.COSMOS_KEY_SECRET, given.COSMOS_KEY_SECRET_SECONDARY];
    return { kind: 'vault', uri: given.KEY_VAULT_URI, secrets };
  }
  const keys = [given.COSMOS_KEY, given.COSMOS_KEY_SECONDARY].filter((key) => key !== null);
  return keys.length === 0 ? null : { kind: 'setting', keys };
}

function issuersOf(given: Values<typeof SETTINGS>): readonly TrustedIssuer[] {
  return (
    given.AUTH_ISSUERS ?? [
      {
        alias: null,
        // There is an issuer wherever there is no list of them: `readSettings` has seen to it.
        issuer: given.AUTH_ISSUER ?? '',
        audience: given.AUTH_AUDIENCE ?? '',
        algorithms: given.AUTH_ALGORITHMS,
        jwksUri: given.AUTH_JWKS_URI,
        userClaim: given.AUTH_USER_CLAIM,
        rolesClaim: given.AUTH_ROLES_CLAIM,
        requiredScopes: given.AUTH_REQUIRED_SCOPES ?? [],
      },
    ]
  );
}
