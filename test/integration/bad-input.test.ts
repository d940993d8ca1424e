import { brotliCompressSync, constants, gzipSync, zstdCompressSync } from 'node:zlib';
import { startStack, type Stack } from '../../local/stack.ts';
import { ERRORS, type ErrorCode, type SyncResponse } from '../../shared/protocol/index.ts';
import { call, changedItems, Database, expectProblem, postSync, synced } from '../support/api.ts';
import type { Answer, StoredItem } from '../support/api.ts';

const ALICE = 'user:alice';
const MAX_BODY = 8_000_000;

let stack: Stack;
let database: Database;
let alice: string;
/** What is stored before each test. */
let before: ReadonlyMap<string, StoredItem>;

beforeAll(async () => {
  stack = await startStack({ quiet: true, settings: { RATE_LIMIT_PER_SECOND: '0' } });
  database = new Database(stack);
  alice = await stack.issuerHandle.token({ sub: 'alice', facilities: ['12'] });
  const bob = await stack.issuerHandle.token({ sub: 'bob', facilities: ['13'] });
  await synced(stack, alice, envelope([change('seed')], { deviceId: 'seed' }));
  await synced(stack, bob, envelope([change('seed')], { deviceId: 'seed', streams: { 'user:bob': null } }));
}, 30_000);
afterAll(async () => {
  database.dispose();
  await stack.dispose();
});
/** Did the last test end with a look at the store? Then the next one need not begin with one. */
let looked = false;
beforeEach(async () => {
  if (!looked) before = await database.snapshot();
  looked = false;
});

const stored = async () => {
  const after = await database.snapshot();
  const changed = changedItems(before, after);
  before = after;
  looked = true;
  return changed;
};
const nothingWritten = async () => expect(await stored()).toEqual([]);

/** A valid change; without a number unless the fields give it one. */
function change(documentId: string, fields: Record<string, unknown> = {}): Record<string, unknown> {
  const { type = 'upsert' } = fields;
  return {
    type,
    collection: 'items',
    documentId,
    baseVersion: null,
    lastModified: '2026-11-21T10:00:00.000Z',
    ...(type === 'delete' ? {} : { data: { name: documentId } }),
    ...fields,
  };
}

/** A valid request, whose one change would be stored. */
const envelope = (
  changes: unknown[] = [change('wanted', { seq: 1, changeId: 'c1' })],
  fields: Record<string, unknown> = {},
) => ({
  protocol: 1,
  deviceId: 'phone',
  clientTime: '2026-11-21T10:00:00.000Z',
  streams: { [ALICE]: null },
  changes,
  ...fields,
});

/** JSON text in which `"RAW"` is replaced by text that JSON.stringify would not write. */
const withRaw = (value: unknown, raw: string) => JSON.stringify(value).replace('"RAW"', () => raw);
const own = (json: string): unknown => JSON.parse(json);
const nested = (levels: number, open = '{"a":', close = '}') =>
  `${open.repeat(levels)}1${close.repeat(levels)}`;

const expectRefused = async (answer: Answer, status: number, code: ErrorCode) => {
  expectProblem(answer, status, code);
  await nothingWritten();
};

describe('A body that is no sync request is refused, and nothing is written', () => {
  it.each<[string, string | Uint8Array | undefined, number, ErrorCode, Record<string, string>?]>([
    ['no body', undefined, 400, 'empty_body'],
    ['an empty body', '', 400, 'empty_body'],
    ['whitespace', ' \r\n\t ', 400, 'empty_body'],
    ['not JSON', 'protocol=1&deviceId=phone', 400, 'invalid_json'],
    ['JSON cut off', JSON.stringify(envelope()).slice(0, -2), 400, 'invalid_json'],
    ['two JSON values', '{}{}', 400, 'invalid_json'],
    ['a control character in a text', '{"protocol":1,"deviceId":"a\u0001"}', 400, 'invalid_json'],
    ['NaN', '{"protocol":NaN}', 400, 'invalid_json'],
    ['an array', '[]', 400, 'invalid_request'],
    ['an array with a request in it', JSON.stringify([envelope()]), 400, 'invalid_request'],
    ['a text', '"hello"', 400, 'invalid_request'],
    ['null', 'null', 400, 'invalid_request'],
    ['true', 'true', 400, 'invalid_request'],
    ['a number', '1', 400, 'invalid_request'],
    ['an empty object', '{}', 400, 'invalid_request'],
    ['100,000 nested arrays', nested(100_000, '[', ']'), 400, 'invalid_request'],
    ['100,000 arrays that never end', '['.repeat(100_000), 400, 'invalid_json'],
    ['invalid UTF-8', Buffer.from('7b22e228a1227d', 'hex'), 400, 'invalid_json'],
    ['UTF-16', Buffer.from(JSON.stringify(envelope()), 'utf16le'), 400, 'invalid_json'],
    ['Latin-1', Buffer.from('{"protocol":1,"deviceId":"\u00e9"}', 'latin1'), 400, 'invalid_json'],
    ['a body over the limit', `{"a":"${'x'.repeat(MAX_BODY)}"}`, 413, 'body_too_large'],
    [
      'a form',
      'protocol=1',
      415,
      'unsupported_media_type',
      { 'content-type': 'application/x-www-form-urlencoded' },
    ],
    ['plain text', '{}', 415, 'unsupported_media_type', { 'content-type': 'text/plain' }],
    ['text/json', '{}', 415, 'unsupported_media_type', { 'content-type': 'text/json' }],
    ['a near miss', '{}', 415, 'unsupported_media_type', { 'content-type': 'application/jsonp' }],
    [
      'a lengthy type',
      '{}',
      415,
      'unsupported_media_type',
      { 'content-type': `application/${'a'.repeat(8000)}` },
    ],
    ['an empty type', '{}', 415, 'unsupported_media_type', { 'content-type': '' }],
    ['deflate', '{}', 415, 'unsupported_encoding', { 'content-encoding': 'deflate' }],
    ['a made-up encoding', '{}', 415, 'unsupported_encoding', { 'content-encoding': 'constructor' }],
    ['two encodings', '{}', 415, 'unsupported_encoding', { 'content-encoding': 'gzip, br' }],
  ])('%s', async (_name, body, status, code, headers = {}) => {
    await expectRefused(await postSync(stack, alice, body, headers), status, code);
  });

  it('a body in chunks, which Azure Functions drops', async () => {
    const stream = new Blob([JSON.stringify(envelope())]).stream();
    const answer = await call(`${stack.api}/sync`, {
      method: 'POST',
      headers: { authorization: `Bearer ${alice}`, 'content-type': 'application/json' },
      body: stream,
      duplex: 'half',
    });
    await expectRefused(answer, 400, 'empty_body');
  });

  it.each(['application/json; charset=utf-8', 'APPLICATION/JSON', 'application/vnd.tidemark+json'])(
    'but %s is JSON',
    async (type) => {
      const answer = await postSync(stack, alice, envelope([]), { 'content-type': type });
      expect(answer.status).toBe(200);
    },
  );

  it.each(['GET', 'PUT', 'PATCH', 'DELETE'])('%s is no way to sync', async (method) => {
    const answer = await call(`${stack.api}/sync`, { method, headers: { authorization: `Bearer ${alice}` } });
    await expectRefused(answer, 405, 'method_not_allowed');
    expect(answer.headers.get('allow')).toBe('POST, OPTIONS');
  });
});

