import { provision } from '../../local/provision.ts';
import { formatVersion, parseVersion } from '../../shared/conflict/index.ts';
import { Unavailable } from '../../shared/errors.ts';
import type { SyncResponse } from '../../shared/protocol/index.ts';
import {
  DAY,
  advanceTime,
  change,
  freezeTime,
  openGateway,
  request,
  startGateway,
  type Gateway,
} from '../support/gateway.ts';
import { mapScopes } from '../support/store.ts';

const ALICE = 'user:alice';

let gateway: Gateway;
beforeEach(async () => {
  freezeTime();
  gateway = await startGateway();
});
afterEach(async () => {
  await gateway.dispose();
  jest.useRealTimers();
});

const statuses = ({ results }: { results: { status: string }[] }) => results.map(({ status }) => status);
const document = async (id: string) => (await gateway.items()).find((item) => item['id'] === `items:${id}`);
const records = async () => (await gateway.items()).filter(({ id }) => String(id).startsWith('~conflict:'));
const ledgers = async () => (await gateway.items()).filter(({ id }) => String(id).startsWith('~ledger:'));

describe('A push', () => {
  it('stores a new document with its envelope, and the ledger beside it', async () => {
    const answer = await gateway.sync('alice', request('phone', [change('1', 7, { data: { a: 1 } })]));
    expect(answer.results).toEqual([
      {
        changeId: 'c7',
        status: 'applied',
        version: expect.any(String),
        lastModified: '2026-11-22T10:00:00.000Z',
      },
    ]);
    expect(await document('1')).toMatchObject({
      scope: ALICE,
      collection: 'items',
      documentId: '1',
      userId: 'alice',
      deviceId: 'phone',
      seq: 7,
      lastModified: '2026-11-22T10:00:00.000Z',
      deleted: false,
      ttl: -1,
      data: { a: 1 },
    });
    expect(await ledgers()).toMatchObject([{ seq: 7, changeId: 'c7', outcomes: 'a', ttl: -1 }]);
    expect(answer.streams).toEqual({ [ALICE]: { seq: 7, changeId: 'c7' } });
    expect(answer.delta).toEqual({ documents: [], hasMore: false });
  });

  it('writes 99 changes and the ledger with one request, and reads nothing', async () => {
    await gateway.sync('alice', request('phone'));
    gateway.emulator.requests.clear();
    const changes = Array.from({ length: 99 }, (_, index) => change(`d${index}`, index + 1));
    await gateway.sync('alice', request('phone', changes));
    const operations = gateway.emulator.requests.entries.map(({ operation, operations: count }) => [
      operation,
      count,
    ]);
    expect(operations).toEqual([
      ['batch', 100],
      ['changeFeed', 1],
      ['changeFeed', 1],
    ]);
  });

  it('costs one request and no metadata when there is nothing to do', async () => {
    const { checkpoints } = await gateway.sync('alice', request('phone', [change('1', 1)]));
    gateway.emulator.requests.clear();
    const answer = await gateway.sync('alice', request('phone', [], null, { checkpoints }));
    expect(gateway.emulator.requests.entries.map(({ operation, status }) => [operation, status])).toEqual([
      ['changeFeed', 304],
    ]);
    expect(answer.delta).toEqual({ documents: [], hasMore: false });
  });

  it('replaces the version it was made on, whatever the clocks say', async () => {
    const first = await gateway.sync('alice', request('phone', [change('1', 1)]));
    advanceTime(-DAY);
    const { version } = first.results[0]!;
    const next = change('1', 2, { baseVersion: version, data: { a: 2 } });
    // The client's clock runs a day behind, and the gateway that takes the change in is behind as well.
    const second = await gateway.sync('alice', request('phone', [next], { seq: 1, changeId: 'c1' }));
    expect(statuses(second)).toEqual(['applied']);
    expect(await document('1')).toMatchObject({ data: { a: 2 }, lastModified: '2026-11-22T10:00:00.001Z' });
    expect(await records()).toEqual([]);
  });

  it('takes several changes of one document in order, with one write and one result each', async () => {
    const answer = await gateway.sync(
      'alice',
      request('phone', [
        change('1', 1, { data: { a: 1 } }),
        change('1', 2, { type: 'patch', data: { b: 2 } }),
        change('1', 3, { type: 'delete' }),
        change('1', 4, { data: { c: 3 } }),
      ]),
    );
    expect(statuses(answer)).toEqual(['applied', 'applied', 'applied', 'applied']);
    expect(new Set(answer.results.map(({ version }) => version)).size).toBe(1);
    expect(await document('1')).toMatchObject({ data: { c: 3 }, deleted: false, ttl: -1, seq: 4 });
    expect(gateway.emulator.requests.entries.filter(({ operation }) => operation === 'batch')).toHaveLength(
      1,
    );
  });

  it('keeps documents of one name apart by user, and shows nobody the other', async () => {
    await gateway.sync('alice', request('phone', [change('1', 1, { data: { of: 'alice' } })]));
    const bob = await gateway.sync('bob', {
      ...request('phone', [change('1', 1, { data: { of: 'bob' } })]),
      streams: {},
    });
    expect(statuses(bob)).toEqual(['applied']);
    expect(bob.scopes).toEqual(['user:bob']);
    const again = await gateway.sync('bob', { ...request('tablet'), streams: {} });
    expect(again.delta.documents.map(({ data }) => data)).toEqual([{ of: 'bob' }]);
  });
});

