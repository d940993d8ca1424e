import { randomUUID } from 'node:crypto';
import { existsSync } from 'node:fs';
import { DefaultAzureCredential } from '@azure/identity';
import { listOperations } from './activity/list-operations.ts';
import { operationRecord, recorded, type SyncOperation } from './activity/operation.ts';
import { createRecorder } from './activity/recorder.ts';
import { toIdentity, type Identity } from './auth/identity.ts';
import { createVerifier } from './auth/verify.ts';
import { readConfig } from './config.ts';
import { RequestError } from './errors.ts';
import { createActivityStore } from './cosmos/activity-store.ts';
import { ACTIVITY, DOCUMENTS } from './cosmos/containers.ts';
import { openCosmos } from './cosmos/client.ts';
import { createDocumentStore } from './cosmos/document-store.ts';
import { createPermissionStore } from './cosmos/permission-store.ts';
import { createRecordStore } from './cosmos/record-store.ts';
import type { EdgeSettings } from './http/edge.ts';
import { createRateLimiter } from './http/rate-limit.ts';
import { createLoad, paced, waitAfterSync } from './sync/pace.ts';
import type {
  ConflictPage,
  DeletionPage,
  OperationPage,
  RestoreAnswer,
  SyncResponse,
  TokenResponse,
} from './protocol/index.ts';
import { listConflicts } from './sync/conflict-log.ts';
import { listDeletions } from './sync/deletion-log.ts';
import { restore } from './sync/restore.ts';
import { createRules } from './sync/rules.ts';
import { SyncConfigError, readSyncConfig, tokenMode, type SyncConfig } from './sync/sync-config.ts';
import { sync } from './sync/sync.ts';
import { createBroker } from './tokens/broker.ts';
import { createKeyProvider } from './tokens/key-provider.ts';
import { createRuleWorker } from './validation/rule-worker.ts';

/** How long records of the operation log wait in memory: what a crash takes away. */
const RECORDER_INTERVAL_MS = 5_000;
/** About 5 MB. */
const RECORDER_CAPACITY = 10_000;

/** What the functions call. */
export interface Services {
  readonly syncConfig: SyncConfig;
  readonly http: EdgeSettings;
  /** @throws RequestError, Unavailable */
  readonly authenticate: (authorization: string | null) => Promise<Identity>;
  /** @throws RequestError, Unavailable */
  readonly sync: (body: unknown, identity: Identity, call: Call) => Promise<SyncResponse>;
  /** @throws RequestError, Unavailable */
  readonly tokenFor: (identity: Identity) => Promise<TokenResponse>;
  /** @throws RequestError, Unavailable */
  readonly listOperations: (query: unknown, identity: Identity) => Promise<OperationPage>;
  /** @throws RequestError, Unavailable */
  readonly listConflicts: (query: unknown, identity: Identity) => Promise<ConflictPage>;
  /** @throws RequestError, Unavailable */
  readonly restore: (conflictId: string, body: unknown, identity: Identity) => Promise<RestoreAnswer>;
  /** @throws RequestError, Unavailable */
  readonly listDeletions: (query: unknown, identity: Identity) => Promise<DeletionPage>;
  /** Writes what waits in the background. */
  readonly flush: () => Promise<void>;
}

/** The call of a function, as the domain sees it. */
export interface Call {
  readonly requestId: string;
  readonly warn: (message: string) => void;
}

/**
 * Puts the app together from its settings. Nothing is connected here: clients are opened with the first request.
 *
 * @param env the settings
 * @param syncConfigText what stands in sync.config.json
 * @param ruleModule file of the application's rules, where sync.config.json names some
 * @throws ConfigError, SyncConfigError
 */
