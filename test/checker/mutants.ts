import { release } from '../../client/src/row.ts';
import { isJsonObject, type JsonObject } from '../../shared/conflict/index.ts';
import type { RemoteDocument, SyncResponse } from '../../shared/protocol/index.ts';
import type { BatchResult, DocumentStore, FeedPage, ScopeStore, Write } from '../../shared/sync/store.ts';
import type { Item } from '../../shared/stored/document.ts';
import { mapScopes } from '../support/store.ts';
import { CORE, createCoreClient, type Core, type CreateClient } from './client.ts';
import type { MemoryGround } from './grounds.ts';
import type { StoredItem } from './memory-store.ts';
import type { GatewayCall } from './world.ts';

/** A planted bug. What it leaves out is the product as it is. */
export interface Mutant {
  readonly name: string;
  readonly store?: (store: DocumentStore, ground: MemoryGround) => DocumentStore;
  readonly gateway?: (
    call: GatewayCall,
    answer: (call: GatewayCall) => Promise<SyncResponse>,
  ) => Promise<SyncResponse>;
  readonly client?: CreateClient;
}

/** The ground with the bug planted. */
export const plant = ({ store, gateway }: Mutant, ground: MemoryGround): MemoryGround => ({
  ...ground,
  sync: (call) => {
    const mutated = store === undefined ? call : { ...call, store: store(call.store, ground) };
    return gateway === undefined ? ground.sync(mutated) : gateway(mutated, ground.sync);
  },
});

/**
 * Planted bugs: each is a mistake that somebody made, in this product or in another. They sit between the gateway and
 * the store, around the gateway, or around the client's core: the product has no seam for them. A checker that lets one
 * pass is no checker.
 */