describe('A tombstone', () => {
  it('takes the place of a deleted document, travels, and expires', async () => {
    const first = await gateway.sync('alice', request('phone', [change('1', 1)]));
    const { version } = first.results[0]!;
    const gone = await gateway.sync(
      'alice',
      request('phone', [change('1', 2, { type: 'delete', baseVersion: version })], {
        seq: 1,
        changeId: 'c1',
      }),
    );
    expect(statuses(gone)).toEqual(['applied']);
    expect(await document('1')).toMatchObject({ deleted: true, ttl: 90 * 86_400, data: null });
    const tablet = await gateway.sync('alice', request('tablet'));
    expect(tablet.delta.documents).toMatchObject([{ documentId: '1', deleted: true, data: null }]);
    advanceTime(91 * DAY);
    expect(await document('1')).toBeUndefined();
  });

  it('that is undone lives on, also after the tombstone would have expired', async () => {
    const first = await gateway.sync(
      'alice',
      request('phone', [change('1', 1), change('1', 2, { type: 'delete' })]),
    );
    const undelete = change('1', 3, { baseVersion: first.results[1]!.version, data: { back: true } });
    await gateway.sync('alice', request('phone', [undelete], { seq: 2, changeId: 'c2' }));
    advanceTime(91 * DAY);
    expect(await document('1')).toMatchObject({ deleted: false, data: { back: true } });
  });

  it('stays one when a create is replayed after it expired; an old create never sent before survives', async () => {
    const create = request('phone', [change('1', 1)]);
    const { results } = await gateway.sync('alice', create);
    await gateway.sync(
      'alice',
      request('tablet', [
        change('1', 1, { type: 'delete', baseVersion: results[0]!.version, changeId: 't1' }),
      ]),
    );
    const old = change('2', 2);
    advanceTime(91 * DAY);
    const replay = await gateway.sync('alice', { ...create, changes: [...create.changes, old] });
    expect(replay.results).toMatchObject([
      { status: 'duplicate', outcome: 'applied', version: null, document: { deleted: true } },
      { status: 'applied' },
    ]);
    expect(await document('1')).toBeUndefined();
    expect(await document('2')).toBeDefined();
  });

  it('stays one for a second edit that waits behind the unanswered create', async () => {
    const create = request('phone', [change('1', 1)]);
    const { results } = await gateway.sync('alice', create);
    await gateway.sync(
      'alice',
      request('tablet', [
        change('1', 1, { type: 'delete', baseVersion: results[0]!.version, changeId: 't1' }),
      ]),
    );
    advanceTime(91 * DAY);
    const replay = await gateway.sync('alice', { ...create, changes: [...create.changes, change('1', 2)] });
    expect(replay.results).toMatchObject([
      { status: 'duplicate' },
      { status: 'skipped', document: { deleted: true } },
    ]);
    expect(await document('1')).toBeUndefined();
    expect(await records()).toMatchObject([{ id: '~conflict:c2', lost: { side: 'incoming' } }]);
  });

  it.each(['nothing', 'a tombstone'])(
    'answers the delete of %s as applied, and writes only the ledger',
    async (what) => {
      if (what === 'a tombstone') {
        await gateway.sync(
          'alice',
          request('tablet', [change('1', 1), change('1', 2, { type: 'delete', changeId: 'c2' })]),
        );
      }
      const before = await document('1');
      const answer = await gateway.sync('alice', request('phone', [change('1', 1, { type: 'delete' })]));
      expect(statuses(answer)).toEqual(['applied']);
      expect(await document('1')).toEqual(before);
      expect(await ledgers()).toHaveLength(what === 'nothing' ? 1 : 2);
    },
  );
});

it('a conflict record is never written over: a change id that another used already fails, and blocks nothing', async () => {
  await gateway.sync(
    'alice',
    request('tablet', [change('1', 1, { changeId: 't1' }), change('2', 2, { changeId: 't2' })]),
  );
  advanceTime(1000);
  const clash = (documentId: string, seq: number) =>
    change(documentId, seq, { changeId: 'same', baseVersion: 'live', data: { by: seq } });
  expect(statuses(await gateway.sync('alice', request('phone', [clash('1', 1)])))).toEqual(['applied']);
  const answer = await gateway.sync(
    'alice',
    request('watch', [clash('2', 2), change('3', 3, { changeId: 'w3' })]),
  );
  expect(answer.results).toMatchObject([
    { status: 'failed', error: { code: 'contended' } },
    { status: 'applied' },
  ]);
  expect(await records()).toMatchObject([
    { id: '~conflict:same', documentId: '1', lost: { deviceId: 'tablet' } },
  ]);
  expect(await document('2')).toMatchObject({ deviceId: 'tablet' });
  const repeat = await gateway.sync(
    'alice',
    request('watch', [clash('2', 2), change('3', 3, { changeId: 'w3' }), change('2', 4, { changeId: 'w4' })]),
  );
  expect(repeat.results).toMatchObject([
    { status: 'duplicate', outcome: 'failed' },
    { status: 'duplicate' },
    { status: 'failed' },
  ]);
});

