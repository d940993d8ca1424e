import type { Identity } from '../../shared/auth/identity.ts';
import { DATABASE } from '../../local/provision.ts';
import { openCosmos } from '../../shared/cosmos/client.ts';
import { DOCUMENTS } from '../../shared/cosmos/containers.ts';
import { createRecordStore } from '../../shared/cosmos/record-store.ts';
import type { ConflictEntry, RestoreRequest } from '../../shared/protocol/index.ts';
import { listConflicts } from '../../shared/sync/conflict-log.ts';
import { listDeletions } from '../../shared/sync/deletion-log.ts';
import type { RecordStore } from '../../shared/sync/record-store.ts';
import { restore } from '../../shared/sync/restore.ts';
import { createRules } from '../../shared/sync/rules.ts';
import type { DocumentStore } from '../../shared/sync/store.ts';
import { parseSyncConfig, type SyncConfig } from '../../shared/sync/sync-config.ts';
import {
  CONFIG,
  advanceTime,
  change,
  freezeTime,
  identityOf,
  request,
  startGateway,
  type Gateway,
} from '../support/gateway.ts';
import { Crash, dying } from '../support/store.ts';

/** What lost a conflict can be looked up, and put back. */

const ALICE = identityOf('alice', ['facility:12']);
const FACILITY = 'facility:12';

let gateway: Gateway;
let records: RecordStore;
let close: () => void;
beforeEach(async () => {
  freezeTime();
  gateway = await startGateway({ scopes: [FACILITY] });
  const { endpoint, key } = gateway.emulator;
  const client = openCosmos(endpoint, { key });
  records = createRecordStore(() => Promise.resolve(client.database(DATABASE).container(DOCUMENTS)));
  close = () => client.dispose();
});
afterEach(async () => {
  close();
  await gateway.dispose();
  jest.useRealTimers();
});

const list = (query: object = {}, identity: Identity = ALICE) =>
  listConflicts(query, identity, { records, documents: gateway.store });
const ids = (conflicts: readonly ConflictEntry[]) => conflicts.map(({ id }) => id);

/** A conflict of a phone's version and a tablet's: the tablet's wins. Its id is `<name>-t`. */
async function collide(
  name: string,
  fields: Record<string, unknown> = {},
  tablet: Record<string, unknown> = {},
) {
  const scope = fields['collection'] === 'visits' ? FACILITY : 'user:alice';
  const suffix = typeof fields['collection'] === 'string' ? fields['collection'] : '';
  const send = (device: string, sent: object) =>
    gateway.sync('alice', {
      ...request(`${device}-${name}${suffix}`, [sent]),
      streams: { [scope]: null },
      collections: [],
    });
  await send('phone', change(name, 1, { scope, changeId: `${name}-p`, data: { v: 'phone' }, ...fields }));
  advanceTime(1000);
  const answer = await send(
    'tablet',
    change(name, 1, {
      scope,
      changeId: `${name}-t`,
      baseVersion: 'live',
      data: { v: 'tablet' },
      ...fields,
      ...tablet,
    }),
  );
  advanceTime(1000);
  return answer.results[0];
}

const putBack = (
  id: string,
  body: RestoreRequest = {},
  options: { identity?: Identity; store?: DocumentStore; config?: SyncConfig } = {},
) =>
  restore(id, body, options.identity ?? ALICE, {
    store: options.store ?? gateway.store,
    settings: {
      config: options.config ?? CONFIG,
      epoch: '1',
      retention: 90 * 86_400,
      deadline: 60_000,
    },
    rules: createRules(options.config ?? CONFIG, null),
    now: Date.now,
  });
const document = async (name: string, collection = 'items') =>
  (await gateway.items(collection === 'visits' ? FACILITY : 'user:alice')).find(
    ({ id }) => id === `${collection}:${name}`,
  );