export const MUTANTS: readonly Mutant[] = [
  ofWrites('no If-Match: replaces whatever is stored', (write) =>
    write.kind === 'replace' ? { kind: 'upsert', item: write.item } : write,
  ),
  ofWrites('creates over whatever is stored', (write) =>
    write.kind === 'create' && !isSystem(write) ? { kind: 'upsert', item: write.item } : write,
  ),
  ofWrites('no condition on the ledger: moves it from wherever it stands', (write, scope) => {
    if (write.kind === 'move-ledger') {
      const { id, to, outcomes } = write;
      return { kind: 'upsert', item: { id, scope, ...to, outcomes, ttl: -1 } as Item };
    }
    return isLedger(write) ? { kind: 'upsert', item: write.item } : write;
  }),
  ofBatches('writes the ledger in a request of its own', (scope, writes) => split(scope, writes, isLedger)),
  ofBatches('writes conflict records in a request of their own', (scope, writes) =>
    split(scope, writes, isRecord),
  ),
  ofBatches('logs no conflict', async (scope, writes) => {
    const others = writes.filter((write) => !isRecord(write));
    const result = await scope.batch(others);
    if (result.kind === 'refused') return { ...result, culprit: writes.indexOf(others[result.culprit]!) };
    if (result.kind !== 'written') return result;
    return { kind: 'written', etags: writes.map((write) => result.etags[others.indexOf(write)] ?? '') };
  }),
  ofWrites('keeps no failure in the ledger', (write) =>
    withOutcomes(write, (text) => text.replaceAll('f', 'a')),
  ),
  ofWrites('keeps no rejection in the ledger', (write) =>
    withOutcomes(write, (text) => text.replaceAll('r', 'a')),
  ),
  ofWrites('no tombstone: the change feed never tells of a delete', (write, scope, ground) => {
    if (itemOf(write)?.['deleted'] === true) ground.forget.push([scope, idOf(write)]);
    return write;
  }),
  ofWrites('tombstones expire before checkpoints do', (write) =>
    itemOf(write)?.['deleted'] === true ? withTtl(write, 86_400) : write,
  ),
  ofWrites('an undeleted document keeps the ttl of its tombstone', (write, scope, ground) => {
    const old = ground.memory.items(scope).find(({ id }) => id === idOf(write));
    return write.kind === 'replace' && old?.['deleted'] === true ? withTtl(write, old['ttl']) : write;
  }),
  ofFeed('a delta by _ts, not by the continuation of the feed', (_page, continuation, maxItems, items) => {
    const since = Number(continuation);
    const later = items
      .filter(({ _ts }) => _ts > since)
      .sort((a, b) => a._ts - b._ts)
      .slice(0, maxItems);
    return {
      items: later,
      continuation: String(later.at(-1)?._ts ?? since),
      drained: later.length === 0,
    };
  }),
  ofFeed('cuts a page where the limit is reached', (page, _continuation, maxItems) => ({
    ...page,
    items: page.items.slice(0, maxItems),
  })),
  ofAnswers('suppresses the echo by device, not by version', (answer, { deviceId }) =>
    withDelta(answer, (document) => document.deviceId !== deviceId),
  ),
  ofAnswers('sends no tombstones', (answer) => withDelta(answer, ({ deleted }) => !deleted)),
  ofAnswers('never says resync', (answer) => ({ ...answer, resync: [] })),
  ofAnswers('says that all is drained after one page', (answer) => ({
    ...answer,
    delta: { ...answer.delta, hasMore: false },
  })),
  {
    name: 'no clock cap: believes the time of the client, whatever it says',
    gateway: (call, answer) => {
      // The first look at the clock is the one that times of changes are capped by.
      let looks = 0;
      const now = () => call.now() + ((looks += 1) === 1 ? 10 * 365 * 86_400_000 : 0);
      const settings = { ...call.settings, deadline: 60_000 };
      return answer({ ...call, body: without(call.body, 'clientTime'), now, settings });
    },
  },
  {
    name: 'no clock correction',
    gateway: (call, answer) => answer({ ...call, body: without(call.body, 'clientTime') }),
  },
  {
    name: 'takes no notice of the user in the body',
    gateway: (call, answer) => answer({ ...call, body: without(call.body, 'userId') }),
  },
  {
    name: 'reads on from a checkpoint of any age',
    gateway: (call, answer) =>
      answer({ ...call, settings: { ...call.settings, retention: call.settings.retention * 100 } }),
    store: (store, ground) =>
      storeOf(
        ofWrites('', (write) => {
          const ttl = itemOf(write)?.['ttl'];
          return typeof ttl === 'number' && ttl > 0 ? withTtl(write, ttl / 100) : write;
        }),
      )(store, ground),
  },
  ofClient('client: clears what waits for a document when an answer for it comes', {
    take: (store, composed, response, createId) => {
      const answered = store.inFlight();
      const taken = CORE.take(store, composed, response, createId);
      if (taken.stale) return taken;
      for (const { scope = '', collection, documentId } of answered) {
        const address = { scope, collection, documentId };
        store.setRow(address, { ...store.row(address), dirty: null });
      }
      return taken;
    },
  }),
  ofClient('client: rebases waiting edits on what arrives', {
    take: (store, ...given) => {
      const taken = CORE.take(store, ...given);
      for (const { address, row } of [...store.entries()])
        if (row.dirty !== null && row.shadow?.version != null)
          store.setRow(address, { ...row, dirty: { ...row.dirty, baseVersion: row.shadow.version } });
      return taken;
    },
  }),
  ofClient('client: what arrives takes the place of waiting edits', {
    take: (store, composed, response, createId) => {
      const taken = CORE.take(store, composed, response, createId);
      for (const { scope, collection, documentId, data, version } of response.delta.documents) {
        const address = { scope, collection, documentId };
        store.setRow(address, { ...store.row(address), data, base: version, dirty: null });
      }
      return taken;
    },
  }),
  ofClient('client: a resync removes waiting edits', {
    take: (store, composed, response, createId) => {
      const waiting = response.resync.flatMap((scope) => store.pendingIn(scope));
      const taken = CORE.take(store, composed, response, createId);
      for (const { address } of waiting) store.remove(address);
      return taken;
    },
  }),
  ofClient('client: keeps the rows of a scope that was lost', {
    take: (store, composed, response, createId) =>
      CORE.take(store, composed, { ...response, scopes: [...store.scopes().keys()] }, createId),
  }),
  ofClient('client: draws new numbers for a change that is not answered', {
    compose: (store, options) => {
      for (const { address, row } of [...store.entries()]) store.setRow(address, release(row));
      return CORE.compose(store, options);
    },
  }),
  ofClient('client: takes in the answer to a request it gave up', {
    take: (store, { request }, response, createId) =>
      CORE.take(store, { attempt: store.device().attempt, request }, response, createId),
  }),
  ofClient('client: drops rejected edits', {
    take: (...given) => ({ ...CORE.take(...given), rejected: [] }),
  }),
  ofClient('client: sends edits without their base', {
    compose: (store, options) => {
      const { request, attempt } = CORE.compose(store, options);
      const changes = (request.changes ?? []).map((change) => ({ ...change, baseVersion: null }));
      return { attempt, request: { ...request, changes } };
    },
  }),
];