it('a delete that found a tombstone of another does not let an old edit behind it win', async () => {
  const start = Date.now();
  await gateway.sync('alice', request('tablet', [change('1', 1, { changeId: 't1' })]));
  advanceTime(10_000);
  await gateway.sync(
    'alice',
    request('tablet', [change('1', 2, { changeId: 't2', type: 'delete', baseVersion: 'live' })], {
      seq: 1,
      changeId: 't1',
    }),
  );
  const at = (seconds: number) => ({
    baseVersion: 'live',
    lastModified: new Date(start + seconds * 1000).toISOString(),
  });
  const answer = await gateway.sync(
    'alice',
    request('phone', [change('1', 1, { type: 'delete', ...at(5) }), change('1', 2, at(6))]),
  );
  expect(statuses(answer)).toEqual(['applied', 'skipped']);
  expect(await document('1')).toMatchObject({ deleted: true, deviceId: 'tablet' });
});

describe('A conflict under last-write-wins', () => {
  const bothEdit = async (phone: Record<string, unknown>, tablet: Record<string, unknown>, delay: number) => {
    const { results, checkpoints } = await gateway.sync(
      'alice',
      request('phone', [change('1', 1, { data: { v: 0 } })]),
    );
    const { version } = results[0]!;
    advanceTime(1000);
    const late = change('1', 1, { baseVersion: version, changeId: 't1', ...tablet });
    advanceTime(delay);
    await gateway.sync(
      'alice',
      request(
        'phone',
        [change('1', 2, { baseVersion: version, ...phone })],
        { seq: 1, changeId: 'c1' },
        { checkpoints },
      ),
    );
    return { answer: await gateway.sync('alice', request('tablet', [late])), version };
  };

  it('keeps the later edit and logs the earlier one that was stored', async () => {
    const { answer } = await bothEdit({ data: { v: 'phone' } }, { data: { v: 'tablet' } }, -500);
    expect(answer.results).toMatchObject([{ status: 'applied' }]);
    expect(await document('1')).toMatchObject({ data: { v: 'tablet' } });
    expect(await records()).toMatchObject([
      {
        id: '~conflict:t1',
        outcome: 'applied',
        lost: { side: 'stored', data: { v: 'phone' }, deviceId: 'phone', seq: 2 },
        ttl: 90 * 86_400,
      },
    ]);
  });

  it('skips the earlier edit, logs it, and sends the stored document along', async () => {
    const { answer } = await bothEdit({ data: { v: 'phone' } }, { data: { v: 'tablet' } }, 500);
    expect(answer.results).toMatchObject([
      { status: 'skipped', document: { data: { v: 'phone' }, deviceId: 'phone' } },
    ]);
    expect(await document('1')).toMatchObject({ data: { v: 'phone' } });
    expect(await records()).toMatchObject([
      { outcome: 'skipped', lost: { side: 'incoming', data: { v: 'tablet' } } },
    ]);
  });

  it('brings a document back that was deleted earlier, and logs the delete', async () => {
    const { answer } = await bothEdit({ type: 'delete', data: undefined }, { data: { v: 'tablet' } }, -500);
    expect(answer.results).toMatchObject([{ status: 'applied' }]);
    expect(await document('1')).toMatchObject({ deleted: false, ttl: -1, data: { v: 'tablet' } });
    expect(await records()).toMatchObject([{ lost: { side: 'stored', deleted: true } }]);
  });

  it('lands a patch beside what another wrote, and says so', async () => {
    const { answer } = await bothEdit(
      { data: { v: 0, phone: true } },
      { type: 'patch', data: { tablet: true } },
      -500,
    );
    expect(answer.results).toMatchObject([
      { status: 'merged', document: { data: { v: 0, phone: true, tablet: true }, deviceId: 'gateway' } },
    ]);
    expect(await records()).toMatchObject([{ lost: { data: { v: 0, phone: true } } }]);
  });

  it('never lets a patch bring a document back', async () => {
    const { answer } = await bothEdit(
      { type: 'delete', data: undefined },
      { type: 'patch', data: { tablet: true } },
      -500,
    );
    expect(answer.results).toMatchObject([{ status: 'skipped', document: { deleted: true } }]);
    expect(await records()).toMatchObject([{ lost: { side: 'incoming', data: { tablet: true } } }]);
  });

  it('costs one refused batch, one read and the batch that stands', async () => {
    await bothEdit({ data: { v: 'phone' } }, { data: { v: 'tablet' } }, -500);
    const entries = gateway.emulator.requests.entries.slice(-6).map(({ operation }) => operation);
    expect(entries.filter((operation) => operation === 'batch')).toHaveLength(2);
    expect(entries.filter((operation) => operation === 'query')).toHaveLength(1);
  });

  it('is decided by time alone for a client that states no base; a repeat is answered as one', async () => {
    const at = (seconds: number) => new Date(Date.now() + seconds * 1000).toISOString();
    const plain = (value: string, lastModified: string) => ({
      protocol: 1,
      deviceId: 'thin',
      changes: [{ type: 'upsert', collection: 'items', documentId: '1', lastModified, data: { value } }],
    });
    expect(statuses(await gateway.sync('alice', plain('second', at(-10))))).toEqual(['applied']);
    expect(statuses(await gateway.sync('alice', plain('first', at(-20))))).toEqual(['skipped']);
    expect(statuses(await gateway.sync('alice', plain('first', at(-20))))).toEqual(['skipped']);
    expect(statuses(await gateway.sync('alice', plain('second', at(-10))))).toEqual(['duplicate']);
    expect(await document('1')).toMatchObject({
      data: { value: 'second' },
      lastModified: at(-10),
      seq: null,
    });
    expect(await records()).toHaveLength(1);
    expect(await ledgers()).toEqual([]);
  });

  it('does not believe the stamp in a base: one from the future is not handed on', async () => {
    const { results } = await gateway.sync('alice', request('phone', [change('1', 1)]));
    const { etag } = parseVersion(results[0]!.version!)!;
    const baseVersion = formatVersion({ etag, stamp: Date.parse('2099-01-01T00:00:00Z'), live: true });
    const next = change('1', 2, { baseVersion });
    const answer = await gateway.sync('alice', request('phone', [next], { seq: 1, changeId: 'c1' }));
    expect(answer.results).toMatchObject([{ status: 'applied', lastModified: '2026-11-22T10:00:00.001Z' }]);
  });

  it('caps a document from the future at the clock of the gateway, so the next edit wins', async () => {
    const future = change('1', 1, { lastModified: '2099-01-01T00:00:00.000Z' });
    await gateway.sync('alice', { ...request('phone', [future]), clientTime: undefined });
    advanceTime(1);
    const answer = await gateway.sync(
      'alice',
      request('tablet', [change('1', 1, { baseVersion: 'live', changeId: 't1', data: { v: 2 } })]),
    );
    expect(statuses(answer)).toEqual(['applied']);
  });
});

