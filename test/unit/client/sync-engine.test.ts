import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { gunzipSync } from 'node:zlib';
import { nodeSqlite } from '../../../client/src/drivers/node-sqlite.ts';
import {
  collection,
  createClient,
  type Client,
  type EngineOptions,
  type Runtime,
  type SyncReport,
} from '../../../client/src/index.ts';
import type { SyncRequest, SyncResponse } from '../../../shared/protocol/index.ts';

/** When the engine syncs, and how it ends: with a clock, timers, a platform and a network that stand still until told. */

const START = Date.parse('2026-11-22T10:00:00.000Z');

/** Time that a test moves on: what is due then happens, in its order. */
class Clock {
  now = START;
  #timers: { readonly at: number; readonly callback: () => void }[] = [];

  readonly setTimer = (callback: () => void, milliseconds: number): (() => void) => {
    const timer = { at: this.now + milliseconds, callback };
    this.#timers.push(timer);
    return () => {
      this.#timers = this.#timers.filter((other) => other !== timer);
    };
  };

  /** Lets time pass, and everything that follows from it. */
  async pass(milliseconds: number): Promise<void> {
    const end = this.now + milliseconds;
    await settled();
    for (;;) {
      const [next] = this.#timers.filter(({ at }) => at <= end).sort((a, b) => a.at - b.at);
      if (next === undefined) break;
      this.#timers = this.#timers.filter((other) => other !== next);
      this.now = Math.max(this.now, next.at);
      next.callback();
      await settled();
    }
    this.now = end;
  }
}

/** Whatever can go on without time or network has gone on. */
const settled = async (): Promise<void> => {
  for (let turn = 0; turn < 20; turn += 1) await new Promise(setImmediate);
};

const COLLECTIONS = { items: collection<{ id: string; text?: string }>() };

/** Ends with the signal, and not before. */
const hang = (signal: AbortSignal): Promise<never> =>
  new Promise((_resolve, reject) => {
    if (signal.aborted) reject(signal.reason as Error);
    signal.addEventListener('abort', () => reject(signal.reason as Error));
  });

const folders: string[] = [];
const open = new Set<Client<typeof COLLECTIONS>>();
afterEach(async () => {
  for (const client of open) await client.close();
  open.clear();
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true });
});

interface World {
  readonly sync?: EngineOptions;
  readonly database?: string;
  readonly online?: boolean;
  readonly clock?: Clock;
  /** Milliseconds until the service wants to be asked again. */
  readonly recommends?: number;
}

/** A device whose service answers what `answer` says; every request is in `sent`, with the time of the engine. */
function device({
  sync,
  database = ':memory:',
  clock = new Clock(),
  recommends = 300_000,
  ...world
}: World = {}) {
  const sent: { readonly at: number; readonly request: SyncRequest; readonly token: string | null }[] = [];
  const bodies: { readonly encoding: string | null; readonly bytes: number }[] = [];
  const platform = { online: world.online ?? true, onOnline: () => undefined, onVisible: () => undefined };
  const state = {
    token: 'first',
    platform: platform as { online: boolean; onOnline: () => void; onVisible: () => void },
  };
  let answer: (
    request: SyncRequest,
    signal: AbortSignal,
    token: string | null,
  ) => Response | Promise<Response> = (request) => accept(request);
  const accept = (request: SyncRequest, fields: Partial<SyncResponse> = {}): Response =>
    Response.json(accepted(request, clock.now, recommends, fields));
  const runtime: Partial<Runtime> = {
    now: () => clock.now,
    random: () => 0.5,
    setTimer: clock.setTimer,
    platform: {
      isOnline: () => state.platform.online,
      onOnline: (listener) => {
        state.platform.onOnline = listener;
        return () => (state.platform.onOnline = () => undefined);
      },
      onVisible: (listener) => {
        state.platform.onVisible = listener;
        return () => (state.platform.onVisible = () => undefined);
      },
      locks: null,
    },
    fetch: async (...args) => {
      const incoming = new Request(...args);
      const bytes = Buffer.from(await incoming.arrayBuffer());
      const encoding = incoming.headers.get('content-encoding');
      bodies.push({ encoding, bytes: bytes.length });
      const request = JSON.parse(String(encoding === 'gzip' ? gunzipSync(bytes) : bytes)) as SyncRequest;
      const token = incoming.headers.get('authorization');
      sent.push({ at: clock.now - START, request, token });
      return answer(request, args[1]!.signal!, token);
    },
  };
  const client = createClient({
    url: 'http://service.test/api',
    token: ({ refresh }) => (refresh === true ? (state.token = 'second') : state.token),
    userId: 'alice',
    database: nodeSqlite(database),
    collections: COLLECTIONS,
    sync: { repairInterval: Infinity, ...sync },
    runtime,
  });
  open.add(client);
  const reports: SyncReport[] = [];
  client.on('synced', (report) => reports.push(report));
  return {
    path: database,
    clock,
    client,
    items: client.store('items'),
    sent,
    bodies,
    reports,
    platform: state.platform,
    accept,
    answerWith: (next: typeof answer) => {
      answer = next;
    },
    times: () => sent.map(({ at }) => at),
  };
}

