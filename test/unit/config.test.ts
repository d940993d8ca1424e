import { ConfigError, readConfig } from '../../shared/config.ts';

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
      identity: { algorithms: ['RS256'], jwksUri: null, userClaim: 'sub' },
      token: { lifetime: 3600 },
    });
  });

  it('tell everything that is missing at once', () => {
    expect(problemsOf({})).toEqual([
      'Neither KEY_VAULT_URI nor COSMOS_KEY is set.',
      'COSMOS_ENDPOINT is not set.',
      'AUTH_ISSUER is not set.',
      'AUTH_AUDIENCE is not set.',
    ]);
  });

  it('prefer the vault to a key', () => {
    const { masterKey } = readConfig({ ...GOOD, KEY_VAULT_URI: 'https://vault.example' });
    expect(masterKey).toEqual({ kind: 'vault', uri: 'https://vault.example', secret: 'cosmos-primary-key' });
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
    ['SYNC_RETENTION_DAYS', '1'],
    ['SYNC_DEADLINE_SECONDS', '0'],
    ['SYNC_INTERVAL_SECONDS', '-1'],
  ])('refuse %s=%j, and say which one', (name, value) => {
    const problems = problemsOf({ ...GOOD, [name]: value });
    expect(problems).toHaveLength(1);
    expect(problems[0]).toContain(name);
  });

  it('show no value in a problem: one of them is a key', () => {
    expect(problemsOf({ ...GOOD, COSMOS_ENDPOINT: 'x', AUTH_ISSUER: 'y' }).join()).not.toContain(
      GOOD.COSMOS_KEY,
    );
  });
});
