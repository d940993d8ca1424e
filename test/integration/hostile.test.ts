import { brotliDecompressSync, gunzipSync, zstdDecompressSync } from 'node:zlib';
import { startStack, type Stack } from '../../local/stack.ts';
import { METHODS } from '../../shared/http/edge.ts';
import type { SyncResponse } from '../../shared/protocol/index.ts';
import { OPERATIONS } from '../../shared/protocol/operations.ts';
import { call, changedItems, Database, synced, type StoredItem } from '../support/api.ts';
import { expectAsDescribed } from '../support/contract.ts';
import { makeHostile, type Hostile, type Target } from '../support/hostile.ts';
import { Random } from '../support/random.ts';
import { sendRaw, type RawAnswer } from '../support/raw-http.ts';

/**
 * Requests with bytes, types, sizes, encodings, headers and paths that are not as they should be, against the whole
 * stack. HOSTILE_REQUESTS says how many (800 by default, 2,000 in CI), HOSTILE_SEED which ones. A failure names its number: to
 * see it alone, set HOSTILE_FIRST to it and HOSTILE_REQUESTS to 1.
 */
const REQUESTS = Number(process.env['HOSTILE_REQUESTS'] ?? 800);
const SEED = Number(process.env['HOSTILE_SEED'] ?? 1);
const FIRST = Number(process.env['HOSTILE_FIRST'] ?? 0);
const SHARDS = REQUESTS < 4 ? 1 : 4;
/** How many requests go by between two looks at everything that is stored. */
const LOOK_EVERY = 250;

/** Longest time of an answer; what is no HTTP may get none, and is not waited for as long. */
const ANSWER_MS = 20_000;
const NO_HTTP_MS = 2_000;

let stack: Stack;
let database: Database;
let target: Target;
let victim: string;
const deaths: Error[] = [];

const hello = (documentId: string) => ({
  protocol: 1,
  deviceId: 'phone',
  changes: [
    {
      type: 'upsert',
      collection: 'items',
      documentId,
      lastModified: '2026-11-21T10:00:00.000Z',
      data: { mine: true },
    },
  ],
});

beforeAll(async () => {
  stack = await startStack({
    quiet: true,
    settings: { RATE_LIMIT_PER_SECOND: '0' },
    onDeath: (error) => deaths.push(error),
  });
  database = new Database(stack);
  const { issuerHandle } = stack;
  victim = await issuerHandle.token({ sub: 'bob', facilities: ['8'] });
  await synced(stack, victim, hello('1'));
  target = {
    host: new URL(stack.api).host,
    operations: Object.values(OPERATIONS).flatMap(({ path, methods }) =>
      methods.map((method) => ({ path: `/${path}`, method })),
    ),
    tokens: {
      valid: await issuerHandle.token({ sub: 'mallory', facilities: ['7'] }),
      others: [
        await issuerHandle.token({ sub: 'mallory', lifetime: -600 }),
        // Another user id than any scope can hold, and a shared scope of nobody's.
        await issuerHandle.token({ sub: '\u20ac'.repeat(100) }),
        await issuerHandle.token({
          sub: 'mallory',
          facilities: { evil: true },
          roles: ['user.admin ', '__proto__'],
        }),
        await issuerHandle.token({ sub: 'mallory', facilities: ['7'], aud: 'api://other' }),
      ],
    },
  };
}, 60_000);
afterAll(async () => {
  database.dispose();
  await stack.dispose();
});

/** Requests that wrote to the container of the documents since the log was cleared. */
const writes = () =>
  stack.emulator.requests.entries.filter(
    ({ operation, method, path, status }) =>
      path.includes('/colls/documents/docs') &&
      status < 300 &&
      method !== 'GET' &&
      !['query', 'queryPlan', 'changeFeed'].includes(operation),
  );

const isSync = ({ request }: Hostile): boolean =>
  request.method === 'POST' && /^\/api\/(?:sync|%73ync)\/?(?:\?|$)/i.test(request.target);

/** What the hostile token grants. */
const OWN = ['user:mallory', 'facility:7'];

const DECODERS: Readonly<Record<string, (content: Uint8Array) => Buffer>> = {
  gzip: gunzipSync,
  br: brotliDecompressSync,
  zstd: zstdDecompressSync,
};

/** Documents, as scope and item id, that the answer to a sync says were stored, in scopes of the caller. */
function reported({ request }: Hostile, answer: RawAnswer): string[] {
  const encoding = request.headers.find(([name]) => name === 'Content-Encoding')?.[1] ?? '';
  const decode = DECODERS[encoding.toLowerCase()] ?? ((plain) => Buffer.from(plain));
  const { changes = [] } = JSON.parse(decode(request.body ?? Buffer.alloc(0)).toString()) as {
    changes?: readonly { scope?: string; collection: string; documentId: string }[];
  };
  const { results } = JSON.parse(answer.text) as SyncResponse;
  return results.flatMap(({ status }, index) => {
    const change = changes[index];
    // A repeat is told what became of it the first time, whatever it holds now: it writes nothing.
    if (change === undefined || !['applied', 'merged'].includes(status)) return [];
    const { scope = 'user:mallory' } = change;
    return OWN.includes(scope) ? [`${scope} ${change.collection}:${change.documentId}`] : [];
  });
}