describe('A compressed body', () => {
  const CODECS: [string, (content: Uint8Array) => Buffer][] = [
    ['gzip', (content) => gzipSync(content)],
    ['br', (content) => brotliCompressSync(content, { params: { [constants.BROTLI_PARAM_QUALITY]: 4 } })],
    ['zstd', (content) => zstdCompressSync(content)],
  ];
  const content = Buffer.from(JSON.stringify(envelope()));

  it.each(CODECS)('%s is taken when it is whole', async (encoding, compress) => {
    const body = compress(Buffer.from(JSON.stringify(envelope([], { limit: 1 }))));
    expect((await postSync(stack, alice, body, { 'content-encoding': encoding })).status).toBe(200);
  });

  it.each(CODECS)('%s is named in capitals as well', async (encoding, compress) => {
    const body = compress(Buffer.from(JSON.stringify(envelope([]))));
    const headers = { 'content-encoding': encoding.toUpperCase() };
    expect((await postSync(stack, alice, body, headers)).status).toBe(200);
  });

  it.each(CODECS)('%s is refused when it is cut off', async (encoding, compress) => {
    const body = compress(content).subarray(0, -6);
    // Node's zstd ends without an error where the only block is not complete: nothing has come out of it.
    await expectRefused(
      await postSync(stack, alice, body, { 'content-encoding': encoding }),
      400,
      encoding === 'zstd' ? 'empty_body' : 'invalid_json',
    );
  });

  it.each(CODECS)('%s is refused when it is corrupt', async (encoding, compress) => {
    const body = Buffer.from(compress(content));
    for (let index = 4; index < body.length; index += 3) body[index]! ^= 0xff;
    await expectRefused(
      await postSync(stack, alice, body, { 'content-encoding': encoding }),
      400,
      'invalid_json',
    );
  });

  it.each(CODECS)('%s is refused when it is something else', async (encoding) => {
    await expectRefused(
      await postSync(stack, alice, content, { 'content-encoding': encoding }),
      400,
      'invalid_json',
    );
  });

  it.each(CODECS)('%s is refused when it is empty', async (encoding) => {
    const answer = await postSync(stack, alice, '', { 'content-encoding': encoding });
    await expectRefused(answer, 400, 'empty_body');
  });

  it.each(CODECS)('%s that unpacks to more than the limit is refused', async (encoding, compress) => {
    const bomb = compress(Buffer.alloc(200_000_000, ' '));
    expect(bomb.length).toBeLessThan(1_000_000);
    await expectRefused(
      await postSync(stack, alice, bomb, { 'content-encoding': encoding }),
      413,
      'body_too_large',
    );
  });
});

