import { copyFileSync, existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { nodeSqlite } from '../../client/src/drivers/node-sqlite.ts';
import {
  collection,
  createClient,
  TidemarkError,
  type Address,
  type Client as Sdk,
  type Collections,
  type Database,
  type Exchange,
  type SqlConnection,
  type SyncReport,
} from '../../client/src/index.ts';
import { openHere } from '../../client/src/sql/database.ts';
import { thisPlatform } from '../../client/src/runtime.ts';
import type { JsonObject } from '../../shared/conflict/index.ts';
import type { SyncRequest, SyncResponse } from '../../shared/protocol/index.ts';
import type { Client, ClientOptions, CreateClient } from './client.ts';
import { CONFIG } from './grounds.ts';
import { keyOf } from './model.ts';

/**
 * Devices that run the SDK: its engine and its stores on SQLite files. What the engine hands to its transport is what the
 * checker carries; what the checker brings back is what the transport answers.
 */
export interface SdkDevices {
  readonly create: CreateClient;
  /** Ends them and removes their files. */
  readonly dispose: () => Promise<void>;
}

/** Where a bug may be planted: around the database, and below it. */
export interface SdkSeams {
  readonly database?: (database: Database, connection: SqlConnection, userId: string) => Database;
  readonly connection?: (connection: SqlConnection) => SqlConnection;
}

const MEMORY = '/dev/shm';

export function createSdkDevices(seams: SdkSeams = {}): SdkDevices {
  const folder = mkdtempSync(join(existsSync(MEMORY) ? MEMORY : tmpdir(), 'tidemark-checker-'));
  const devices = new Set<SdkDevice>();
  let files = 0;
  const newPath = (): string => join(folder, `${(files += 1)}.db`);
  const open = (options: ClientOptions, path: string): SdkDevice => {
    const device = new SdkDevice(options, path, { seams, newPath, reopen: open });
    devices.add(device);
    return device;
  };
  return {
    create: (options, saved) => {
      const path = newPath();
      if (saved !== undefined) copyDatabase(saved as string, path);
      return open(options, path);
    },
    dispose: async () => {
      for (const device of devices) await device.kill();
      rmSync(folder, { recursive: true });
    },
  };
}

/** Between two calls everything committed is in the file and its log. */
function copyDatabase(from: string, to: string): void {
  for (const part of ['', '-wal']) if (existsSync(from + part)) copyFileSync(from + part, to + part);
}

/** The process died: what a statement would have done is not done. */
class Killed extends Error {}

interface Workshop {
  readonly seams: SdkSeams;
  readonly newPath: () => string;
  readonly reopen: (options: ClientOptions, path: string) => SdkDevice;
}

interface Carried {
  readonly request: SyncRequest;
  readonly answer: (response: SyncResponse) => void;
  readonly lose: () => void;
}

class SdkDevice implements Client {
  /** Some platforms tell a copied file from the original, some do not. */
  readonly noticesCopies: boolean;
  readonly #options: ClientOptions;
  readonly #path: string;
  readonly #workshop: Workshop;
  #sdk: Sdk<Collections>;
  #connection: SqlConnection | null = null;
  /** Statements that the process still runs before it dies. */
  #lifetime = Infinity;
  #committed = false;
  #sync: Promise<SyncReport> | null = null;
  #carried: Carried | null = null;
  #onSend: () => void = () => undefined;
  #followed: readonly string[];

  constructor(options: ClientOptions, path: string, workshop: Workshop) {
    this.noticesCopies = /[02468]$/.test(options.deviceId);
    this.#options = options;
    this.#path = path;
    this.#workshop = workshop;
    this.#followed = options.collections;
    this.#sdk = this.#open(options.collections);
  }

  #open(collections: readonly string[]): Sdk<Collections> {
    const { userId, now, createId, limit, batchSize, transport } = this.#options;
    const { seams } = this.#workshop;
    const driver = nodeSqlite(this.#path);
    const mortal = {
      ...driver,
      fingerprint: () => (this.noticesCopies ? driver.fingerprint!() : null),
      connect: () => (this.#connection = this.#mortal(driver.connect() as SqlConnection)),
    };
    return createClient({
      url: 'unused',
      token: 'unused',
      userId,
      database: {
        database: driver.database,
        open: async (setup) => {
          const database = await openHere(mortal, setup, { now, createId });
          return seams.database?.(database, this.#connection!, userId) ?? database;
        },
      },
      collections: Object.fromEntries(
        collections.map((name) => [name, collection({ scope: CONFIG.collections.get(name)!.scope })]),
      ),
      sync: {
        maxBatchChanges: batchSize,
        get pageSize() {
          return limit();
        },
        retry: { attempts: 1 },
        breaker: { threshold: Infinity },
      },
      transport: () => ({
        name: transport,
        send: (request, signal) =>
          new Promise<Exchange>((resolve, reject) => {
            const lose = () =>
              reject(new TidemarkError('offline', 'The answer was lost.', { retryable: true }));
            signal.addEventListener('abort', () => reject(signal.reason as Error));
            this.#carried = {
              request,
              answer: (response) => resolve({ response, requests: 1, bytesSent: 0, bytesReceived: 0 }),
              lose,
            };
            this.#onSend();
          }),
      }),
      runtime: {
        now,
        createId,
        random: () => 0.5,
        setTimer: () => () => undefined,
        // A lease outlives its holder by seconds, and nobody waits here: the file has one user at a time.
        platform: { ...thisPlatform(), locks: { request: (_name, _options, work) => work() } },
      },
    });
  }

  /** Statements end with the process. */
  #mortal(inner: SqlConnection): SqlConnection {
    const { seams } = this.#workshop;
    const connection = seams.connection?.(inner) ?? inner;
    return {
      run: (sql, params) => {
        if (sql !== 'ROLLBACK' && (this.#lifetime -= 1) < 0) throw new Killed();
        if (sql === 'COMMIT') this.#committed = true;
        return connection.run(sql, params);
      },
      all: (sql, params) => connection.all(sql, params),
      exec: (sql) => connection.exec(sql),
      close: () => connection.close(),
    };
  }

  #store({ scope, collection: name }: Pick<Address, 'scope' | 'collection'>) {
    return this.#sdk.store(name, scope === `user:${this.#options.userId}` ? {} : { scope });
  }

  async get(address: Address): Promise<JsonObject | null> {
    return (await this.#store(address).get(address.documentId)) as JsonObject | null;
  }

  async documents(): Promise<ReadonlyMap<string, JsonObject>> {
    const all: [string, JsonObject][] = [];
    for (const name of this.#followed) {
      const { userId } = this.#options;
      const kind = CONFIG.collections.get(name)!.scope;
      const store = this.#store({
        scope: kind === 'user' ? `user:${userId}` : `${kind}:any`,
        collection: name,
      });
      const rows = await store.sql(`SELECT Scope, ID, Content FROM ${name} WHERE UserId = ?`, [userId]);
      for (const { Scope, ID, Content } of rows)
        all.push([`${String(Scope)}/${name}/${String(ID)}`, JSON.parse(String(Content)) as JsonObject]);
    }
    return new Map(all);
  }

  async pending(): Promise<ReadonlySet<string>> {
    return new Set((await this.#sdk.pending()).map(({ address }) => keyOf(address)));
  }

  put(address: Address, data: JsonObject): Promise<void> {
    return this.#store(address).upsert(data);
  }

  async patch(address: Address, data: JsonObject): Promise<void> {
    const store = this.#store(address);
    const shown = await this.get(address);
    if (shown === null) return store.upsert(data);
    const gone = Object.keys(shown).filter((key) => !Object.hasOwn(data, key));
    await store.patch(address.documentId, { ...data, ...Object.fromEntries(gone.map((key) => [key, null])) });
  }

  async remove(address: Address): Promise<void> {
    await this.#store(address).delete(address.documentId);
  }

  async putTogether(all: readonly (readonly [Address, JsonObject])[]): Promise<void> {
    const [[first]] = all as [[Address, JsonObject]];
    await this.#store(first).transaction((transaction) => {
      for (const [, data] of all) transaction.upsert(data);
      return Promise.resolve();
    });
  }

  async request(): Promise<SyncRequest> {
    await this.#giveUp();
    const sent = this.#nextSend();
    this.#sync = this.#sdk.sync();
    const ended = await Promise.race([sent, this.#sync]);
    if (ended !== undefined) throw ended.error ?? new Error(`The sync ended: ${ended.outcome}.`);
    return this.#carried!.request;
  }

  async take(sent: SyncRequest, response: SyncResponse, killAt: number | null): Promise<boolean | 'killed'> {
    const carried = this.#carried;
    // The engine gave that request up.
    if (carried?.request !== sent) return false;
    this.#carried = null;
    this.#lifetime = killAt ?? Infinity;
    this.#committed = false;
    const next = this.#nextSend();
    const running = this.#sync!;
    carried.answer(structuredClone(response));
    const ended = await Promise.race([next, running]);
    if (ended === undefined) {
      this.#lifetime = Infinity;
      return true;
    }
    this.#sync = null;
    if (this.#diedBefore()) return 'killed';
    this.#lifetime = Infinity;
    if (ended.outcome !== 'synced' && killAt === null) throw ended.error ?? new Error(ended.outcome);
    return false;
  }

  /** Did the process die with nothing written? */
  #diedBefore(): boolean {
    return this.#lifetime < 0 && !this.#committed;
  }

  made(): SyncRequest | null {
    return this.#carried?.request ?? null;
  }

  async follow(collections: readonly string[]): Promise<void> {
    await this.#giveUp();
    await this.#sdk.close();
    this.#followed = collections;
    this.#sdk = this.#open(collections);
    // Opens it.
    await this.#sdk.status();
  }

  rejected() {
    return this.#sdk.rejected();
  }

  async setAside() {
    return (await this.#sdk.setAside()).map(({ address, content }) => ({ address, data: content }));
  }

  async save(): Promise<string> {
    await this.#sdk.status();
    const path = this.#workshop.newPath();
    copyDatabase(this.#path, path);
    return path;
  }

  async restart(options: ClientOptions): Promise<Client> {
    await this.kill();
    return this.#workshop.reopen(options, this.#path);
  }

  /** The process ends: nothing it had begun is finished. */
  async kill(): Promise<void> {
    this.#lifetime = 0;
    this.#carried?.lose();
    this.#carried = null;
    await this.#sync?.catch(() => undefined);
    this.#connection?.close();
    this.#connection = null;
  }

  async #giveUp(): Promise<void> {
    this.#carried?.lose();
    this.#carried = null;
    await this.#sync;
    this.#sync = null;
  }

  #nextSend(): Promise<undefined> {
    return new Promise((resolve) => {
      this.#onSend = () => resolve(undefined);
    });
  }
}
