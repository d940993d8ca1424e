import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { createServer, request as forward, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { extname, join } from 'node:path';
import { build } from 'esbuild';

const TYPES: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.wasm': 'application/wasm',
};

export interface Site {
  readonly url: string;
  readonly close: () => Promise<void>;
}

/**
 * Bundles pages as an app's own build does, and serves them on loopback: `/<name>` is a page that runs the entry `<name>`.
 *
 * @param entries name to source file
 * @param routes what lies elsewhere, by the first part of the path
 */
export async function startSite(
  entries: Readonly<Record<string, string>>,
  routes: Readonly<Record<string, string>> = {},
): Promise<Site> {
  const { outputFiles } = await build({
    entryPoints: { ...entries },
    bundle: true,
    format: 'esm',
    platform: 'browser',
    target: 'es2022',
    outdir: '/',
    write: false,
    jsx: 'automatic',
    define: { 'process.env.NODE_ENV': '"development"' },
    logLevel: 'error',
  });
  const files = new Map<string, Uint8Array>(outputFiles.map(({ path, contents }) => [path, contents]));
  files.set('/sqlite3.wasm', await readFile(require.resolve('@sqlite.org/sqlite-wasm/sqlite3.wasm')));
  const server = createServer((request, response) => {
    const { pathname } = new URL(request.url ?? '/', 'http://site');
    const [, first = '', rest = ''] = /^\/([^/]+)(\/.*)?$/.exec(request.url ?? '') ?? [];
    const route = routes[first];
    if (route !== undefined) {
      pass(request, response, route.replace(/\/$/, '') + rest);
      return;
    }
    const page = `<!doctype html><title>${first}</title><div id="root"></div><script type="module" src="/${first}.js"></script>`;
    const body = files.get(pathname) ?? (first in entries ? page : undefined);
    response.statusCode = body === undefined ? 404 : 200;
    response.setHeader('content-type', TYPES[extname(pathname) || '.html'] ?? 'text/plain');
    // Compiled code of what does not change is kept with it.
    response.setHeader('cache-control', 'max-age=3600');
    response.end(body);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    close: async () => {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}

function pass(request: IncomingMessage, response: ServerResponse, url: string): void {
  const headers = { ...request.headers, host: new URL(url).host };
  const onward = forward(url, { method: request.method, headers }, (answer) => {
    response.writeHead(answer.statusCode ?? 502, answer.headers);
    answer.pipe(response);
  });
  onward.on('error', () => response.destroy());
  request.pipe(onward);
}

export const pageFile = (name: string): string => join(__dirname, 'pages', name);
