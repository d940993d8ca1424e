import type { Given, Setting } from './setting.ts';

type Settings = Readonly<Record<string, Setting<unknown>>>;
type Environment = Readonly<Record<string, string | undefined>>;

/** The values of a list of settings, each of its own type. */
export type Values<S extends Settings> = {
  readonly [N in keyof S]: S[N] extends Setting<infer T> ? T : never;
};

/** Every problem of the settings at once, each with what to do. It shows no value: one of them may be a key. */
export class ConfigError extends Error {
  readonly problems: readonly string[];

  constructor(problems: readonly string[]) {
    super(`The settings are not complete:\n${problems.map((problem) => `  - ${problem}`).join('\n')}`);
    this.name = 'ConfigError';
    this.problems = problems;
  }
}

/**
 * Reads all settings. An empty one counts as absent.
 *
 * @throws ConfigError
 */
export function readSettings<S extends Settings>(settings: S, env: Environment): Values<S> {
  const problems: string[] = [];
  const given: Given = (name) => {
    const need = settings[name]?.need;
    return env[name]?.trim() || (need !== undefined && 'default' in need ? need.default : null);
  };
  const values = Object.entries(settings).map(([name, setting]) => {
    const text = given(name);
    const problem = text === null ? absence(name, setting, given) : null;
    const value = text === null ? null : setting.parse(text);
    if (problem !== null) problems.push(problem);
    if (value === undefined) problems.push(`${name} is not a ${setting.accepts}. ${setting.meaning}`);
    return [name, value];
  });
  if (problems.length > 0) throw new ConfigError(problems);
  return Object.fromEntries(values) as Values<S>;
}

function absence(name: string, { need, meaning }: Setting<unknown>, given: Given): string | null {
  if (!('example' in need)) return null;
  if (!('isRequired' in need)) return `${name} is not set. ${meaning} For example ${need.example}`;
  if (!need.isRequired(given)) return null;
  return `${name} is not set, and has to be ${need.requiredWhen}. ${meaning} For example ${need.example}`;
}

/**
 * Settings that look like ours and are not: usually a slip of the pen, which would otherwise leave a default in force.
 *
 * @returns a sentence for each
 */
export function findUnknownSettings(settings: Settings, env: Environment): string[] {
  const prefixes = new Set(Object.keys(settings).map((name) => name.replace(/_.*/, '_')));
  // The Functions host and the Azure SDK have more of these.
  for (const prefix of ['APPLICATIONINSIGHTS_', 'AZURE_']) prefixes.delete(prefix);
  return Object.keys(env)
    .filter((name) => /^[A-Z]+_/.test(name) && !(name in settings))
    .filter((name) => prefixes.has(name.replace(/_.*/, '_')))
    .map(
      (name) => `${name} is not a setting of this app and changes nothing; docs/operations.md lists them.`,
    );
}
