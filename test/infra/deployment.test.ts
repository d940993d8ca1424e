import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
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
    ['COSMOS_ACCOUNT_NAME', 'https://cosmos', 'COSMOS_ACCOUNT_NAME'],
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

it('a deployment from GitHub passes on all that infra/main.bicepparam asks for, with the same defaults', () => {
  const asked = [
    ...read('infra/main.bicepparam').matchAll(/readEnvironmentVariable\('(\w+)'(?:, '([^']*)')?\)/g),
  ].map(([, name = '', fallback = '']) => `${name} ${fallback}`.trim());
  const passed = [
    ...read('.github/workflows/deploy.yml').matchAll(
      /^ {6}(\w+): \$\{\{ vars\.\1(?: \|\| '([^']*)')? \}\}/gm,
    ),
  ].map(([, name = '', fallback = '']) => `${name} ${fallback}`.trim());
  expect(passed).toEqual(expect.arrayContaining(asked));
});

it('every hook of azure.yaml is there for both shells, and runs scripts that exist', () => {
  const text = read('azure.yaml');
  const scripts = Object.keys((JSON.parse(read('package.json')) as { scripts: object }).scripts);
  expect(text.match(/posix:/g)).toHaveLength(2);
  expect(text.match(/windows:/g)).toHaveLength(2);
  for (const [, name = ''] of text.matchAll(/npm run (?:--silent )?(\w+)/g)) expect(scripts).toContain(name);
});

describe('The hooks of azure.yaml', () => {
  const lines = [...read('azure.yaml').matchAll(/shell: (sh|pwsh)\n +run: (.+)/g)];
  const ofShell = (shell: string): string[] =>
    lines.filter(([, which]) => which === shell).map(([, , run = '']) => run);
  const commandsOf = (run: string): string[] => run.match(/npm (?:ci|run --silent \w+|run \w+)/g) ?? [];

  it('do the same in both shells', () => {
    expect(ofShell('sh').map(commandsOf)).toEqual(ofShell('pwsh').map(commandsOf));
    // PowerShell goes on after a command that failed, unless it is told.
    for (const run of ofShell('pwsh')) {
      expect(run.match(/\$LASTEXITCODE -eq 0/g)).toHaveLength(commandsOf(run).length - 1);
      expect(run).toMatch(/exit \$LASTEXITCODE$/);
    }
  });

  it.each(ofShell('sh'))('%s: every command runs, and the first that fails is the last', (run) => {
    const commands = commandsOf(run);
    expect(commands.length).toBeGreaterThan(1);
    const folder = mkdtempSync(join(tmpdir(), 'tidemark-hooks-'));
    try {
      const log = join(folder, 'log');
      // Fails when it is called for the n-th time.
      const npm = `#!/bin/sh\necho "npm $*" >> '${log}'\n[ "$(wc -l < '${log}')" -ne "$FAIL_AT" ]\n`;
      writeFileSync(join(folder, 'npm'), npm, { mode: 0o755 });
      for (let failAt = 0; failAt <= commands.length; failAt += 1) {
        writeFileSync(log, '');
        const { status } = spawnSync('/bin/sh', ['-c', run], {
          env: { PATH: `${folder}:${process.env['PATH'] ?? ''}`, FAIL_AT: String(failAt) },
        });
        expect(status === 0).toBe(failAt === 0);
        expect(readFileSync(log, 'utf8').trim().split('\n')).toHaveLength(failAt || commands.length);
      }
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });

  it('end a deployment whose issuer is missing, and say what to do', () => {
    const { AUTH_ISSUER, ...rest } = COMPLETE;
    const check = (env: object) =>
      spawnSync(process.execPath, ['--disable-warning=ExperimentalWarning', 'scripts/preflight.ts'], {
        env: { ...env },
        encoding: 'utf8',
      });
    expect(check(rest)).toMatchObject({
      status: 1,
      stderr: expect.stringMatching(/AUTH_ISSUER is not set.*azd env set/s),
    });
    expect(check({ ...rest, AUTH_ISSUER })).toMatchObject({ status: 0 });
  });
});

it('every action of a workflow is named by its commit, which nobody can move', () => {
  for (const name of readdirSync('.github/workflows')) {
    const used = [...read(`.github/workflows/${name}`).matchAll(/uses: (.*)/g)].map(([, action]) => action);
    for (const action of used) expect(action).toMatch(/^[\w./-]+@[0-9a-f]{40} # v\d/);
  }
});

it('no workflow holds a secret: deployments log in by OpenID federation', () => {
  const deploy = read('.github/workflows/deploy.yml');
  expect(deploy).toContain('id-token: write');
  for (const name of ['ci', 'deploy', 'bicep'])
    expect(read(`.github/workflows/${name}.yml`)).not.toMatch(/secrets\./);
});