describe('A request whose envelope is wrong is refused whole, and nothing is written', () => {
  const position = { seq: 1, changeId: 'c1' };
  const numbered = (...seqs: unknown[]) =>
    seqs.map((seq, index) => change(`d${index}`, { seq, changeId: `c${index}` }));

  it.each<[string, Record<string, unknown> | string, number, ErrorCode, string?]>([
    ['no protocol', { protocol: undefined }, 400, 'invalid_request', '/protocol'],
    ['protocol 0', { protocol: 0 }, 400, 'unsupported_protocol', '/protocol'],
    ['protocol 2', { protocol: 2 }, 400, 'unsupported_protocol', '/protocol'],
    ['protocol "1"', { protocol: '1' }, 400, 'unsupported_protocol', '/protocol'],
    ['protocol null', { protocol: null }, 400, 'unsupported_protocol', '/protocol'],
    ['protocol 1.5', { protocol: 1.5 }, 400, 'unsupported_protocol', '/protocol'],
    ['another protocol with fields of its own', { protocol: 2, x: 1 }, 400, 'unsupported_protocol'],
    ['no device', { deviceId: undefined }, 400, 'invalid_request', '/deviceId'],
    ['an empty device', { deviceId: '' }, 400, 'invalid_request', '/deviceId'],
    ['a device named gateway', { deviceId: 'gateway' }, 400, 'invalid_request', '/deviceId'],
    ['a device with a space', { deviceId: 'my phone' }, 400, 'invalid_request', '/deviceId'],
    ['a device with a dot', { deviceId: 'a.b' }, 400, 'invalid_request', '/deviceId'],
    ['a device with a line feed', { deviceId: 'phone\n' }, 400, 'invalid_request', '/deviceId'],
    ['a device of 65 characters', { deviceId: 'a'.repeat(65) }, 400, 'invalid_request', '/deviceId'],
    ['a device that is a number', { deviceId: 7 }, 400, 'invalid_request', '/deviceId'],
    ['another user', { userId: 'bob' }, 403, 'user_mismatch'],
    ['the user in other case', { userId: 'Alice' }, 403, 'user_mismatch'],
    ['no user', { userId: '' }, 403, 'user_mismatch'],
    ['a user that is null', { userId: null }, 400, 'invalid_request', '/userId'],
    ['a user of 401 characters', { userId: 'a'.repeat(401) }, 400, 'invalid_request', '/userId'],
    ['a clock that is no date', { clientTime: 'noon' }, 400, 'invalid_request', '/clientTime'],
    ['a clock on 30 February', { clientTime: '2026-02-30T00:00:00Z' }, 400, 'invalid_request', '/clientTime'],
    ['a clock that is a number', { clientTime: 1_700_000_000 }, 400, 'invalid_request', '/clientTime'],
    [
      'an unknown collection',
      { collections: ['items', 'nothing'] },
      400,
      'unknown_collection',
      '/collections',
    ],
    ['the collection __proto__', { collections: ['__proto__'] }, 400, 'invalid_request', '/collections/0'],
    ['the collection constructor', { collections: ['constructor'] }, 400, 'unknown_collection'],
    ['a collection twice', { collections: ['items', 'items'] }, 400, 'invalid_request', '/collections'],
    ['a collection that is a number', { collections: [1] }, 400, 'invalid_request', '/collections/0'],
    [
      '101 collections',
      { collections: Array.from({ length: 101 }, (_, i) => `c${i}`) },
      400,
      'invalid_request',
    ],
    ['limit 0', { limit: 0 }, 400, 'invalid_request', '/limit'],
    ['limit -1', { limit: -1 }, 400, 'invalid_request', '/limit'],
    ['limit 1e9', { limit: 1e9 }, 400, 'invalid_request', '/limit'],
    ['limit 1.5', { limit: 1.5 }, 400, 'invalid_request', '/limit'],
    ['limit "10"', { limit: '10' }, 400, 'invalid_request', '/limit'],
    [
      'limit 1e400',
      withRaw(envelope(undefined, { limit: 'RAW' }), '1e400'),
      400,
      'invalid_request',
      '/limit',
    ],
    ['changes that are an object', { changes: { 0: change('a') } }, 400, 'invalid_request', '/changes'],
    ['changes that are null', { changes: null }, 400, 'invalid_request', '/changes'],
    ['1,001 changes', { changes: Array(1001).fill(change('a')) }, 413, 'too_many_changes', '/changes'],
    ['1,001 changes that are none', { changes: Array(1001).fill(null) }, 413, 'too_many_changes', '/changes'],
    ['a checkpoint that is a number', { checkpoints: { [ALICE]: 1 } }, 400, 'invalid_request'],
    ['a huge checkpoint', { checkpoints: { [ALICE]: 'a'.repeat(16_385) } }, 400, 'invalid_request'],
    [
      'a checkpoint of no scope',
      { checkpoints: { alice: 'x' } },
      400,
      'invalid_request',
      '/checkpoints/alice',
    ],
    [
      'a checkpoint of __proto__',
      { checkpoints: own('{"__proto__":"x"}') },
      400,
      'invalid_request',
      '/checkpoints/__proto__',
    ],
    ['streams that are a list', { streams: [position] }, 400, 'invalid_request', '/streams'],
    ['a stream of no scope', { streams: { 'a/b': position } }, 400, 'invalid_request', '/streams/a~1b'],
    ['a stream of __proto__', { streams: own('{"__proto__":null}') }, 400, 'invalid_request'],
    ['a claim without changeId', { streams: { [ALICE]: { seq: 1 } } }, 400, 'invalid_request'],
    ['a claim with seq 0', { streams: { [ALICE]: { seq: 0, changeId: 'c' } } }, 400, 'invalid_request'],
    ['a claim that is a text', { streams: { [ALICE]: '1' } }, 400, 'invalid_request'],
    ['a claim with more in it', { streams: { [ALICE]: { ...position, a: 1 } } }, 400, 'invalid_request'],
    [
      'a claim that would end the condition it goes into',
      { streams: { [ALICE]: { seq: 1, changeId: 'c" OR true OR c.x = "' } } },
      400,
      'invalid_request',
    ],
    ['an unknown property', { compress: true }, 400, 'invalid_request', '/compress'],
    [
      'a property __proto__',
      { ...(own('{"__proto__":{"a":1}}') as object) },
      400,
      'invalid_request',
      '/__proto__',
    ],
    ['a property of 100,000 characters', { ['x'.repeat(100_000)]: 1 }, 400, 'invalid_request'],
    ['numbers that fall', { changes: numbered(2, 1) }, 400, 'stream_out_of_order', '/changes/1/seq'],
    ['a number twice', { changes: numbered(1, 1) }, 400, 'stream_out_of_order', '/changes/1/seq'],
    [
      'a number at the claim',
      { changes: numbered(1), streams: { [ALICE]: position } },
      400,
      'stream_out_of_order',
    ],
    [
      'a number below the claim',
      { changes: numbered(3), streams: { [ALICE]: { seq: 9, changeId: 'c9' } } },
      400,
      'stream_out_of_order',
    ],
    [
      'numbers that fall where one of the changes is invalid',
      { changes: [...numbered(2), change('x', { seq: 1, changeId: 'x', lastModified: 'never' })] },
      400,
      'stream_out_of_order',
    ],
  ])('%s', async (_name, wrong, status, code, ...[pointer]) => {
    const body = typeof wrong === 'string' ? wrong : withProperties(envelope(), wrong);
    const answer = await postSync(stack, alice, body);
    await expectRefused(answer, status, code);
    if (pointer !== undefined) expect(answer.body['pointer']).toBe(pointer);
    // What is refused may be quoted, but an answer is never much longer than that.
    expect(answer.text.length).toBeLessThan(2_000);
  });

  /** Spreading would lose a property that is named `__proto__`. */
  function withProperties(request: object, properties: Record<string, unknown>): object {
    const merged = { ...request };
    for (const [name, value] of Object.entries(properties)) {
      Object.defineProperty(merged, name, { value, enumerable: true, configurable: true });
    }
    return merged;
  }

  it('the last of two equal keys counts, also where the first one would have been valid', async () => {
    const text = JSON.stringify(envelope()).replace('{', '{"deviceId":"tablet",');
    await expectRefused(
      await postSync(stack, alice, text.replace('"deviceId":"phone"', '"deviceId":"gateway"')),
      400,
      'invalid_request',
    );
  });
});

