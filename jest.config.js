import { bundledPackages } from './test/support/packages.ts';

/** @type {import('jest').Config} */
export default {
  // Node's, and it fails a file whose tests made the app write a key or a token anywhere.
  testEnvironment: '<rootDir>/test/support/watched-environment.ts',
  globalSetup: '<rootDir>/test/support/global-setup.ts',
  testMatch: [
    '<rootDir>/test/**/*.test.ts',
    '<rootDir>/client/test/**/*.test.ts',
    '<rootDir>/emulator/test/**/*.test.ts',
  ],
  // Types are checked by `npm run check`; here they are only removed.
  transform: {
    '\\.m?[jt]s$': [
      '@swc/jest',
      {
        jsc: { parser: { syntax: 'typescript' }, target: 'es2023' },
        module: { type: 'commonjs' },
        sourceMaps: 'inline',
      },
    ],
  },
  moduleNameMapper: bundledPackages,
  modulePathIgnorePatterns: ['<rootDir>/dist/', '<rootDir>/.local/'],
  // One more than the machine that the limits are set for has cores: many tests wait for processes that they start.
  maxWorkers: 3,
  // Generous: on a busy machine a test of real servers takes many times what it takes on an idle one.
  testTimeout: 30_000,
};
