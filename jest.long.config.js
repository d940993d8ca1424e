import base from './jest.config.js';

// Many more random histories and requests than the suite plays.
process.env['CHECKER_RUNS'] ??= '2000';
process.env['HOSTILE_REQUESTS'] ??= '2000';

/**
 * What takes minutes, and guards the tests and what is published rather than the code: `npm run test:long`.
 *
 * @type {import('jest').Config}
 */
export default {
  ...base,
  testMatch: [
    '<rootDir>/test/**/*.long.ts',
    '<rootDir>/emulator/test/**/*.long.ts',
    '<rootDir>/test/checker/checker.test.ts',
    '<rootDir>/test/integration/hostile.test.ts',
  ],
};
