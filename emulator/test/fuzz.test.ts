import { connect } from 'node:net';
import fc from 'fast-check';
import { sendSigned } from './raw-request.ts';
import type { RawRequest } from './raw-request.ts';
import { withEmulator } from './with-emulator.ts';

const name = fc.oneof(
  fc.constantFrom('db', 'items', 'a', 'absent', 'alice', '%', '..', '%2e', 'docs'),
  fc.string({ maxLength: 12 }).map(encodeURIComponent),
);
const type = fc.constantFrom(
  'dbs',
  'colls',
  'docs',
  'users',
  'permissions',
  'offers',
  'pkranges',
  'sprocs',
  'x',
);
const path = fc.oneof(
  fc.constantFrom(
    'dbs/db/colls/items/docs',
    'dbs/db/colls/items/docs/a',
    'dbs/db/colls',
    'dbs',
    'dbs/db/users',
  ),
  fc.array(fc.tuple(type, name), { maxLength: 4 }).map((pairs) => pairs.flat().join('/')),
);
const operation = fc.record(
  {
    operationType: fc.oneof(
      fc.constantFrom('Create', 'Upsert', 'Read', 'Replace', 'Delete', 'Patch'),
      fc.string(),
    ),
    id: fc.oneof(fc.constant('a'), fc.jsonValue()),
    partitionKey: fc.oneof(fc.constant('["p"]'), fc.jsonValue()),
    ifMatch: fc.jsonValue(),
    resourceBody: fc.oneof(fc.constant({ id: 'a', pk: 'p' }), fc.jsonValue()),
  },
  { requiredKeys: [] },
);
const patch = fc.record(
  {
    op: fc.constantFrom('add', 'set', 'replace', 'remove', 'incr', 'move', 'x'),
    path: fc.oneof(fc.constantFrom('/a', '/a/b', '/list/0', '/list/-', '/__proto__/x', '/', ''), fc.string()),
    from: fc.oneof(fc.constantFrom('/a', '/list/1'), fc.string()),
    value: fc.jsonValue(),
  },
  { requiredKeys: ['op'] },
);
const body = fc.oneof(
  fc.jsonValue(),
  fc.array(operation, { maxLength: 5 }),
  fc.record(
    { operations: fc.array(patch, { maxLength: 4 }), condition: fc.string() },
    { requiredKeys: ['operations'] },
  ),
  fc.record(
    { id: fc.oneof(fc.constant('a'), fc.string()), pk: fc.jsonValue(), ttl: fc.jsonValue() },
    { requiredKeys: ['id'] },
  ),
  fc.record(
    {
      query: fc.oneof(
        fc.string(),
        fc.constantFrom('SELECT * FROM c', 'SELECT VALUE 1/0 FROM c ORDER BY c.x'),
      ),
      parameters: fc.jsonValue(),
    },
    { requiredKeys: ['query'] },
  ),
  fc.string(),
);
const headers = fc.dictionary(
  fc.constantFrom(
    'x-ms-documentdb-partitionkey',
    'x-ms-documentdb-partitionkeyrangeid',
    'x-ms-documentdb-is-upsert',
    'x-ms-documentdb-isquery',
    'x-ms-cosmos-is-query-plan-request',
    'x-ms-cosmos-is-batch-request',
    'x-ms-cosmos-batch-atomic',
    'x-ms-max-item-count',
    'x-ms-continuation',
    'x-ms-session-token',
    'x-ms-start-epk',
    'x-ms-documentdb-expiry-seconds',
    'x-ms-offer-throughput',
    'a-im',
    'if-none-match',
    'if-modified-since',
    'if-match',
    'prefer',
  ),
  fc.oneof(
    fc.constantFrom(
      'True',
      'False',
      '["p"]',
      '[{}]',
      '[]',
      '0',
      '-1',
      '2',
      '*',
      '"3"',
      'Incremental Feed',
      '0:-1#1',
      '{"o":1}',
      '{"a":1,"n":2,"s":1}',
      'return=minimal',
    ),
    fc.stringMatching(/^[!-~]{1,20}$/),
  ),
  { maxKeys: 5 },
);

describe('no request', () => {
  it(
    'that is signed gets a 500 or ends the server, and every error has a JSON body',
    () =>
      withEmulator(async ({ emulator }) => {
        await fc.assert(
          fc.asyncProperty(
            fc.constantFrom('GET', 'POST', 'PUT', 'PATCH', 'DELETE'),
            path,
            headers,
            body,
            async (method, where, headerFields, content) => {
              // The database and the container stay: deleting them would make the rest of the run dull.
              if (method === 'DELETE' && !where.includes('docs')) return;
              const base: RawRequest = { method, path: where, headers: headerFields };
              const request = method === 'GET' || method === 'DELETE' ? base : { ...base, body: content };
              const answer = await sendSigned(emulator, request);
              expect(answer.status).not.toBe(500);
              if (answer.status >= 400)
                expect(JSON.parse(answer.text)).toMatchObject({ message: expect.any(String) as string });
            },
          ),
          { numRuns: 400 },
        );
      }),
    30_000,
  );

  it(
    'of random bytes ends the server',
    () =>
      withEmulator(async ({ emulator, container }) => {
        const { port } = new URL(emulator.endpoint);
        await fc.assert(
          fc.asyncProperty(fc.uint8Array({ minLength: 1, maxLength: 400 }), async (bytes) => {
            await new Promise<void>((resolve) => {
              const socket = connect(Number(port), '127.0.0.1', () => socket.end(bytes));
              socket.on('error', () => resolve());
              socket.on('close', () => resolve());
              socket.resume();
            });
          }),
          { numRuns: 60 },
        );
        expect((await container.items.create({ id: 'alive', pk: 'p' })).statusCode).toBe(201);
      }),
    30_000,
  );
});