describe('The conflict log', () => {
  it('tells both versions, the base, the strategy and what became of the change', async () => {
    await collide('a', {}, { base: { v: 'before' } });
    expect((await list()).conflicts).toEqual([
      {
        id: 'a-t',
        scope: 'user:alice',
        collection: 'items',
        documentId: 'a',
        at: '2026-11-22T10:00:01.000Z',
        userId: 'alice',
        deviceId: 'tablet-a',
        strategy: 'last_write_wins',
        outcome: 'applied',
        lost: {
          side: 'stored',
          type: 'upsert',
          data: { v: 'phone' },
          lastModified: '2026-11-22T10:00:00.000Z',
          userId: 'alice',
          deviceId: 'phone-a',
          seq: 1,
        },
        kept: {
          side: 'incoming',
          type: 'upsert',
          data: { v: 'tablet' },
          lastModified: '2026-11-22T10:00:01.000Z',
          userId: 'alice',
          deviceId: 'tablet-a',
          seq: 1,
        },
        bothLost: false,
        base: { v: 'before' },
        restored: null,
      },
    ]);
  });

  it('lists the newest first, page by page, one scope after the other', async () => {
    for (const name of ['a', 'b', 'c', 'd', 'e']) await collide(name);
    for (const name of ['x', 'y', 'z']) await collide(name, { collection: 'visits' });
    const expected = ['e-t', 'd-t', 'c-t', 'b-t', 'a-t', 'z-t', 'y-t', 'x-t'];
    expect(ids((await list()).conflicts)).toEqual(expected);
    const seen: string[] = [];
    let continuation: string | null | undefined;
    while (continuation !== null) {
      const page = await list({ limit: 3, ...(continuation === undefined ? {} : { continuation }) });
      expect(page.conflicts.length).toBeLessThanOrEqual(3);
      seen.push(...ids(page.conflicts));
      continuation = page.continuation;
    }
    expect(seen).toEqual(expected);
  });

  it('asks a bounded number of scopes for a page: a token may grant hundreds', async () => {
    await collide('x', { collection: 'visits' });
    const others = Array.from({ length: 45 }, (_, index) => `facility:other-${index}`);
    const identity = identityOf('bob', [...others, FACILITY]);
    const pages: string[][] = [];
    let continuation: string | null | undefined;
    while (continuation !== null) {
      gateway.emulator.requests.clear();
      const page = await list(continuation === undefined ? {} : { continuation }, identity);
      const queries = gateway.emulator.requests.entries.filter(({ operation }) => operation === 'query');
      expect(queries.length).toBeLessThanOrEqual(21);
      pages.push(ids(page.conflicts));
      continuation = page.continuation;
    }
    expect(pages).toEqual([[], [], ['x-t']]);
  });

  it('takes a scope, a collection and a document as filters', async () => {
    await collide('a');
    await collide('b');
    await collide('a', { collection: 'notes', changeId: 'notes-p' }, { changeId: 'notes-t' });
    await collide('x', { collection: 'visits' });
    expect(ids((await list({ scope: FACILITY })).conflicts)).toEqual(['x-t']);
    expect(ids((await list({ documentId: 'a' })).conflicts).sort()).toEqual(['a-t', 'notes-t']);
    expect(ids((await list({ collection: 'items', documentId: 'a' })).conflicts)).toEqual(['a-t']);
  });

  it('is there for readers, and for an admin of the kind in any scope of it; for nobody else', async () => {
    await collide('x', { collection: 'visits' });
    expect(ids((await list({}, identityOf('bob', [FACILITY], 'reader'))).conflicts)).toEqual(['x-t']);
    const admin = identityOf('root', [], 'reader', { facility: 'admin' });
    expect(ids((await list({ scope: FACILITY }, admin)).conflicts)).toEqual(['x-t']);
    expect((await list({}, admin)).conflicts).toEqual([]);
    await expect(list({ scope: FACILITY }, identityOf('mallory'))).rejects.toMatchObject({
      code: 'scope_not_granted',
    });
    await expect(list({ scope: 'user:alice' }, admin)).rejects.toMatchObject({ code: 'scope_not_granted' });
    expect((await list({}, identityOf('mallory'))).conflicts).toEqual([]);
  });

  it("a continuation opens nobody else's log", async () => {
    for (const name of ['a', 'b']) await collide(name);
    const { continuation } = await list({ limit: 1 });
    await expect(list({ continuation }, identityOf('mallory'))).rejects.toMatchObject({
      code: 'invalid_continuation',
    });
    const forged = Buffer.from(JSON.stringify(['user:alice', 'no such token'])).toString('base64url');
    await expect(list({ continuation: forged })).rejects.toMatchObject({ code: 'invalid_continuation' });
    await expect(list({ continuation: 'nonsense' })).rejects.toMatchObject({ code: 'invalid_continuation' });
  });

  it('skips what a token holder wrote in the place of a record', async () => {
    await gateway.container.items.create({ id: '~conflict:fake', scope: 'user:alice', lost: 'no' });
    await collide('a');
    expect(ids((await list()).conflicts)).toEqual(['a-t']);
  });

  it('reads records that an older service wrote', async () => {
    await gateway.container.items.create({
      id: '~conflict:old',
      scope: 'user:alice',
      collection: 'items',
      documentId: '1',
      lost: {
        side: 'stored',
        deleted: true,
        data: null,
        lastModified: '2026-01-01T00:00:00.000Z',
        userId: 'alice',
        deviceId: 'x',
        seq: 1,
      },
      at: '2026-01-01T00:00:00.000Z',
    });
    expect((await list()).conflicts).toMatchObject([
      { id: 'old', lost: { type: 'delete' }, kept: null, strategy: null, outcome: null },
    ]);
  });

  it('costs ordinary writes nothing: no path is indexed for it', async () => {
    const charges = async () => {
      gateway.emulator.requests.clear();
      await gateway.sync('carol', { ...request('phone', [change('1', 1)]), streams: {}, collections: [] });
      return gateway.emulator.requests.entries
        .filter(({ operation }) => operation === 'batch')
        .map(({ charge }) => charge);
    };
    // A create of 1 KB without any indexed term costs 4 by the documented figures, and so does its ledger.
    expect(await charges()).toEqual([8]);
  });

  it('a page costs two queries a scope, and no metadata', async () => {
    for (let index = 0; index < 30; index += 1) await collide(`d${index}`);
    await list();
    gateway.emulator.requests.clear();
    expect((await list({ scope: 'user:alice', limit: 20 })).conflicts).toHaveLength(20);
    const { entries } = gateway.emulator.requests;
    expect(entries.map(({ operation }) => operation).sort()).toEqual([
      'query',
      'query',
      'queryPlan',
      'queryPlan',
    ]);
    // It does not grow with the documents of the scope, only with the records of the page.
    expect(entries.reduce((sum, { charge }) => sum + charge, 0)).toBeLessThan(15);
  });
});

