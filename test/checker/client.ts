import {
  composeRequest,
  takeAnswer,
  type Composed,
  type RequestOptions,
  type Taken,
} from '../../client/src/core/exchange.ts';
import { MemoryRowStore } from '../../client/src/core/memory-row-store.ts';
import type { Address, SetAside } from '../../client/src/core/row-store.ts';
import { edit, isPending } from '../../client/src/row.ts';
import type { Transport } from './history.ts';
import type { JsonObject } from '../../shared/conflict/index.ts';
import type { Change, SyncRequest, SyncResponse } from '../../shared/protocol/index.ts';
import { keyOf } from './model.ts';

type Awaitable<T> = T | Promise<T>;

/** What the checker asks of a client. */
export interface Client {
  /** Does a copy of the store know at once that it is one, and sends what was unanswered as its own? */
  readonly noticesCopies: boolean;
  readonly get: (address: Address) => Awaitable<JsonObject | null>;
  /** By scope, collection and document id, joined with slashes. */
  readonly documents: () => Awaitable<ReadonlyMap<string, JsonObject>>;
  /** The documents with edits that were not answered, by key. */
  readonly pending: () => Awaitable<ReadonlySet<string>>;
  readonly put: (address: Address, data: JsonObject) => Awaitable<void>;
  /** Writes `data`, of which only what differs is the user's. */
  readonly patch: (address: Address, data: JsonObject) => Awaitable<void>;
  readonly remove: (address: Address) => Awaitable<void>;
  /** Writes several documents of one scope and collection as one transaction. */
  readonly putTogether: (all: readonly (readonly [Address, JsonObject])[]) => Awaitable<void>;
  readonly request: () => Awaitable<SyncRequest>;
  /**
   * @param killAt the process dies at this statement, unless all was written before
   * @returns whether there is more to fetch or to send at once; or that it died with nothing written
   */
  readonly take: (
    sent: SyncRequest,
    response: SyncResponse,
    killAt: number | null,
  ) => Awaitable<boolean | 'killed'>;
  /** The request that the last `take` made at once; null: it waits to be asked. */
  readonly made: () => SyncRequest | null;
  /** Chooses the collections; rows of others leave the device. */
  readonly follow: (collections: readonly string[]) => Awaitable<void>;
  readonly rejected: () => Awaitable<readonly { readonly changeId?: string }[]>;
  readonly setAside: () => Awaitable<readonly SetAside[]>;
  /** What is on disk at this moment, as a backup copies it. `CreateClient` makes a client of it. */
  readonly save: () => Awaitable<unknown>;
  /** The process dies, and another one opens what is on disk. */
  readonly restart: (options: ClientOptions) => Awaitable<Client>;
}

interface Saved {
  readonly store: MemoryRowStore;
  readonly rejected: readonly Change[];
  readonly setAside: readonly SetAside[];
  readonly transactions: ReadonlyMap<string, string>;
}

export interface ClientOptions {
  readonly userId: string;
  readonly deviceId: string;
  readonly collections: readonly string[];
  readonly now: () => number;
  readonly createId: () => string;
  readonly batchSize: number;
  readonly transport: Transport;
  readonly limit: () => number;
  /** Does the application send what it sends for the first time in one scope as a transaction? */
  readonly groups: () => boolean;
}

/** @param saved what `save` of such a client gave */
export type CreateClient = (options: ClientOptions, saved?: unknown) => Client;

/** The two transactions of the SDK's core. */
export interface Core {
  readonly compose: (store: MemoryRowStore, options: RequestOptions) => Composed;
  readonly take: (
    store: MemoryRowStore,
    composed: Composed,
    response: SyncResponse,
    createId: () => string,
  ) => Taken;
}

export const CORE: Core = { compose: composeRequest, take: takeAnswer };

