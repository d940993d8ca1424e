import type { SyncRequest } from '../../shared/protocol/index.ts';
import type { AskRules } from '../../shared/sync/rules.ts';
import { parseSyncConfig } from '../../shared/sync/sync-config.ts';
import { change, request, startGateway, type Gateway } from '../support/gateway.ts';

/** What the application demands of its documents: schemas, its own rules, and fields that are the server's. */

const config = parseSyncConfig({
  collections: {
    items: {},
    notes: {
      schema: {
        type: 'object',
        required: ['title'],
        properties: {
          title: { type: 'string', maxLength: 10 },
          mail: { type: 'string', format: 'email' },
          tags: { type: 'array', items: { type: 'string' } },
        },
        additionalProperties: false,
      },
    },
    mixed: {
      strategy: 'merge_with_client_priority',
      schema: { type: 'object', not: { required: ['a', 'b'] } },
    },
    surveys: {
      strategy: 'field_level_merge',
      fields: { '/status': { owner: 'server' }, '/review/by': { owner: 'server' } },
    },
    small: { maxDocumentBytes: 256 },
  },
});

let gateway: Gateway;
beforeAll(async () => {
  gateway = await startGateway();
});
afterAll(() => gateway.dispose());

let users = 0;
function newUser(ask?: AskRules) {
  users += 1;
  const user = `r${users}`;
  const scope = `user:${user}`;
  let seq = 0;
  return {
    scope,
    change: (documentId: string, fields: Record<string, unknown>) =>
      change(documentId, (seq += 1), { scope, ...fields }),
    sync: (deviceId: string, changes: readonly object[], fields: Partial<SyncRequest> = {}) =>
      gateway.sync(
        user,
        request(deviceId, changes, null, { streams: { [scope]: null }, collections: [], ...fields }),
        { config },
        gateway.store,
        ask,
      ),
    stored: async (id: string) => (await gateway.items(scope)).find((item) => item['id'] === id)?.['data'],
  };
}
const OLD = '2026-01-01T00:00:00.000Z';

describe('A schema', () => {
  it.each([
    ['a missing field', {}, '/data/title', 'required'],
    ['a text that is too long', { title: 'far too long a title' }, '/data/title', 'maxLength'],
    ['a field that is not known', { title: 'a', 'x/y': 1 }, '/data/x~1y', 'additionalProperties'],
    ['a format', { title: 'a', mail: 'nobody' }, '/data/mail', 'format'],
    ['an element', { title: 'a', tags: ['b', 7] }, '/data/tags/1', 'type'],
  ])('rejects %s with pointer and rule, and nothing behind it', async (_, data, pointer, rule) => {
    const { change: make, sync, stored } = newUser();
    const changes = [
      make('bad', { collection: 'notes', data }),
      make('good', { collection: 'notes', data: { title: 'fine' } }),
    ];
    const { results } = await sync('phone', changes);
    expect(results).toMatchObject([
      { status: 'rejected', error: { code: 'schema_violation', pointer, rule, retryable: false } },
      { status: 'applied' },
    ]);
    expect(await stored('notes:bad')).toBeUndefined();
    // A repeat says the same.
    expect((await sync('phone', changes)).results).toMatchObject([
      { status: 'rejected', error: { code: 'schema_violation', pointer, rule } },
      { status: 'duplicate', outcome: 'applied' },
    ]);
  });

  it('holds for what a patch makes, and the client gets the document as it is', async () => {
    const { change: make, sync, stored } = newUser();
    await sync('tablet', [make('1', { collection: 'notes', data: { title: 'old' } })]);
    const { results } = await sync('phone', [
      make('1', { collection: 'notes', type: 'patch', baseVersion: 'live', data: { title: null } }),
      make('2', { collection: 'notes', data: { title: 'next' } }),
    ]);
    expect(results).toMatchObject([
      {
        status: 'rejected',
        error: { code: 'schema_violation', pointer: '/data/title', rule: 'required' },
        document: { data: { title: 'old' } },
      },
      { status: 'applied' },
    ]);
    expect(await stored('notes:1')).toEqual({ title: 'old' });
  });

  it('holds for what a merge makes', async () => {
    const { change: make, sync, stored } = newUser();
    await sync('tablet', [make('1', { collection: 'mixed', data: { a: 1 }, lastModified: OLD })]);
    const { results } = await sync('phone', [make('1', { collection: 'mixed', data: { b: 1 } })]);
    expect(results).toMatchObject([{ status: 'rejected', error: { code: 'schema_violation', rule: 'not' } }]);
    expect(await stored('mixed:1')).toEqual({ a: 1 });
  });
});

