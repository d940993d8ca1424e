import { randomUUID } from 'node:crypto';
import { existsSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { DefaultAzureCredential, ManagedIdentityCredential, type TokenCredential } from '@azure/identity';
import { listOperations } from './activity/list-operations.ts';
import { operationRecord, recorded, type SyncOperation } from './activity/operation.ts';
import { createRecorder } from './activity/recorder.ts';
import { createAccess, type Access, type Call as Request } from './auth/access.ts';
import { createAudit, type Audit } from './auth/audit.ts';
import { createAuthenticator } from './auth/authenticate.ts';
import { createDenyList, type DenyList } from './auth/deny-list.ts';
import type { Identity } from './auth/identity.ts';
import { fetchKeys } from './auth/key-set.ts';
import { readConfig, type Config } from './config.ts';
import { RequestError } from './errors.ts';
import { attempt } from './cosmos/attempt.ts';
import { createActivityStore } from './cosmos/activity-store.ts';
import { ACTIVITY, DOCUMENTS } from './cosmos/containers.ts';
import { openCosmos } from './cosmos/client.ts';
import { createDocumentStore } from './cosmos/document-store.ts';
import { createPermissionStore } from './cosmos/permission-store.ts';
import { createRecordStore } from './cosmos/record-store.ts';
import { createTokenUserStore } from './cosmos/token-user-store.ts';
import type { EdgeSettings } from './http/edge.ts';
import { createRateLimiter } from './http/rate-limit.ts';
import { createLoad, paced, waitAfterSync } from './sync/pace.ts';
import type {
  ConflictPage,
  DeletionPage,
  IntegrityAnswer,
  IntegrityDocuments,
  OperationPage,
  Readiness,
  RestoreAnswer,
  ScopeToken,
  SyncResponse,
  TokenResponse,
} from './protocol/index.ts';
import { checkReadiness } from './readiness.ts';
import { listConflicts } from './sync/conflict-log.ts';
import { listDeletions } from './sync/deletion-log.ts';
import { checksums, integrityDocuments } from './sync/integrity.ts';
import { restore } from './sync/restore.ts';
import { createRules } from './sync/rules.ts';
import { SyncConfigError, readSyncConfig, tokenMode, type SyncConfig } from './sync/sync-config.ts';
import { sync } from './sync/sync.ts';
import { createBroker, type TokenAsk } from './tokens/broker.ts';
import { createKeyProvider } from './tokens/key-provider.ts';
import { createMintLimiter } from './tokens/mint-limiter.ts';
import { removeUnusedUsers, type CleanUp } from './tokens/unused-users.ts';
import { createLazySink } from './telemetry/lazy.ts';
import { createReporter, type Reporter } from './telemetry/reporter.ts';
import type { TelemetrySink } from './telemetry/telemetry.ts';
import { createRuleWorker } from './validation/rule-worker.ts';

/** How long records of the operation log wait in memory: what a crash takes away. */
const RECORDER_INTERVAL_MS = 5_000;
/** The same for the audit, which is looked at when something is wrong. */
const AUDIT_INTERVAL_MS = 1_000;
/** About 5 MB. */
const RECORDER_CAPACITY = 10_000;

/** What the functions call. */
export interface Services {
  readonly syncConfig: SyncConfig;
  readonly http: EdgeSettings;
  readonly access: Access;
  /** `access.authenticate`. @throws RequestError, Unavailable */
  readonly authenticate: (request: Request) => Promise<Identity>;
  readonly audit: Audit;
  readonly denyList: DenyList;
  /** @throws RequestError, Unavailable */
  readonly sync: (body: unknown, identity: Identity, call: Call) => Promise<SyncResponse>;
  /**
   * @param onMint told of each token that was made for this call
   * @throws RequestError, Unavailable
   */
  readonly tokensFor: (
    identity: Identity,
    ask: TokenAsk,
    onMint: (token: ScopeToken) => void,
  ) => Promise<TokenResponse>;
  /** Null where there is no token service. @throws Unavailable */
  readonly removeUnusedTokenUsers: () => Promise<CleanUp | null>;
  /** @throws RequestError, Unavailable */
  readonly listOperations: (query: unknown, identity: Identity) => Promise<OperationPage>;
  /** @throws RequestError, Unavailable */
  readonly listConflicts: (query: unknown, identity: Identity) => Promise<ConflictPage>;
  /** @throws RequestError, Unavailable */
  readonly restore: (conflictId: string, body: unknown, identity: Identity) => Promise<RestoreAnswer>;
  /** @throws RequestError, Unavailable */
  readonly listDeletions: (query: unknown, identity: Identity) => Promise<DeletionPage>;
  /** @throws RequestError, Unavailable */
  readonly checksums: (query: unknown, identity: Identity) => Promise<IntegrityAnswer>;
  /** @throws RequestError, Unavailable */
  readonly integrityDocuments: (body: unknown, identity: Identity) => Promise<IntegrityDocuments>;
  readonly reporter: Reporter;
  /**
   * Tries what the app leans on.
   *
   * @param scope that the caller may read
   * @throws RequestError
   */
  readonly checkReadiness: (scope: string) => Promise<Readiness>;
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
  const credential = once(() => openCredential(config.azure));
  const sink = openTelemetry(config.telemetry, credential);
  const reporter = createReporter(sink, config.telemetry.samplingPercent);
  const keys = once(() =>
    createKeyProvider(keySource(config, credential), { now, random, onChange: forgetTokens }),
  );
  const withKey = once(() =>
    openCosmos(endpoint, { keys: keys() }, { onPressure: load.throttled, reporter }).database(database),
  );
  const withIdentity = once(() =>
    openCosmos(endpoint, { identity: credential() }, { onPressure: load.throttled, reporter }).database(
      database,
    ),
  );
  const gateway = config.cosmos.auth === 'key' ? withKey : withIdentity;
  // The limiter decides when a throttled mint is tried again: the SDK would, at once, and nobody would slow down.
  const metadata = once(() =>
    openCosmos(endpoint, { keys: keys() }, { retries: 0, reporter }).database(database),
  );

  const tryMasterKey = (signal: AbortSignal) =>
    attempt('reading the database', signal, (abortSignal) => metadata().read({ abortSignal }));

  const container = (name: string) => () => Promise.resolve(gateway().container(name));
  const store = createDocumentStore(container(DOCUMENTS));
  const records = createRecordStore(container(DOCUMENTS));
  const activity = createActivityStore(container(ACTIVITY));

  const newRecorder = (log: string, interval: number) =>
    createRecorder({
      store: activity,
      interval,
      capacity: RECORDER_CAPACITY,
      onDropped: (count) => console.warn(`Dropped ${count} records of the ${log}.`),
      schedule: (callback, milliseconds) => setTimeout(callback, milliseconds).unref(),
    });
  const recorder = newRecorder('operation log', RECORDER_INTERVAL_MS);
  // One of its own: a busy operation log must not push out what the audit tells.
  const audit = createAudit(
    { retention: config.identity.auditRetention },
    {
      recorder: newRecorder('audit', AUDIT_INTERVAL_MS),
      store: activity,
      now,
      createId: randomUUID,
      schedule: (callback, milliseconds) => setTimeout(callback, milliseconds).unref(),
    },
  );
  const denyList = createDenyList({ refresh: config.identity.denyListRefresh }, activity, now);
  const { sharedScopes, roles } = syncConfig;
  const identify = createAuthenticator(
    { ...config.identity, sharedScopes, roles },
    { now, random, fetch: (address, init) => fetch(address, init) },
  );
  const access = createAccess({
    authenticate: (headers) => reporter.phase('authenticate', () => identify(headers)),
    takeTurn: createRateLimiter(config.rateLimit, now),
    denyList,
    audit,
  });

  const broker = createBroker(
    {
      endpoint,
      database,
      container: DOCUMENTS,
      privateMode: tokenMode(syncConfig),
      sharedKinds: new Set(sharedScopes.keys()),
      lifetime: config.token.lifetime,
      maxLifetime: config.token.maxLifetime,
    },
    {
      store: createPermissionStore(() => Promise.resolve(metadata())),
      limiter: createMintLimiter(config.token.mints, { now, random, sleep: (ms) => sleep(ms) }),
      now,
      random,
    },
  );
  /** A new key may have ended every token that was made with the old one. */
  function forgetTokens(): void {
    broker.forget();
  }

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
  const record = (operation: SyncOperation): void => {
    const entry = operationRecord(operation, { ...config.operationLog, newId: randomUUID });
    if (entry !== null) recorder.add(entry);
  };

  const settings = { ...config.sync, config: syncConfig };
  return {
    syncConfig,
    http: { ...config.http, onRefused: (code, status) => reporter.refused(code, status) },
    access,
    authenticate: (request) => access.authenticate(request),
    audit,
    denyList,
    sync: async (body, identity, call) => {
      const response = await recorded(
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
      );
      reporter.syncDone(body, response);
      return response;
    },
    reporter,
    tokensFor: async (identity, ask, onMint) => {
      if (!config.token.isOffered) throw new RequestError('token_service_disabled');
      // Notices a key that was changed, with which the tokens at hand may have ended. It holds up nobody.
      keys()
        .get()
        .catch(() => undefined);
      return broker.tokensFor(identity, ask, (token) => {
        reporter.tokenMinted(token);
        onMint(token);
      });
    },
    removeUnusedTokenUsers: () =>
      config.token.isOffered
        ? removeUnusedUsers(config.token.unused, {
            users: createTokenUserStore(() => Promise.resolve(metadata()), DOCUMENTS),
            activity,
            now,
            sleep: (ms) => sleep(ms),
          })
        : Promise.resolve(null),
    listOperations: (query, identity) => listOperations(query, identity, activity),
    listConflicts: (query, identity) => listConflicts(query, identity, { records, documents: store }),
    restore: (id, body, identity) => restore(id, body, identity, { store, settings, rules, now }),
    listDeletions: (query, identity) => listDeletions(query, identity, records),
    checksums: (query, identity) => checksums(query, identity, { store, settings, now }),
    integrityDocuments: (body, identity) => integrityDocuments(body, identity, { store, settings, now }),
    checkReadiness: (scope) =>
      checkReadiness(
        [
          {
            name: 'documents',
            attempt: async (signal) => {
              await store.incarnation();
              await store.open(scope, null, { requests: 0, requestUnits: 0 }, signal).changes(null, 1);
            },
          },
          ...config.identity.issuers.map((issuer, index) => ({
            name: `issuer ${index + 1}`,
            attempt: () => fetchKeys(issuer, fetch),
          })),
          ...(config.token.isOffered ? [{ name: 'master key', attempt: tryMasterKey }] : []),
        ],
        now,
      ),
    flush: async () => {
      await Promise.all([recorder.flush(), audit.flush()]);
      await sink?.flush();
    },
  };
}

const openCredential = ({ managedOnly, clientId }: Config['azure']): TokenCredential =>
  managedOnly
    ? new ManagedIdentityCredential(clientId === null ? {} : { clientId })
    : new DefaultAzureCredential();

/** Application Insights, where it is configured; its code is not even read otherwise. */
function openTelemetry(
  { connectionString, isAuthenticated }: Config['telemetry'],
  credential: () => TokenCredential,
): TelemetrySink | null {
  if (connectionString === null) return null;
  return createLazySink(
    async () => {
      const { createAppInsights } = await import('./telemetry/app-insights.ts');
      return createAppInsights({ connectionString, credential: isAuthenticated ? credential() : null });
    },
    (error) => console.error('There will be no telemetry:', error),
  );
}

function keySource(
  { masterKey }: Config,
  credential: () => TokenCredential,
): Parameters<typeof createKeyProvider>[0] {
  // `readConfig` has seen to it that there is a key wherever something needs one.
  if (masterKey === null) throw new Error('There is no master key, and nothing should ask for it.');
  return masterKey.kind === 'vault' ? { ...masterKey, credential: credential() } : masterKey;
}

function once<T>(make: () => T): () => T {
  let made: { readonly value: T } | undefined;
  return () => (made ??= { value: make() }).value;
}
