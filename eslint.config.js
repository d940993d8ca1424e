import js from '@eslint/js';
import tseslint from 'typescript-eslint';

/**
 * The direction of imports (docs/adr/0002). A folder may import only what its line allows; whatever is named here
 * is refused. Paths are matched as written in the import.
 */
const outside = (message, ...folders) =>
  folders.map((folder) => ({ regex: `(^|/)\\.\\./(\\.\\./)*${folder}/`, message }));
const packages = (message, ...names) => names.map((name) => ({ regex: `^${name}`, message }));

const notProduction = 'Development code: nothing that ships may import it.';
const development = outside(notProduction, 'emulator', 'local', 'test', 'bench', 'scripts');
const noCosmos = packages('Only shared/cosmos talks to Cosmos DB.', '@azure/cosmos');
const pure = [
  ...packages(
    'shared/protocol, shared/conflict and shared/stored are pure: they also run in a browser.',
    'node:',
    '@azure/',
    'jose',
    'ajv',
  ),
  ...outside(
    'The pure folders import only each other.',
    'auth',
    'tokens',
    'sync',
    'cosmos',
    'http',
    'telemetry',
    'functions',
    'validation',
  ),
];

const restrict = (files, patterns, ignores = []) => ({
  files,
  ignores,
  rules: { 'no-restricted-imports': ['error', { patterns }] },
});

export default tseslint.config(
  { ignores: ['**/node_modules/', '**/dist/', '.local/', 'coverage/'] },
  js.configs.recommended,
  {
    files: ['**/*.ts', '**/*.tsx'],
    extends: [tseslint.configs.strictTypeChecked, tseslint.configs.stylisticTypeChecked],
    languageOptions: {
      parserOptions: {
        project: ['./tsconfig.json', './tsconfig.browser.json'],
        tsconfigRootDir: import.meta.dirname,
      },
    },
    rules: {
      '@typescript-eslint/restrict-template-expressions': [
        'error',
        { allowNumber: true, allowBoolean: true },
      ],
      '@typescript-eslint/no-confusing-void-expression': ['error', { ignoreArrowShorthand: true }],
      '@typescript-eslint/switch-exhaustiveness-check': [
        'error',
        { considerDefaultExhaustiveForUnions: true },
      ],
      '@typescript-eslint/consistent-type-definitions': 'off',
      '@typescript-eslint/dot-notation': 'off',
      '@typescript-eslint/prefer-nullish-coalescing': ['error', { ignorePrimitives: { string: true } }],
      'no-restricted-syntax': [
        'error',
        { selector: 'ExportDefaultDeclaration', message: 'Use a named export.' },
      ],
    },
  },
  restrict(
    ['functions/**/*.ts'],
    [...development, ...noCosmos, ...outside('The app does not use the SDK.', 'client')],
  ),
  restrict(
    ['shared/**/*.ts'],
    [
      ...development,
      ...noCosmos,
      ...outside('shared is used by functions, not the other way.', 'functions', 'client'),
    ],
    ['shared/cosmos/**', 'shared/protocol/**', 'shared/conflict/**', 'shared/stored/**'],
  ),
  restrict(
    ['shared/cosmos/**/*.ts'],
    [...development, ...outside('shared does not import these.', 'functions', 'client')],
  ),
  restrict(
    ['shared/protocol/**/*.ts', 'shared/conflict/**/*.ts', 'shared/stored/**/*.ts'],
    [...development, ...pure],
  ),
  restrict(
    ['client/src/**/*.ts'],
    [
      ...development,
      ...outside(
        'The client uses only shared/protocol, shared/conflict and shared/stored.',
        'functions',
        'shared/(?!protocol/|conflict/|stored/).+',
      ),
    ],
  ),
  restrict(
    ['emulator/src/**/*.ts'],
    outside('The emulator stands alone.', 'functions', 'shared', 'client', 'local', 'test'),
  ),
  {
    files: ['**/test/**/*.ts'],
    languageOptions: { globals: { describe: 'readonly', it: 'readonly', expect: 'readonly' } },
    rules: {
      '@typescript-eslint/no-non-null-assertion': 'off',
      // Jest's asymmetric matchers are typed `any`.
      '@typescript-eslint/no-unsafe-assignment': 'off',
      '@typescript-eslint/no-unsafe-argument': 'off',
    },
  },
  { files: ['**/*.js'], languageOptions: { globals: { process: 'readonly' } } },
);
