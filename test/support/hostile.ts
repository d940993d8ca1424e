import { brotliCompressSync, constants, gzipSync, zstdCompressSync } from 'node:zlib';
import type { Random } from './random.ts';
import { toBytes, type RawRequest } from './raw-http.ts';

/** What a hostile caller may know: addresses, and a token of its own. */
export interface Target {
  /** Paths with their methods, as the API describes them: `/sync/conflicts/{id}`. */
  readonly operations: readonly { readonly path: string; readonly method: string }[];
  readonly host: string;
  readonly tokens: { readonly valid: string; readonly others: readonly string[] };
}

export interface Hostile {
  readonly bytes: Buffer;
  readonly request: RawRequest;
  /** What was done to it, in order. */
  readonly changes: readonly string[];
  /** It is HTTP as far as its head goes: some answer has to come. */
  readonly isHttp: boolean;
  /** Bytes of its head were replaced: it may say something else than `request`. */
  readonly isSpoilt: boolean;
}

interface Draft {
  method: string;
  target: string;
  headers: [string, string][];
  /** A value is sent as JSON. */
  body: { readonly value: unknown } | Buffer | null;
  contentLength?: string | null;
  isHttp: boolean;
  isSpoilt: boolean;
}

/**
 * A request that begins as a good one and then has one to three things done to it. The same random numbers give the
 * same request.
 */
export function makeHostile(random: Random, target: Target): Hostile {
  const draft = goodRequest(random, target);
  const changes: string[] = [];
  for (let count = 1 + random.below(3); count > 0; count -= 1) {
    const [name, change] = random.pick(Object.entries(MUTATIONS));
    change(draft, random, target);
    changes.push(name);
  }
  const body = toBody(draft.body);
  const request: RawRequest = {
    method: draft.method,
    target: draft.target,
    headers: draft.headers,
    body,
    ...(draft.contentLength === undefined ? {} : { contentLength: draft.contentLength }),
  };
  const { isHttp, isSpoilt } = draft;
  const bytes = toBytes(request);
  return { bytes: isSpoilt ? spoilHead(bytes, random) : bytes, request, changes, isHttp, isSpoilt };
}

/** Replaces bytes of the head, and makes sure that it ends. */
function spoilHead(bytes: Buffer, random: Random): Buffer {
  const spoilt = Buffer.from(bytes);
  for (let count = random.below(6); count >= 0; count -= 1) {
    spoilt[random.below(Math.min(200, spoilt.length))] = random.below(256);
  }
  return Buffer.concat([spoilt, Buffer.from('\r\n\r\n')]);
}

function goodRequest(random: Random, { operations, host, tokens }: Target): Draft {
  // Most of what can go wrong is in a sync.
  const sync = operations.find(({ path }) => path === '/sync');
  const { path, method } = sync !== undefined && random.chance(0.7) ? sync : random.pick(operations);
  const hasBody = method === 'POST' && path === '/sync';
  return {
    method,
    target: `/api${path.replace(/\{[^}]+\}/g, () => random.pick(['1', 'c1', '~conflict:c1', 'a.b']))}`,
    headers: [
      ['Host', host],
      ['Authorization', `Bearer ${tokens.valid}`],
      ...(hasBody ? [['Content-Type', 'application/json'] satisfies [string, string]] : []),
    ],
    body: hasBody ? { value: goodSync(random) } : null,
    isHttp: true,
    isSpoilt: false,
  };
}

