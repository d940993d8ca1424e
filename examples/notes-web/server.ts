import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { createRequire } from 'node:module';
import type { AddressInfo } from 'node:net';
import { extname, join } from 'node:path';
import { build } from 'esbuild';
import type { Config } from './src/config.ts';

const TYPES: Readonly<Record<string, string>> = {
  '.css': 'text/css; charset=utf-8',
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.json': 'application/json',
  '.svg': 'image/svg+xml',
  '.wasm': 'application/wasm',
  '.webmanifest': 'application/manifest+json',
};
const STATIC = ['index.html', 'style.css', 'icon.svg', 'manifest.webmanifest'];
const PROGRAMS = ['main.ts', 'database-worker.ts'];

type Files = ReadonlyMap<string, Uint8Array | string>;

/**
 * Bundles the app: path to content.
 *
 * @param folder of the sources
 * @param alias packages that lie elsewhere than in node_modules
 */
export async function buildApp(folder: string, alias: Record<string, string> = {}): Promise<Files> {
  const bundle = async (names: readonly string[], define: Record<string, string> = {}) => {
    const { outputFiles } = await build({
      entryPoints: names.map((name) => join(folder, name)),
      bundle: true,
      minify: true,
      format: 'esm',
      platform: 'browser',
      target: 'es2022',
      outdir: '/',
      write: false,
      logLevel: 'error',
      alias,
      define,
    });
    return outputFiles.map(({ path, contents }): [string, Uint8Array] => [path, contents]);
  };
  const wasm = createRequire(join(folder, 'main.ts')).resolve('@sqlite.org/sqlite-wasm/sqlite3.wasm');
  const files = new Map<string, Uint8Array>([
    ...(await bundle(PROGRAMS)),
    ['/sqlite3.wasm', await readFile(wasm)],
    ...(await Promise.all(
      STATIC.map(async (name): Promise<[string, Uint8Array]> => [
        `/${name}`,
        await readFile(join(folder, name)),
      ]),
    )),
  ]);
  const hash = createHash('sha256');
  for (const contents of files.values()) hash.update(contents);
  const shell = ['/', ...[...files.keys()].filter((path) => path !== '/index.html'), '/config.json'];
  const define = { SHELL: JSON.stringify(shell), VERSION: JSON.stringify(hash.digest('hex').slice(0, 16)) };
  for (const [path, contents] of await bundle(['service-worker.ts'], define)) files.set(path, contents);
  return files;
}

export interface AppServer {
  readonly url: string;
  /** Where the services are: known once they run. */
  config: Config;
  readonly close: () => Promise<void>;
}

/** Serves the app on loopback, under the policy that it would have in production. */
export async function serveApp(files: Files, port: number): Promise<AppServer> {
  const app = {
    url: '',
    config: { api: '', issuer: '' },
    close: async () => {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
  const server = createServer(({ url = '/' }, response) => {
    const { pathname } = new URL(url, 'http://app');
    const path = pathname === '/' ? '/index.html' : pathname;
    const body = path === '/config.json' ? JSON.stringify(app.config) : files.get(path);
    response.writeHead(body === undefined ? 404 : 200, {
      'content-type': TYPES[extname(path)] ?? 'text/plain',
      'content-security-policy': policyFor(app.config),
      'cache-control': 'no-cache',
      'x-content-type-options': 'nosniff',
      'referrer-policy': 'no-referrer',
    });
    response.end(body);
  });
  server.listen(port, '127.0.0.1');
  await once(server, 'listening');
  app.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return app;
}

/** Nothing but the app's own files and its services. SQLite is WebAssembly: `wasm-unsafe-eval` allows that, and no `eval`. */
const policyFor = ({ api, issuer }: Config): string =>
  [
    "default-src 'none'",
    "script-src 'self' 'wasm-unsafe-eval'",
    "worker-src 'self'",
    `connect-src 'self' ${[api, issuer]
      .filter((url) => url !== '')
      .map((url) => new URL(url).origin)
      .join(' ')}`,
    "style-src 'self'",
    "img-src 'self'",
    "manifest-src 'self'",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
  ].join('; ');