export function createServices(
  env: Readonly<Record<string, string | undefined>>,
  syncConfigText: string,
  ruleModule: string | null = null,
  now: () => number = Date.now,
  random: () => number = Math.random,
): Services {
  const config = readConfig(env);
  const syncConfig = readSyncConfig(syncConfigText);
  const { endpoint, database } = config.cosmos;

  const load = createLoad(now);
  const credential = once(() => new DefaultAzureCredential());
  // `readConfig` has seen to it that there is a key wherever something needs one.
  const source = config.masterKey ?? { kind: 'setting', key: '' };
  const masterKey = createKeyProvider(
    source.kind === 'vault' ? { ...source, credential: credential() } : source,
    now,
  );
  let keyed: { readonly key: string; readonly client: ReturnType<typeof openCosmos> } | undefined;
  const withKey = async () => {
    const key = await masterKey.get();
    if (keyed?.key !== key) {
      keyed?.client.dispose();
      keyed = { key, client: openCosmos(endpoint, { key }, load.throttled) };
    }
    return keyed.client.database(database);
  };
  const withIdentity = once(() =>
    openCosmos(endpoint, { identity: credential() }, load.throttled).database(database),
  );
  const gateway = config.cosmos.auth === 'key' ? withKey : () => Promise.resolve(withIdentity());

  const store = createDocumentStore(async () => (await gateway()).container(DOCUMENTS));
  const records = createRecordStore(async () => (await gateway()).container(DOCUMENTS));
  const broker = createBroker(
    {
      endpoint,
      database,
      container: DOCUMENTS,
      mode: tokenMode(syncConfig),
      lifetime: config.token.lifetime,
    },
    createPermissionStore(withKey, () => masterKey.forget()),
    now,
  );
  const verify = createVerifier(config.identity, now);
  const takeTurn = createRateLimiter(config.rateLimit, now);
  const { sharedScopes, roles } = syncConfig;
  const claims = { userClaim: config.identity.userClaim, sharedScopes, roles };
  if (syncConfig.rules !== null && (ruleModule === null || !existsSync(ruleModule))) {
    throw new SyncConfigError(
      'sync.config.json',
      null,
      `\`/rules\` ${syncConfig.rules} was not built into the app: build it again.`,
    );
  }
  const ruleWorker =
    syncConfig.rules === null || ruleModule === null
      ? null
      : createRuleWorker({
          module: ruleModule,
          timeout: syncConfig.limits.ruleMilliseconds,
          log: (message) => console.warn(message),
        });
  const rules = createRules(syncConfig, ruleWorker?.ask ?? null);
  const settings = { ...config.sync, config: syncConfig };
  const activity = createActivityStore(async () => (await gateway()).container(ACTIVITY));
  const recorder = createRecorder({
    store: activity,
    interval: RECORDER_INTERVAL_MS,
    capacity: RECORDER_CAPACITY,
    onDropped: (count) => console.warn(`Dropped ${count} records of the operation log.`),
    schedule: (callback, milliseconds) => setTimeout(callback, milliseconds).unref(),
  });
  const record = (operation: SyncOperation): void => {
    const entry = operationRecord(operation, { ...config.operationLog, newId: randomUUID });
    if (entry !== null) recorder.add(entry);
  };

  return {
    syncConfig,
    http: config.http,
    authenticate: async (authorization) => {
      const identity = toIdentity(await verify(authorization), claims);
      const wait = takeTurn(identity.userId);
      if (wait > 0) {
        throw new RequestError('rate_limited', {
          headers: { 'retry-after': String(Math.ceil(wait / 1000)) },
        });
      }
      return identity;
    },
    sync: (body, identity, call) =>
      recorded(
        () =>
          paced(
            () =>
              sync(body, identity, {
                store,
                rules,
                settings,
                now,
                wait: (hasMore) => waitAfterSync(hasMore, config.sync.interval, load.pressure(), random()),
                onMalformed: (scope, id) =>
                  call.warn(`Skipped an item that is no document: ${scope} ${JSON.stringify(id)}`),
              }),
            load,
            random,
          ),
        { userId: identity.userId, requestId: call.requestId, body },
        { record, now },
      ),
    tokenFor: (identity) =>
      config.token.isOffered
        ? broker.tokenFor(identity)
        : Promise.reject(new RequestError('token_service_off')),
    listOperations: (query, identity) => listOperations(query, identity, activity),
    listConflicts: (query, identity) => listConflicts(query, identity, { records, documents: store }),
    restore: (id, body, identity) => restore(id, body, identity, { store, settings, rules, now }),
    listDeletions: (query, identity) => listDeletions(query, identity, records),
    flush: () => recorder.flush(),
  };
}

function once<T>(make: () => T): () => T {
  let made: { readonly value: T } | undefined;
  return () => (made ??= { value: make() }).value;
}