it('a body sent in chunks does not arrive in Azure Functions, and the answer says so', async () => {
  const body = new Blob([JSON.stringify(envelope())]).stream();
  const answer = await call(`${stack.api}/sync`, {
    method: 'POST',
    headers: { authorization: `Bearer ${alice}`, 'content-type': 'application/json' },
    body,
    duplex: 'half',
  });
  await expectRefused(answer, 400, 'empty_body');
  expect(answer.body['detail']).toContain('Content-Length');
});

describe('A change that is wrong is rejected alone: its neighbours are stored', () => {
  let devices = 0;

  /** Sends a change between two good ones, from a device of its own, as a text in which `"RAW"` is replaced. */
  async function sendBetween(bad: unknown, raw = '') {
    const deviceId = `device-${(devices += 1)}`;
    const good = (seq: number) => change(`${deviceId}-${seq}`, { seq, changeId: `${deviceId}.${seq}` });
    const numbered =
      typeof bad === 'object' && bad !== null && !Array.isArray(bad)
        ? { changeId: `${deviceId}.2`, seq: 2, ...bad }
        : bad;
    const answer = await postSync(
      stack,
      alice,
      withRaw(envelope([good(1), numbered, good(3)], { deviceId, collections: [] }), raw),
    );
    expect(answer.status).toBe(200);
    const { results } = answer.body as unknown as SyncResponse;
    const changed = (await stored()).map((key) => key.replace(/~ledger:[\w-]{16}/, '~ledger:'));
    return {
      results,
      changed: changed.sort(),
      neighbours: [
        `${ALICE} items:${deviceId}-1`,
        `${ALICE} items:${deviceId}-3`,
        `${ALICE} ~ledger:.${deviceId}`,
      ],
    };
  }

  const proto = (content: string) => own(`{"a":1,"__proto__":${content}}`);
  const large = 'x'.repeat(3_000_000);
  const bytes = (size: number) => ({ t: 'x'.repeat(size - '{"t":""}'.length) });
  const id = (documentId: unknown) => change('x', { documentId });
  const at = (lastModified: unknown) => change('dated', { lastModified });

  it.each<[string, unknown, ErrorCode, (string | undefined)?, string?]>([
    ['null', null, 'invalid_change'],
    ['a text', 'upsert', 'invalid_change'],
    ['a list', [change('x')], 'invalid_change'],
    ['an empty object', {}, 'invalid_change', '/type'],
    ['another type', { ...change('x'), type: 'insert' }, 'invalid_change', '/type'],
    ['the type constructor', { ...change('x'), type: 'constructor' }, 'invalid_change', '/type'],
    ['an unknown property', change('x', { userId: 'alice' }), 'invalid_change', '/userId'],
    ['an upsert without data', change('x', { data: undefined }), 'invalid_change', '/data'],
    ['data that is a list', change('x', { data: [1] }), 'invalid_change', '/data'],
    ['data that is null', change('x', { data: null }), 'invalid_change', '/data'],
    ['data that is a text', change('x', { data: '{}' }), 'invalid_change', '/data'],
    ['a delete with data', change('x', { type: 'delete', data: {} }), 'invalid_change', '/data'],
    ['a base that is a list', change('x', { base: [] }), 'invalid_change', '/base'],
    ['a base version that is a number', change('x', { baseVersion: 7 }), 'invalid_change', '/baseVersion'],
    ['a base version of 401 characters', change('x', { baseVersion: 'a'.repeat(401) }), 'invalid_change'],
    ['an empty transaction', change('x', { transaction: '' }), 'invalid_change', '/transaction'],

    ['no collection', change('x', { collection: undefined }), 'invalid_change', '/collection'],
    ['an unknown collection', change('x', { collection: 'nothing' }), 'collection_unknown', '/collection'],
    ['the collection toString', change('x', { collection: 'toString' }), 'collection_unknown'],
    ['the collection __proto__', change('x', { collection: '__proto__' }), 'invalid_change', '/collection'],
    ['a collection with a colon', change('x', { collection: 'items:a' }), 'invalid_change', '/collection'],

    ['no id', id(undefined), 'invalid_id', '/documentId'],
    ['an empty id', id(''), 'invalid_id', '/documentId'],
    ['an id of 251 characters', id('a'.repeat(251)), 'invalid_id', '/documentId'],
    ['an id of 100,000 characters', id('a'.repeat(100_000)), 'invalid_id', '/documentId'],
    ['an id that is a number', id(7), 'invalid_id', '/documentId'],
    ...[
      '/',
      '\\',
      '?',
      '#',
      '\u0000',
      '\n',
      '\u001f',
      '\u007f',
      '\u0085',
      '\ud800',
      '\udc00',
      '\udc00\ud800',
    ].map((text): [string, unknown, ErrorCode, string] => [
      `an id with ${JSON.stringify(text)}`,
      id(`a${text}b`),
      'invalid_id',
      '/documentId',
    ]),

    ...[
      'yesterday',
      '',
      ' ',
      '2026',
      '2026-11-21',
      '2026-11-21T10:00:00',
      '2026-11-21 10:00:00Z',
      '2026-02-30T10:00:00Z',
      '2027-02-29T10:00:00Z',
      '2026-13-01T10:00:00Z',
      '2026-00-10T10:00:00Z',
      '2026-11-00T10:00:00Z',
      '2026-11-21T24:00:00Z',
      '2026-11-21T24:61:00Z',
      '2026-11-21T10:60:00Z',
      '2026-11-21T10:00:61Z',
      '2026-11-21T10:00:00+99:99',
      '2026-11-21T10:00:00+24:00',
      '2026-11-21T10:00:00.Z',
      '2026-11-21T10:00:00Z\n',
      '+002026-11-21T10:00:00Z',
      '12026-11-21T10:00:00Z',
      'Sat, 21 Nov 2026 10:00:00 GMT',
      '\u0662\u0660\u0662\u0666-11-21T10:00:00Z',
      1_763_719_200_000,
      null,
      {},
    ].map((date): [string, unknown, ErrorCode, string] => [
      `the date ${JSON.stringify(date)}`,
      at(date),
      'invalid_date',
      '/lastModified',
    ]),

    ['a seq of 0', change('x', { seq: 0 }), 'invalid_change', '/seq'],
    ['a negative seq', change('x', { seq: -1 }), 'invalid_change', '/seq'],
    ['a fractional seq', change('x', { seq: 1.5 }), 'invalid_change', '/seq'],
    ['a seq of 2^53', change('x', { seq: 2 ** 53 }), 'invalid_change', '/seq'],
    ['a seq of 1e400', change('x', { seq: 'RAW' }), 'invalid_change', '/seq', '1e400'],
    ['a seq that is a text', change('x', { seq: '2' }), 'invalid_change', '/seq'],
    ['a seq without changeId', change('x', { changeId: undefined }), 'invalid_change', '/changeId'],
    ['an empty changeId', change('x', { changeId: '' }), 'invalid_change', '/changeId'],
    ['a changeId with a quote', change('x', { changeId: 'a"b' }), 'invalid_change', '/changeId'],
    ['a changeId with a slash', change('x', { changeId: 'a/b' }), 'invalid_change', '/changeId'],
    ['a changeId of 65 characters', change('x', { changeId: 'a'.repeat(65) }), 'invalid_change'],

    ['the scope of another user', change('x', { scope: 'user:bob' }), 'scope_forbidden', '/scope'],
    [
      'a shared scope of others',
      change('x', { scope: 'facility:13', collection: 'visits' }),
      'scope_forbidden',
    ],
    [
      'a shared scope for private things',
      change('x', { scope: 'facility:12' }),
      'collection_out_of_scope',
      '/collection',
    ],
    [
      'a document that breaks a rule of the application',
      change('x', {
        scope: 'facility:12',
        collection: 'visits',
        data: { from: '2026-11-22', to: '2026-11-21' },
      }),
      'rule_violation',
      '/data/to',
    ],
    [
      'the own scope for shared things',
      change('x', { collection: 'visits' }),
      'collection_out_of_scope',
      '/collection',
    ],
    ['a scope of an unknown kind', change('x', { scope: 'team:12' }), 'scope_forbidden', '/scope'],
    ['a scope that is none', change('x', { scope: 'alice' }), 'invalid_change', '/scope'],
    ['an empty scope', change('x', { scope: '' }), 'invalid_change', '/scope'],
    ['a scope with a slash', change('x', { scope: 'user:a/b' }), 'invalid_change', '/scope'],
    ['a scope that is a list', change('x', { scope: [ALICE] }), 'invalid_change', '/scope'],

    ['a document of 3 MB', change('x', { data: { t: large } }), 'document_too_large', '/data'],
    ['a document one byte too large', change('x', { data: bytes(921_601) }), 'document_too_large', '/data'],
    [
      'a document too large only in UTF-8',
      change('x', { data: { t: '\u20ac'.repeat(310_000) } }),
      'document_too_large',
      '/data',
    ],
    ['a patch of 3 MB', change('seed', { type: 'patch', data: { t: large } }), 'document_too_large', '/data'],
    ['a base of 3 MB', change('x', { base: { t: large } }), 'document_too_large', '/base'],
    [
      'a delete with a base of 3 MB',
      change('seed', { type: 'delete', base: { t: large } }),
      'document_too_large',
    ],

    ['data with __proto__', change('x', { data: proto('{"b":1}') }), 'forbidden_key', '/data/__proto__'],
    ['data with __proto__: null', change('x', { data: proto('null') }), 'forbidden_key', '/data/__proto__'],
    [
      'data with __proto__ inside',
      change('x', { data: { a: [proto('1')] } }),
      'forbidden_key',
      '/data/a/0/__proto__',
    ],
    ['a patch with __proto__', change('seed', { type: 'patch', data: proto('{"b":1}') }), 'forbidden_key'],
    ['a base with __proto__', change('x', { base: proto('{"b":1}') }), 'forbidden_key', '/base/__proto__'],
    ['a change with __proto__', { ...change('x'), RAW: 1 }, 'invalid_change', '/__proto__', '"__proto__"'],

    ['data nested 200 levels', change('x', { data: own(nested(200)) }), 'too_deep'],
    ['data nested 100,000 levels', change('x', { data: 'RAW' }), 'too_deep', undefined, nested(100_000)],
    [
      'lists nested 100,000 levels',
      change('x', { data: { a: 'RAW' } }),
      'too_deep',
      undefined,
      nested(100_000, '[', ']'),
    ],
    ['a base nested 100,000 levels', change('x', { base: 'RAW' }), 'too_deep', undefined, nested(100_000)],
    [
      'a field nested 100,000 levels',
      change('x', { transaction: 'RAW' }),
      'invalid_change',
      '/transaction',
      nested(100_000),
    ],

    ['1e400', change('x', { data: { a: ['RAW'] } }), 'number_out_of_range', '/data/a/0', '1e400'],
    ['-1e400', change('x', { data: { a: 'RAW' } }), 'number_out_of_range', '/data/a', '-1e400'],
    ['1e400 in a base', change('x', { base: { a: 'RAW' } }), 'number_out_of_range', '/base/a', '1e400'],

    [
      'half a surrogate pair in a text',
      change('x', { data: { a: ['\ud83d'] } }),
      'malformed_text',
      '/data/a/0',
    ],
    ['half a surrogate pair in a name', change('x', { data: { 'a\udc00': 1 } }), 'malformed_text', '/data'],
    ['half a surrogate pair in a base', change('x', { base: { a: '\udc00' } }), 'malformed_text', '/base/a'],
  ])('%s', async (_name, bad, code, ...[pointer, raw]) => {
    const { results, changed, neighbours } = await sendBetween(bad, raw);
    expect(results.map(({ status }) => status)).toEqual(['applied', 'rejected', 'applied']);
    expect(results[1]?.error).toMatchObject({ code, retryable: false, message: expect.any(String) });
    expect(ERRORS[code].where).toBe('change');
    if (pointer !== undefined) expect(results[1]?.error?.pointer).toBe(pointer);
    expect(JSON.stringify(results[1]).length).toBeLessThan(2_000);
    // The ledger of another scope may have moved: a rejection is recorded where it was addressed to.
    expect(changed.filter((key) => !key.startsWith('facility:12 ~ledger:'))).toEqual(neighbours.sort());
  });
});

