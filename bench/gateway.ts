import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CosmosClient, type OperationInput } from '@azure/cosmos';
import { DATABASE, provision } from '../local/provision.ts';
import { DOCUMENTS } from '../shared/cosmos/containers.ts';
import { openCosmos } from '../shared/cosmos/client.ts';
import { createDocumentStore } from '../shared/cosmos/document-store.ts';
import type { SyncResponse } from '../shared/protocol/index.ts';
import { parseSyncConfig } from '../shared/sync/sync-config.ts';
import { createRules } from '../shared/sync/rules.ts';
import { sync } from '../shared/sync/sync.ts';
import { spawnEmulator } from '../test/support/emulator-process.ts';

const RECORDS = 4_950; // five requests, 50 batches of 99
const REQUEST = 990;
const ROUNDS = 7;
const SMALL = 1_000;
const LARGE = 100_000;

/** Milliseconds that some work took, and what came of it. */
async function time<T>(work: () => Promise<T>): Promise<{ ms: number; value: T }> {
  const started = performance.now();
  const value = await work();
  return { ms: performance.now() - started, value };
}

export const median = (values: readonly number[]): number =>
  values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0;

export const round2 = (value: number): number => Math.round(value * 100) / 100;

export const contentOf = (index: number) => ({
  title: `Record ${index}`,
  done: index % 2 === 0,
  priority: index % 7,
});

/** The sync domain in this process; the emulator in one of its own, its data in a file, every write on disk. */
export async function openBench() {
  const folder = await mkdtemp(join(tmpdir(), 'tidemark-bench-'));
  const emulator = await spawnEmulator(join(folder, 'cosmos.sqlite'));
  await provision(emulator.endpoint, emulator.key);
  const client = openCosmos(emulator.endpoint, { key: emulator.key });
  const store = createDocumentStore(() => Promise.resolve(client.database(DATABASE).container(DOCUMENTS)));
  const limits = { maxChanges: 10_000 };
  const config = parseSyncConfig({ collections: { items: {} }, limits });
  const dependencies = {
    store,
    rules: createRules(config, null),
    settings: { config, epoch: '1', retention: 7_776_000, deadline: 120_000 },
    now: Date.now,
    wait: () => 0,
    onMalformed: () => undefined,
  };
  return {
    emulator,
    /** What a request costs the gateway: its text is parsed, taken in, and the answer is written as text. */
    sync: async (user: string, body: string): Promise<SyncResponse> => {
      const scope = `user:${user}`;
      const roles = { general: 'writer', kinds: new Map() } as const;
      const identity = {
        userId: user,
        claimedId: user,
        ownScope: scope,
        scopes: [scope],
        roles,
        tokenId: null,
      };
      const answer = await sync(JSON.parse(body), identity, dependencies);
      return JSON.parse(JSON.stringify(answer)) as SyncResponse;
    },
    dispose: async () => {
      client.dispose();
      await emulator.kill();
      await rm(folder, { recursive: true, force: true });
    },
  };
}
export type Bench = Awaited<ReturnType<typeof openBench>>;

/** A request with new documents, as a client writes it. */
export const pushOf = (
  user: string,
  from: number,
  count: number,
  last: Pick<SyncResponse, 'streams' | 'checkpoints'> | null,
  collections: readonly string[],
): string =>
  JSON.stringify({
    protocol: 1,
    deviceId: 'phone',
    clientTime: new Date().toISOString(),
    collections,
    streams: last?.streams ?? { [`user:${user}`]: null },
    ...(last === null || collections.length === 0 ? {} : { checkpoints: last.checkpoints }),
    changes: Array.from({ length: count }, (_, index) => ({
      changeId: `phone.${from + index + 1}`,
      seq: from + index + 1,
      type: 'upsert',
      scope: `user:${user}`,
      collection: 'items',
      documentId: String(from + index),
      baseVersion: null,
      lastModified: new Date().toISOString(),
      data: contentOf(from + index),
    })),
  });

/**
 * What the gateway costs, as ratios against the bare SDK doing the same work on the same emulator in the same run, turn by
 * turn: those hold on any machine. Requests and request units are counted.
 */