describe('A repeat', () => {
  it('changes nothing, at any later time, and is answered from the ledger', async () => {
    const first = request('phone', [change('1', 1), change('2', 2), change('/', 3)]);
    await gateway.sync('alice', first);
    const before = await gateway.items();
    for (const days of [0, 1, 400]) {
      advanceTime(days * DAY);
      const replay = await gateway.sync('alice', first);
      expect(replay.results).toMatchObject([
        { status: 'duplicate', outcome: 'applied', version: expect.any(String) },
        { status: 'duplicate', outcome: 'applied' },
        { status: 'rejected', error: { code: 'invalid_id' } },
      ]);
      expect(replay.results[0]).not.toHaveProperty('document');
      expect(await gateway.items()).toEqual(before);
    }
  });

  it('changes nothing after others went on, and brings what is stored now', async () => {
    const first = request('phone', [change('1', 1)]);
    const { results } = await gateway.sync('alice', first);
    await gateway.sync(
      'alice',
      request('tablet', [
        change('1', 1, { baseVersion: results[0]!.version, changeId: 't1', data: { v: 'tablet' } }),
      ]),
    );
    const replay = await gateway.sync('alice', first);
    expect(replay.results).toMatchObject([
      { status: 'duplicate', outcome: 'applied', document: { data: { v: 'tablet' } } },
    ]);
    expect(await document('1')).toMatchObject({ data: { v: 'tablet' } });
  });

  it('goes on with what is new behind it', async () => {
    const first = [change('1', 1), change('2', 2)];
    await gateway.sync('alice', request('phone', first));
    const answer = await gateway.sync(
      'alice',
      request('phone', [...first, change('3', 3), change('1', 4, { data: { v: 2 } })]),
    );
    expect(statuses(answer)).toEqual(['duplicate', 'duplicate', 'applied', 'applied']);
    expect(await ledgers()).toMatchObject([{ seq: 4, outcomes: 'aaaa' }]);
    expect(await records()).toEqual([]);
  });

  it('is answered also when the ledger speaks of more than a hundred changes', async () => {
    const changes = Array.from({ length: 250 }, (_, index) => change(`d${index}`, index + 1));
    await gateway.sync('alice', request('phone', changes));
    const replay = await gateway.sync('alice', request('phone', changes));
    expect(new Set(statuses(replay))).toEqual(new Set(['duplicate']));
    expect(
      replay.results.every(({ version, document: along }) => version !== null && along === undefined),
    ).toBe(true);
  });

  it('of a device id that another store uses is told apart: nothing of it is written', async () => {
    await gateway.sync('alice', request('phone', [change('1', 1)]));
    const clone = await gateway.sync('alice', request('phone', [change('2', 1, { changeId: 'x1' })]));
    expect(clone.results).toMatchObject([{ status: 'failed', error: { code: 'device_forked' } }]);
    expect(await document('2')).toBeUndefined();
    const restored = await gateway.sync(
      'alice',
      request('phone', [change('3', 9, { changeId: 'x9' })], { seq: 8, changeId: 'x8' }),
    );
    expect(restored.results).toMatchObject([{ status: 'failed', error: { code: 'device_forked' } }]);
  });

  it('lets a patch behind it stand on an upsert that came after a rejected change', async () => {
    const first = [change('1', 1, { lastModified: 'never' }), change('1', 2)];
    await gateway.sync('alice', request('phone', first));
    const answer = await gateway.sync(
      'alice',
      request('phone', [...first, change('1', 3, { type: 'patch', data: { patched: true } })]),
    );
    expect(statuses(answer)).toEqual(['rejected', 'duplicate', 'applied']);
    expect(await document('1')).toMatchObject({ data: { value: '1', patched: true } });
  });

  it('does not let an edit behind it pass over what another wrote since', async () => {
    const first = [change('1', 1)];
    const { results } = await gateway.sync('alice', request('phone', first));
    const theirs = change('1', 1, {
      baseVersion: results[0]!.version,
      changeId: 't1',
      data: { v: 'tablet' },
    });
    await gateway.sync('alice', request('tablet', [theirs]));
    advanceTime(1000);
    const answer = await gateway.sync('alice', request('phone', [...first, change('1', 2)]));
    expect(statuses(answer)).toEqual(['duplicate', 'applied']);
    expect(await records()).toMatchObject([{ id: '~conflict:c2', lost: { data: { v: 'tablet' } } }]);
  });

  it('lets an edit behind it follow it, also where the document was not among those that were read', async () => {
    const first = [change('1', 1), change('2', 2, { type: 'delete' }), change('2', 3)];
    await gateway.sync('alice', request('phone', first));
    const answer = await gateway.sync(
      'alice',
      request('phone', [...first, change('2', 4, { data: { v: 2 } })]),
    );
    expect(statuses(answer)).toEqual(['duplicate', 'duplicate', 'duplicate', 'applied']);
    expect(await document('2')).toMatchObject({ data: { v: 2 } });
    expect(await records()).toEqual([]);
  });

  it('is not taken for a fork where a replica lags; a read that is too old decides nothing', async () => {
    gateway.emulator.replicas.set({ lag: 1 });
    const { streams } = await gateway.sync('alice', request('phone', [change('1', 1)]));
    const elsewhere = openGateway(gateway.emulator.endpoint, gateway.emulator.key);
    // No checkpoint, so no session: the document is there, and the lagging replica knows neither it nor the ledger.
    const answer = await elsewhere.sync(
      'alice',
      request('phone', [change('1', 2, { type: 'delete', baseVersion: 'live' })], streams[ALICE]),
    );
    elsewhere.close();
    gateway.emulator.replicas.set({ lag: 0 });
    expect(statuses(answer)).toEqual(['applied']);
    expect(await document('1')).toMatchObject({ deleted: true });
  });

  it('reads with the session of the checkpoint: a replica that lags does not hide what the user has seen', async () => {
    gateway.emulator.replicas.set({ lag: 1 });
    const { checkpoints } = await gateway.sync(
      'alice',
      request('tablet', [change('1', 1, { changeId: 't1' })]),
    );
    const elsewhere = openGateway(gateway.emulator.endpoint, gateway.emulator.key);
    advanceTime(1000);
    const gone = change('1', 1, { type: 'delete', baseVersion: 'live' });
    const answer = await elsewhere.sync('alice', request('phone', [gone], null, { checkpoints }));
    elsewhere.close();
    gateway.emulator.replicas.set({ lag: 0 });
    expect(statuses(answer)).toEqual(['applied']);
    expect(await document('1')).toMatchObject({ deleted: true });
  });

  it('in parallel writes everything once', async () => {
    const changes = Array.from({ length: 150 }, (_, index) => change(`d${index}`, index + 1));
    const body = request('phone', changes);
    const answers = await Promise.all([
      gateway.sync('alice', body),
      gateway.sync('alice', body),
      gateway.sync('alice', body),
    ]);
    const taken = changes.map(
      (_, index) => answers.filter(({ results }) => results[index]!.status === 'applied').length,
    );
    expect(taken.every((count) => count === 1)).toBe(true);
    expect(
      answers.flatMap(statuses).filter((status) => status !== 'applied' && status !== 'duplicate'),
    ).toEqual([]);
    expect(await ledgers()).toMatchObject([{ seq: 150 }]);
  });
});