function goodSync(random: Random): Record<string, unknown> {
  let seq = random.below(20);
  const isNumbered = random.chance(0.6);
  return {
    protocol: 1,
    deviceId: random.pick(['h1', 'h2', 'h3']),
    ...(random.chance(0.5) ? { clientTime: '2026-11-21T10:00:00.000Z' } : {}),
    ...(random.chance(0.5) ? { collections: random.pick([['items'], [], ['items', 'visits']]) } : {}),
    ...(random.chance(0.3) ? { limit: 1 + random.below(10) } : {}),
    ...(random.chance(0.3) ? { streams: { 'user:mallory': { seq: 1 + seq, changeId: `c${seq + 1}` } } } : {}),
    ...(random.chance(0.2) ? { checkpoints: { 'user:mallory': 'WzEsIjlCbkNJ' } } : {}),
    changes: Array.from({ length: random.below(4) }, () => {
      seq += 1 + random.below(2);
      const type = random.pick(['upsert', 'upsert', 'patch', 'delete']);
      return {
        ...(isNumbered ? { seq: seq + 1, changeId: `c${seq + 1}` } : {}),
        type,
        collection: random.pick(['items', 'items', 'visits']),
        documentId: `d${random.below(10)}`,
        ...(random.chance(0.7) ? { baseVersion: random.pick([null, 'live', '1.l.mwr6ubvk.%22x%22']) } : {}),
        lastModified: '2026-11-21T10:00:00.000Z',
        ...(type === 'delete' ? {} : { data: { name: 'x', list: [1, { a: true }], n: 1.5 } }),
        ...(random.chance(0.2) ? { base: { name: 'y' } } : {}),
        ...(random.chance(0.2) ? { scope: random.pick(['user:mallory', 'facility:7']) } : {}),
        // Where the caller has no business, and nothing else is wrong with it.
        ...(random.chance(0.1)
          ? random.pick([{ scope: 'user:bob' }, { scope: 'facility:8', collection: 'visits' }])
          : {}),
      };
    }),
  };
}

/** Texts that JSON.stringify would not write, put in where the placeholder stands. */
const RAW = /"@raw:(\d+)"/g;
const RAW_TEXTS = [
  '1e400',
  '-1e400',
  '-0',
  '0.1e-400',
  '123456789012345678901234567890',
  'NaN',
  '01',
  "'x'",
  '{"__proto__":{"isAdmin":true}}',
  '{"a":1,"a":2}',
  '[1,]',
  '"\\ud800"',
  '"\u0001"',
  '"\\u0000"',
  `${'['.repeat(3000)}${']'.repeat(3000)}`,
  `${'{"a":'.repeat(3000)}1${'}'.repeat(3000)}`,
  '['.repeat(5000),
  '/* */1',
  '',
];

const VALUES: readonly ((random: Random) => unknown)[] = [
  () => null,
  () => true,
  () => 0,
  () => -1,
  () => 2 ** 53,
  () => 1.5,
  () => '',
  () => ' ',
  () => [],
  () => ({}),
  () => 'x'.repeat(70_000),
  () => '\u0000',
  () => '\u202e\ufeff\u{1f30a}',
  () => '../../etc/passwd',
  () => "' OR 1=1 --",
  () => '"} OR true',
  () => '${7*7}{{7*7}}',
  () => '__proto__',
  () => 'constructor',
  () => 'user:bob',
  () => 'facility:8',
  () => '~ledger:x',
  () => 'gateway',
  () => '9999-12-31T23:59:59.999Z',
  () => '0000-01-01T00:00:00Z',
  () => '2026-02-30T00:00:00Z',
  () => ({ constructor: { prototype: { x: 1 } }, toString: 1, then: 1, toJSON: 1 }),
  () => Array.from({ length: 1200 }, (_, index) => index),
  () => Object.fromEntries(Array.from({ length: 600 }, (_, index) => [`k${index}`, index])),
  (random) => `@raw:${random.below(RAW_TEXTS.length)}`,
  (random) => `@raw:${random.below(RAW_TEXTS.length)}`,
  (random) => random.bytes(20).toString('latin1'),
];

function toBody(body: Draft['body']): Buffer | null {
  if (body === null || Buffer.isBuffer(body)) return body;
  const text = JSON.stringify(body.value) as string | undefined;
  return Buffer.from((text ?? '').replace(RAW, (_, index: string) => RAW_TEXTS[Number(index)] ?? ''));
}

/** Places in a value, each with the object or list that holds it. */
function placesIn(value: unknown): { readonly holder: Record<string, unknown>; readonly key: string }[] {
  if (typeof value !== 'object' || value === null) return [];
  const holder = value as Record<string, unknown>;
  return Object.keys(holder).flatMap((key) => [{ holder, key }, ...placesIn(holder[key])]);
}

