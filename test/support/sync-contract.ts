import {
  collection,
  createClient,
  type DatabaseOpener,
  type ExpiringToken,
  type SqlDriver,
} from '../../client/src/index.ts';
import { directTransport } from '../../client/src/cosmos/index.ts';
import type { ScopeToken } from '../../shared/protocol/index.ts';

/** Where devices live and what they sync with, on one platform. */
export interface SyncWorld {
  /** Of the gateway; the bearer token is the user's name. */
  readonly url: () => string;
  readonly newUser: () => string;
  /** A database that does not exist yet, with the clock of the device. */
  readonly database: (now: () => number) => SqlDriver | DatabaseOpener;
  /** A resource token for the user's own scope. */
  readonly mint: (user: string) => Promise<ScopeToken & ExpiringToken>;
  /** Everything that is stored in the user's own scope. */
  readonly items: (user: string) => Promise<Record<string, unknown>[]>;
  /** Removes an item without a tombstone, as expiry does. */
  readonly remove: (user: string, id: string) => Promise<void>;
}

export interface DeviceOptions {
  /** Minutes that the device's edits lie back. */
  readonly ago?: () => number;
  /** Loses the answer of a request that wrote. */
  readonly losing?: () => boolean;
  readonly mint?: SyncWorld['mint'];
  readonly database?: SqlDriver | DatabaseOpener;
}

const COLLECTIONS = { items: collection<{ id: string; title?: string; n?: number; tags?: string[] }>() };

export function openDevice(world: SyncWorld, transport: string, user: string, options: DeviceOptions = {}) {
  const { ago = () => 0, losing = () => false, mint = world.mint } = options;
  const runtime = {
    now: () => Date.now() - ago() * 60_000,
    fetch: async (...args: Parameters<typeof fetch>) => {
      const response = await fetch(...args);
      const writes =
        new Headers(args[1]?.headers).get('x-ms-cosmos-is-batch-request') !== null || transport === 'thin';
      if (!writes || !losing()) return response;
      await response.text();
      throw new Error('connection lost');
    },
  };
  let kept: Promise<ScopeToken & ExpiringToken> | undefined;
  const tokens = { getToken: () => (kept ??= mint(user)) };
  const client = createClient({
    url: world.url(),
    token: (): string => user,
    userId: user,
    database: options.database ?? world.database(runtime.now),
    collections: COLLECTIONS,
    runtime,
    sync: { retry: { attempts: 1 }, breaker: { threshold: 100 } },
    ...(transport === 'direct' ? { transport: () => directTransport({ tokens, runtime }) } : {}),
  });
  const sync = async () => {
    const report = await client.sync();
    if (report.outcome !== 'synced') throw report.error ?? new Error(report.outcome);
    return report;
  };
  return { client, items: client.store('items'), sync };
}

const PAIRS = [
  ['thin', 'thin'],
  ['direct', 'direct'],
  ['direct', 'thin'],
] as const;

/**
 * What a sync promises, through the gateway and straight to Cosmos DB, wherever the devices live: in Node.js under Jest, in
 * a browser under the runner of the browser tests. So nothing here is of Node.js.
 */