/** What a service says that takes everything in. */
function accepted(
  { changes = [], streams = {} }: SyncRequest,
  now: number,
  recommends: number,
  fields: Partial<SyncResponse>,
): SyncResponse {
  const last = changes.at(-1);
  return {
    serverTime: new Date(now).toISOString(),
    results: changes.map(({ changeId = null }) => ({
      changeId,
      status: 'applied',
      version: `1.l.mwr6ubvk.%22${changeId}%22`,
      lastModified: new Date(now).toISOString(),
    })),
    delta: { documents: [], hasMore: false },
    checkpoints: { 'user:alice': 'c1' },
    streams:
      last === undefined ? streams : { 'user:alice': { seq: last.seq ?? 0, changeId: last.changeId ?? '' } },
    scopes: ['user:alice'],
    resync: [],
    nextSyncRecommended: new Date(now + recommends).toISOString(),
    stats: {
      changes: changes.length,
      documents: 0,
      conflicts: 0,
      requests: 1,
      requestUnits: 1,
      milliseconds: 1,
    },
    ...fields,
  };
}

describe('a started engine syncs', () => {
  it('at once, then when the service recommends', async () => {
    const { client, clock, times } = device({ recommends: 60_000 });
    client.start();
    await clock.pass(0);
    expect(times()).toEqual([0]);
    await clock.pass(59_999);
    expect(times()).toEqual([0]);
    await clock.pass(1);
    expect(times()).toEqual([0, 60_000]);
    expect((await client.status()).nextSync).toBe(new Date(START + 120_000).toISOString());
  });

  it('at the interval of the app, and not sooner than the service recommends', async () => {
    const patient = device({ sync: { interval: 90_000 }, recommends: 60_000 });
    patient.client.start();
    await patient.clock.pass(90_000);
    expect(patient.times()).toEqual([0, 90_000]);
    const hasty = device({ sync: { interval: 1_000 }, recommends: 60_000 });
    hasty.client.start();
    await hasty.clock.pass(60_000);
    expect(hasty.times()).toEqual([0, 60_000]);
  });

  it('a second after an edit, once for many', async () => {
    const { client, clock, items, times, sent } = device();
    client.start();
    await clock.pass(10_000);
    for (const id of ['1', '2', '3']) await items.upsert({ id });
    await clock.pass(999);
    expect(times()).toEqual([0]);
    await clock.pass(1);
    expect(times()).toEqual([0, 11_000]);
    expect(sent[1]!.request.changes).toHaveLength(3);
  });

  it('again for an edit that came while one ran', async () => {
    const { client, clock, items, times, answerWith, accept } = device();
    answerWith(async (request) => {
      await new Promise<void>((resolve) => clock.setTimer(resolve, 5_000));
      return accept(request);
    });
    client.start();
    await clock.pass(4_000);
    await items.upsert({ id: '1' });
    await clock.pass(20_000);
    expect(times().slice(0, 2)).toEqual([0, 5_000]);
    expect(await client.pending()).toEqual([]);
  });

  it('when the network or the app comes back', async () => {
    const { client, clock, times, platform } = device({ online: false });
    client.start();
    await clock.pass(2_000);
    expect(times()).toEqual([]);
    expect(await client.status()).toMatchObject({ state: 'offline' });
    platform.online = true;
    platform.onOnline();
    await clock.pass(0);
    expect(times()).toEqual([2_000]);
    await clock.pass(5_000);
    platform.onVisible();
    await clock.pass(0);
    expect(times()).toEqual([2_000, 7_000]);
  });

  it('an edit soon, though the clock was set forward meanwhile', async () => {
    const { client, clock, items, sent } = device();
    client.start();
    await clock.pass(0);
    clock.now += 86_400_000;
    await items.upsert({ id: '1' });
    // The timer of the old appointment is as far away as ever.
    await clock.pass(1_000);
    expect(sent.at(-1)!.request.changes).toHaveLength(1);
  });

  it('no more once it is stopped, and what ran is ended', async () => {
    const { client, clock, items, times, reports, answerWith, platform } = device();
    answerWith((_request, signal) => hang(signal));
    client.start();
    await clock.pass(1_000);
    await client.stop();
    expect(reports.map(({ outcome }) => outcome)).toEqual(['aborted']);
    await items.upsert({ id: '1' });
    platform.onVisible();
    await clock.pass(1_000_000);
    expect(times()).toEqual([0]);
    expect((await client.status()).nextSync).toBeNull();
  });
});

