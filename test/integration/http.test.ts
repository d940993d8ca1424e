import { brotliDecompressSync, gunzipSync, zstdDecompressSync } from 'node:zlib';
import { get } from 'node:http';
import type { IncomingMessage } from 'node:http';
import { once } from 'node:events';
import { startStack, type Stack } from '../../local/stack.ts';
import { describeApi } from '../../shared/protocol/openapi.ts';
import { call, expectProblem, postSync } from '../support/api.ts';

const PAGE = 'https://app.example.com';

let stack: Stack;
let alice: string;

beforeAll(async () => {
  stack = await startStack({
    quiet: true,
    settings: { CORS_ALLOWED_ORIGINS: `${PAGE}, http://localhost:5173` },
  });
  alice = await stack.issuerHandle.token({ sub: 'alice' });
}, 30_000);
afterAll(() => stack.dispose());

/** A GET that leaves the body as it came; fetch would unpack it. */
async function getRaw(path: string, headers: Record<string, string>) {
  const sent = get(`${stack.api}/${path}`, { headers, agent: false });
  const [response] = (await once(sent, 'response')) as [IncomingMessage];
  const chunks: Buffer[] = [];
  for await (const chunk of response) chunks.push(chunk as Buffer);
  return { status: response.statusCode, headers: response.headers, body: Buffer.concat(chunks) };
}

describe('GET /api/health', () => {
  it('tells anybody that the process is up, and nothing more', async () => {
    const answer = await call(`${stack.api}/health`);
    expect(answer.status).toBe(200);
    expect(answer.text).toBe('{"status":"ok"}');
    expect(answer.headers.get('cache-control')).toBe('no-store');
  });

  it('asks nobody else', async () => {
    stack.emulator.requests.clear();
    await call(`${stack.api}/health`);
    expect(stack.emulator.requests.entries).toEqual([]);
  });

  it('answers HEAD without a body', async () => {
    const answer = await call(`${stack.api}/health`, { method: 'HEAD' });
    expect([answer.status, answer.text]).toEqual([200, '']);
  });
});

describe('GET /api/openapi.json', () => {
  it('is the description of this API', async () => {
    const answer = await call(`${stack.api}/openapi.json`);
    expect(answer.body).toEqual(describeApi());
    expect(answer.headers.get('cache-control')).toBe('public, max-age=300');
  });

  it('answers 304 to a client that has it, in whatever encoding it came', async () => {
    const first = await call(`${stack.api}/openapi.json`, { headers: { 'accept-encoding': 'gzip' } });
    const etag = first.headers.get('etag') ?? '';
    const again = await call(`${stack.api}/openapi.json`, { headers: { 'if-none-match': etag } });
    expect([again.status, again.text, again.headers.get('etag')]).toEqual([304, '', etag]);
    const other = await call(`${stack.api}/openapi.json`, { headers: { 'if-none-match': '"other"' } });
    expect(other.status).toBe(200);
  });
});

it.each(['sync/conflicts', 'sync/deletions', 'sync/operations'])(
  'GET /api/%s answers 304 while nothing has changed, to this user only',
  async (path) => {
    const ask = (token: string, headers: Record<string, string> = {}) =>
      call(`${stack.api}/${path}`, { headers: { authorization: `Bearer ${token}`, ...headers } });
    const first = await ask(alice);
    expect(first.headers.get('cache-control')).toBe('private, no-cache');
    const etag = { 'if-none-match': first.headers.get('etag') ?? '' };
    expect((await ask(alice, etag)).status).toBe(304);
    expectProblem(await ask('', etag), 401, 'invalid_token');
  },
);

