import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { findDeploymentProblems } from '../../scripts/deployment.ts';

const read = (path: string): string => readFileSync(join(process.cwd(), path), 'utf8');
const syncConfig = read('sync.config.json');
const COMPLETE = {
  AZURE_ENV_NAME: 'dev',
  AZURE_LOCATION: 'westeurope',
  AUTH_ISSUER: 'https://issuer.example',
  AUTH_AUDIENCE: 'api://tidemark',
  ALERT_EMAIL: 'someone@example.com',
};

describe('Before a deployment', () => {
  it('a complete configuration is let through', () => {
    expect(findDeploymentProblems(COMPLETE, syncConfig)).toEqual([]);
    const more = { SYNC_RETENTION_DAYS: '30' };
    expect(findDeploymentProblems({ ...COMPLETE, APP_SETTINGS: JSON.stringify(more) }, syncConfig)).toEqual(
      [],
    );
  });

  it('everything that is missing is told at once', () => {
    const names = findDeploymentProblems({}, syncConfig).map((problem) => problem.split(' ')[0]);
    expect(names).toEqual(Object.keys(COMPLETE));
  });

  it.each([
    ['AUTH_ISSUER', 'http://issuer.example', 'AUTH_ISSUER'],
    ['TOKEN_SERVICE', 'yes', 'TOKEN_SERVICE'],
    ['MONTHLY_BUDGET', '0', 'MONTHLY_BUDGET'],
    ['APP_SETTINGS', '{', 'APP_SETTINGS'],
    ['APP_SETTINGS', '{"SYNC_RETENTION_DAYS": 30}', 'APP_SETTINGS'],
    ['APP_SETTINGS', '{"SYNC_RETENTION_DAYS": "1"}', 'SYNC_RETENTION_DAYS'],
    ['APP_SETTINGS', '{"SYNC_RETENTION": "30"}', 'SYNC_RETENTION is not a setting'],
    ['APP_SETTINGS', '{"COSMOS_KEY": "key"}', 'secret'],
  ])('%s=%s is refused', (name, value, told) => {
    const problems = findDeploymentProblems({ ...COMPLETE, [name]: value }, syncConfig);
    expect(problems).toEqual([expect.stringContaining(told)]);
  });

  it('a broken sync.config.json is told', () => {
    expect(findDeploymentProblems(COMPLETE, '{')).toHaveLength(1);
  });
});

it('infra/main.bicepparam asks for nothing that the check does not know', () => {
  const asked = [...read('infra/main.bicepparam').matchAll(/readEnvironmentVariable\('(\w+)'(, )?/g)];
  const required = asked.filter(([, , fallback]) => fallback === undefined).map(([, name]) => name);
  expect(required.sort()).toEqual(Object.keys(COMPLETE).sort());
  const check = read('scripts/deployment.ts');
  for (const [, name = ''] of asked) expect(check).toContain(name);
});

it('every hook of azure.yaml is there for both shells, and runs scripts that exist', () => {
  const text = read('azure.yaml');
  const scripts = Object.keys((JSON.parse(read('package.json')) as { scripts: object }).scripts);
  expect(text.match(/posix:/g)).toHaveLength(2);
  expect(text.match(/windows:/g)).toHaveLength(2);
  for (const [, name = ''] of text.matchAll(/npm run (?:--silent )?(\w+)/g)) expect(scripts).toContain(name);
});

it('no workflow holds a secret: deployments log in by OpenID federation', () => {
  const deploy = read('.github/workflows/deploy.yml');
  expect(deploy).toContain('id-token: write');
  for (const name of ['ci', 'deploy', 'bicep'])
    expect(read(`.github/workflows/${name}.yml`)).not.toMatch(/secrets\./);
});
