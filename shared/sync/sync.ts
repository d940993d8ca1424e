import { roleIn, type Identity, type Role } from '../auth/identity.ts';
import { RequestError } from '../errors.ts';
import {
  formatDateTime,
  parseDateTime,
  type ChangeResult,
  type RemoteDocument,
  type StreamPosition,
  type SyncEnvelope,
  type SyncResponse,
} from '../protocol/index.ts';
import { parseCheckpoint } from './checkpoint.ts';
import { prepareChange } from './prepare.ts';
import { pull } from './pull.ts';
import { push } from './push.ts';
import { checkStreams, parseRequest } from './request.ts';
import { checkRules, type Rules } from './rules.ts';
import type { DocumentStore, Meter } from './store.ts';
import type { SyncConfig } from './sync-config.ts';
import { checkTransactions } from './transactions.ts';

export interface SyncSettings {
  readonly config: SyncConfig;
  /** Raised by the operator when the data was restored or replaced: every client starts its delta over. */
  readonly epoch: string;
  /** How long tombstones and conflict records are kept, in seconds. */
  readonly retention: number;
  /** Longest time a sync may take, in milliseconds. */
  readonly deadline: number;
}

export interface SyncDependencies {
  readonly store: DocumentStore;
  readonly settings: SyncSettings;
  /** The application's rules for documents. */
  readonly rules: Rules;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  /** How soon the client is asked to come back, in milliseconds; `hasMore`: there is more to fetch. */
  readonly wait: (hasMore: boolean) => number;
  readonly onMalformed: (scope: string, id: string) => void;
}

const DEFAULT_LIMIT = 1000;
/**
 * How much of the time may have passed when the last page of the delta is asked for. A page that is under way at the
 * deadline is given up, and with it all that was read before: the next request would be no further.
 */
const PULL_SHARE = 0.75;

/**
 * One sync of one device: takes in its changes, then reads what it has not seen.
 *
 * @param body the parsed request, not yet checked
 * @throws RequestError when the request as a whole is refused; then nothing was written
 * @throws Unavailable when the store cannot answer; the same request may be repeated
 */
export async function sync(
  body: unknown,
  identity: Identity,
  dependencies: SyncDependencies,
): Promise<SyncResponse> {
  const { store, settings, rules, now } = dependencies;
  const started = now();
  const deadline = started + settings.deadline;
  const request = parseRequest(body, settings.config, identity);
  // The SDK repeats calls to a store it cannot reach for two minutes: longer than any caller waits.
  const signal = AbortSignal.timeout(settings.deadline);
  const meter: Meter = { requests: 0, requestUnits: 0 };
  const { userId } = identity;
  const { deviceId } = request;

  const scopes = scopesOf(request, identity, settings.config.limits.maxScopes);
  const checked = (request.changes ?? []).map((change, index) =>
    prepareChange(change, index, {
      config: settings.config,
      userId,
      deviceId,
      ownScope: identity.ownScope,
      roleIn: (scope) => roleIn(identity, scope),
      clientTime: request.clientTime === undefined ? null : parseDateTime(request.clientTime),
      now: started,
    }),
  );
  const claims = new Map(
    Object.entries(request.streams ?? {}).filter(([scope]) => mayWrite(roleIn(identity, scope))),
  );
  checkStreams(checked, claims);
  const prepared = checkTransactions(await checkRules(checked, rules));

  const epoch = `${await store.incarnation()}/${settings.epoch}`;
  const results: ChangeResult[] = prepared.map(({ changeId, rejection }) => ({
    changeId,
    status: 'rejected',
    ...(rejection === null ? {} : { error: rejection }),
  }));
  const streams: Record<string, StreamPosition | null> = Object.fromEntries(claims);
  const checkpoints: Record<string, string> = {};
  const documents: RemoteDocument[] = [];
  const resync: string[] = [];
  let hasMore = false;
  let conflicts = 0;
  // Pages of the delta are whole, so it gets what the results leave.
  const room = { bytes: settings.config.limits.maxAnswerBytes };

  const collections = request.collections ?? [...settings.config.collections.keys()];
  const writable = new Set(
    prepared.map(({ scope }) => scope).filter((scope) => mayWrite(roleIn(identity, scope))),
  );
  for (const scope of new Set([...scopes, ...writable])) {
    const text = request.checkpoints?.[scope];
    const sent = text === undefined ? null : parseCheckpoint(text);
    const partition = store.open(scope, sent?.session ?? null, meter, signal);
    // Where the caller may not write, the refusal stands already, and no ledger speaks of it.
    const own = writable.has(scope) ? prepared.filter((item) => item.scope === scope) : [];
    const written = new Set<string>();
    for (const [items, numbered] of [
      [own.filter(({ position }) => position !== null), true],
      [own.filter(({ position }) => position === null), false],
    ] as const) {
      if (items.length === 0) continue;
      const pushed = await push(items, numbered ? (claims.get(scope) ?? null) : null, {
        store: partition,
        scope,
        userId,
        deviceId,
        rules,
        now,
        deadline,
        retention: settings.retention,
        room,
      });
      for (const [index, result] of pushed.results) results[index] = result;
      for (const etag of pushed.written) written.add(etag);
      conflicts += pushed.conflicts;
      if (numbered) streams[scope] = pushed.position;
    }

    if (!scopes.has(scope)) continue;
    const pulled = await pull({
      store: partition,
      scope,
      epoch,
      collections,
      sent,
      first: text === undefined,
      since: request.since === undefined ? null : parseDateTime(request.since),
      limit: Math.max(1, (request.limit ?? DEFAULT_LIMIT) - documents.length),
      maxBytes: room.bytes,
      written,
      retention: settings.retention,
      now,
      deadline: started + settings.deadline * PULL_SHARE,
      onMalformed: (id) => dependencies.onMalformed(scope, id),
    });
    documents.push(...pulled.documents);
    room.bytes -= pulled.bytes;
    checkpoints[scope] = pulled.checkpoint;
    hasMore ||= pulled.hasMore;
    if (pulled.resync) resync.push(scope);
  }

  const finished = now();
  return {
    serverTime: formatDateTime(finished),
    results,
    delta: { documents, hasMore },
    checkpoints,
    streams,
    scopes: [...new Set([...identity.scopes, ...scopes])],
    resync,
    nextSyncRecommended: formatDateTime(finished + dependencies.wait(hasMore)),
    stats: {
      changes: prepared.length,
      documents: documents.length,
      conflicts,
      requests: meter.requests,
      requestUnits: Math.round(meter.requestUnits * 100) / 100,
      milliseconds: finished - started,
    },
  };
}

const mayWrite = (role: Role | null): boolean => role === 'writer' || role === 'admin';

/**
 * The scopes to be synced: those the request names, as far as the caller may read them, or all of the token's.
 *
 * @throws RequestError where they are too many for one request
 */
function scopesOf(request: SyncEnvelope, identity: Identity, limit: number): Set<string> {
  const scopes = new Set(request.scopes ?? identity.scopes);
  if (scopes.size > limit) {
    throw new RequestError('too_many_scopes', {
      pointer: '/scopes',
      detail: `A request may be about ${limit} scopes; the token grants ${identity.scopes.length}.`,
    });
  }
  return new Set([...scopes].filter((scope) => roleIn(identity, scope) !== null));
}