export function syncContract(world: SyncWorld): void {
  const closing: (() => Promise<void>)[] = [];
  afterEach(async () => {
    for (const close of closing.splice(0).reverse()) await close();
  });
  const openOn = (transport: string, user: string, options?: DeviceOptions) => {
    const device = openDevice(world, transport, user, options);
    closing.push(() => device.client.close());
    return device;
  };
  const conflictsOf = async (user: string) =>
    (await world.items(user)).filter(({ id }) => String(id).startsWith('~conflict'));

  describe.each(PAIRS)('a device on %s and one on %s', (first, second) => {
    const pair = (options: { phone?: DeviceOptions; tablet?: DeviceOptions } = {}) => {
      const user = world.newUser();
      return {
        user,
        phone: openOn(first, user, options.phone),
        tablet: openOn(second, user, options.tablet),
      };
    };

    it('come to hold the same: creates, edits, deletes, and a document made again', async () => {
      const { user, phone, tablet } = pair();
      await phone.items.upsertBulk(Array.from({ length: 130 }, (_, n) => ({ id: `d${n}`, n })));
      expect(await phone.sync()).toMatchObject({ pushed: 130, conflicts: 0 });
      expect(await tablet.sync()).toMatchObject({ pulled: 130 });
      await tablet.items.upsert({ id: 'd0', n: 1000 });
      await tablet.items.delete('d1');
      await tablet.sync();
      await phone.sync();
      await phone.items.upsert({ id: 'd1', n: 2000 });
      await phone.sync();
      await tablet.sync();
      const all = await phone.items.query();
      expect(all).toHaveLength(130);
      expect(await tablet.items.query()).toEqual(all);
      expect(await phone.items.get('d1')).toEqual({ id: 'd1', n: 2000 });
      expect(await conflictsOf(user)).toEqual([]);
      expect(await phone.sync()).toMatchObject({ pushed: 0, pulled: 0 });
    });

    it('the later of two edits made beside each other wins, whoever sends first, and the other is logged', async () => {
      let ago = 0;
      const { user, phone, tablet } = pair({ tablet: { ago: () => ago } });
      await phone.items.upsert({ id: '1', title: 'base' });
      await phone.sync();
      await tablet.sync();
      ago = 5;
      await tablet.items.upsert({ id: '1', title: 'earlier' });
      ago = 0;
      await phone.items.upsert({ id: '1', title: 'later' });
      await phone.sync();
      expect(await tablet.sync()).toMatchObject({ skipped: 1, conflicts: 1 });
      expect(await tablet.items.get('1')).toEqual({ id: '1', title: 'later' });
      expect(await conflictsOf(user)).toMatchObject([
        { lost: { side: 'incoming', data: { title: 'earlier' } } },
      ]);
    });

    it('a patch leaves alone what another patch changed before it', async () => {
      let ago = 0;
      const { phone, tablet } = pair({ phone: { ago: () => ago } });
      await phone.items.upsert({ id: '1', title: 'a', n: 1 });
      await phone.sync();
      await tablet.sync();
      ago = 5;
      await phone.items.patch('1', { title: 'b' });
      ago = 0;
      await tablet.items.patch('1', { n: 2 });
      await phone.sync();
      await tablet.sync();
      await phone.sync();
      expect(await phone.items.get('1')).toEqual({ id: '1', title: 'b', n: 2 });
      expect(await tablet.items.get('1')).toEqual({ id: '1', title: 'b', n: 2 });
    });

    it('an answer that was lost is asked for again, and nothing is written twice', async () => {
      let lose = false;
      const { user, phone, tablet } = pair({ phone: { losing: () => lose } });
      await phone.items.upsert({ id: '1', title: 'a' });
      await phone.sync();
      lose = true;
      await phone.items.upsert({ id: '1', title: 'b' });
      expect(await phone.client.sync()).toMatchObject({ outcome: 'offline' });
      expect(await phone.client.status()).toMatchObject({ pending: 1, state: 'offline' });
      lose = false;
      await tablet.sync();
      await tablet.items.upsert({ id: '1', title: 'c' });
      await tablet.sync();
      await phone.items.upsert({ id: '2', title: 'more' });
      await phone.sync();
      await tablet.sync();
      expect(await phone.items.get('1')).toEqual({ id: '1', title: 'c' });
      expect(await tablet.items.query()).toEqual(await phone.items.query());
      expect(await conflictsOf(user)).toEqual([]);
    });

    it('an edit of a document that is gone is skipped, and kept in the log', async () => {
      const { user, phone, tablet } = pair();
      await phone.items.upsert({ id: '1', title: 'a' });
      await phone.sync();
      await tablet.sync();
      await world.remove(user, 'items:1');
      await phone.items.upsert({ id: '1', title: 'b' });
      expect(await phone.sync()).toMatchObject({ skipped: 1 });
      expect(await phone.items.get('1')).toBeNull();
      expect(await conflictsOf(user)).toHaveLength(1);
    });

    it('what is too large is rejected, kept, and blocks nothing', async () => {
      const { phone, tablet } = pair();
      await phone.items.upsertBulk([
        { id: '1', title: 'x'.repeat(1_000_000) },
        { id: '2', title: 'fine' },
      ]);
      expect(await phone.sync()).toMatchObject({ pushed: 1, rejected: 1 });
      expect(await phone.client.rejected()).toMatchObject([{ error: { code: 'document_too_large' } }]);
      await tablet.sync();
      expect(await tablet.items.query()).toEqual([{ id: '2', title: 'fine' }]);
    });

    it('the documents of a transaction arrive together', async () => {
      const { phone, tablet } = pair();
      await phone.items.transaction((transaction) => {
        transaction.upsert({ id: '1', title: 'debit', n: -5 });
        transaction.upsert({ id: '2', title: 'credit', n: 5 });
        return Promise.resolve();
      });
      expect(await phone.sync()).toMatchObject({ pushed: 2, rejected: 0 });
      await tablet.sync();
      expect((await tablet.items.query()).map(({ n }) => n)).toEqual([-5, 5]);
    });

    it('a transaction of which one edit loses is rejected as a whole, and can be made again as one', async () => {
      let ago = 0;
      const { phone, tablet } = pair({ tablet: { ago: () => ago } });
      await phone.items.upsertBulk([
        { id: '1', n: 1 },
        { id: '2', n: 2 },
        { id: '3', n: 3 },
      ]);
      await phone.sync();
      await tablet.sync();
      ago = 5;
      await tablet.items.transaction((transaction) => {
        transaction.upsert({ id: '1', n: 10 });
        transaction.upsert({ id: '2', n: 20 });
        return Promise.resolve();
      });
      await tablet.items.upsert({ id: '3', n: 30 });
      ago = 0;
      await phone.items.upsert({ id: '2', n: 22 });
      await phone.sync();
      expect(await tablet.sync()).toMatchObject({ pushed: 1, rejected: 2 });
      expect((await tablet.items.query()).map(({ n }) => n)).toEqual([1, 22, 30]);
      const rejected = await tablet.client.rejected();
      expect(rejected.map(({ error }) => error.code)).toEqual([
        'transaction_rejected',
        'transaction_rejected',
      ]);
      expect(rejected[0]?.transaction).toBe(rejected[1]?.transaction);
      expect(await tablet.client.resendRejected(rejected[0]?.changeId ?? '')).toBe(true);
      expect(await tablet.sync()).toMatchObject({ pushed: 2, rejected: 0 });
      expect(await tablet.client.rejected()).toEqual([]);
      await phone.sync();
      expect((await phone.items.query()).map(({ n }) => n)).toEqual([10, 20, 30]);
    });

    it('conflicts whose log entries do not fit into one batch are sent in several', async () => {
      let ago = 0;
      const { user, phone, tablet } = pair({ tablet: { ago: () => ago } });
      const ids = ['1', '2', '3', '4'];
      await phone.items.upsertBulk(ids.map((id) => ({ id, title: 'base' })));
      await phone.sync();
      await tablet.sync();
      await phone.items.upsertBulk(ids.map((id) => ({ id, title: 'x'.repeat(800_000) })));
      await phone.sync();
      ago = -1;
      await tablet.items.upsertBulk(ids.map((id) => ({ id, title: 'later' })));
      expect(await tablet.sync()).toMatchObject({ pushed: 4, rejected: 0 });
      const lost = (await conflictsOf(user)).map(({ lost }) => (lost as { side: string }).side);
      expect(lost).toEqual(ids.map(() => 'stored'));
    });
  });
}
