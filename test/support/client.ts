import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { betterSqlite3 } from '../../client/src/drivers/better-sqlite3.ts';
import { nodeSqlite } from '../../client/src/drivers/node-sqlite.ts';
import { createClient, type Client, type ClientOptions } from '../../client/src/index.ts';
import type { Stack } from '../../local/stack.ts';
import { COLLECTIONS } from './collections.ts';

export { COLLECTIONS, type Item, type Visit } from './collections.ts';
export type TestClient = Client<typeof COLLECTIONS>;

export const DRIVERS = { 'node:sqlite': nodeSqlite, 'better-sqlite3': betterSqlite3 } as const;

/** Retries that do not keep a test waiting. */
export const QUICK = { retry: { attempts: 2, baseDelay: 1, maxDelay: 2 } };

/** Clients of one stack and their database files, all ended together. */
export class Devices {
  readonly #stack: Stack;
  readonly #clients: TestClient[] = [];
  #folder: Promise<string> | undefined;
  #count = 0;

  constructor(stack: Stack) {
    this.#stack = stack;
  }

  async path(): Promise<string> {
    this.#folder ??= mkdtemp(join(tmpdir(), 'tidemark-client-'));
    return join(await this.#folder, `${(this.#count += 1)}.db`);
  }

  /** A device of a user, on a database of its own unless one is given. */
  async open(
    user: string,
    options: Partial<ClientOptions<typeof COLLECTIONS>> & { claims?: Record<string, unknown> } = {},
  ): Promise<TestClient> {
    const { claims = {}, ...rest } = options;
    const client = createClient({
      url: this.#stack.api,
      token: () => this.#stack.issuerHandle.token({ sub: user, ...claims }),
      userId: user,
      database: nodeSqlite(await this.path()),
      collections: COLLECTIONS,
      sync: QUICK,
      ...rest,
    });
    this.#clients.push(client);
    return client;
  }

  async dispose(): Promise<void> {
    for (const client of this.#clients) await client.close();
    if (this.#folder !== undefined) await rm(await this.#folder, { recursive: true, force: true });
  }
}

/** A sync that has to end well. */
export async function synced(client: TestClient) {
  const report = await client.sync();
  if (report.outcome !== 'synced') throw report.error ?? new Error(report.outcome);
  return report;
}