describe('What is unusual but right is taken', () => {
  it.each([
    ['250 characters', 'a'.repeat(250)],
    ['250 three-byte characters', '\u20ac'.repeat(250)],
    ['an emoji', '\ud83d\ude00'],
    ['dots', '..'],
    ['a percent sign', '%2F%00'],
    ['quotes', `it's "x"`],
    ['spaces around it', ' x '],
    ['a tilde', '~ledger:x'],
    ['a colon', 'a:b'],
    ['a line separator', 'a\u2028b'],
    ['another direction', '\u202ea'],
    ['__proto__', '__proto__'],
    ['a star', '*'],
  ])('an id with %s', async (name, documentId) => {
    const { results } = await synced(
      stack,
      alice,
      envelope([change(documentId)], { deviceId: 'odd', collections: [] }),
    );
    expect([name, results[0]?.status]).toEqual([name, 'applied']);
    const { delta } = await synced(
      stack,
      alice,
      envelope([], { deviceId: 'other', collections: ['items'], limit: 10_000 }),
    );
    expect(delta.documents.filter((document) => document.documentId === documentId)).toMatchObject([
      { data: { name: documentId }, deleted: false },
    ]);
  });

  it.each([
    ['year 0', '0000-01-01T00:00:00Z', '1970-01-01T00:00:00.000Z'],
    ['1969', '1969-12-31T23:59:59Z', '1970-01-01T00:00:00.000Z'],
    ['an offset', '2026-11-21T12:00:00.123456789+02:00', '2026-11-21T10:00:00.123Z'],
    ['small letters', '2026-11-21t10:00:00z', '2026-11-21T10:00:00.000Z'],
    ['29 February of a leap year', '2024-02-29T10:00:00Z', '2024-02-29T10:00:00.000Z'],
  ])('a date in %s', async (name, lastModified, expected) => {
    const documentId = `dated ${name}`;
    const { results } = await synced(stack, alice, envelope([change(documentId, { lastModified })]));
    expect(results).toMatchObject([{ status: 'applied', lastModified: expected }]);
  });

  it('a date in the future is capped by the clock of the service', async () => {
    const { results, serverTime } = await synced(
      stack,
      alice,
      envelope([change('future', { lastModified: '9999-12-31T23:59:59.999Z' })]),
    );
    expect(results[0]?.status).toBe('applied');
    expect(Date.parse(results[0]?.lastModified ?? '')).toBeLessThanOrEqual(Date.parse(serverTime));
  });

  it('content that only looks dangerous comes back as it was sent', async () => {
    const data = {
      '': 'empty name',
      constructor: { prototype: 1 },
      $ref: '#/a',
      _etag: 'mine',
      id: 'x',
      scope: 'user:bob',
      text: '\u0000\u2028</script>\ud83d\ude00',
      number: Number.MAX_VALUE,
      deep: own(nested(62)),
    };
    await synced(stack, alice, envelope([change('dangerous', { data })], { deviceId: 'odd' }));
    const { delta } = await synced(stack, alice, envelope([], { deviceId: 'other', limit: 10_000 }));
    expect(delta.documents.find(({ documentId }) => documentId === 'dangerous')?.data).toEqual(data);
  });

  it('a document of exactly the size that is allowed', async () => {
    const data = { t: 'x'.repeat(921_600 - '{"t":""}'.length) };
    const { results } = await synced(
      stack,
      alice,
      envelope([change('large', { data })], { collections: [] }),
    );
    expect(results).toMatchObject([{ status: 'applied' }]);
  });

  it('the last of two equal keys in a document counts, as everywhere in JSON', async () => {
    const text = withRaw(envelope([change('twice', { data: 'RAW' })]), '{"a":1,"a":2}');
    expect((await postSync(stack, alice, text)).status).toBe(200);
    const { resource } = await database.container.item('items:twice', ALICE).read<StoredItem>();
    expect(resource?.['data']).toEqual({ a: 2 });
  });

  it('patches cannot make a document larger than one may be', async () => {
    const part = (name: string) => ({ [name]: 'x'.repeat(600_000) });
    const patch = (name: string, seq: number) =>
      change('grown', { type: 'patch', data: part(name), seq, changeId: `g${seq}`, baseVersion: 'live' });
    const first = change('grown', { data: part('a'), seq: 1, changeId: 'g1' });
    const { results } = await synced(
      stack,
      alice,
      envelope([first, patch('b', 2)], { deviceId: 'grower', collections: [] }),
    );
    expect(results).toMatchObject([
      { status: 'applied' },
      { status: 'rejected', error: { code: 'document_too_large' } },
    ]);
    const { resource } = await database.container.item('items:grown', ALICE).read<StoredItem>();
    expect(Object.keys(resource?.['data'] as object)).toEqual(['a']);
  });
});