describe('A rejected change', () => {
  it('blocks nothing behind it, moves the ledger, and brings the stored document', async () => {
    await gateway.sync('alice', request('tablet', [change('1', 1, { data: { v: 1 }, changeId: 't1' })]));
    const answer = await gateway.sync(
      'alice',
      request('phone', [
        change('1', 1, { data: { n: 'x'.repeat(1_000_000) } }),
        change('1', 2, { type: 'patch', data: { patched: true } }),
        change('2', 3),
      ]),
    );
    expect(answer.results).toMatchObject([
      {
        status: 'rejected',
        error: { code: 'document_too_large', pointer: '/data' },
        document: { data: { v: 1 } },
      },
      { status: 'rejected', error: { code: 'dependency' } },
      { status: 'applied' },
    ]);
    expect((await ledgers()).find(({ seq }) => seq === 3)).toMatchObject({ outcomes: 'rra' });
  });

  it('moves the ledger also where nothing else is written', async () => {
    await gateway.sync('alice', request('phone', [change('1', 1, { lastModified: 'yesterday' })]));
    expect(await ledgers()).toMatchObject([{ seq: 1, outcomes: 'r' }]);
  });
});

/** Reads a delta to its end. */
async function drain(deviceId: string, first: SyncResponse) {
  const documents = [...first.delta.documents];
  let largest = JSON.stringify(first).length;
  for (let answer = first; answer.delta.hasMore;) {
    const { checkpoints } = answer;
    answer = await gateway.sync('alice', request(deviceId, [], null, { checkpoints }));
    documents.push(...answer.delta.documents);
    largest = Math.max(largest, JSON.stringify(answer).length);
  }
  return { documents, largest };
}