/** Where the body is a value: changes it in one place. Otherwise sends an odd value. */
function changeValue(
  draft: Draft,
  random: Random,
  change: (holder: Record<string, unknown>, key: string) => void,
): void {
  if (draft.body === null || Buffer.isBuffer(draft.body)) {
    draft.body = { value: random.pick(VALUES)(random) };
    return;
  }
  const places = placesIn(draft.body.value);
  if (places.length === 0) return;
  const { holder, key } = random.pick(places);
  change(holder, key);
}

/** Sets a property as JSON.parse would, also one that is named `__proto__`. */
const put = (holder: Record<string, unknown>, name: string, value: unknown): void => {
  Object.defineProperty(holder, name, { value, enumerable: true, configurable: true, writable: true });
};

const bodyOf = (draft: Draft): Buffer => toBody(draft.body) ?? Buffer.alloc(0);

const setHeader = (draft: Draft, name: string, value: string): void => {
  draft.headers = [
    ...draft.headers.filter(([other]) => other.toLowerCase() !== name.toLowerCase()),
    [name, value],
  ];
};

const latin1 = (random: Random, length: number): string =>
  random
    .bytes(length)
    .toString('latin1')
    .replace(/[^\t -~\x80-\xff]/g, '?');

const BROTLI = { params: { [constants.BROTLI_PARAM_QUALITY]: 4 } };
const SPACES = Buffer.alloc(40_000_000, ' ');
/** Small bodies that unpack to 40 MB. Made once: that takes a while. */
const BOMBS: Readonly<Record<string, Buffer>> = {
  gzip: gzipSync(SPACES),
  br: brotliCompressSync(SPACES, BROTLI),
  zstd: zstdCompressSync(SPACES),
};
const ENCODERS: Readonly<Record<string, (content: Buffer) => Buffer>> = {
  gzip: (content) => gzipSync(content),
  br: (content) => brotliCompressSync(content, BROTLI),
  zstd: (content) => zstdCompressSync(content),
};

type Mutation = (draft: Draft, random: Random, target: Target) => void;