describe('a service that is not there', () => {
  const failing = (status: number, headers: Record<string, string> = {}) =>
    Response.json({ code: status === 429 ? 'rate_limited' : 'unavailable' }, { status, headers });

  it('is asked again within a sync, then later and later, and told as a state', async () => {
    const { client, clock, times, answerWith, accept, items } = device();
    await items.upsert({ id: '1' });
    answerWith(() => failing(503));
    client.start();
    await clock.pass(10_000);
    // Four attempts: half of 500, 1,000 and 2,000 ms lie between them. The next sync comes with a longer wait.
    expect(times().slice(0, 4)).toEqual([0, 250, 750, 1_750]);
    expect(await client.status()).toMatchObject({
      state: 'offline',
      pending: 1,
      lastError: { code: 'unavailable' },
    });
    answerWith((request) => accept(request));
    await clock.pass(600_000);
    expect(await client.status()).toMatchObject({ state: 'idle', pending: 0, lastError: null });
  });

  it('is left alone as long as it asks for', async () => {
    const { client, clock, times, answerWith } = device({ sync: { retry: { attempts: 2 } } });
    answerWith(() => failing(429, { 'retry-after': '15' }));
    client.start();
    await clock.pass(15_249);
    expect(times()).toEqual([0]);
    await clock.pass(1);
    expect(times()).toEqual([0, 15_250]);
    const far = device();
    far.answerWith(() => failing(503, { 'retry-after': '3600' }));
    far.client.start();
    await far.clock.pass(3_599_000);
    expect(far.times()).toEqual([0]);
    await far.clock.pass(2_000);
    expect(far.times().length).toBeGreaterThan(1);
  });

  it('is spared after too many failures, until a pause is over or somebody insists', async () => {
    const { client, clock, times, answerWith } = device({
      sync: { retry: { attempts: 1 }, breaker: { threshold: 2, cooldown: 60_000 } },
    });
    answerWith(() => failing(503));
    await client.sync();
    await client.sync();
    expect(await client.sync()).toMatchObject({ outcome: 'offline', error: { code: 'circuit_open' } });
    expect(times()).toHaveLength(2);
    expect(await client.sync({ force: true })).toMatchObject({ error: { code: 'unavailable' } });
    expect(times()).toHaveLength(3);
    await clock.pass(120_000);
    expect(await client.sync()).toMatchObject({ error: { code: 'unavailable' } });
    expect(times()).toHaveLength(4);
  });

  it('holds nothing up for hours because the clock was set back', async () => {
    const { client, clock, answerWith, accept } = device({ sync: { retry: { attempts: 1 } } });
    answerWith(() => failing(503));
    await client.sync();
    clock.now -= 3_600_000;
    answerWith((request) => accept(request));
    expect(await client.sync()).toMatchObject({ outcome: 'synced' });
  });
});

it('without the network by the will of the app nothing is sent, and nothing is thrown', async () => {
  const { client, clock, items, times } = device();
  client.start();
  await clock.pass(0);
  client.engine.setOffline(true);
  await items.upsert({ id: '1' });
  await clock.pass(10_000);
  expect(await client.sync()).toMatchObject({ outcome: 'offline', error: { code: 'offline' } });
  expect(times()).toEqual([0]);
  expect(await client.status()).toMatchObject({ state: 'offline', pending: 1 });
  client.engine.setOffline(false);
  await clock.pass(0);
  expect(await client.status()).toMatchObject({ state: 'idle', pending: 0 });
});