describe('A large answer', () => {
  it.each([
    ['gzip', gunzipSync],
    ['br', brotliDecompressSync],
    ['zstd', zstdDecompressSync],
  ])('is compressed with %s where the client asks for that', async (coding, decode) => {
    const plain = await getRaw('openapi.json', {});
    const packed = await getRaw('openapi.json', { 'accept-encoding': coding });
    expect(plain.headers['content-encoding']).toBeUndefined();
    expect(packed.headers['content-encoding']).toBe(coding);
    expect(packed.body.length).toBeLessThan(plain.body.length / 4);
    expect(decode(packed.body).equals(plain.body)).toBe(true);
    for (const { headers } of [plain, packed]) expect(headers['vary']).toContain('Accept-Encoding');
  });

  it('goes out plain to a client that forbids everything', async () => {
    const answer = await getRaw('openapi.json', { 'accept-encoding': 'identity;q=0, *;q=0' });
    expect([answer.status, answer.headers['content-encoding']]).toEqual([200, undefined]);
  });

  it('is compressed for a sync too, a small one is not', async () => {
    const data = { text: 'tide '.repeat(1000) };
    const change = { type: 'upsert', collection: 'items', lastModified: '2026-11-21T10:00:00.000Z' };
    const body = {
      protocol: 1,
      deviceId: 'phone',
      changes: [1, 2].map((id) => ({ ...change, documentId: `${id}`, data })),
    };
    const small = await postSync(stack, alice, body, { 'accept-encoding': 'gzip' });
    expect([small.status, small.headers.get('content-encoding')]).toEqual([200, null]);
    const pull = { protocol: 1, deviceId: 'tablet' };
    const large = await postSync(stack, alice, pull, { 'accept-encoding': 'gzip' });
    expect([large.status, large.headers.get('content-encoding')]).toEqual([200, 'gzip']);
    expect(large.body).toMatchObject({ delta: { documents: [{ data }, { data }] } });
  });
});

describe('What is not there', () => {
  it.each(['nothing', 'sync/nothing', 'openapi_json', 'health/..%2f..', '%00', 'a'.repeat(5000)])(
    'is answered with a problem: %s',
    async (path) => {
      expectProblem(await call(`${stack.api}/${path}`), 404, 'not_found');
    },
  );

  it.each(['PUT', 'PATCH', 'DELETE', 'POST'])('so is a wrong method: %s /api/health', async (method) => {
    const answer = await call(`${stack.api}/health`, { method });
    expectProblem(answer, 405, 'method_not_allowed');
    expect(answer.headers.get('allow')).toBe('GET, HEAD, OPTIONS');
  });

  it('outside the prefix nothing answers but the host', async () => {
    const response = await fetch(new URL('/', stack.api));
    expect([response.status, await response.text()]).toEqual([404, '']);
  });
});

describe('A page of another origin', () => {
  const preflight = (origin: string) =>
    call(`${stack.api}/sync`, {
      method: 'OPTIONS',
      headers: {
        origin,
        'access-control-request-method': 'POST',
        'access-control-request-headers': 'authorization,content-type',
      },
    });

  it.each([PAGE, 'http://localhost:5173'])('that is allowed may call: %s', async (origin) => {
    const asked = await preflight(origin);
    expect(asked.status).toBe(204);
    expect(Object.fromEntries(asked.headers)).toMatchObject({
      'access-control-allow-origin': origin,
      'access-control-allow-methods': 'POST',
      'access-control-max-age': '7200',
      vary: 'Accept-Encoding, Origin',
    });
    expect(asked.headers.get('access-control-allow-headers')).toMatch(/authorization, content-type/);
    expect(asked.headers.has('access-control-allow-credentials')).toBe(false);

    const answer = await postSync(stack, alice, { protocol: 1, deviceId: 'page' }, { origin });
    expect(answer.headers.get('access-control-allow-origin')).toBe(origin);
    expect(answer.headers.get('access-control-expose-headers')).toBe('x-request-id, retry-after, etag');
  });

  it('that is allowed may read why it was refused', async () => {
    const answer = await call(`${stack.api}/sync`, { method: 'POST', headers: { origin: PAGE } });
    expectProblem(answer, 401, 'missing_token');
    expect(answer.headers.get('access-control-allow-origin')).toBe(PAGE);
  });

  it.each(['https://evil.example', 'null', `${PAGE}.evil.example`])(
    'that is not is told nothing: %s',
    async (origin) => {
      const asked = await preflight(origin);
      expect(asked.status).toBe(204);
      const answer = await call(`${stack.api}/health`, { headers: { origin } });
      for (const { headers } of [asked, answer]) {
        expect([...headers.keys()].filter((name) => name.startsWith('access-control'))).toEqual([]);
        expect(headers.get('vary')).toContain('Origin');
      }
    },
  );
});

describe('A request id', () => {
  it('comes back as it was sent', async () => {
    const { headers } = await call(`${stack.api}/health`, { headers: { 'x-request-id': 'Trace.1_a-b' } });
    expect(headers.get('x-request-id')).toBe('Trace.1_a-b');
  });

  it.each(['', 'a b', 'ü', 'a'.repeat(65), '<script>'])('%j is replaced', async (id) => {
    const { headers } = await call(`${stack.api}/health`, { headers: { 'x-request-id': id } });
    expect(headers.get('x-request-id')).toMatch(/^[0-9a-f-]{36}$/);
  });
});