function ofBatches(
  name: string,
  batch: (
    scope: ScopeStore,
    writes: readonly Write[],
    scopeName: string,
    ground: MemoryGround,
  ) => Promise<BatchResult>,
): Mutant {
  return {
    name,
    store: (store, ground) =>
      mapScopes(store, (scope, scopeName) => ({
        batch: (writes) => batch(scope, writes, scopeName, ground),
        changes: (...asked) => scope.changes(...asked),
      })),
  };
}

function ofWrites(name: string, map: (write: Write, scope: string, ground: MemoryGround) => Write): Mutant {
  return ofBatches(name, async (scope, writes, scopeName, ground) => {
    const result = await scope.batch(writes.map((write) => map(write, scopeName, ground)));
    if (result.kind === 'written') for (const [at, id] of ground.forget) ground.memory.remove(at, id);
    ground.forget.length = 0;
    return result;
  });
}

function ofFeed(
  name: string,
  change: (page: FeedPage, continuation: string, maxItems: number, items: StoredItem[]) => FeedPage,
): Mutant {
  return {
    name,
    store: (store, ground) =>
      mapScopes(store, (scope, scopeName) => ({
        batch: (writes) => scope.batch(writes),
        changes: async (continuation, maxItems) => {
          const page = await scope.changes(continuation, maxItems);
          return page && change(page, String(continuation ?? 0), maxItems, ground.memory.items(scopeName));
        },
      })),
  };
}

function ofAnswers(
  name: string,
  change: (answer: SyncResponse, request: { readonly deviceId: string }) => SyncResponse,
): Mutant {
  return {
    name,
    gateway: async (call, answer) => change(await answer(call), call.body as { deviceId: string }),
  };
}

function ofClient(name: string, core: Partial<Core>): Mutant {
  return { name, client: createCoreClient({ ...CORE, ...core }) };
}

const storeOf = ({ store }: Mutant): NonNullable<Mutant['store']> => store ?? ((same) => same);

/** Documents first, then what `later` names: a crash between the two leaves half. */
async function split(
  scope: ScopeStore,
  writes: readonly Write[],
  later: (write: Write) => boolean,
): Promise<BatchResult> {
  const etags = new Map<Write, string>();
  for (const part of [writes.filter((write) => !later(write)), writes.filter(later)]) {
    if (part.length === 0) continue;
    const result = await scope.batch(part);
    if (result.kind === 'refused') return { ...result, culprit: writes.indexOf(part[result.culprit]!) };
    if (result.kind !== 'written') return result;
    for (const [index, write] of part.entries()) etags.set(write, result.etags[index]!);
  }
  return { kind: 'written', etags: writes.map((write) => etags.get(write) ?? '') };
}

const idOf = (write: Write): string => (write.kind === 'move-ledger' ? write.id : write.item.id);
const isSystem = (write: Write): boolean => idOf(write).startsWith('~');
const isLedger = (write: Write): boolean => idOf(write).startsWith('~ledger:');
const isRecord = (write: Write): boolean => idOf(write).startsWith('~conflict:');
const itemOf = (write: Write): JsonObject | null =>
  write.kind === 'move-ledger' || isSystem(write) ? null : { ...write.item };

function withTtl(write: Write, ttl: unknown): Write {
  if (write.kind === 'move-ledger' || isSystem(write)) return write;
  return { ...write, item: { ...write.item, ttl } as Item };
}

function withOutcomes(write: Write, change: (outcomes: string) => string): Write {
  if (write.kind === 'move-ledger') return { ...write, outcomes: change(write.outcomes) };
  if (!isLedger(write)) return write;
  const item = write.item as Item & { readonly outcomes: string };
  return { ...write, item: { ...item, outcomes: change(item.outcomes) } as Item };
}

const withDelta = (answer: SyncResponse, keep: (document: RemoteDocument) => boolean): SyncResponse => ({
  ...answer,
  delta: { ...answer.delta, documents: answer.delta.documents.filter(keep) },
});

const without = (body: unknown, name: string): unknown =>
  isJsonObject(body) ? Object.fromEntries(Object.entries(body).filter(([key]) => key !== name)) : body;
