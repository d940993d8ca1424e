import type { Identity } from '../auth/identity.ts';
import type { ChangeResult, RemoteDocument, StreamPosition, SyncResponse } from '../protocol/index.ts';
import { parseCheckpoint } from './checkpoint.ts';
import { formatDateTime, parseDateTime } from './clock.ts';
import { prepareChange } from './prepare.ts';
import { pull } from './pull.ts';
import { push } from './push.ts';
import { checkStreams, parseRequest } from './request.ts';
import type { DocumentStore, Meter } from './store.ts';
import type { SyncConfig } from './sync-config.ts';

export interface SyncSettings {
  readonly config: SyncConfig;
  /** Raised by the operator when the data was restored or replaced: every client starts its delta over. */
  readonly epoch: string;
  /** How long tombstones and conflict records are kept, in seconds. */
  readonly retention: number;
  /** Longest time a sync may take, in milliseconds. */
  readonly deadline: number;
  /** How soon clients are asked to come back, in milliseconds. */
  readonly interval: number;
}

export interface SyncDependencies {
  readonly store: DocumentStore;
  readonly settings: SyncSettings;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  readonly onMalformed: (scope: string, id: string) => void;
}

const DEFAULT_LIMIT = 1000;
/** About how many bytes of documents a delta holds: all of it is in memory at once, as objects and as text. */
const DELTA_BYTES = 16_000_000;
/** About how many bytes of stored documents the results carry. */
const RESULT_BYTES = 16_000_000;
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
  const { store, settings, now } = dependencies;
  const started = now();
  const deadline = started + settings.deadline;
  const request = parseRequest(body, settings.config, identity);
  // The SDK repeats calls to a store it cannot reach for two minutes: longer than any caller waits.
  const signal = AbortSignal.timeout(settings.deadline);
  const meter: Meter = { requests: 0, requestUnits: 0 };
  const { userId } = identity;
  const { deviceId } = request;

  const prepared = (request.changes ?? []).map((change, index) =>
    prepareChange(change, index, {
      config: settings.config,
      userId,
      deviceId,
      ownScope: identity.ownScope,
      mayWrite: (scope) => identity.scopes.includes(scope),
      clientTime: request.clientTime === undefined ? null : parseDateTime(request.clientTime),
      now: started,
    }),
  );
  const claims = new Map(
    Object.entries(request.streams ?? {}).filter(([scope]) => identity.scopes.includes(scope)),
  );
  checkStreams(prepared, claims);

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
  let bytes = 0;
  const room = { bytes: RESULT_BYTES };

  const collections = request.collections ?? [...settings.config.collections.keys()];
  for (const scope of identity.scopes) {
    const text = request.checkpoints?.[scope];
    const sent = text === undefined ? null : parseCheckpoint(text);
    const partition = store.open(scope, sent?.session ?? null, meter, signal);
    const own = prepared.filter((item) => item.scope === scope);
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
        strategy: 'last_write_wins',
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

    const pulled = await pull({
      store: partition,
      scope,
      epoch,
      collections,
      sent,
      first: text === undefined,
      limit: Math.max(1, (request.limit ?? DEFAULT_LIMIT) - documents.length),
      maxBytes: DELTA_BYTES - bytes,
      written,
      retention: settings.retention,
      now,
      deadline: started + settings.deadline * PULL_SHARE,
      onMalformed: (id) => dependencies.onMalformed(scope, id),
    });
    documents.push(...pulled.documents);
    bytes += pulled.bytes;
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
    scopes: [...identity.scopes],
    resync,
    nextSyncRecommended: formatDateTime(finished + (hasMore ? 0 : settings.interval)),
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