describe('a token that is refused', () => {
  const refuse = (status: number) => Response.json({ code: 'invalid_token' }, { status });

  it.each([401, 403])('with %d is replaced once, and the request sent once more', async (status) => {
    const { client, sent, answerWith, accept } = device();
    answerWith((request, _signal, token) => (token === 'Bearer second' ? accept(request) : refuse(status)));
    expect(await client.sync()).toMatchObject({ outcome: 'synced' });
    expect(sent.map(({ token }) => token)).toEqual(['Bearer first', 'Bearer second']);
    expect(sent[1]!.request).toEqual(sent[0]!.request);
  });

  it('twice ends the sync: waiting does not help', async () => {
    const { client, sent, answerWith } = device();
    answerWith(() => refuse(401));
    expect(await client.sync()).toMatchObject({ outcome: 'failed', error: { code: 'invalid_token' } });
    expect(sent).toHaveLength(2);
    expect(await client.status()).toMatchObject({ state: 'error' });
  });
});

it('large requests go out compressed, small ones do not', async () => {
  const { client, items, bodies } = device();
  await client.sync();
  await items.upsertBulk(Array.from({ length: 100 }, (_, n) => ({ id: `d${n}`, text: 'tide '.repeat(100) })));
  await client.sync();
  expect(bodies.map(({ encoding }) => encoding)).toEqual([null, 'gzip']);
  expect(bodies[1]!.bytes).toBeLessThan(10_000);
});

it('the first launch fetches before it sends, and the second has no need to', async () => {
  const { client, items, sent } = device();
  await items.upsert({ id: '1' });
  expect(await client.status()).toMatchObject({ fetched: false });
  expect(await client.engine.initialPull()).toMatchObject({ outcome: 'synced', pushed: 0 });
  expect(sent.map(({ request }) => request.changes)).toEqual([[]]);
  expect(await client.status()).toMatchObject({ fetched: true, pending: 1 });
  expect(await client.engine.initialPull()).toBeNull();
  expect(await client.sync()).toMatchObject({ pushed: 1 });
});

describe('a sync that is ended by its signal', () => {
  const enough = new Error('enough');
  const ended = { outcome: 'aborted', error: { code: 'aborted' } };

  it('before it began sends nothing', async () => {
    const { client, sent } = device();
    expect(await client.sync({ signal: AbortSignal.abort(enough) })).toMatchObject(ended);
    expect(sent).toEqual([]);
  });

  it('while the token is asked for sends nothing', async () => {
    const ending = new AbortController();
    const client = createClient({
      url: 'http://service.test/api',
      token: {
        getToken: ({ signal } = {}) => {
          expect(signal?.aborted).toBe(false);
          ending.abort(enough);
          // One that takes no notice of the signal does not hold up whoever wants to stop.
          return new Promise(() => undefined);
        },
      },
      userId: 'alice',
      database: nodeSqlite(':memory:'),
      collections: COLLECTIONS,
      runtime: { fetch: () => Promise.reject(new Error('Something was sent.')) },
    });
    open.add(client);
    expect(await client.sync({ signal: ending.signal })).toMatchObject(ended);
  });

  it('while a request is under way keeps it for the next sync, as it was', async () => {
    const ending = new AbortController();
    const { client, items, sent, answerWith, accept } = device();
    await client.sync();
    await items.upsert({ id: '1' });
    answerWith((_request, signal) => {
      ending.abort(enough);
      return hang(signal);
    });
    expect(await client.sync({ signal: ending.signal })).toMatchObject(ended);
    expect(await client.pending()).toMatchObject([{ sent: true }]);
    answerWith((request) => accept(request));
    expect(await client.sync()).toMatchObject({ pushed: 1 });
    expect(sent[2]!.request.changes).toEqual(sent[1]!.request.changes);
  });

  it('while an answer is read takes nothing of it in', async () => {
    const ending = new AbortController();
    const { client, items, answerWith } = device();
    await client.sync();
    await items.upsert({ id: '1' });
    answerWith((request, signal) => {
      const body = new ReadableStream({
        start: (controller) => {
          controller.enqueue(
            new TextEncoder().encode(JSON.stringify(accepted(request, START, 0, {})).slice(0, 50)),
          );
          signal.addEventListener('abort', () => controller.error(signal.reason));
          setImmediate(() => ending.abort(enough));
        },
      });
      return new Response(body, { headers: { 'content-type': 'application/json' } });
    });
    expect(await client.sync({ signal: ending.signal })).toMatchObject(ended);
    expect(await client.pending()).toMatchObject([{ sent: true }]);
  });

  it('while it waits to try again does not wait on', async () => {
    const ending = new AbortController();
    const { client, clock, answerWith } = device();
    answerWith(() => Response.json({ code: 'unavailable' }, { status: 503 }));
    const report = client.sync({ signal: ending.signal });
    await clock.pass(100);
    ending.abort(enough);
    expect(await report).toMatchObject(ended);
  });

  it('between two pages keeps the first', async () => {
    const ending = new AbortController();
    const { client, items, answerWith, accept, sent } = device();
    answerWith((request) => {
      if (sent.length === 2) ending.abort(enough);
      return accept(request, {
        delta: { documents: [remote(`d${sent.length}`)], hasMore: true },
        checkpoints: { 'user:alice': `c${sent.length}` },
      });
    });
    expect(await client.sync({ signal: ending.signal })).toMatchObject({ ...ended });
    const held = (await items.query()).map(({ id }) => id);
    expect(held).toContain('d1');
    answerWith((request) => accept(request));
    await client.sync();
    // It goes on behind what it has.
    expect(sent.at(-1)!.request.checkpoints).toEqual({ 'user:alice': `c${held.length}` });
  });

  it('while another process syncs waits for that one no longer', async () => {
    const ending = new AbortController();
    const { clock, first, second } = twoProcesses();
    first.answerWith((_request, signal) => hang(signal));
    void first.client.sync();
    await clock.pass(0);
    const report = second.client.sync({ signal: ending.signal });
    await clock.pass(1_000);
    ending.abort(enough);
    expect(await report).toMatchObject(ended);
    expect(second.sent).toEqual([]);
  });
});