it('what Cosmos DB refuses for its content is rejected, and nothing behind it is held up', async () => {
  const choosy = mapScopes(gateway.store, (scope) => ({
    batch: (writes) => {
      const culprit = writes.findIndex((write) => JSON.stringify(write).includes('unheard of'));
      return culprit === -1 ? scope.batch(writes) : Promise.resolve({ kind: 'unstorable', culprit });
    },
  }));
  const changes = [
    change('1', 1),
    change('2', 2),
    change('2', 3, { data: { text: 'unheard of' } }),
    change('3', 4),
    change('4', 5, { transaction: 't' }),
    change('5', 6, { transaction: 't', data: { text: 'unheard of' } }),
    change('6', 7),
  ];
  const { results } = await gateway.sync('alice', request('phone', changes), {}, choosy);
  expect(results.map(({ status, error }) => error?.code ?? status)).toEqual([
    'applied',
    'applied',
    'not_storable',
    'applied',
    'transaction_rejected',
    'not_storable',
    'applied',
  ]);
  expect(await document('2')).toMatchObject({ data: { value: '2' } });
  expect(await ledgers()).toMatchObject([{ seq: 7, outcomes: 'aararra' }]);
});

describe('An answer', () => {
  it('does not carry a large document a thousand times', async () => {
    await gateway.sync(
      'alice',
      request('tablet', [change('1', 1, { changeId: 't1', data: { text: 'x'.repeat(900_000) } })]),
    );
    const wrong = Array.from({ length: 1000 }, (_, index) =>
      change('1', index + 1, { lastModified: 'never' }),
    );
    const answer = await gateway.sync('alice', request('phone', wrong, null, { collections: [] }));
    expect(new Set(statuses(answer))).toEqual(new Set(['rejected']));
    expect(answer.results.filter(({ document: along }) => along !== undefined)).toHaveLength(4);
  });

  it('that is full leaves what was merged to the delta', async () => {
    const large = Array.from({ length: 20 }, (_, index) =>
      change(`d${index}`, index + 1, { changeId: `t${index}`, data: { text: 'x'.repeat(900_000) } }),
    );
    await gateway.sync('alice', request('tablet', large));
    const { checkpoints } = await gateway
      .sync('alice', request('phone', [], null, { limit: 100 }))
      .then(async (first) => {
        let answer = first;
        while (answer.delta.hasMore)
          answer = await gateway.sync(
            'alice',
            request('phone', [], null, { checkpoints: answer.checkpoints }),
          );
        return answer;
      });
    advanceTime(1000);
    const patches = large.map((_, index) =>
      change(`d${index}`, index + 1, { type: 'patch', baseVersion: 'live', data: { n: index } }),
    );
    const answer = await gateway.sync('alice', request('phone', patches, null, { checkpoints }));
    expect(new Set(statuses(answer))).toEqual(new Set(['merged']));
    const told = answer.results.filter(({ document: along }) => along !== undefined);
    const left = answer.results.filter(({ document: along }) => along === undefined);
    expect([told.length, left.every(({ version }) => version === null)]).toEqual([4, true]);
    const { documents } = await drain('phone', answer);
    expect(documents.map(({ documentId }) => documentId)).toEqual(large.slice(4).map((_, n) => `d${n + 4}`));
  }, 60_000);
});

