/**
 * `npm run preflight`: is everything there that a deployment needs? azd runs it before it makes or packages anything,
 * with its environment (`azd env set NAME value`) in the process's. Tells all problems at once.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { findDeploymentProblems } from './deployment.ts';

const problems = findDeploymentProblems(
  process.env,
  readFileSync(join(process.cwd(), 'sync.config.json'), 'utf8'),
);
for (const problem of problems) console.error(`  - ${problem}`);
if (problems.length > 0) {
  console.error('Set them with `azd env set NAME value`; docs/operations.md says more.');
  process.exitCode = 1;
} else console.log('The configuration is complete.');