describe('A rule of the application', () => {
  const ask: AskRules = ({ data, ...context }) => {
    if (data['crash'] === true) return Promise.reject(new Error('a bug'));
    return Promise.resolve(
      data['bad'] === true
        ? { pointer: '/bad', rule: 'no-bad', message: Object.values(context).join(' ') }
        : null,
    );
  };

  it('rejects a document with pointer, name and words of its own', async () => {
    const { change: make, sync, scope } = newUser(ask);
    const { results } = await sync('phone', [make('1', { data: { bad: true } }), make('2', { data: {} })]);
    const user = scope.slice('user:'.length);
    expect(results).toMatchObject([
      { status: 'rejected', error: { code: 'rule_violation', pointer: '/data/bad', rule: 'no-bad' } },
      { status: 'applied' },
    ]);
    expect(results[0]?.error?.message).toContain(`${scope} items 1 ${user}`);
  });

  it('is asked about what a patch makes, once for each', async () => {
    const asked: unknown[] = [];
    const {
      change: make,
      sync,
      stored,
    } = newUser((candidate) => {
      asked.push(candidate.data);
      return ask(candidate);
    });
    await sync('tablet', [make('1', { data: { a: 1 } }), make('2', { data: { a: 2 } })]);
    const patch = (id: string, data: object) => make(id, { type: 'patch', baseVersion: 'live', data });
    const { results } = await sync('phone', [
      patch('1', { bad: true }),
      patch('2', { b: 1 }),
      patch('2', { c: 1 }),
    ]);
    expect(results.map(({ status }) => status)).toEqual(['rejected', 'merged', 'merged']);
    expect(asked).toEqual([{ a: 1 }, { a: 2 }, { a: 1, bad: true }, { a: 2, b: 1 }, { a: 2, b: 1, c: 1 }]);
    expect(await stored('items:2')).toEqual({ a: 2, b: 1, c: 1 });
  });

  it('that cannot be asked fails its change alone, which may be sent again', async () => {
    const { change: make, sync, stored } = newUser(ask);
    const changes = [make('1', { data: { crash: true } }), make('2', { data: {} })];
    expect((await sync('phone', changes)).results).toMatchObject([
      { status: 'failed', error: { code: 'rules_unavailable', retryable: true } },
      { status: 'applied' },
    ]);
    expect((await sync('phone', changes)).results).toMatchObject([
      { status: 'duplicate', outcome: 'failed' },
      { status: 'duplicate', outcome: 'applied' },
    ]);
    expect(await stored('items:1')).toBeUndefined();
  });
});

describe('A field of the server', () => {
  const written = { title: 'a', status: 'mine', review: { by: 'me', note: 'x' } };

  it('is never taken from a client: not in a new document, not in a sequential edit, not in a merge', async () => {
    const { change: make, sync, stored, scope } = newUser();
    const of = { collection: 'surveys' };
    const first = await sync('phone', [make('1', { ...of, data: written, lastModified: OLD })]);
    expect(first.results).toMatchObject([
      { status: 'merged', document: { data: { title: 'a', review: { note: 'x' } } } },
    ]);

    // The server writes past the gateway.
    const { resource } = await gateway.container.item('surveys:1', scope).read<Record<string, unknown>>();
    const byServer = { title: 'a', status: 'open', review: { by: 'nurse', note: 'x' } };
    await gateway.container.items.upsert({ ...resource, data: byServer });
    const { delta } = await sync('phone', [], { collections: ['surveys'], streams: {} });
    const version = delta.documents[0]?.version ?? null;

    const edit = { ...byServer, title: 'b', status: 'done', review: { note: 'y' } };
    const second = await sync('phone', [make('1', { ...of, data: edit, baseVersion: version })], {
      streams: {},
    });
    expect(second.results).toMatchObject([{ status: 'failed' }]);
    const claim = { [scope]: first.streams[scope] ?? null };
    const third = await sync('phone', [make('1', { ...of, data: edit, baseVersion: version })], {
      streams: claim,
    });
    const kept = { title: 'b', status: 'open', review: { by: 'nurse', note: 'y' } };
    expect(third.results).toMatchObject([{ status: 'merged', document: { data: kept } }]);
    expect(third.stats.conflicts).toBe(0);

    const late = { title: 'c', status: 'late', review: 'gone' };
    await sync('tablet', [make('1', { ...of, data: late, baseVersion: 'live' })]);
    expect(await stored('surveys:1')).toEqual({ title: 'c', status: 'open', review: { by: 'nurse' } });
  });

  it('stands in no way of an edit that leaves it as it is', async () => {
    const { change: make, sync, scope } = newUser();
    const of = { collection: 'surveys' };
    const first = await sync('phone', [make('1', { ...of, data: { title: 'a' } })]);
    const again = make('1', { ...of, data: { title: 'b' }, baseVersion: first.results[0]?.version });
    const second = await sync('phone', [again], { streams: { [scope]: first.streams[scope] ?? null } });
    expect(second.results).toMatchObject([{ status: 'applied' }]);
  });
});

it('a collection may have a smaller limit of its own, for what a patch makes too', async () => {
  const { change: make, sync } = newUser();
  const of = { collection: 'small' };
  const { results } = await sync('phone', [
    make('1', { ...of, data: { text: 'x'.repeat(300) } }),
    make('2', { ...of, data: { text: 'x'.repeat(150) } }),
    make('2', { ...of, type: 'patch', data: { more: 'y'.repeat(150) } }),
    make('3', { data: { text: 'x'.repeat(300) } }),
  ]);
  expect(results.map(({ status, error }) => error?.code ?? status)).toEqual([
    'document_too_large',
    'applied',
    'document_too_large',
    'applied',
  ]);
});
