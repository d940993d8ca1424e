import { mkdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

/** Writes the app as it ships: host.json, package.json and one CommonJS bundle with its source map. */

const root = fileURLToPath(new URL('..', import.meta.url));
const out = join(root, 'dist', 'app');

await rm(out, { recursive: true, force: true });
await mkdir(out, { recursive: true });
await build({
  entryPoints: [join(root, 'functions', 'main.ts')],
  outfile: join(out, 'main.cjs'),
  bundle: true,
  platform: 'node',
  target: 'node22',
  format: 'cjs',
  minify: true,
  keepNames: true,
  sourcemap: 'linked',
  sourcesContent: false,
  legalComments: 'none',
  // The Functions host supplies this module at run time.
  external: ['@azure/functions-core'],
  logLevel: 'warning',
});
await writeFile(join(out, 'host.json'), await readFile(join(root, 'host.json')));
await writeFile(
  join(out, 'package.json'),
  `${JSON.stringify({ name: 'tidemark-app', private: true, type: 'commonjs', main: 'main.cjs' }, null, 2)}\n`,
);

const { size } = await stat(join(out, 'main.cjs'));
console.log(`dist/app: main.cjs ${(size / 1e6).toFixed(2)} MB`);