describe('A base version', () => {
  it.each([
    ['garbage', 'not a version'],
    ['a tampered ETag', '1.l.0.%22nobody%22'],
    ['an ETag that fits every version', '1.l.0.*'],
    ['a weak ETag that fits every version', '1.l.0.W%2F*'],
    ['a stamp from the far future', '1.l.zzzzzzzzzzzz.%22a%22'],
    ['a stamp no date can hold', '1.l.2gosa7pa2gv.%22a%22'],
    ['a broken escape', '1.l.0.%E0%A4%A'],
    ['line breaks', '1.l.0.a%0D%0Ax-ms-consistency-level:%20Eventual'],
  ])('that is %s never makes an old edit win against a newer one', async (name, baseVersion) => {
    const documentId = `based ${name}`;
    await synced(
      stack,
      alice,
      envelope([change(documentId, { lastModified: '2026-11-21T12:00:00.000Z', data: { by: 'newer' } })]),
    );
    const late = change(documentId, {
      baseVersion,
      seq: 1,
      changeId: `late-${name.replaceAll(' ', '-')}`,
      lastModified: '2026-11-21T11:00:00.000Z',
      data: { by: 'older' },
    });
    const answer = await postSync(
      stack,
      alice,
      envelope([late], {
        deviceId: `late-${name.replaceAll(' ', '-')}`,
        collections: [],
        clientTime: undefined,
      }),
    );
    expect(answer.status).toBe(200);
    const { results } = answer.body as unknown as SyncResponse;
    expect(results).toMatchObject([{ status: 'skipped', document: { data: { by: 'newer' } } }]);
  });
});

