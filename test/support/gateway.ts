import { CosmosClient, type Container } from '@azure/cosmos';
import { startEmulator, type Emulator } from '../../emulator/src/index.ts';
import { DATABASE, provision } from '../../local/provision.ts';
import type { Identity, Role, RoleGrants } from '../../shared/auth/identity.ts';
import { DOCUMENTS } from '../../shared/cosmos/containers.ts';
import { openCosmos } from '../../shared/cosmos/client.ts';
import { createDocumentStore } from '../../shared/cosmos/document-store.ts';
import { encodeName, type SyncRequest, type SyncResponse } from '../../shared/protocol/index.ts';
import type { DocumentStore } from '../../shared/sync/store.ts';
import { createRules, type AskRules } from '../../shared/sync/rules.ts';
import { parseSyncConfig } from '../../shared/sync/sync-config.ts';
import { sync, type SyncSettings } from '../../shared/sync/sync.ts';

export const DAY = 86_400_000;

/** The sync domain in this process, on a real emulator through the real SDK. */
export interface Gateway {
  readonly emulator: Emulator;
  /** The container, opened with the master key. */
  readonly container: Container;
  readonly store: DocumentStore;
  /** One sync of a user, as it would arrive over HTTP: the body goes through JSON. */
  readonly sync: (
    user: string | Identity,
    body: object,
    settings?: Partial<SyncSettings>,
    store?: DocumentStore,
    ask?: AskRules,
  ) => Promise<SyncResponse>;
  /** Everything that is stored in a scope, system items included. */
  readonly items: (scope?: string) => Promise<Record<string, unknown>[]>;
  readonly dispose: () => Promise<void>;
}

/**
 * @param shared the shared scopes of the user
 * @param role in all kinds of scope; `kinds` names the exceptions
 */
export const identityOf = (
  user: string,
  shared: readonly string[] = [],
  role: Role = 'writer',
  kinds: Readonly<Record<string, Role>> = {},
): Identity => {
  const userId = encodeName(user) ?? '';
  const ownScope = `user:${userId}`;
  const roles: RoleGrants = { general: role, kinds: new Map(Object.entries(kinds)) };
  return { userId, claimedId: user, tokenId: null, ownScope, scopes: [ownScope, ...shared], roles };
};

export const CONFIG = parseSyncConfig({
  collections: {
    items: {},
    notes: {},
    papers: { audited: true },
    merged: { strategy: 'merge_with_client_priority' },
    stubborn: { strategy: 'server_wins' },
    visits: { scope: 'facility' },
  },
  sharedScopes: { facility: 'facilities' },
});

const SETTINGS: SyncSettings = {
  config: CONFIG,
  epoch: '1',
  retention: 90 * 86_400,
  deadline: 60_000,
};

/** @param scopes the shared scopes of every user */
export async function startGateway(options: { scopes?: readonly string[] } = {}): Promise<Gateway> {
  const emulator = await startEmulator();
  await provision(emulator.endpoint, emulator.key);
  const opened = openGateway(emulator.endpoint, emulator.key, options.scopes);
  return {
    ...opened,
    emulator,
    dispose: async () => {
      opened.close();
      await emulator.dispose();
    },
  };
}

/** The sync domain on an emulator that runs already. */
export function openGateway(endpoint: string, key: string, scopes: readonly string[] = []) {
  const client = openCosmos(endpoint, { key });
  const admin = new CosmosClient({ endpoint, key });
  const store = createDocumentStore(() => Promise.resolve(client.database(DATABASE).container(DOCUMENTS)));
  const container = admin.database(DATABASE).container(DOCUMENTS);
  return {
    container,
    store,
    sync: (
      user: string | Identity,
      body: object,
      settings: Partial<SyncSettings> = {},
      through: DocumentStore = store,
      ask: AskRules | null = null,
    ) =>
      sync(JSON.parse(JSON.stringify(body)), typeof user === 'string' ? identityOf(user, scopes) : user, {
        store: through,
        rules: createRules(settings.config ?? CONFIG, ask),
        settings: { ...SETTINGS, ...settings },
        now: Date.now,
        wait: () => 0,
        onMalformed: () => undefined,
      }),
    items: async (scope = 'user:alice') => {
      const { resources } = await container.items
        .query<Record<string, unknown>>('SELECT * FROM c', { partitionKey: scope, maxItemCount: -1 })
        .fetchAll();
      return resources;
    },
    close: () => {
      client.dispose();
      admin.dispose();
    },
  };
}

/** Makes `Date` stand still at a time that a test moves; timers and sockets go on. */
export function freezeTime(at = Date.parse('2026-11-22T10:00:00.000Z')): void {
  jest.useFakeTimers({
    now: at,
    doNotFake: [
      'hrtime',
      'nextTick',
      'performance',
      'queueMicrotask',
      'setImmediate',
      'clearImmediate',
      'setInterval',
      'clearInterval',
      'setTimeout',
      'clearTimeout',
    ],
  });
}

export const advanceTime = (milliseconds: number): void => {
  jest.setSystemTime(Date.now() + milliseconds);
};

/** A change as a client sends it, with what the test leaves open filled in. */
export function change(documentId: string, seq: number, fields: Record<string, unknown> = {}) {
  return {
    changeId: `c${seq}`,
    seq,
    type: 'upsert',
    collection: 'items',
    documentId,
    baseVersion: null,
    lastModified: new Date(Date.now()).toISOString(),
    ...(fields['type'] === 'delete' ? {} : { data: { value: documentId } }),
    ...fields,
  };
}

/** A request of a device; `claim` is where it believes its ledger to stand. */
export const request = (
  deviceId: string,
  changes: readonly object[] = [],
  claim: { seq: number; changeId: string } | null = null,
  fields: Partial<SyncRequest> = {},
) => ({
  protocol: 1,
  deviceId,
  clientTime: new Date(Date.now()).toISOString(),
  streams: { 'user:alice': claim },
  changes,
  ...fields,
});
