import { ConfigError, readConfig, SETTINGS } from '../shared/config.ts';
import { readSyncConfig } from '../shared/sync/sync-config.ts';

type Environment = Readonly<Record<string, string | undefined>>;

/** What infra/main.bicepparam asks azd's environment for, and cannot do without. */
const REQUIRED: Readonly<Record<string, string>> = {
  AZURE_ENV_NAME: 'Name of the environment, for example tidemark-dev.',
  AZURE_LOCATION: 'Region, for example westeurope.',
  AUTH_ISSUER: 'The identity provider, for example https://login.microsoftonline.com/<tenant id>/v2.0.',
  AUTH_AUDIENCE: 'The `aud` of accepted tokens, for example api://tidemark.',
  ALERT_EMAIL: 'Who hears of alerts and of the budget.',
};

const YES_OR_NO = ['TOKEN_SERVICE', 'PRIVATE_NETWORKING', 'ZONE_REDUNDANT'];

/** Everything that would keep a deployment from working, as far as it can be known before. */
export function findDeploymentProblems(env: Environment, syncConfig: string): string[] {
  const problems = Object.entries(REQUIRED)
    .filter(([name]) => !env[name]?.trim())
    .map(([name, meaning]) => `${name} is not set. ${meaning}`);
  for (const name of YES_OR_NO) {
    if (!['true', 'false', '', undefined].includes(env[name]))
      problems.push(`${name} is neither true nor false.`);
  }
  // 3 to 44 lower-case letters, digits and hyphens: it is a part of an address.
  if (env['COSMOS_ACCOUNT_NAME'] && !/^[a-z0-9][a-z0-9-]{2,43}$/.test(env['COSMOS_ACCOUNT_NAME']))
    problems.push('COSMOS_ACCOUNT_NAME is not the name of a database account.');
  if (env['MONTHLY_BUDGET'] && !/^[1-9]\d*$/.test(env['MONTHLY_BUDGET']))
    problems.push('MONTHLY_BUDGET is not a whole number of at least 1.');
  try {
    readSyncConfig(syncConfig);
  } catch (error) {
    problems.push(error instanceof Error ? error.message : String(error));
  }
  const more = readAppSettings(env['APP_SETTINGS']);
  if (more === null) return [...problems, 'APP_SETTINGS is not a JSON object of texts.'];
  for (const name of Object.keys(more)) {
    if (!(name in SETTINGS)) problems.push(`APP_SETTINGS.${name} is not a setting of the app.`);
    else if (SETTINGS[name as keyof typeof SETTINGS].isSecret)
      problems.push(`APP_SETTINGS.${name} is a secret, which belongs in the vault.`);
  }
  return [...problems, ...problemsOfApp(env, more)];
}

function readAppSettings(text: string | undefined): Record<string, string> | null {
  try {
    const value: unknown = JSON.parse(text?.trim() || '{}');
    const isFit =
      typeof value === 'object' &&
      value !== null &&
      !Array.isArray(value) &&
      Object.values(value).every((each) => typeof each === 'string');
    return isFit ? (value as Record<string, string>) : null;
  } catch {
    return null;
  }
}

/** What the app itself would say at its start, with stand-ins for what the deployment finds out. */
function problemsOfApp(env: Environment, more: Readonly<Record<string, string>>): readonly string[] {
  const { AUTH_ISSUER, AUTH_AUDIENCE } = env;
  try {
    readConfig({
      ...more,
      COSMOS_ENDPOINT: 'https://account.documents.azure.com/',
      KEY_VAULT_URI: 'https://vault.vault.azure.net/',
      // Their absence has been told.
      AUTH_ISSUER: AUTH_ISSUER?.trim() || 'https://issuer.invalid',
      AUTH_AUDIENCE: AUTH_AUDIENCE?.trim() || 'none',
    });
    return [];
  } catch (error) {
    if (error instanceof ConfigError) return error.problems;
    throw error;
  }
}