describe('The deletion log', () => {
  it('lists what deletes in audited collections removed, newest first', async () => {
    for (const name of ['a', 'b']) {
      await gateway.sync('alice', {
        ...request(`phone-${name}`, [
          change(name, 1, { collection: 'papers', changeId: `${name}1`, data: { title: name } }),
          change(name, 2, { collection: 'papers', changeId: `${name}2`, type: 'delete' }),
        ]),
      });
      advanceTime(1000);
    }
    expect(await listDeletions({}, ALICE, records)).toMatchObject({
      deletions: [
        {
          id: 'b2',
          collection: 'papers',
          documentId: 'b',
          userId: 'alice',
          deviceId: 'phone-b',
          data: { title: 'b' },
        },
        { id: 'a2', data: { title: 'a' } },
      ],
      continuation: null,
    });
    await expect(
      listDeletions({ scope: 'user:alice' }, identityOf('mallory'), records),
    ).rejects.toMatchObject({
      code: 'scope_not_granted',
    });
  });
});

describe('A restore', () => {
  it('puts the version that lost back, as a new version that every device gets', async () => {
    await collide('a');
    const before = await gateway.sync('alice', { protocol: 1, deviceId: 'other' });
    const answer = await putBack('a-t');
    expect(answer).toMatchObject({
      status: 'applied',
      document: {
        documentId: 'a',
        data: { v: 'phone' },
        userId: 'alice',
        deviceId: 'gateway',
        lastModified: '2026-11-22T10:00:02.000Z',
      },
      restored: { at: '2026-11-22T10:00:02.000Z', userId: 'alice' },
    });
    const after = await gateway.sync('alice', {
      protocol: 1,
      deviceId: 'other',
      checkpoints: before.checkpoints,
    });
    expect(after.delta.documents).toEqual([answer.document]);
  });

  it('what it replaces goes to the conflict log, from where it can be put back too', async () => {
    await collide('a');
    await putBack('a-t');
    const [again, first] = (await list()).conflicts;
    expect(first).toMatchObject({ id: 'a-t', restored: { userId: 'alice' } });
    expect(again).toMatchObject({ lost: { side: 'stored', data: { v: 'tablet' } }, restored: null });
    advanceTime(1000);
    await putBack(again?.id ?? '');
    expect(await document('a')).toMatchObject({ data: { v: 'tablet' } });
    expect((await list()).conflicts).toHaveLength(3);
  });

  it('is no conflict where the caller names the version that it replaces', async () => {
    const result = await collide('a');
    const answer = await putBack('a-t', { baseVersion: result?.version ?? '' });
    expect(answer).toMatchObject({ status: 'applied', document: { data: { v: 'phone' } } });
    expect((await list()).conflicts).toHaveLength(1);
  });

  it('meets the strategy of the collection where that version is no longer there', async () => {
    const seen = await collide('a');
    await gateway.sync('alice', {
      ...request('third', [
        change('a', 1, { changeId: 'x', baseVersion: seen?.version, data: { v: 'third' } }),
      ]),
    });
    advanceTime(1000);
    expect(await putBack('a-t', { baseVersion: seen?.version ?? '' })).toMatchObject({
      status: 'applied',
      document: { data: { v: 'phone' } },
    });
    expect((await list()).conflicts[0]).toMatchObject({ lost: { data: { v: 'third' } } });

    const config = parseSyncConfig({ collections: { items: { strategy: 'server_wins' } } });
    const other = await collide('b');
    await gateway.sync('alice', {
      ...request('fourth', [
        change('b', 1, { changeId: 'y', baseVersion: other?.version, data: { v: 'fourth' } }),
      ]),
    });
    advanceTime(1000);
    expect(await putBack('b-t', { baseVersion: other?.version ?? '' }, { config })).toMatchObject({
      status: 'skipped',
      document: { data: { v: 'fourth' } },
      restored: null,
    });
    expect(await document('b')).toMatchObject({ data: { v: 'fourth' } });
  });

  it('is done once: a repeat says so, and changes nothing, whatever was written since', async () => {
    await collide('a');
    const first = await putBack('a-t');
    advanceTime(1000);
    await gateway.sync('alice', {
      ...request('third', [
        change('a', 1, { changeId: 'x', baseVersion: first.document.version, data: { v: 'third' } }),
      ]),
    });
    const before = await gateway.items();
    expect(await putBack('a-t')).toEqual({
      status: 'duplicate',
      document: expect.objectContaining({ data: { v: 'third' } }),
      restored: first.restored,
    });
    expect(await gateway.items()).toEqual(before);
  });

  it('two at once: one of them is the duplicate', async () => {
    await collide('a');
    const answers = await Promise.all([putBack('a-t'), putBack('a-t')]);
    expect(answers.map(({ status }) => status).sort()).toEqual(['applied', 'duplicate']);
    expect((await list()).conflicts).toHaveLength(2);
  });

  it('brings back what was deleted, and deletes what a delete lost against', async () => {
    await collide('a', {}, { type: 'delete', data: undefined });
    expect(await document('a')).toMatchObject({ deleted: true });
    expect(await putBack('a-t')).toMatchObject({
      status: 'applied',
      document: { deleted: false, data: { v: 'phone' } },
    });
    expect(await document('a')).toMatchObject({ deleted: false, ttl: -1 });

    await collide(
      'b',
      { collection: 'papers' },
      { type: 'delete', data: undefined, lastModified: '2020-01-01T00:00:00Z' },
    );
    expect(await putBack('b-t')).toMatchObject({
      status: 'applied',
      document: { deleted: true, data: null },
    });
    expect(await document('b', 'papers')).toMatchObject({ deleted: true, ttl: 90 * 86_400 });
    expect((await listDeletions({}, ALICE, records)).deletions).toMatchObject([
      { documentId: 'b', data: { v: 'phone' } },
    ]);
  });

  it('a patch that lost is applied to what is stored now, and to nothing else', async () => {
    await collide('a', {}, { type: 'patch', data: { extra: 1 }, lastModified: '2020-01-01T00:00:00Z' });
    expect(await putBack('a-t')).toMatchObject({
      status: 'applied',
      document: { data: { v: 'phone', extra: 1 } },
    });
    await collide('b', {}, { type: 'patch', data: { extra: 1 }, lastModified: '2020-01-01T00:00:00Z' });
    const held = await document('b');
    await gateway.container.item('items:b', 'user:alice').delete();
    expect(held).toBeDefined();
    expect(await putBack('b-t')).toMatchObject({ status: 'skipped', document: { version: null } });
  });

  it('keeps the rules of an edit: a document that its collection no longer takes is rejected', async () => {
    await collide('a');
    const schema = { type: 'object', properties: { v: { type: 'string', maxLength: 3 } } };
    const config = parseSyncConfig({ collections: { items: { schema } } });
    const before = await gateway.items();
    expect(await putBack('a-t', {}, { config })).toMatchObject({
      status: 'rejected',
      error: { code: 'schema_violation' },
      document: { data: { v: 'tablet' } },
      restored: null,
    });
    expect(await gateway.items()).toEqual(before);
  });

  it('leaves fields that are the server’s as they are', async () => {
    await collide('a');
    const config = parseSyncConfig({
      collections: { items: { strategy: 'field_level_merge', fields: { '/v': { owner: 'server' } } } },
    });
    expect(await putBack('a-t', {}, { config })).toMatchObject({ document: { data: { v: 'tablet' } } });
  });

  it('needs a writer of the scope', async () => {
    await collide('x', { collection: 'visits' });
    const before = await gateway.items(FACILITY);
    const body = { scope: FACILITY };
    const asReader = { identity: identityOf('bob', [FACILITY], 'reader') };
    await expect(putBack('x-t', body, asReader)).rejects.toMatchObject({ code: 'role_insufficient' });
    await expect(putBack('x-t', body, { identity: identityOf('mallory') })).rejects.toMatchObject({
      code: 'scope_not_granted',
    });
    expect(await gateway.items(FACILITY)).toEqual(before);
    const admin = { identity: identityOf('root', [], 'reader', { facility: 'admin' }) };
    expect(await putBack('x-t', body, admin)).toMatchObject({
      status: 'applied',
      document: { userId: 'root' },
      restored: { userId: 'root' },
    });
  });

  it.each(['nothing', 'a/b', '', 'x'.repeat(500), '~ledger:x'])('of %j finds nothing', async (id) => {
    await expect(putBack(id)).rejects.toMatchObject({ code: 'conflict_not_found' });
  });

  it('costs two queries and a batch, and no metadata', async () => {
    await collide('a');
    gateway.emulator.requests.clear();
    await putBack('a-t');
    const { entries } = gateway.emulator.requests;
    expect(entries.map(({ operation }) => operation).sort()).toEqual([
      'batch',
      'query',
      'query',
      'queryPlan',
      'queryPlan',
    ]);
  });
});

it('a crash between any two requests of a restore: the repeat ends where the undisturbed one would have', async () => {
  for (let at = 1; at <= 3; at += 1) {
    for (const moment of ['before', 'after'] as const) {
      const name = `${moment}${at}`;
      await collide(name);
      await expect(
        putBack(`${name}-t`, {}, { store: dying(gateway.store, at, moment).store }),
      ).rejects.toThrow(Crash);
      advanceTime(1000);
      expect(await putBack(`${name}-t`)).toMatchObject({
        document: { data: { v: 'phone' } },
        restored: { userId: 'alice' },
      });
      const { conflicts } = await list({ documentId: name });
      expect(conflicts.map(({ lost }) => lost.data)).toEqual([{ v: 'tablet' }, { v: 'phone' }]);
    }
  }
  // A fourth request there is none to crash at.
  await collide('last');
  expect(await putBack('last-t', {}, { store: dying(gateway.store, 4, 'before').store })).toMatchObject({
    status: 'applied',
  });
});
