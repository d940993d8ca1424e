import { mkdir, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { build } from 'esbuild';

/**
 * Packages of hundreds of files, which every test file loads anew: as one bundle, as the app ships them, that takes a
 * fraction of the time. One bundle for all, so a class they share is one class; each is evaluated when it is asked for.
 */
const PACKAGES = [
  '@azure/core-rest-pipeline',
  '@azure/cosmos',
  '@azure/identity',
  '@azure/keyvault-secrets',
  'ajv/dist/2020.js',
  'ajv-formats',
  'jose',
  'typebox',
];
const FOLDER = 'node_modules/.cache/tidemark-tests';
const fileOf = (name: string): string => `${name.replaceAll(/[@/.]/g, '_')}.cjs`;

/** For Jest's `moduleNameMapper`. */
export const bundledPackages: Readonly<Record<string, string>> = Object.fromEntries(
  PACKAGES.map((name) => [`^${name.replaceAll('.', '\\.')}$`, `<rootDir>/${FOLDER}/${fileOf(name)}`]),
);

/** @param root folder of this repository */
export async function bundlePackages(root: string): Promise<void> {
  const out = join(root, `${FOLDER}.${process.pid}`);
  await mkdir(out, { recursive: true });
  const loaders = PACKAGES.map((name) => `exports['${name}'] = () => require('${name}');`);
  await build({
    stdin: { contents: loaders.join('\n'), resolveDir: root },
    outfile: join(out, 'all.cjs'),
    bundle: true,
    platform: 'node',
    target: 'node22',
    format: 'cjs',
    logLevel: 'warning',
  });
  for (const name of PACKAGES) {
    await writeFile(join(out, fileOf(name)), `module.exports = require('./all.cjs')['${name}']();\n`);
  }
  await rm(join(root, FOLDER), { recursive: true, force: true });
  await rename(out, join(root, FOLDER));
}