describe('A checkpoint', () => {
  /** Format, epoch, scope, retention, session, passes. As loose as a forger is. */
  type Content = [unknown, string, unknown, unknown, unknown, ...unknown[]];
  /** Where the first pass stands. */
  const positionOf = (content: Content) => (content[5] as [[unknown, string]])[0][1];
  const decode = (text: string) => JSON.parse(Buffer.from(text, 'base64url').toString()) as Content;
  const encode = (content: unknown) => Buffer.from(JSON.stringify(content)).toString('base64url');

  let good: string;
  let all: number;
  beforeEach(async () => {
    const first = await synced(stack, alice, envelope([], { limit: 10_000, collections: ['items'] }));
    good = first.checkpoints[ALICE]!;
    all = first.delta.documents.length;
    expect(first.delta.hasMore).toBe(false);
  });
  const pullFrom = (checkpoint: string, changes: unknown[] = []) =>
    postSync(
      stack,
      alice,
      envelope(changes, { checkpoints: { [ALICE]: checkpoint }, limit: 10_000, collections: ['items'] }),
    );

  it('that is right brings nothing twice', async () => {
    const { body, status } = await pullFrom(good);
    expect({ status, body }).toMatchObject({ status: 200, body: { resync: [], delta: { documents: [] } } });
  });

  const DAY = 86_400_000;
  it.each<[string, (content: Content) => unknown]>([
    ['is empty', () => ''],
    ['is garbage', () => '!!!\u0000'],
    ['is JSON of another kind', () => encode({ a: 1 })],
    ['is cut off', (content) => encode(content).slice(0, -9)],
    ['is nested deep', () => encode('').replace(/.*/, Buffer.from('['.repeat(8000)).toString('base64url'))],
    ['has another format', (c) => encode(c.with(0, 2))],
    ['is of another epoch', (c) => encode(c.with(1, `${c[1]}0`))],
    ['is of another scope', (c) => encode(c.with(2, 'user:bob'))],
    ['has a negative retention', (c) => encode(c.with(3, -1))],
    ['has no retention', (c) => encode(c.with(3, null))],
    ['has a session that would break a header', (c) => encode(c.with(4, '0:-1#1\r\nx-ms-date: 0'))],
    ['has a session that is an object', (c) => encode(c.with(4, {}))],
    [
      'has a position that would break a header',
      (c) => encode(c.with(5, [[['items'], 'a\r\nb: c', Date.now(), null]])),
    ],
    ['has a position of no store', (c) => encode(c.with(5, [[['items'], 'nowhere', Date.now(), null]]))],
    [
      'has a position that is huge',
      (c) => encode(c.with(5, [[['items'], '9'.repeat(5000), Date.now(), null]])),
    ],
    ['has passes that are none', (c) => encode(c.with(5, [null]))],
    ['has passes that are an object', (c) => encode(c.with(5, {}))],
    [
      'was drained too long ago',
      (c) => encode(c.with(5, [[['items'], positionOf(c), 0, Date.now() - 90 * DAY]])),
    ],
    [
      'was drained in the future',
      (c) => encode(c.with(5, [[['items'], positionOf(c), 0, Date.now() + 2 * DAY]])),
    ],
    ['was started at no time', (c) => encode(c.with(5, [[['items'], positionOf(c), 1e300, null]]))],
  ])('that %s starts the delta over', async (_name, forge) => {
    const { status, body } = await pullFrom(String(forge(decode(good))));
    expect(status).toBe(200);
    const { resync, delta } = body as unknown as SyncResponse;
    expect({ resync, count: delta.documents.length }).toEqual({ resync: [ALICE], count: all });
    await nothingWritten();
  });

  it.each<[string, (content: Content) => unknown]>([
    ['a session from the future', (c) => c.with(4, '0:-1#999999999')],
    ['a session of another partition range', (c) => c.with(4, '77:-1#5')],
    ['a session that is none', (c) => c.with(4, 'hello, world')],
    ['a position from the future', (c) => c.with(5, [[['items'], '"999999999"', Date.now(), Date.now()]])],
    ['a position that fits everything', (c) => c.with(5, [[['items'], '*', Date.now(), Date.now()]])],
    ['no passes', (c) => c.with(5, [])],
    [
      'more passes than there are collections',
      (c) => c.with(5, Array(100).fill([['items'], positionOf(c), Date.now(), null])),
    ],
  ])('with %s ends in no error, reading and writing', async (name, forge) => {
    const checkpoint = encode(forge(decode(good)));
    expect((await pullFrom(checkpoint)).status).toBe(200);
    // Written on an unknown base, so that the store is read on the way.
    const { status, body } = await pullFrom(checkpoint, [change(`after ${name}`, { baseVersion: 'live' })]);
    expect(status).toBe(200);
    expect(body).toMatchObject({ results: [{ status: 'skipped' }] });
  });

  it('of a scope that the token does not open is not read', async () => {
    const bobs = encode(decode(good).with(2, 'user:bob'));
    const { body } = await postSync(
      stack,
      alice,
      envelope([], { checkpoints: { 'user:bob': bobs }, collections: [] }),
    );
    expect(Object.keys(body['checkpoints'] as object)).toEqual([ALICE, 'facility:12']);
    expect(JSON.stringify(body)).not.toContain('user:bob');
  });
});

describe('A request id', () => {
  it('of the caller is used when it is plain', async () => {
    const { headers } = await postSync(stack, alice, envelope([]), { 'x-request-id': 'call-1.a_B' });
    expect(headers.get('x-request-id')).toBe('call-1.a_B');
  });

  it.each([
    '',
    'a b',
    '<script>',
    '"',
    'a,b',
    '\u00e9',
    '%0d%0aset-cookie:a=b',
    'x'.repeat(65),
    'x'.repeat(9000),
  ])('such as %j is replaced', async (id) => {
    const { status, headers } = await postSync(stack, alice, envelope([]), { 'x-request-id': id });
    expect(status).toBe(200);
    expect(headers.get('x-request-id')).toMatch(/^[0-9a-f-]{36}$/);
  });
});