export async function benchGateway(): Promise<Record<string, number>> {
  const bench = await openBench();
  const admin = new CosmosClient({
    endpoint: bench.emulator.endpoint,
    key: bench.emulator.key,
    connectionPolicy: { enablePartitionLevelFailover: false },
  });
  const container = admin.database(DATABASE).container(DOCUMENTS);
  /** The same documents with as much envelope, 100 at a time: 99 and what stands for the ledger. */
  const itemsOf = (scope: string, from: number): OperationInput[] =>
    Array.from({ length: 100 }, (_, index) => ({
      operationType: 'Create' as const,
      partitionKey: [scope],
      resourceBody: {
        id: `items:${from}-${index}`,
        scope,
        collection: 'items',
        documentId: String(from + index),
        userId: scope,
        deviceId: 'bench',
        seq: from + index,
        lastModified: new Date().toISOString(),
        deleted: false,
        ttl: -1,
        data: contentOf(from + index),
      },
    }));
  const options = { contentResponseOnWriteEnabled: false };
  const batches = async (scope: string, from: number): Promise<void> => {
    for (let at = from; at < from + REQUEST; at += 99) {
      await container.items.batch(itemsOf(scope, at), [scope], options);
    }
  };
  const bulk = async (scope: string, from: number): Promise<void> => {
    for (let at = from; at < from + REQUEST; at += 99) {
      // eslint-disable-next-line @typescript-eslint/no-deprecated -- `executeBulkOperations` waits a second before it sends
      await container.items.bulk(itemsOf(scope, at), undefined, options);
    }
  };

  const runs: Record<'batches' | 'bulk' | 'push' | 'both' | 'pull' | 'noop', number>[] = [];
  let requests = 0;
  for (let round = -2; round < ROUNDS; round += 1) {
    const run = { batches: 0, bulk: 0, push: 0, both: 0, pull: 0, noop: 0 };
    let pushed: SyncResponse | null = null;
    let synced: SyncResponse | null = null;
    requests = 0;
    const opened = await bench.sync(`both${round}`, JSON.stringify({ protocol: 1, deviceId: 'phone' }));
    for (let from = 0; from < RECORDS; from += REQUEST) {
      run.batches += (await time(() => batches(`batches:${round}`, from))).ms;
      run.bulk += (await time(() => bulk(`bulk:${round}`, from))).ms;
      const push = pushOf(`push${round}`, from, REQUEST, pushed, []);
      const alone = await time(() => bench.sync(`push${round}`, push));
      const last: Pick<SyncResponse, 'streams' | 'checkpoints'> = synced ?? {
        streams: { [`user:both${round}`]: null },
        checkpoints: opened.checkpoints,
      };
      const withDelta = pushOf(`both${round}`, from, REQUEST, last, ['items']);
      const both = await time(() => bench.sync(`both${round}`, withDelta));
      [pushed, synced] = [alone.value, both.value];
      run.push += alone.ms;
      run.both += both.ms;
      requests += pushed.stats.requests;
      if (!pushed.results.every(({ status }) => status === 'applied'))
        throw new Error('Not all was applied.');
    }
    let checkpoints: SyncResponse['checkpoints'] | undefined;
    const pull = () =>
      bench.sync(`push${round}`, JSON.stringify({ protocol: 1, deviceId: 'tablet', checkpoints }));
    for (let more = true; more;) {
      const { ms, value } = await time(pull);
      run.pull += ms;
      ({ checkpoints } = value);
      more = value.delta.hasMore;
    }
    for (let repeat = 0; repeat < 20; repeat += 1) run.noop += (await time(pull)).ms / 20;
    // The first rounds warm up.
    if (round >= 0) runs.push(run);
  }
  admin.dispose();
  await bench.dispose();

  const ratio = (of: (run: (typeof runs)[number]) => number) => round2(median(runs.map(of)));
  const perSecond = (name: keyof (typeof runs)[number]) =>
    Math.round((RECORDS * 1000) / median(runs.map((run) => run[name])));
  return {
    'gateway push, documents per second': perSecond('push'),
    'bare SDK batches, documents per second': perSecond('batches'),
    'gateway push over bare SDK batches': ratio(({ batches: bare, push }) => bare / push),
    'gateway push over bare SDK bulk': ratio(({ bulk: bare, push }) => bare / push),
    'gateway push and delta in one, over bare SDK batches': ratio(({ batches: bare, both }) => bare / both),
    'gateway pull, documents per second': perSecond('pull'),
    'sync with nothing to do, milliseconds': ratio(({ noop }) => noop),
    'requests that wrote the changes': requests,
  };
}

/** A sync of one change, with few and with many documents in the scope. */
export async function benchScopeSize(): Promise<Record<string, number>> {
  const bench = await openBench();
  /** Fills a scope and sees the end of its feed. */
  async function fill(user: string, count: number): Promise<SyncResponse> {
    let last: SyncResponse | null = null;
    for (let from = 0; from < count; from += REQUEST) {
      last = await bench.sync(user, pushOf(user, from, Math.min(REQUEST, count - from), last, []));
    }
    const streams = last?.streams;
    let checkpoints: SyncResponse['checkpoints'] | undefined;
    for (;;) {
      const body = { protocol: 1, deviceId: 'phone', limit: 10_000, checkpoints, streams };
      const answer = await bench.sync(user, JSON.stringify(body));
      ({ checkpoints } = answer);
      if (!answer.delta.hasMore) return answer;
    }
  }
  const users = [
    { user: 'few', count: SMALL, last: await fill('few', SMALL) },
    { user: 'many', count: LARGE, last: await fill('many', LARGE) },
  ];
  const times: number[][] = [[], []];
  const units = [0, 0];
  for (let repeat = 0; repeat < 220; repeat += 1) {
    for (const [index, each] of users.entries()) {
      const body = pushOf(each.user, each.count + repeat, 1, each.last, ['items']);
      const { ms, value } = await time(() => bench.sync(each.user, body));
      each.last = value;
      if (repeat < 20) continue;
      times[index]?.push(ms);
      units[index] = (units[index] ?? 0) + value.stats.requestUnits;
    }
  }
  await bench.dispose();
  const [few = 0, many = 0] = times.map(median);
  return {
    [`sync of one change, milliseconds, ${SMALL} documents in the scope`]: round2(few),
    [`the same with ${LARGE}, over that`]: round2(many / few),
    'RU of the same, over that': round2((units[1] ?? 0) / (units[0] ?? 1)),
  };
}
