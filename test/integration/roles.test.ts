import type { Role } from '../../shared/auth/identity.ts';
import { RequestError } from '../../shared/errors.ts';
import type { SyncResponse } from '../../shared/protocol/index.ts';
import { parseSyncConfig } from '../../shared/sync/sync-config.ts';
import { CONFIG, change, identityOf, request, startGateway, type Gateway } from '../support/gateway.ts';

/** What each role may do in each kind of scope, through the gateway. */

let gateway: Gateway;
beforeAll(async () => {
  gateway = await startGateway();
  // Something to be read in every scope.
  for (const user of ['alice', 'bob']) {
    await gateway.sync(user, { ...request('seed', [change('seed', 1)]), streams: {} });
  }
  for (const facility of ['facility:1', 'facility:2']) {
    const seed = change('seed', 1, {
      scope: facility,
      collection: 'visits',
      changeId: facility.replace(':', ''),
    });
    await gateway.sync(identityOf('nurse', [facility]), { ...request('seed', [seed]), streams: {} });
  }
});
afterAll(() => gateway.dispose());

const SCOPES = {
  'the own private scope': 'user:alice',
  'a shared scope of the token': 'facility:1',
  'a shared scope of others': 'facility:2',
  'the private scope of another': 'user:bob',
} as const;

type Grant = readonly [general: Role, kinds?: Readonly<Record<string, Role>>];
const nothing = 'not listed, scope_forbidden';
const reads = 'read, read_only';
const writes = 'read, applied';

/** What comes of reading and of writing, in the order of SCOPES. */
const MATRIX: readonly [string, Grant, readonly [string, string, string, string]][] = [
  ['reader', ['reader'], [reads, reads, nothing, nothing]],
  ['writer', ['writer'], [writes, writes, nothing, nothing]],
  ['admin', ['admin'], [writes, writes, writes, nothing]],
  ['reader of facilities', ['writer', { facility: 'reader' }], [writes, reads, nothing, nothing]],
  ['writer of facilities', ['reader', { facility: 'writer' }], [reads, writes, nothing, nothing]],
  ['admin of facilities', ['reader', { facility: 'admin' }], [reads, writes, writes, nothing]],
  ['admin, but not of facilities', ['admin', { facility: 'reader' }], [writes, reads, nothing, nothing]],
  ['admin of private scopes', ['writer', { user: 'admin' }], [writes, writes, nothing, writes]],
];

let seq = 0;
describe.each(MATRIX)('A %s', (_role, [general, kinds], expected) => {
  const identity = identityOf('alice', ['facility:1'], general, kinds);

  it.each(Object.entries(SCOPES).map(([what, scope], index) => [what, scope, expected[index]] as const))(
    'in %s',
    async (_what, scope, outcome) => {
      const collection = scope.startsWith('user:') ? 'items' : 'visits';
      const read = await gateway.sync(identity, request('phone', [], null, { streams: {}, scopes: [scope] }));
      const told: string[] = [];
      if (!read.scopes.includes(scope)) told.push('not listed');
      else if (read.delta.documents.some((document) => document.documentId === 'seed')) told.push('read');
      expect(read.delta.documents.every((document) => document.scope === scope)).toBe(true);

      const before = await gateway.items(scope);
      for (const type of ['upsert', 'patch', 'delete'] as const) {
        seq += 1;
        const ofOwn = { scope, collection, type, changeId: `r${seq}`, baseVersion: 'live' };
        const first = change(`doc${seq}`, seq * 2, { ...ofOwn, type: 'upsert', baseVersion: null });
        const second = change(`doc${seq}`, seq * 2 + 1, { ...ofOwn, changeId: `s${seq}` });
        const answer = await gateway.sync(
          identity,
          request(`d${seq}`, [first, second], null, { streams: {}, collections: [] }),
        );
        for (const { status, error } of answer.results) told.push(error?.code ?? status);
      }
      expect([...new Set(told)].join(', ')).toBe(outcome);
      // Where nothing may be written nothing is, not even a ledger.
      if (!outcome?.endsWith('applied')) expect(await gateway.items(scope)).toEqual(before);
    },
  );
});

describe('The scopes of a request', () => {
  const both = identityOf('alice', ['facility:1']);
  const scopesOf = ({ checkpoints }: SyncResponse) => Object.keys(checkpoints).sort();

  it('are those of the token where it names none', async () => {
    const answer = await gateway.sync(both, request('phone', [], null, { streams: {} }));
    expect(scopesOf(answer)).toEqual(['facility:1', 'user:alice']);
  });

  it('narrow the delta, and what is granted is told all the same', async () => {
    const answer = await gateway.sync(
      both,
      request('phone', [], null, { streams: {}, scopes: ['facility:1'] }),
    );
    expect(scopesOf(answer)).toEqual(['facility:1']);
    expect(answer.scopes).toEqual(['user:alice', 'facility:1']);
  });

  it('do not keep a change of another scope from being taken in', async () => {
    const answer = await gateway.sync(
      both,
      request('phone', [change('narrow', 1, { changeId: 'narrow' })], null, {
        streams: {},
        scopes: ['facility:1'],
      }),
    );
    expect(answer.results).toMatchObject([{ status: 'applied' }]);
    expect(scopesOf(answer)).toEqual(['facility:1']);
  });

  it('that are not granted are left out, and nothing says whether they exist', async () => {
    const named = (scope: string) =>
      gateway.sync(both, request('phone', [], null, { streams: {}, scopes: [scope] }));
    for (const answer of [await named('facility:2'), await named('facility:77')]) {
      expect(answer).toMatchObject({
        scopes: ['user:alice', 'facility:1'],
        checkpoints: {},
        delta: { documents: [], hasMore: false },
        resync: [],
      });
    }
  });

  it('are bounded', async () => {
    const config = parseSyncConfig({
      collections: { items: {}, visits: { scope: 'facility' } },
      sharedScopes: { facility: 'facilities' },
      limits: { maxScopes: 3 },
    });
    const many = identityOf('alice', ['facility:1', 'facility:2', 'facility:3']);
    const sync = (fields: object) =>
      gateway.sync(many, { ...request('phone', [], null, { streams: {} }), ...fields }, { config });
    const refused: unknown = await sync({}).catch((error: unknown) => error);
    expect(refused).toBeInstanceOf(RequestError);
    expect(refused).toMatchObject({ code: 'too_many_scopes', pointer: '/scopes' });
    expect((await sync({ scopes: ['facility:1', 'facility:2'] })).scopes).toHaveLength(4);
  });

  it('of an admin are told with those of the token, so that the client keeps them', async () => {
    const admin = identityOf('alice', [], 'admin');
    const answer = await gateway.sync(
      admin,
      request('phone', [], null, { streams: {}, scopes: ['facility:2'] }),
    );
    expect(answer.scopes).toEqual(['user:alice', 'facility:2']);
    expect(answer.delta.documents.length).toBeGreaterThan(0);
    expect(CONFIG.collections.get('visits')?.scope).toBe('facility');
  });
});
