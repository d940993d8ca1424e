import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { renderSettings } from '../../scripts/settings-doc.ts';
import { ConfigError, readConfig, SETTINGS } from '../../shared/config.ts';
import { findUnknownSettings } from '../../shared/settings/read.ts';
import { integer, secret } from '../../shared/settings/setting.ts';

const read = (path: string): string => readFileSync(join(process.cwd(), path), 'utf8');

const GOOD = {
  COSMOS_ENDPOINT: 'https://account.documents.azure.com/',
  COSMOS_KEY: 'not a real key',
  AUTH_ISSUER: 'https://issuer.example',
  AUTH_AUDIENCE: 'api://tidemark',
};
const problemsOf = (env: Record<string, string | undefined>): readonly string[] => {
  try {
    readConfig(env);
    return [];
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    return error.problems;
  }
};

describe('The settings', () => {
  it('have safe defaults', () => {
    expect(readConfig(GOOD)).toMatchObject({
      cosmos: { database: 'tidemark', auth: 'identity' },
      masterKey: { kind: 'setting' },
      identity: {
        issuers: [
          { alias: null, algorithms: ['RS256'], jwksUri: null, userClaim: 'sub', requiredScopes: [] },
        ],
        platformPrincipal: false,
      },
      token: { lifetime: 3600, maxLifetime: 3600 },
      http: { allowedOrigins: new Set(), compressFrom: 1024 },
    });
  });

  it.each(['https://app.example.com', 'http://localhost:5173, https://a.example:8443  https://b.example'])(
    'take origins as browsers send them: %s',
    (CORS_ALLOWED_ORIGINS) => {
      const { http } = readConfig({ ...GOOD, CORS_ALLOWED_ORIGINS });
      expect([...http.allowedOrigins]).toEqual(CORS_ALLOWED_ORIGINS.split(/[ ,]+/));
    },
  );

  it.each([
    '*',
    'https://*.example.com',
    'null',
    'app.example.com',
    'https://app.example.com/',
    'https://APP.example.com',
    'https://app.example.com:443',
    'https://app.example.com/path',
    'http://app.example.com',
    'https://user@app.example.com',
    'file:///',
    'https://app.example.com,',
  ])('refuse what no browser sends as an origin, and every wildcard: %s', (CORS_ALLOWED_ORIGINS) => {
    expect(problemsOf({ ...GOOD, CORS_ALLOWED_ORIGINS })).toEqual([
      expect.stringContaining('CORS_ALLOWED_ORIGINS is not a list of origins'),
    ]);
  });

  it('tell everything that is wrong at once, each with what it means and an example', () => {
    const problems = problemsOf({ TOKEN_LIFETIME_SECONDS: '1' });
    expect(problems.map((problem) => problem.split(' ')[0])).toEqual([
      'COSMOS_ENDPOINT',
      'COSMOS_KEY',
      'AUTH_ISSUER',
      'AUTH_AUDIENCE',
      'TOKEN_LIFETIME_SECONDS',
    ]);
    expect(problems[2]).toBe(
      'AUTH_ISSUER is not set, and has to be unless `AUTH_ISSUERS` is. ' +
        'The identity provider: the `iss` of accepted tokens. Its discovery document names the keys. For example https://login.microsoftonline.com/<tenant id>/v2.0',
    );
    expect(problems[4]).toBe(
      'TOKEN_LIFETIME_SECONDS is not a whole number from 600 to 86,400, in seconds. Life of a resource token.',
    );
  });

  it('ask for a master key where something needs one, and only there', () => {
    const keyless = { ...GOOD, COSMOS_KEY: '' };
    expect(problemsOf(keyless)).toEqual([expect.stringContaining('COSMOS_KEY is not set, and has to be')]);
    expect(problemsOf({ ...keyless, TOKEN_SERVICE_ENABLED: 'false', COSMOS_AUTH: 'key' })).toHaveLength(1);
    const vault = { KEY_VAULT_URI: 'https://vault.example' };
    expect(problemsOf({ ...keyless, ...vault, COSMOS_AUTH: 'key' })).toEqual([]);
    expect(readConfig({ ...keyless, TOKEN_SERVICE_ENABLED: 'false' })).toMatchObject({
      masterKey: null,
      token: { isOffered: false },
    });
  });

  it('take several issuers in place of the one', () => {
    const only = { COSMOS_ENDPOINT: GOOD.COSMOS_ENDPOINT, COSMOS_KEY: 'k' };
    const entra = { issuer: 'https://login.example/t/v2.0', audience: 'a', userClaim: 'oid' };
    const partner = { alias: 'partner', issuer: 'https://partner.example/', audience: 'b' };
    const { issuers } = readConfig({ ...only, AUTH_ISSUERS: JSON.stringify([entra, partner]) }).identity;
    const defaults = { algorithms: ['RS256'], jwksUri: null, rolesClaim: null, requiredScopes: [] };
    expect(issuers).toEqual([
      { ...defaults, ...entra, alias: null },
      { ...defaults, ...partner, userClaim: 'sub' },
    ]);
  });

  it.each<[string, unknown]>([
    ['no JSON', '['],
    ['no list', {}],
    ['an empty list', []],
    ['a field that is not known', [{ issuer: 'https://a.example', audience: 'a', aud: 'a' }]],
    ['no audience', [{ issuer: 'https://a.example' }]],
    ['a secret algorithm', [{ issuer: 'https://a.example', audience: 'a', algorithms: ['HS256'] }]],
    ['keys over http', [{ issuer: 'https://a.example', audience: 'a', jwksUri: 'http://a.example/k' }]],
    ['an alias with a dot', [{ issuer: 'https://a.example', audience: 'a', alias: 'a.b' }]],
    [
      'two without an alias',
      [
        { issuer: 'https://a.example', audience: 'a' },
        { issuer: 'https://b.example', audience: 'a' },
      ],
    ],
    [
      'one issuer twice',
      [
        { issuer: 'https://a.example', audience: 'a', alias: 'x' },
        { issuer: 'https://a.example', audience: 'b', alias: 'y' },
      ],
    ],
  ])('refuse a list of issuers with %s', (_, list) => {
    const text = typeof list === 'string' ? list : JSON.stringify(list);
    expect(problemsOf({ ...GOOD, AUTH_ISSUERS: text })).toEqual([expect.stringContaining('AUTH_ISSUERS')]);
  });

  it('refuse the platform principal where the platform does not guard it', () => {
    const on = { ...GOOD, AUTH_PLATFORM_PRINCIPAL: 'true' };
    expect(problemsOf(on)).toEqual([expect.stringContaining('WEBSITE_AUTH_ENABLED')]);
    expect(problemsOf({ ...on, WEBSITE_AUTH_ENABLED: 'False' })).toHaveLength(1);
    expect(readConfig({ ...on, WEBSITE_AUTH_ENABLED: 'True' }).identity.platformPrincipal).toBe(true);
  });

  it('prefer the vault to a key', () => {
    const { masterKey } = readConfig({ ...GOOD, KEY_VAULT_URI: 'https://vault.example' });
    expect(masterKey).toEqual({
      kind: 'vault',
      uri: 'https://vault.example',
      secrets: ['cosmos-primary-key', 'cosmos-secondary-key'],
    });
  });

  it.each([
    ['COSMOS_ENDPOINT', 'account'],
    ['COSMOS_ENDPOINT', 'http://account.documents.azure.com/'],
    ['AUTH_ISSUER', 'http://issuer.example'],
    ['KEY_VAULT_URI', 'mailto:vault@example.com'],
    ['COSMOS_ENDPOINT', '   '],
    ['COSMOS_AUTH', 'none'],
    ['KEY_VAULT_URI', 'vault'],
    ['AUTH_ISSUER', 'issuer'],
    ['AUTH_JWKS_URI', 'keys'],
    ['AUTH_AUDIENCE', ' '],
    ['AUTH_ALGORITHMS', 'none'],
    ['AUTH_ALGORITHMS', 'RS256,HS256'],
    ['AUTH_ALGORITHMS', 'RS256,'],
    ['TOKEN_LIFETIME_SECONDS', '599'],
    ['TOKEN_LIFETIME_SECONDS', '86401'],
    ['TOKEN_LIFETIME_SECONDS', 'long'],
    ['TOKEN_LIFETIME_SECONDS', '600.5'],
    ['TOKEN_LIFETIME_SECONDS', '0x300'],
    ['TOKEN_SERVICE_ENABLED', 'True'],
    ['SYNC_RETENTION_DAYS', '1'],
    ['SYNC_DEADLINE_SECONDS', '0'],
    ['SYNC_INTERVAL_SECONDS', '-1'],
  ])('refuse %s=%j, and say which one', (name, value) => {
    const problems = problemsOf({ ...GOOD, [name]: value });
    expect(problems).toHaveLength(1);
    expect(problems[0]).toContain(name);
  });

  it.each(Object.keys(SETTINGS))('never show a value in a problem: %s could be a key', (name) => {
    const value = 'http://hush.example/ hush'; // Not even where it is refused.
    expect(problemsOf({ ...GOOD, [name]: value }).join()).not.toContain('hush');
  });

  it('have defaults that they accept themselves', () => {
    for (const [name, { need, parse }] of Object.entries(SETTINGS)) {
      const isFit = !('default' in need) || parse(need.default) !== undefined;
      expect({ name, isFit }).toEqual({ name, isFit: true });
    }
  });

  it('are looked at nowhere but where the app is put together', () => {
    const sources = ['functions', 'shared', 'client/src'].flatMap((folder) =>
      readdirSync(join(process.cwd(), folder), { recursive: true, encoding: 'utf8' })
        .filter((name) => name.endsWith('.ts'))
        .map((name) => join(folder, name)),
    );
    expect(sources.length).toBeGreaterThan(30);
    // Setting one is not looking at it.
    const users = sources.filter((path) => /process\.env(?!\['\w+'\] = )/.test(read(path)));
    const starts = (path: string) => path.startsWith('functions/') || path === 'client/src/cli/main.ts';
    expect(users.filter((path) => !starts(path))).toEqual([]);
  });

  it('that look like ours and are not are warned about', () => {
    const env = { ...GOOD, COSMOS_URL: 'x', SYNC_RETENTION: '9', WEBSITE_AUTH_ENABLED: '1', PATH: '/bin' };
    expect(findUnknownSettings(SETTINGS, env).map((warning) => warning.split(' ')[0])).toEqual([
      'COSMOS_URL',
      'SYNC_RETENTION',
    ]);
  });

  it('are described by what they accept, and a secret never has a default', () => {
    const table = renderSettings({
      A: integer('A number.', { min: 1, max: 2000, unit: 'bytes' }, { default: '5' }),
      B: secret('A key.', { optional: true }),
    });
    expect(table).toContain('| `A`     | whole number from 1 to 2,000, in bytes | `5`     | A number. |');
    expect(table).toContain('| `B`     | secret                                 | none    | A key.    |');
    const secrets = Object.values(SETTINGS).filter(({ isSecret }) => isSecret);
    expect(secrets.filter(({ need }) => 'default' in need)).toEqual([]);
  });
});

describe('local.settings.sample.json', () => {
  const { Values: values } = JSON.parse(read('local.settings.sample.json')) as {
    Values: Record<string, string>;
  };
  /** Read by the Functions host, under Core Tools. */
  const HOST = ['FUNCTIONS_WORKER_RUNTIME', 'AzureWebJobsStorage'];

  it('starts the app, once the key is entered', () => {
    expect(problemsOf(values)).toEqual([]);
  });

  it('has no setting that nobody reads, and no key', () => {
    const unread = Object.keys(values).filter((name) => !(name in SETTINGS) && !HOST.includes(name));
    expect(unread).toEqual([]);
    expect(values['COSMOS_KEY']).toMatch(/^<.*>$/);
  });
});
