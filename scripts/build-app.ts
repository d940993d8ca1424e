import { createHash } from 'node:crypto';
import { mkdir, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { build, type Plugin } from 'esbuild';
import { readSyncConfig } from '../shared/sync/sync-config.ts';

/**
 * Writes the app as it ships, to `dist/app`: host.json, sync.config.json, package.json and CommonJS bundles with their
 * source maps: the app, the telemetry that it loads when it is configured, and the rules of the application, where
 * sync.config.json names a module with some.
 * The files are made aside and moved in one by one, so that a host that starts meanwhile finds a whole app.
 *
 * @param root folder of this repository
 * @returns the size of the app's bundle in bytes
 */
export async function buildApp(root: string): Promise<number> {
  const app = join(root, 'dist', 'app');
  const out = `${app}.${process.pid}`;
  await mkdir(app, { recursive: true });
  await mkdir(out, { recursive: true });
  await bundle(join(root, 'functions', 'main.ts'), join(out, 'main.cjs'));
  const telemetry = await telemetryKey(root);
  const isFresh = (await firstLine(join(app, 'telemetry.cjs'))) === telemetry;
  if (!isFresh) {
    await bundle(join(root, 'shared', 'telemetry', 'app-insights.ts'), join(out, 'telemetry.cjs'), telemetry);
  }
  const { rules } = readSyncConfig(await readFile(join(root, 'sync.config.json'), 'utf8'));
  if (rules !== null) await bundle(join(root, rules), join(out, 'sync.rules.cjs'));
  for (const name of ['host.json', 'sync.config.json']) {
    await writeFile(join(out, name), await readFile(join(root, name)));
  }
  await writeFile(
    join(out, 'package.json'),
    `${JSON.stringify({ name: 'tidemark-app', private: true, type: 'commonjs', main: 'main.cjs' }, null, 2)}\n`,
  );
  const files = await readdir(out);
  for (const name of files) await rename(join(out, name), join(app, name));
  const kept = isFresh ? ['telemetry.cjs', 'telemetry.cjs.map'] : [];
  const stale = (await readdir(app)).filter((name) => ![...files, ...kept].includes(name));
  for (const name of stale) await rm(join(app, name), { recursive: true, force: true });
  await rm(out, { recursive: true, force: true });
  return (await stat(join(app, 'main.cjs'))).size;
}

/**
 * Says what the telemetry is made of, as the first line of its bundle. That is most of what there is to bundle, and
 * seldom another: it is made anew only where this line is not the same.
 */
async function telemetryKey(root: string): Promise<string> {
  const hash = createHash('sha256');
  for (const path of ['package-lock.json', 'scripts/build-app.ts', 'shared/telemetry/app-insights.ts']) {
    hash.update(await readFile(join(root, path)));
  }
  return `// ${hash.digest('hex')}`;
}

const firstLine = async (path: string): Promise<string> =>
  (await readFile(path, 'utf8').catch(() => '')).split('\n', 1)[0] ?? '';

const bundle = (entry: string, outfile: string, banner = '') =>
  build({
    entryPoints: [entry],
    outfile,
    banner: { js: banner },
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
    plugins: [apart('app-insights.ts', './telemetry.cjs')],
    logLevel: 'warning',
  });

/** Leaves a file out of the bundles that import it: they find it in another bundle beside them. */
const apart = (file: string, path: string): Plugin => ({
  name: `${file} apart`,
  setup(bundling) {
    bundling.onResolve({ filter: new RegExp(`/${file}$`) }, ({ kind }) =>
      kind === 'entry-point' ? undefined : { path, external: true },
    );
  },
});
