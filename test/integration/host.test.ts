import { buildSync } from 'esbuild';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { request as rawRequest } from 'node:http';
import type { IncomingMessage, OutgoingHttpHeaders } from 'node:http';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startHost } from '../../local/host.ts';
import { startHostProcess } from '../../local/host-process.ts';
import type { HostProcess, HostProcessOptions } from '../../local/host-process.ts';
import { parseRoute, splitPath } from '../../local/host/routes.ts';

// Processes and RSA keys take their time on a busy machine.
jest.setTimeout(30_000);

/** Every app here is a real bundle of the real library, made the way the product's is. */
const folder = mkdtempSync(join(tmpdir(), 'tidemark-host-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

let built = 0;
function buildApp(source: string, host: object = { version: '2.0' }): string {
  const appDir = join(folder, `app-${(built += 1)}`);
  buildSync({
    stdin: { contents: `import { app } from '@azure/functions';\n${source}`, resolveDir: process.cwd() },
    outfile: join(appDir, 'main.cjs'),
    bundle: true,
    platform: 'node',
    format: 'cjs',
    external: ['@azure/functions-core'],
    logLevel: 'error',
  });
  writeFileSync(join(appDir, 'host.json'), JSON.stringify(host));
  writeFileSync(join(appDir, 'package.json'), JSON.stringify({ main: 'main.cjs' }));
  return appDir;
}

/** The log of a process, with a way to wait for a line: it arrives after the answer of the call it speaks of. */
class Log {
  readonly #lines: string[] = [];
  #waiting: (() => void)[] = [];

  readonly onLine = (line: string) => {
    this.#lines.push(line);
    for (const wake of this.#waiting.splice(0)) wake();
  };

  async has(text: string | RegExp): Promise<void> {
    const isThere = () => {
      const all = this.#lines.join('\n');
      return typeof text === 'string' ? all.includes(text) : text.test(all);
    };
    while (!isThere()) await new Promise<void>((resolve) => this.#waiting.push(resolve));
  }
}

async function withHost(
  options: HostProcessOptions,
  work: (host: HostProcess) => Promise<void>,
): Promise<readonly string[]> {
  const host = await startHostProcess(options);
  try {
    await work(host);
  } finally {
    await host.dispose();
  }
  return host.lines;
}

const ECHO = `
  const echo = async (request, context) => {
    const bytes = Buffer.from(await request.arrayBuffer());
    return { jsonBody: {
      function: context.functionName, method: request.method, url: request.url, params: request.params,
      query: Object.fromEntries(request.query), headers: Object.fromEntries(request.headers),
      size: bytes.length, body: bytes.toString('base64'), user: request.user,
    } };
  };
`;

interface Echo {
  function: string;
  method: string;
  url: string;
  params: Record<string, string>;
  query: Record<string, string>;
  headers: Record<string, string>;
  size: number;
  body: string;
}

interface RawAnswer {
  status: number;
  headers: IncomingMessage['headers'];
  text: string;
}

/** A request byte by byte, where fetch would tidy it up first. */
async function raw(
  url: string,
  options: {
    method?: string;
    headers?: OutgoingHttpHeaders | readonly string[];
    body?: string | Buffer;
    isCut?: boolean;
  },
): Promise<RawAnswer> {
  const sent = rawRequest(url, {
    method: options.method ?? 'GET',
    headers: options.headers ?? {},
    agent: false,
  });
  const answered = once(sent, 'response') as Promise<[IncomingMessage]>;
  if (options.body !== undefined) sent.write(options.body);
  if (!options.isCut) sent.end();
  const [response] = await answered;
  let text = '';
  for await (const chunk of response.setEncoding('utf8')) text += String(chunk);
  sent.destroy();
  return { status: response.statusCode ?? 0, headers: response.headers, text };
}

describe('an app with one function of each kind', () => {
  const log = new Log();
  let host: HostProcess;
  let api: string;

  beforeAll(async () => {
    const appDir = buildApp(`
      ${ECHO}
      const anonymous = { authLevel: 'anonymous' };
      app.http('echo', { methods: ['GET', 'POST', 'PUT', 'HEAD'], handler: echo });
      app.http('items', { methods: ['GET'], route: 'items/{id?}', handler: echo });
      app.http('special', { methods: ['GET'], route: 'items/special', handler: echo });
      app.http('numbered', { methods: ['GET'], route: 'numbered/{n:int}', handler: echo });
      app.http('files', { methods: ['GET'], route: 'files/{*path}', handler: echo });
      app.http('report', { methods: ['GET'], route: 'reports/{name}.{format}', handler: echo });
      app.http('secured', { methods: ['POST'], authLevel: 'function', handler: echo });
      app.http('nothing', { handler: () => undefined });
      app.http('unmodified', { handler: () => ({ status: 304, headers: { etag: '"7"' } }) });
      app.http('broken', { handler: () => { throw new Error('secret-detail'); } });
      app.http('rejected', { handler: async () => { throw 'just text'; } });
      app.http('cyclic', { handler: () => { const a = {}; a.a = a; return { jsonBody: a }; } });
      app.http('notAnObject', { handler: () => 'text' });
      app.http('cookies', { handler: () => ({
        headers: { 'x-two': 'one, two', 'content-length': '999', connection: 'close' },
        cookies: [
          { name: 'a', value: '1', maxAge: 60, httpOnly: true, secure: true, sameSite: 'Strict', domain: 'localhost' },
          { name: 'b', value: 'x y', path: '/api', expires: new Date(1e12), sameSite: 'None' },
        ],
        body: 'baked',
      }) });
      app.http('bytes', { handler: () => ({ body: new Uint8Array([0, 255, 10]) }) });
      let calls = 0;
      app.http('count', { methods: ['POST'], handler: async (request) => { calls += 1; await request.text(); return { body: String(calls) }; } });
      app.http('trace', { handler: (request, context) => ({ jsonBody: context.traceContext }) });
      app.http('talk', { handler: (request, context) => {
        context.log('said %s', 'hello'); context.warn('careful'); console.log('to the console');
        return { body: context.invocationId };
      } });
      app.http('settings', { handler: () => ({ jsonBody: { env: process.env, cwd: process.cwd() } }) });
      app.timer('nightly', { schedule: '0 0 3 * * *', handler: (timer, context) => {
        context.log('past due: %s, %s', timer.isPastDue, context.functionName);
      } });
      app.timer('failing', { schedule: '0 0 3 * * *', handler: () => { throw new Error('not tonight'); } });
      app.storageQueue('large', { queueName: 'large', connection: 'AzureWebJobsStorage', handler: () => {} });
    `);
    host = await startHostProcess({ appDir, settings: { GREETING: 'hello' }, onLine: log.onLine });
    api = `${host.url}/api`;
  });
  afterAll(() => host.dispose());

  const echo = async (path: string, init?: RequestInit) => {
    const response = await fetch(api + path, init);
    expect(response.status).toBe(200);
    return (await response.json()) as Echo;
  };

  it('lists the functions with routes, methods and the key level Azure will ask for', () => {
    expect(host.url).toMatch(/^http:\/\/127\.0\.0\.1:\d+$/);
    expect(host.functions).toContainEqual({
      name: 'secured',
      route: 'api/secured',
      methods: ['POST'],
      authLevel: 'function',
      trigger: 'httpTrigger',
    });
    expect(host.functions).toContainEqual({ name: 'nightly', trigger: 'timerTrigger' });
    expect(host.functions).toContainEqual({ name: 'large', trigger: 'queueTrigger' });
  });

  it('says which functions it cannot run', async () => {
    await log.has('[nightly] is run here when asked to: POST /admin/functions/nightly');
    await log.has('[large] is not run here: this host has no queueTrigger.');
  });

  it('runs a timer when it is asked to, as the Functions host is asked, and answers before it has run', async () => {
    const ask = (name: string, method = 'POST') =>
      fetch(`${host.url}/admin/functions/${name}`, {
        method,
        headers: { 'content-type': 'application/json' },
        ...(method === 'POST' ? { body: '{}' } : {}),
      });
    expect((await ask('nightly')).status).toBe(202);
    await log.has(/info \[nightly [0-9a-f]{8}\] past due: false, nightly/);
    await log.has(/\[nightly [0-9a-f]{8}\] has run\./);
    expect((await ask('NIGHTLY')).status).toBe(202);
    // Its failure is in the log, not in the answer.
    expect((await ask('failing')).status).toBe(202);
    await log.has(/fail \[failing [0-9a-f]{8}\] failed: Error: not tonight/);
    // Other functions are not run that way, nor is anything by another method or path.
    for (const [name, method] of [
      ['echo', 'POST'],
      ['none', 'POST'],
      ['nightly', 'GET'],
      ['nightly/keys', 'POST'],
    ] as const) {
      expect([name, method, (await ask(name, method)).status]).toEqual([name, method, 404]);
    }
    expect((await fetch(`${host.url}/admin/host/status`)).status).toBe(404);
  });

  it('hands over method, address, query and headers', async () => {
    const got = await echo('/echo?a=1&b=two%20words&empty=', {
      method: 'PUT',
      headers: { 'X-Mixed': 'Case' },
    });
    expect(got).toMatchObject({
      function: 'echo',
      method: 'PUT',
      url: `${api}/echo?a=1&b=two%20words&empty=`,
      query: { a: '1', b: 'two words', empty: '' },
      headers: { 'x-mixed': 'Case', host: host.url.slice('http://'.length) },
    });
  });

  it('joins repeated headers and parameters as the Functions host does', async () => {
    const headers = [
      'Host',
      'localhost',
      'X-A',
      '1',
      'x-a',
      '2',
      'Cookie',
      'a=1',
      'Cookie',
      'b=2',
      'X-Empty',
      '',
    ];
    const { text } = await raw(`${api}/echo?q=1&q=2`, { headers });
    const got = JSON.parse(text) as Echo;
    expect(got.query).toEqual({ q: '1,2' });
    expect(got.headers).toMatchObject({ 'x-a': '1,2', cookie: 'a=1; b=2', 'x-empty': '' });
    expect(got.url).toBe('http://localhost/api/echo?q=1&q=2');
  });

  it('delivers bodies byte for byte, whatever their encoding says', async () => {
    const body = Buffer.from([0, 1, 2, 253, 254, 255]);
    const got = await echo('/echo', { method: 'POST', body, headers: { 'content-encoding': 'gzip' } });
    expect(got.body).toBe(body.toString('base64'));
    expect(got.headers).toMatchObject({ 'content-encoding': 'gzip' });
    expect((await echo('/echo', { method: 'POST', body: '' })).size).toBe(0);
    expect((await echo('/echo', { method: 'POST', body: Buffer.alloc(5_000_000) })).size).toBe(5_000_000);
  });

  it('drops a body without Content-Length, as Azure does, and says so', async () => {
    const headers = { 'transfer-encoding': 'chunked' };
    const { text } = await raw(`${api}/echo`, { method: 'POST', headers, body: '{"lost":true}' });
    expect(JSON.parse(text)).toMatchObject({ size: 0 });
    await log.has('[echo] The body came in chunks, without Content-Length');
  });

  it('matches routes with optional, constrained, catch-all and compound parameters', async () => {
    expect((await echo('/items')).params).toEqual({});
    expect((await echo('/items/42')).params).toEqual({ id: '42' });
    expect((await echo('/ITEMS/a%20b%2Fc/')).params).toEqual({ id: 'a b%2Fc' });
    expect((await echo('/numbered/-7')).params).toEqual({ n: '-7' });
    expect((await fetch(`${api}/numbered/seven`)).status).toBe(404);
    expect((await echo('/files/a/b/c.txt')).params).toEqual({ path: 'a/b/c.txt' });
    expect((await echo('/files')).params).toEqual({});
    expect((await echo('/reports/2026.11.pdf')).params).toEqual({ name: '2026.11', format: 'pdf' });
  });

  it('prefers the more specific route and warns that Azure may not', async () => {
    expect((await echo('/items/special')).function).toBe('special');
    await log.has('GET /api/items/special fits items too');
  });

  it.each([
    ['an unknown route', 'GET', '/unknown'],
    ['a path below a route', 'GET', '/echo/below'],
    ['a method the function does not take', 'DELETE', '/echo'],
    ['HEAD where only GET is taken', 'HEAD', '/items'],
    ['a path outside the prefix', 'GET', '/../echo'],
  ])('answers 404 with an empty body to %s', async (_, method, path) => {
    const response = await fetch(api + path, { method });
    expect(response.status).toBe(404);
    expect(await response.text()).toBe('');
  });

  it.each(['broken', 'rejected', 'cyclic', 'notAnObject'])(
    'answers 500 with nothing in it when %s fails',
    async (name) => {
      const response = await fetch(`${api}/${name}`);
      expect(response.status).toBe(500);
      expect(await response.text()).toBe('');
      expect([...response.headers.values()].join()).not.toContain('secret-detail');
    },
  );

  it('writes the failure into the log, with its stack', async () => {
    await fetch(`${api}/broken`);
    await log.has(
      /fail \[broken [0-9a-f]{8}\] GET \/api\/broken failed, \d+ ms: Error: secret-detail\n +at /,
    );
  });

  it('answers 204 when the function returns nothing', async () => {
    expect((await fetch(`${api}/nothing`)).status).toBe(204);
  });

  it('sends status and headers of an answer that has no body', async () => {
    const response = await fetch(`${api}/unmodified`);
    expect([response.status, response.headers.get('etag'), await response.text()]).toEqual([304, '"7"', '']);
    expect(response.headers.has('content-length')).toBe(false);
  });

  it('answers HEAD with the headers of the answer and without its body', async () => {
    const response = await fetch(`${api}/echo`, { method: 'HEAD' });
    expect(response.status).toBe(200);
    expect(Number(response.headers.get('content-length'))).toBeGreaterThan(0);
    expect(await response.text()).toBe('');
  });

  it('sends bytes as they are', async () => {
    expect([...new Uint8Array(await (await fetch(`${api}/bytes`)).arrayBuffer())]).toEqual([0, 255, 10]);
  });

  it('sends cookies one by one and keeps the headers of the connection to itself', async () => {
    const response = await fetch(`${api}/cookies`);
    expect(await response.text()).toBe('baked');
    expect(response.headers.get('x-two')).toBe('one, two');
    expect(response.headers.get('content-length')).toBe('5');
    expect(response.headers.get('content-type')).toBe('text/plain;charset=UTF-8');
    expect(response.headers.getSetCookie()).toEqual([
      'a=1; max-age=60; domain=localhost; path=/; secure; samesite=strict; httponly',
      'b=x%20y; expires=Sun, 09 Sep 2001 01:46:40 GMT; path=/api; samesite=none',
    ]);
  });

  it('refuses a body over 100 MB by its declared length, before reading it', async () => {
    const headers = { 'content-length': 104_857_601 };
    const answer = await raw(`${api}/echo`, { method: 'POST', headers, body: 'begin', isCut: true });
    expect(answer).toMatchObject({ status: 413, text: '' });
  });

  it('refuses a body that passes 100 MB on the way', async () => {
    const headers = { 'transfer-encoding': 'chunked' };
    const answer = await raw(`${api}/echo`, { method: 'POST', headers, body: Buffer.alloc(104_857_601) });
    expect(answer).toMatchObject({ status: 413, text: '' });
  });

  it('does not run a function whose request breaks off, and goes on', async () => {
    const before = Number(await (await fetch(`${api}/count`, { method: 'POST', body: 'x' })).text());
    const sent = rawRequest(`${api}/count`, {
      method: 'POST',
      headers: { 'content-length': 1000 },
      agent: false,
    });
    sent.on('error', () => undefined);
    await new Promise<void>((resolve) => sent.write('a part of it', () => resolve()));
    sent.destroy();
    await new Promise((resolve) => sent.on('close', resolve));
    const after = Number(await (await fetch(`${api}/count`, { method: 'POST', body: 'x' })).text());
    expect(after).toBe(before + 1);
  });

  it('answers 400 to a Host header that is no host', async () => {
    expect((await raw(`${api}/echo`, { headers: { host: 'a b' } })).status).toBe(400);
  });

  it('continues the trace of its caller, or begins one', async () => {
    const traceparent = `00-${'a'.repeat(32)}-${'b'.repeat(16)}-01`;
    const continued = await (
      await fetch(`${api}/trace`, { headers: { traceparent, tracestate: 'x=1' } })
    ).json();
    expect(continued).toMatchObject({
      traceParent: expect.stringMatching(/^00-a{32}-(?!b{16})[0-9a-f]{16}-01$/) as unknown,
      traceState: 'x=1',
    });
    const begun = await (await fetch(`${api}/trace`, { headers: { traceparent: 'nonsense' } })).json();
    expect(begun).toMatchObject({
      traceParent: expect.stringMatching(/^00-[0-9a-f]{32}-[0-9a-f]{16}-00$/) as unknown,
    });
  });

  it("logs what the app says with the call's id, and keeps the console off stdout", async () => {
    const id = (await (await fetch(`${api}/talk`)).text()).slice(0, 8);
    await log.has(`info [talk ${id}] said hello`);
    await log.has(`warn [talk ${id}] careful`);
    await log.has('to the console');
  });

  it('gives the app its settings and nothing of the environment around it', async () => {
    const { env, cwd } = (await (await fetch(`${api}/settings`)).json()) as {
      env: Record<string, string>;
      cwd: string;
    };
    expect(env['GREETING']).toBe('hello');
    expect(Object.keys(env).filter((name) => /^(npm_|JEST|NODE_)/.test(name))).toEqual([]);
    expect(cwd).toContain('app-1');
  });
});

describe('hooks', () => {
  it('run around the app and around each call, and may replace input, handler, result and error', async () => {
    const appDir = buildApp(`
      app.hook.appStart((context) => { context.hookData.started = true; console.log('app start'); });
      app.hook.appTerminate((context) => console.log('app end, started:', context.hookData.started));
      app.hook.preInvocation((context) => {
        context.hookData.began = true;
        const handler = context.functionHandler;
        context.inputs = [context.inputs[0].query.get('name') ?? 'nobody'];
        context.functionHandler = (input, call) => handler(input.toUpperCase(), call);
      });
      app.hook.postInvocation((context) => {
        if (context.error) { context.result = { status: 418, body: context.error.message }; context.error = undefined; }
        else context.result = { body: context.result.body + (context.hookData.began ? '!' : '?') };
      });
      app.hook.log((context) => { if (context.category === 'user') context.message = context.message.replace('secret', '***'); });
      app.http('greet', { handler: (name, context) => {
        context.log('the secret of ' + name);
        if (name === 'NOBODY') throw new Error('who?');
        return { body: 'hello ' + name };
      } });
    `);
    const lines = await withHost({ appDir }, async ({ url }) => {
      expect(await (await fetch(`${url}/api/greet?name=ann`)).text()).toBe('hello ANN!');
      const failed = await fetch(`${url}/api/greet`);
      expect([failed.status, await failed.text()]).toEqual([418, 'who?']);
    });
    const log = lines.join('\n');
    expect(log).toContain('app start');
    expect(log).toContain('the *** of ANN');
    expect(log).toContain('app end, started: true');
  });

  it('that fail before a call fail the call', async () => {
    const appDir = buildApp(`
      app.hook.preInvocation(() => { throw new Error('not now'); });
      app.http('a', { handler: () => ({ body: 'ran' }) });
    `);
    await withHost({ appDir }, async ({ url }) => {
      expect((await fetch(`${url}/api/a`)).status).toBe(500);
    });
  });
});

describe('starting', () => {
  const one = `app.http('one', { handler: () => ({ body: 'one' }) });`;

  it('takes the route prefix from host.json', async () => {
    const appDir = buildApp(one, { version: '2.0', extensions: { http: { routePrefix: '' } } });
    await withHost({ appDir }, async ({ url }) => {
      expect(await (await fetch(`${url}/one`)).text()).toBe('one');
      expect((await fetch(`${url}/api/one`)).status).toBe(404);
    });
  });

  it.each([
    ['registers nothing', `console.log(app === undefined);`, 'registered no function'],
    ['throws while loading', `throw new Error('no luck');`, 'no luck'],
    [
      'names two functions alike',
      `${one} app.http('ONE', { handler: () => ({}) });`,
      'Two functions are called "ONE"',
    ],
    [
      'has a route Azure would refuse',
      `app.http('x', { route: '/x', handler: () => ({}) });`,
      'The route "api//x"',
    ],
    [
      'has a route that is the host’s own',
      `app.http('x', { route: 'admin/x', handler: () => ({}) });`,
      'admin',
    ],
    ['wants HTTP streams', `app.setup({ enableHttpStream: true }); ${one}`, 'does not support'],
    ['fails in its start hook', `app.hook.appStart(() => { throw new Error('cold'); }); ${one}`, 'cold'],
  ])('fails with the reason when the app %s', async (_, source, reason) => {
    await expect(startHostProcess({ appDir: buildApp(source) })).rejects.toThrow(reason);
  });

  it('fails with the reason when there is no app or its host.json is not one', async () => {
    await expect(startHostProcess({ appDir: join(folder, 'none') })).rejects.toThrow('npm run build');
    await expect(startHostProcess({ appDir: buildApp(one, {}) })).rejects.toThrow('lacks "version": "2.0"');
  });

  it('fails with the port when another program holds it', async () => {
    const other = createServer().listen(0, '127.0.0.1');
    await once(other, 'listening');
    const { port } = other.address() as { port: number };
    await expect(startHostProcess({ appDir: buildApp(one), port })).rejects.toThrow(`Port ${port} is in use`);
    other.close();
    await once(other, 'close');
  });

  it.each(['WEBSITE_INSTANCE_ID', 'FUNCTIONS_EXTENSION_VERSION'])(
    'refuses to run in Azure (%s)',
    async (name) => {
      const started = startHostProcess({ appDir: buildApp(one), settings: { [name]: 'x' } });
      await expect(started).rejects.toThrow(`does not run in Azure (the setting ${name} is present)`);
    },
  );

  it.each(['0.0.0.0', '::', '192.168.0.1', 'localhost'])('refuses to listen on %s', async (host) => {
    await expect(startHost({ appDir: folder, host })).rejects.toThrow('127.0.0.1 or ::1 only');
  });
});

describe('ending', () => {
  const slow = `app.http('slow', { handler: async (request, context) => {
    context.log('begun');
    await new Promise((resolve) => setTimeout(resolve, 300));
    return { body: 'done' };
  } });`;

  it('lets a running call finish and ends with code 0', async () => {
    const log = new Log();
    const host = await startHostProcess({ appDir: buildApp(slow), onLine: log.onLine });
    const answer = fetch(`${host.url}/api/slow`);
    await log.has('begun');
    await host.dispose();
    expect(await (await answer).text()).toBe('done');
    expect(host.process.exitCode).toBe(0);
  });

  it('follows its parent: it ends when its stdin closes', async () => {
    let isReported = false;
    const host = await startHostProcess({ appDir: buildApp(slow), onDeath: () => (isReported = true) });
    host.process.stdin?.end();
    await once(host.process, 'close');
    expect(host.process.exitCode).toBe(0);
    await host.dispose();
    expect(isReported).toBe(true);
  });

  it('tells with the last lines of the log when the app kills the process', async () => {
    const appDir = buildApp(`app.http('die', { handler: () => {
      setImmediate(() => { throw new Error('out of the blue'); });
      return new Promise(() => {});
    } });`);
    let report: ((error: Error) => void) | undefined;
    const died = new Promise<Error>((resolve) => (report = resolve));
    const host = await startHostProcess({ appDir, onDeath: (error) => report?.(error) });
    await expect(fetch(`${host.url}/api/die`)).rejects.toThrow();
    const { message } = await died;
    expect(message).toContain('The function host ended with code 1.');
    expect(message).toContain('out of the blue');
    await host.dispose();
  });
});

describe('route templates', () => {
  const match = (template: string, path: string) => parseRoute(template).match(splitPath(path));

  it.each([
    ['a/{b=x}', '/a', { b: 'x' }],
    ['a/{b=x}', '/a/y', { b: 'y' }],
    ['v{n:int}/x', '/v12/x', { n: '12' }],
    ['{*rest}', '/', {}],
    ['a/{b:length(2)}', '/a/xy', { b: 'xy' }],
    ['a/{b:range(1,5)}', '/a/6', undefined],
    ['a/{b:regex(^[a-z]{{2}}$)}', '/a/xy', { b: 'xy' }],
    ['a/{b:regex(^[a-z]{{2}}$)}', '/a/xyz', undefined],
    ['a/{b:guid?}', '/a', {}],
    ['a/{b:guid}', '/a/0192d1a0-0000-7000-8000-000000000000', { b: '0192d1a0-0000-7000-8000-000000000000' }],
    ['a/{b:int}', '/a/2147483648', undefined],
    ['a.b', '/axb', undefined],
    ['a/{b}', '/a/%zz', { b: '%zz' }],
    ['a/{__proto__}', '/a/x', Object.fromEntries([['__proto__', 'x']])],
  ])('%s meets %s', (template, path, expected) => {
    expect(match(template, path)).toEqual(expected);
  });

  it.each(['/a', '~/a', 'a//b', 'a/{b', 'a/{}', 'a/{b}/{B}', '{*a}/b', 'a/{b}{c}', 'a/{b:odd}', 'x{a?}'])(
    'refuses %s, as Azure does',
    (template) => {
      expect(() => parseRoute(template)).toThrow(`The route "${template}"`);
    },
  );
});