const MUTATIONS: Readonly<Record<string, Mutation>> = {
  // Types and structure
  'another value': (draft, random) =>
    changeValue(draft, random, (holder, key) => put(holder, key, random.pick(VALUES)(random))),
  'another value again': (draft, random) =>
    changeValue(draft, random, (holder, key) => put(holder, key, random.pick(VALUES)(random))),
  'a property less': (draft, random) =>
    changeValue(draft, random, (holder, key) => Reflect.deleteProperty(holder, key)),
  'a property more': (draft, random) =>
    changeValue(draft, random, (holder) => {
      const name = random.pick(['x', 'userId', 'transaction', 'seq', 'scopes', '~', 'a/b', 'x'.repeat(500)]);
      put(holder, name, random.pick(VALUES)(random));
    }),
  'a property __proto__': (draft, random) =>
    changeValue(draft, random, (holder, key) => {
      put(holder, '__proto__', random.pick(VALUES)(random));
      if (random.chance(0.5)) Reflect.deleteProperty(holder, key);
    }),
  'a value twice': (draft, random) =>
    changeValue(draft, random, (holder, key) => {
      put(holder, random.pick(Object.keys(holder)), holder[key]);
    }),
  'many changes': (draft, random) => {
    if (draft.body === null || Buffer.isBuffer(draft.body)) return;
    const { value } = draft.body;
    if (typeof value !== 'object' || value === null) return;
    const change = {
      type: 'delete',
      collection: 'items',
      documentId: 'd1',
      lastModified: '2026-11-21T10:00:00Z',
    };
    Object.assign(value, { changes: Array(random.pick([90, 200, 1001])).fill(change) });
  },

  // Bytes
  'bits flipped': (draft, random) => {
    const bytes = bodyOf(draft);
    for (let count = random.below(8); count >= 0 && bytes.length > 0; count -= 1) {
      const at = random.below(bytes.length);
      bytes[at] = (bytes[at] ?? 0) ^ (1 << random.below(8));
    }
    draft.body = bytes;
  },
  'bytes cut off': (draft, random) => {
    const bytes = bodyOf(draft);
    draft.body = bytes.subarray(0, random.below(bytes.length + 1));
  },
  'bytes put in': (draft, random) => {
    const bytes = bodyOf(draft);
    const at = random.below(bytes.length + 1);
    const more = random.chance(0.5)
      ? random.bytes(1 + random.below(30))
      : bytes.subarray(0, random.below(200));
    draft.body = Buffer.concat([bytes.subarray(0, at), more, bytes.subarray(at)]);
  },
  'nothing but noise': (draft, random) => {
    draft.body = random.bytes(random.below(300));
  },
  'another charset': (draft, random) => {
    draft.body = Buffer.from(bodyOf(draft).toString(), random.pick(['utf16le', 'latin1', 'base64']));
  },

  // Sizes
  'a large body': (draft, random) => {
    const filling = random.pick(['{"a":0},', '[[', '"', 'x', '\\', '9']);
    draft.body = Buffer.from(
      `{"protocol":1,"deviceId":"h1","changes":[${filling.repeat(random.below(40_000))}`,
    );
  },
  'a body over the limit': (draft, random) => {
    if (random.chance(0.9)) return;
    draft.body = Buffer.alloc(8_000_001 + random.below(1000), random.pick([' ', '[', '{', '"']));
  },
  'a length that is not true': (draft, random) => {
    // Longer than what comes: the other side would wait for the rest, as it should.
    draft.contentLength = random.pick(['0', '1', '-1', '1e3', '0x10', '', 'many', '1,1', '104857601', null]);
    draft.isHttp = false;
  },

  // Encodings
  'an encoding': (draft, random) => {
    const [name, encode] = random.pick(Object.entries(ENCODERS));
    draft.body = encode(bodyOf(draft));
    setHeader(draft, 'Content-Encoding', random.chance(0.8) ? name : random.pick(Object.keys(ENCODERS)));
  },
  'an encoding in name only': (draft, random) =>
    setHeader(
      draft,
      'Content-Encoding',
      random.pick([
        'gzip',
        'br',
        'zstd',
        'deflate',
        'gzip, gzip',
        'compress',
        '__proto__',
        '',
        latin1(random, 9),
      ]),
    ),
  'a bomb': (draft, random) => {
    const [name, bomb] = random.pick(Object.entries(BOMBS));
    draft.body = bomb;
    setHeader(draft, 'Content-Encoding', name);
  },
  chunks: (draft, random) => {
    const bytes = bodyOf(draft);
    const chunk = Buffer.concat([
      Buffer.from(`${bytes.length.toString(16)}\r\n`),
      bytes,
      Buffer.from('\r\n'),
    ]);
    draft.body = random.chance(0.8)
      ? Buffer.concat([chunk, Buffer.from('0\r\n\r\n')])
      : Buffer.from('zz\r\n');
    draft.contentLength = null;
    setHeader(draft, 'Transfer-Encoding', random.pick(['chunked', 'chunked', 'gzip, chunked', 'identity']));
    draft.isHttp = false;
  },

  // Headers
  'another type': (draft, random) =>
    setHeader(
      draft,
      'Content-Type',
      random.pick([
        'text/plain',
        'application/x-www-form-urlencoded',
        'multipart/form-data',
        'application/json;charset=utf-16',
        'application/',
        '*/*',
        latin1(random, 12),
        'application/json'.repeat(200),
      ]),
    ),
  'another token': (draft, random, { tokens }) =>
    setHeader(
      draft,
      'Authorization',
      random.pick([
        '',
        'Bearer',
        'Bearer ',
        `bearer  ${tokens.valid}`,
        `Basic ${tokens.valid}`,
        `Bearer ${tokens.valid} ${tokens.valid}`,
        `Bearer ${tokens.valid.split('.').reverse().join('.')}`,
        `Bearer ${tokens.valid.slice(0, random.below(tokens.valid.length))}`,
        `Bearer ${spoil(tokens.valid, random)}`,
        `Bearer ${latin1(random, 40)}`,
        `Bearer ${'a.'.repeat(4000)}`,
        ...tokens.others.map((token) => `Bearer ${token}`),
      ]),
    ),
  'no token': (draft) => {
    draft.headers = draft.headers.filter(([name]) => name !== 'Authorization');
  },
  'odd headers': (draft, random) => {
    for (let count = 1 + random.below(5); count > 0; count -= 1) {
      const name = random.pick([
        'Accept-Encoding',
        'If-None-Match',
        'X-Request-Id',
        'Origin',
        'Accept',
        'Cookie',
        'Range',
        'traceparent',
        'X-HTTP-Method-Override',
        'X-Forwarded-For',
        'x-ms-client-principal',
        'If-Match',
        'Expect',
        'Access-Control-Request-Method',
        '__proto__',
      ]);
      const value = random.pick([
        '*',
        '',
        ',,,;q=',
        'gzip;q=0.1, *;q=0',
        'null',
        '"',
        '100-continue',
        'DELETE',
        'W/"x", *',
        latin1(random, 30),
        'a'.repeat(3000),
        'gzip,'.repeat(400),
        '\u00ff'.repeat(20),
      ]);
      draft.headers.push([name, value]);
      // The host's web server answers 417 to an expectation that it does not know, or closes.
      if (name === 'Expect') draft.isHttp = false;
    }
  },
  'a header twice': (draft, random) => {
    draft.headers.push(random.pick(draft.headers));
    draft.isHttp = false;
  },
  'huge headers': (draft, random) => {
    draft.headers.push(['X-Large', 'x'.repeat(random.pick([8_000, 30_000, 40_000]))]);
    draft.isHttp = false;
  },
  'a spoilt head': (draft) => {
    draft.isHttp = false;
    draft.isSpoilt = true;
  },

  // Methods and paths
  'another method': (draft, random) => {
    draft.method = random.pick([
      'GET',
      'HEAD',
      'POST',
      'PUT',
      'PATCH',
      'DELETE',
      'OPTIONS',
      'TRACE',
      'PROPFIND',
      'get',
      'SYNC',
      'CONNECT',
    ]);
    if (['get', 'SYNC', 'CONNECT'].includes(draft.method)) draft.isHttp = false;
  },
  'another path': (draft, random) => {
    draft.target = random.pick([
      '/',
      '/api',
      '/api/',
      '/api//sync',
      '/api/sync/',
      '/API/SYNC',
      '/api/%73ync',
      '/api/sync%00',
      '/api/sync%2f..%2fhealth',
      '/api/../api/sync',
      '/api/sync/conflicts/%7econflict:c1/restore',
      '/api/openapi.json/../../admin',
      '/admin/host/status',
      '/runtime/webhooks/x',
      `/api/${'a/'.repeat(500)}`,
      `/api/${'%41'.repeat(2000)}`,
      '/api/%',
      '/api/%ff%fe',
      '/api/{id}',
      '/api/constructor',
      '/api/__proto__',
      `/api/${encodeURIComponent(latin1(random, 12))}`,
    ]);
  },
  'an odd query': (draft, random) => {
    const names = [
      'limit',
      'cursor',
      'continuation',
      'user',
      'scope',
      'from',
      'to',
      'since',
      '__proto__',
      'code',
      'a[b]',
    ];
    const values = [
      '',
      '-1',
      '1e9',
      'NaN',
      '%00',
      '%ff',
      'user:bob',
      '%7B%22a%22:1%7D',
      'x'.repeat(2000),
      '*',
      '..',
      'null',
    ];
    const pairs = Array.from(
      { length: 1 + random.below(4) },
      () => `${random.pick(names)}=${random.pick(values)}`,
    );
    draft.target += `?${pairs.join(random.pick(['&', '&&', ';', '?']))}`;
  },
};

/** A token with one character of it replaced. */
function spoil(token: string, random: Random): string {
  const at = random.below(token.length);
  const other = random.pick('AZaz09-_.='.split('').filter((character) => character !== token[at]));
  return token.slice(0, at) + other + token.slice(at + 1);
}