describe('A delta', () => {
  const put = (from: number, count: number) =>
    Array.from({ length: count }, (_, index) => change(`d${from + index}`, from + index));

  it('comes in pages, in order, and misses nothing that is written between two of them', async () => {
    await gateway.sync('alice', request('phone', put(1, 250)));
    const seen: string[] = [];
    let checkpoints = {};
    let hasMore = true;
    for (let page = 0; hasMore; page += 1) {
      const answer = await gateway.sync('alice', request('tablet', [], null, { checkpoints, limit: 100 }));
      seen.push(...answer.delta.documents.map(({ documentId }) => documentId));
      ({ checkpoints } = answer);
      ({ hasMore } = answer.delta);
      // In the very same millisecond: the clock stands still.
      if (page === 0)
        await gateway.sync('alice', request('phone', put(251, 50), { seq: 250, changeId: 'c250' }));
    }
    expect(seen).toEqual(Array.from({ length: 300 }, (_, index) => `d${index + 1}`));
  });

  it('holds only the collections asked for; one added later brings its history', async () => {
    await gateway.sync(
      'alice',
      request('phone', [change('1', 1), change('n', 2, { collection: 'notes' }), change('2', 3)]),
    );
    const first = await gateway.sync('alice', request('tablet', [], null, { collections: ['items'] }));
    expect(first.delta.documents.map(({ documentId }) => documentId)).toEqual(['1', '2']);
    const second = await gateway.sync(
      'alice',
      request('tablet', [], null, { collections: ['items', 'notes'], checkpoints: first.checkpoints }),
    );
    expect(second.delta.documents.map(({ documentId }) => documentId)).toEqual(['n']);
    await gateway.sync(
      'alice',
      request('phone', [change('m', 4, { collection: 'notes' }), change('3', 5)], { seq: 3, changeId: 'c3' }),
    );
    const third = await gateway.sync(
      'alice',
      request('tablet', [], null, { collections: ['items', 'notes'], checkpoints: second.checkpoints }),
    );
    expect(third.delta.documents.map(({ documentId }) => documentId)).toEqual(['m', '3']);
  });

  it.each([
    ['of another epoch', { settings: { epoch: '2' } }],
    ['not drained within the retention', { days: 90 }],
    ['that nobody wrote', { text: 'bm9uc2Vuc2U' }],
    ['of another scope', { scope: 'user:bob' }],
  ])(
    'starts over from a checkpoint %s',
    async (
      _,
      {
        settings = {},
        days = 0,
        text,
        scope,
      }: { settings?: object; days?: number; text?: string; scope?: string },
    ) => {
      await gateway.sync('alice', request('phone', [change('1', 1)]));
      const owner = scope === undefined ? 'alice' : 'bob';
      const { checkpoints } = await gateway.sync(owner, { ...request('tablet'), streams: {} });
      advanceTime(days * DAY);
      const sent = text ?? checkpoints[`user:${owner}`]!;
      const answer = await gateway.sync(
        'alice',
        request('tablet', [], null, { checkpoints: { [ALICE]: sent } }),
        settings,
      );
      expect(answer.resync).toEqual([ALICE]);
      expect(answer.delta.documents.map(({ documentId }) => documentId)).toEqual(['1']);
      const next = await gateway.sync(
        'alice',
        request('tablet', [], null, { checkpoints: answer.checkpoints }),
        settings,
      );
      expect(next).toMatchObject({ resync: [], delta: { documents: [] } });
    },
  );

  it('starts over from a checkpoint renewed page by page but never drained within the retention', async () => {
    await gateway.sync('alice', request('phone', put(1, 1)));
    await gateway.sync('alice', request('phone', put(2, 1), { seq: 1, changeId: 'c1' }));
    await gateway.sync('alice', request('phone', put(3, 1), { seq: 2, changeId: 'c2' }));
    let { checkpoints } = await gateway.sync('alice', request('tablet', [], null, { limit: 1 }));
    advanceTime(50 * DAY);
    const middle = await gateway.sync('alice', request('tablet', [], null, { limit: 1, checkpoints }));
    expect(middle.resync).toEqual([]);
    ({ checkpoints } = middle);
    advanceTime(50 * DAY);
    expect(
      (await gateway.sync('alice', request('tablet', [], null, { limit: 1, checkpoints }))).resync,
    ).toEqual([ALICE]);
  });

  it('starts over from a checkpoint that was not drained since the retention was raised', async () => {
    for (const seq of [1, 2, 3]) {
      const claim = seq === 1 ? null : { seq: seq - 1, changeId: `c${seq - 1}` };
      await gateway.sync('alice', request('phone', put(seq, 1), claim));
    }
    const page = (checkpoints: Record<string, string>, days: number) =>
      gateway.sync('alice', request('tablet', [], null, { limit: 1, checkpoints }), {
        retention: days * 86_400,
      });
    const first = await page({}, 10);
    advanceTime(5 * DAY);
    const second = await page(first.checkpoints, 90);
    expect(second.resync).toEqual([]);
    advanceTime(10 * DAY);
    expect((await page(second.checkpoints, 90)).resync).toEqual([ALICE]);
  });

  it('ends in time with what was read: a page that is cut off by the deadline would be all for nothing', async () => {
    await gateway.sync('alice', request('phone', put(1, 1)));
    await gateway.sync('alice', request('phone', put(2, 1), { seq: 1, changeId: 'c1' }));
    await gateway.sync('alice', request('phone', put(3, 1), { seq: 2, changeId: 'c2' }));
    const end = Date.now() + 60_000;
    const slow = mapScopes(gateway.store, (scope) => ({
      changes: async (continuation) => {
        const result = await scope.changes(continuation, 1);
        advanceTime(25_000);
        if (Date.now() > end) throw new Unavailable('The deadline passed.');
        return result;
      },
    }));
    const answer = await gateway.sync('alice', request('tablet'), {}, slow);
    expect(answer.delta).toMatchObject({
      documents: [{ documentId: 'd1' }, { documentId: 'd2' }],
      hasMore: true,
    });
  });

  it('of large documents comes in parts that fit into memory', async () => {
    const large = Array.from({ length: 30 }, (_, index) =>
      change(`d${index}`, index + 1, { data: { text: 'x'.repeat(900_000) } }),
    );
    await gateway.sync('alice', request('phone', large));
    const first = await gateway.sync('alice', request('tablet'));
    expect(first.delta.hasMore).toBe(true);
    const { documents, largest } = await drain('tablet', first);
    expect(documents.map(({ documentId }) => documentId)).toEqual(large.map((_, n) => `d${n}`));
    // The first page is asked for before anybody knows the size of a document; Cosmos DB keeps it below 4 MB.
    expect(largest).toBeLessThan(4_000_000);
  });

  describe('since a time, for a client without a checkpoint', () => {
    const since = (at: number, fields = {}) =>
      gateway.sync('alice', request('tablet', [], null, { since: new Date(at).toISOString(), ...fields }));
    const ids = ({ delta }: SyncResponse) => delta.documents.map(({ documentId }) => documentId);

    it('holds what changed from then on, deletes included, and goes on by checkpoint', async () => {
      const first = await gateway.sync('alice', request('phone', [change('old', 1), change('gone', 2)]));
      advanceTime(60_000);
      const time = Date.now();
      await gateway.sync(
        'alice',
        request(
          'phone',
          [change('new', 3), change('gone', 4, { type: 'delete', baseVersion: first.results[1]?.version })],
          { seq: 2, changeId: 'c2' },
        ),
      );
      const answer = await since(time);
      expect(ids(answer)).toEqual(['new', 'gone']);
      expect(answer.resync).toEqual([]);
      expect(ids(await since(time, { checkpoints: answer.checkpoints }))).toEqual([]);
      advanceTime(2000);
      expect(ids(await since(Date.now() + DAY))).toEqual([]);
    });

    it('that lies beyond the retention of tombstones is all there is, and says so', async () => {
      await gateway.sync('alice', request('phone', [change('old', 1)]));
      advanceTime(100 * DAY);
      const answer = await since(Date.now() - 90 * DAY);
      expect(answer.resync).toEqual([ALICE]);
      expect(ids(answer)).toEqual(['old']);
    });

    it('has to be a date', async () => {
      const sent = gateway.sync('alice', request('tablet', [], null, { since: 'yesterday' }));
      await expect(sent).rejects.toMatchObject({ code: 'invalid_request', pointer: '/since' });
    });
  });

  it('starts over when the container was replaced by another one of its name', async () => {
    await gateway.sync('alice', request('phone', [change('1', 1)]));
    const { checkpoints } = await gateway.sync('alice', request('tablet'));
    await gateway.container.delete();
    await provision(gateway.emulator.endpoint, gateway.emulator.key);
    await expect(gateway.sync('alice', request('tablet', [], null, { checkpoints }))).rejects.toThrow(
      Unavailable,
    );
    expect((await gateway.sync('alice', request('tablet', [], null, { checkpoints }))).resync).toEqual([
      ALICE,
    ]);
  });

  it('skips what someone wrote past the gateway and no client could read; a valid change replaces it', async () => {
    await gateway.container.items.create({
      id: 'items:1',
      scope: ALICE,
      collection: 'items',
      documentId: '1',
      data: 'broken',
    });
    await gateway.container.items.create({ id: 'strange', scope: ALICE });
    expect((await gateway.sync('alice', request('tablet'))).delta.documents).toEqual([]);
    const answer = await gateway.sync('alice', request('phone', [change('1', 1)]));
    expect(statuses(answer)).toEqual(['applied']);
    expect(await document('1')).toMatchObject({ data: { value: '1' } });
  });
});