/** The core of the SDK on its store in memory. */
export const createCoreClient =
  (core: Core = CORE): CreateClient =>
  (options, given) => {
    const saved = given as Saved | undefined;
    const { userId, deviceId, now, createId, batchSize, limit, groups } = options;
    const store = saved?.store.copy() ?? new MemoryRowStore(deviceId);
    const rejected: Change[] = [...(saved?.rejected ?? [])];
    const setAside: SetAside[] = [...(saved?.setAside ?? [])];
    /** Of every change sent: the name of its transaction, or nothing. It goes with the change from the first sending on. */
    const transactions = new Map(saved?.transactions);
    const composed = new WeakMap<SyncRequest, Composed>();
    let { collections } = options;

    const write = (address: Address, data: JsonObject | null, type?: 'patch'): void => {
      store.setRow(address, edit(store.row(address), data, new Date(now()).toISOString(), type));
    };
    /** No answer that is still on its way counts. */
    const forgetRequest = (): void => {
      const device = store.device();
      store.setDevice({ ...device, attempt: device.attempt + 1 });
    };

    const inGroups = (request: SyncRequest): SyncRequest => {
      const { changes = [] } = request;
      const fresh = changes.filter(({ changeId = '' }) => !transactions.has(changeId));
      for (const scope of new Set(fresh.map((change) => change.scope))) {
        const group = fresh.filter((change) => change.scope === scope);
        // The edits of a local transaction stand one behind the other already.
        const isFree = group.every(({ transaction }) => transaction === undefined);
        const name = group.length > 1 && isFree && groups() ? `t-${group[0]!.changeId ?? ''}` : '';
        for (const { changeId = '' } of group) transactions.set(changeId, name);
      }
      const tagged = changes.map((change) => {
        const transaction = transactions.get(change.changeId ?? '') ?? '';
        return transaction === '' ? change : { ...change, transaction };
      });
      return { ...request, changes: tagged };
    };

    if (saved !== undefined) forgetRequest();
    const save = (): Saved => ({
      store: store.copy(),
      rejected: [...rejected],
      setAside: [...setAside],
      transactions: new Map(transactions),
    });
    return {
      noticesCopies: false,
      get: (address) => store.row(address).data,
      documents: () =>
        new Map(
          [...store.entries()].flatMap(({ address, row: { data } }): [string, JsonObject][] =>
            data === null ? [] : [[keyOf(address), data]],
          ),
        ),
      pending: () =>
        new Set([...store.entries()].flatMap(({ address, row }) => (isPending(row) ? [keyOf(address)] : []))),
      put: (address, data) => write(address, data),
      patch: (address, data) => write(address, data, 'patch'),
      remove: (address) => write(address, null),
      putTogether: (all) => {
        const name = createId();
        const tied = new Set(all.flatMap(([address]) => store.row(address).dirty?.transaction ?? []));
        for (const [address, data] of all) {
          write(address, data);
          const row = store.row(address);
          store.setRow(address, { ...row, dirty: { ...row.dirty!, transaction: name } });
        }
        for (const other of tied) store.joinTransactions(other, name);
      },
      request: () => {
        const made = core.compose(store, {
          userId,
          collections,
          now: now(),
          createId,
          maxChanges: batchSize,
          maxBytes: 1_000_000,
          limit: limit(),
        });
        const request = inGroups(made.request);
        composed.set(request, { ...made, request });
        return request;
      },
      take: (sent, response, killAt) => {
        if (killAt !== null) return 'killed';
        const taken = core.take(
          store,
          composed.get(sent) ?? { attempt: 0, request: sent },
          response,
          createId,
        );
        rejected.push(...taken.rejected.map(({ change }) => change));
        setAside.push(...taken.setAside);
        return taken.more;
      },
      follow: (wanted) => {
        collections = wanted;
        forgetRequest();
        const leaving = [...store.entries()].filter(({ address }) => !wanted.includes(address.collection));
        if (leaving.length === 0) return;
        for (const { address, row } of leaving) {
          if (isPending(row)) setAside.push({ address, data: row.data });
          store.remove(address);
        }
        // The checkpoints still cover what was removed: if it came back before the next sync, no delta would bring it.
        for (const [scope, state] of store.scopes()) {
          store.setScope(scope, { ...state, checkpoint: null, resync: true });
          store.startPass(scope);
        }
      },
      rejected: () => rejected,
      setAside: () => setAside,
      made: () => null,
      save,
      restart: (anew) => createCoreClient(core)(anew, save()),
    };
  };
