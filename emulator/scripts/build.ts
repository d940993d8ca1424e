import { chmod, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { build } from 'esbuild';

/** Writes what is published, JavaScript in `dist`: Node does not strip types inside node_modules. */
const root = join(import.meta.dirname, '..');
const dist = join(root, 'dist');

await rm(dist, { recursive: true, force: true });
await build({
  entryPoints: [join(root, 'src', 'cli.ts'), join(root, 'src', 'index.ts')],
  outdir: dist,
  bundle: true,
  // What both share goes into a chunk of its own.
  splitting: true,
  platform: 'node',
  target: 'node22',
  format: 'esm',
  legalComments: 'none',
  logLevel: 'warning',
});
await chmod(join(dist, 'cli.js'), 0o755);
