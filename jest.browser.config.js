import base from './jest.config.js';

/**
 * The tests that need Chromium: `npm run test:browser`.
 *
 * @type {import('jest').Config}
 */
export default {
  ...base,
  testMatch: ['<rootDir>/test/browser/**/*.browser.ts'],
  maxWorkers: 1,
  testTimeout: 60_000,
};