function expectNoHarm(hostile: Hostile, answer: RawAnswer | null): void {
  if (answer === null) {
    // The host closes without reading a large body that no function wants; the reset may overtake its answer.
    const isLarge = (hostile.request.body?.length ?? 0) > 1_000_000;
    expect(hostile.isHttp && !isLarge).toBe(false);
    return;
  }
  expect(answer.status).toBeGreaterThanOrEqual(200);
  expect(answer.status).toBeLessThan(500);
  expect(answer.text).not.toMatch(/node_modules|\bat .+:\d+:\d+/);
  if (answer.status >= 400) expect(writes()).toEqual([]);
  const { method, target: path } = hostile.request;
  // What does not reach the app is answered by the host, without a body.
  if (!answer.headers.has('x-request-id')) {
    expect(answer.text).toBe('');
    expect([400, 404, 413, 417, 431, 501]).toContain(answer.status);
    return;
  }
  const isPlain = /^\/api\/[\w./-]*(?:\?|$)/.test(path) && !path.includes('..') && !path.includes('//');
  if (!hostile.isSpoilt && isPlain && METHODS.some((each) => each === method)) {
    expectAsDescribed(method, `http://${target.host}${path}`, answer);
  }
}

const shards = Array.from({ length: SHARDS }, (_, shard) => {
  const first = FIRST + Math.floor((shard * REQUESTS) / SHARDS);
  return [first, FIRST + Math.floor(((shard + 1) * REQUESTS) / SHARDS)] as const;
});

it.each(shards)(
  'Requests %i to %i: no error of ours, no crash, and what is refused changes nothing',
  async (first, end) => {
    const counts: Record<string, number> = {};
    let before: ReadonlyMap<string, StoredItem> = await database.snapshot();
    let allowed = new Set<string>();
    for (let index = first; index < end; index += 1) {
      const hostile = makeHostile(new Random(SEED * 1_000_003 + index), target);
      stack.emulator.requests.clear();
      const answer = await sendRaw(stack.api, hostile.bytes, hostile.isHttp ? ANSWER_MS : NO_HTTP_MS);
      try {
        expect(deaths).toEqual([]);
        expectNoHarm(hostile, answer);
      } catch (error) {
        const head = hostile.bytes.subarray(0, 2000).toString('latin1');
        throw new Error(
          `Request ${index} of seed ${SEED} (${hostile.changes.join(', ')}):\n${head}\n\n` +
            `answered ${answer?.status ?? 'nothing'} ${answer?.text.slice(0, 500) ?? ''}\n\n${String(error)}`,
          { cause: error },
        );
      }
      const kind = answer === null ? 'no answer' : `${answer.status}`;
      counts[kind] = (counts[kind] ?? 0) + 1;
      if (answer?.status === 200 && isSync(hostile)) {
        for (const name of reported(hostile, answer)) allowed.add(name);
      }
      if ((index - first) % LOOK_EVERY === LOOK_EVERY - 1 || index === end - 1) {
        const after = await database.snapshot();
        const strange = changedItems(before, after).filter(
          (name) => !allowed.has(name) && !/^(user:mallory|facility:7) ~/.test(name),
        );
        expect({ upTo: index, strange }).toEqual({ upTo: index, strange: [] });
        before = after;
        allowed = new Set();
      }
    }
    if (process.env['HOSTILE_REQUESTS'] !== undefined) console.log(JSON.stringify(counts));
    // A run in which everything is refused for one reason would prove nothing.
    if (end - first >= 500) {
      expect(Object.keys(counts)).toEqual(
        expect.arrayContaining(['200', '400', '401', '404', '405', '413', '415']),
      );
      expect(counts['200']).toBeGreaterThan((end - first) / 20);
    }
  },
  600_000,
);

it('The process still answers, and nothing of the victim has changed', async () => {
  expect(deaths).toEqual([]);
  expect((await call(`${stack.api}/health`)).status).toBe(200);
  const { delta } = await synced(stack, victim, { protocol: 1, deviceId: 'tablet' });
  expect(delta.documents).toMatchObject([{ scope: 'user:bob', documentId: '1', data: { mine: true } }]);
  const { results } = await synced(stack, victim, hello('2'));
  expect(results).toMatchObject([{ status: 'applied' }]);
});