/** Two clients with a connection of their own to one file. */
function twoProcesses() {
  const folder = mkdtempSync(join(tmpdir(), 'tidemark-turns-'));
  folders.push(folder);
  const path = join(folder, 'app.db');
  const clock = new Clock();
  return { clock, first: device({ database: path, clock }), second: device({ database: path, clock }) };
}

describe('two processes on one database', () => {
  it('sync one after the other', async () => {
    const { clock, first, second } = twoProcesses();
    let release: () => void = () => undefined;
    first.answerWith(async (request) => {
      await new Promise<void>((resolve) => (release = resolve));
      return first.accept(request);
    });
    const one = first.client.sync();
    await clock.pass(0);
    const other = second.client.sync();
    // The lease is renewed while its holder is alive, however long that takes.
    await clock.pass(9_000);
    expect([first.sent.length, second.sent.length]).toEqual([1, 0]);
    release();
    await clock.pass(1_000);
    expect([(await one).outcome, (await other).outcome]).toEqual(['synced', 'synced']);
  });

  it('the second gives up after a while, and says who is busy', async () => {
    const { clock, first, second } = twoProcesses();
    first.answerWith((_request, signal) => hang(signal));
    void first.client.sync();
    await clock.pass(0);
    const other = second.client.sync();
    await clock.pass(10_200);
    expect(await other).toMatchObject({ outcome: 'busy', error: { code: 'busy' } });
    expect(await second.client.status()).toMatchObject({ lastError: null });
  });

  it('one that died holds the other up for six seconds at most', async () => {
    const { clock, first, second } = twoProcesses();
    await second.client.status();
    const database = new DatabaseSync(first.path);
    const [name] = [`${first.path}:alice`];
    database
      .prepare('INSERT INTO Tidemark_Locks (Name, Owner, Until) VALUES (?, ?, ?)')
      .run(name, 'the dead', START + 6_000);
    database.close();
    const other = second.client.sync();
    await clock.pass(5_900);
    expect(second.sent).toEqual([]);
    await clock.pass(400);
    expect(await other).toMatchObject({ outcome: 'synced' });
  });
});

const remote = (documentId: string) => ({
  scope: 'user:alice',
  collection: 'items',
  documentId,
  version: `1.l.mwr6ubvk.%22${documentId}%22`,
  lastModified: '2026-11-22T09:00:00.000Z',
  deleted: false,
  userId: 'alice',
  deviceId: 'tablet',
  data: { id: documentId },
});