describe('What someone wrote past the gateway', () => {
  it('with a stamp of the far future disturbs nobody: the next edit is stored and delivered', async () => {
    const first = await gateway.sync('alice', request('phone', [change('1', 1)]));
    const { id, ...rest } = (await document('1'))!;
    await gateway.container.items.upsert({ ...rest, id, lastModified: '9999-12-31T23:59:59.999Z' });
    const edit = change('1', 2, { baseVersion: first.results[0]!.version, data: { v: 2 } });
    advanceTime(1000);
    const answer = await gateway.sync(
      'alice',
      request('phone', [{ ...edit, lastModified: new Date(Date.now()).toISOString() }], {
        seq: 1,
        changeId: 'c1',
      }),
    );
    expect(statuses(answer)).toEqual(['applied']);
    const tablet = await gateway.sync('alice', request('tablet'));
    expect(tablet.delta.documents).toMatchObject([{ data: { v: 2 } }]);
  });

  it('over a ledger costs that device a new start, and does not lock it out', async () => {
    await gateway.sync('alice', request('phone', [change('1', 1)]));
    const [ledger] = await ledgers();
    await gateway.container.items.upsert({ ...ledger, seq: 'spoilt' });
    const told = await gateway.sync('alice', request('phone', [change('2', 2)], { seq: 1, changeId: 'c1' }));
    expect(told.results).toMatchObject([{ status: 'failed', error: { code: 'device_forked' } }]);
    expect(statuses(await gateway.sync('alice', request('phone', [change('2', 2)])))).toEqual(['applied']);
    expect(await ledgers()).toMatchObject([{ seq: 2, changeId: 'c2', outcomes: 'a' }]);
  });
});

describe('A shared scope', () => {
  let team: Gateway;
  beforeEach(async () => {
    team = await startGateway({ scopes: ['facility:12'] });
  });
  afterEach(() => team.dispose());

  it('is synced beside the private one, with a stream and a checkpoint of its own', async () => {
    const answer = await team.sync('alice', {
      ...request('phone', [
        change('v', 1, { collection: 'visits', scope: 'facility:12' }),
        change('1', 2),
        change('w', 3, { collection: 'visits', scope: 'facility:13' }),
        change('x', 4, { collection: 'visits' }),
      ]),
      streams: {},
    });
    expect(answer.results).toMatchObject([
      { status: 'applied' },
      { status: 'applied' },
      { status: 'rejected', error: { code: 'scope_forbidden' } },
      { status: 'rejected', error: { code: 'collection_out_of_scope' } },
    ]);
    expect(answer.scopes).toEqual([ALICE, 'facility:12']);
    expect(answer.streams).toEqual({
      [ALICE]: { seq: 4, changeId: 'c4' },
      'facility:12': { seq: 1, changeId: 'c1' },
    });
    const bob = await team.sync('bob', { ...request('tablet'), streams: {} });
    expect(bob.delta.documents).toMatchObject([{ scope: 'facility:12', documentId: 'v', userId: 'alice' }]);
    expect(await team.items('facility:13')).toEqual([]);
  });
});
