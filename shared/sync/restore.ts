import { createHash } from 'node:crypto';
import { roleIn, type Identity } from '../auth/identity.ts';
import {
  formatVersion,
  GATEWAY_DEVICE,
  sameJson,
  type Conflict,
  type DocumentState,
  type Held,
  type JsonObject,
} from '../conflict/index.ts';
import { RequestError, Unavailable } from '../errors.ts';
import {
  formatDateTime,
  itemId,
  RestoreRequest,
  type ChangeError,
  type ConflictEntry,
  type ConflictVersion,
  type RestoreAnswer,
} from '../protocol/index.ts';
import { compileSchema } from '../validation/validator.ts';
import { parseConflict } from './conflict-log.ts';
import { CONFLICT_PREFIX, conflictRecord } from '../stored/conflict-record.ts';
import { deletionRecord } from '../stored/deletion-record.ts';
import { planRun, type Entry, type Run, type Unfit } from './plan-run.ts';
import { prepareChange, type PreparedChange } from './prepare.ts';
import { FULL_RUN } from './push.ts';
import { parseRestored, restoredId, restoredRecord } from '../stored/restored-record.ts';
import { checkRules, type Rules } from './rules.ts';
import { toRemote, toState, toStored, type Address } from '../stored/document.ts';
import type { DocumentStore, ScopeStore, Write } from './store.ts';
import type { SyncSettings } from './sync.ts';

export interface RestoreDependencies {
  readonly store: Pick<DocumentStore, 'open'>;
  readonly settings: SyncSettings;
  readonly rules: Rules;
  readonly now: () => number;
}

const checkRequest = compileSchema(RestoreRequest);
const RECORD_ID = /^[A-Za-z0-9._-]{1,128}$/;
/** How often what is stored may change between reading and writing it. */
const MAX_TRIES = 5;

/**
 * Puts a version that lost a conflict back, as a new edit of the caller on what is stored now.
 *
 * - It keeps the rules of every edit: role, schema, rules of the application, fields that are the server's.
 * - Nothing is lost by it. What it replaces goes to the conflict log, unless the caller names its version: then the
 *   caller has seen it. Where that version is no longer there, the strategy of the collection decides.
 * - It is done once: the record that says so is in the same batch, and a repeat finds it.
 *
 * @param body not yet checked
 * @throws RequestError, Unavailable
 */
export async function restore(
  conflictId: string,
  body: unknown,
  identity: Identity,
  { store, settings, rules, now }: RestoreDependencies,
): Promise<RestoreAnswer> {
  const fault = checkRequest(body);
  if (fault !== null) {
    const { pointer, reason } = fault;
    throw new RequestError('invalid_request', { pointer, detail: `\`${pointer || '/'}\` ${reason}.` });
  }
  const { scope = identity.ownScope, baseVersion, version = 'lost' } = body as RestoreRequest;
  const role = roleIn(identity, scope);
  if (role === null) throw new RequestError('scope_not_granted');
  if (role === 'reader') throw new RequestError('role_insufficient');

  const deadline = now() + settings.deadline;
  const signal = AbortSignal.timeout(settings.deadline);
  const partition = store.open(scope, null, { requests: 0, requestUnits: 0 }, signal);
  const conflict = await readConflict(conflictId, scope, partition);
  const side = conflict[version];
  if (side === null || (side.type !== 'delete' && side.data === null)) {
    throw new RequestError('conflict_not_found', { detail: 'The conflict log did not keep that version.' });
  }
  const id = itemId(conflict.collection, conflict.documentId);
  const mark = restoredId(conflictId);
  const verdicts = new Map<string, ChangeError | null>();
  const unfit = new Map<number, Unfit>();

  for (let tries = 0; tries < MAX_TRIES; tries += 1) {
    if (now() >= deadline) throw new Unavailable('The deadline of the request has passed.');
    const found = await partition.read([id, mark]);
    const current = toState(found.get(id), scope, now());
    const address = { scope, collection: conflict.collection, documentId: conflict.documentId };
    const restored = parseRestored(found.get(mark));
    if (restored !== null) {
      return { status: 'duplicate', document: toRemote(address, heldOf(current)), restored };
    }
    const [item] = await checkRules(
      [
        prepareChange(toChange(conflict, side, baseVersion ?? versionOf(current), now()), 0, {
          config: settings.config,
          userId: identity.userId,
          deviceId: GATEWAY_DEVICE,
          ownScope: identity.ownScope,
          roleIn: (name) => roleIn(identity, name),
          clientTime: null,
          now: now(),
        }),
      ],
      rules,
    );
    if (item === undefined) throw new Error('No change was prepared.');
    const snapshot = {
      states: new Map([[id, current]]),
      marks: new Map(),
      failed: new Set<string>(),
      rejected: new Set<string>(),
      unfit,
      judge: (change: PreparedChange, content: JsonObject) => {
        const verdict = rules.checkNow(change, content);
        return verdict === undefined ? verdicts.get(JSON.stringify(content)) : verdict;
      },
    };
    const run = planRun([item], 0, snapshot, FULL_RUN, now());
    if (run.kind === 'judge') {
      verdicts.set(JSON.stringify(run.content), await rules.check(run.change, run.content));
      continue;
    }
    const entry = run.kind === 'run' ? run.entries[0] : undefined;
    if (run.kind !== 'run' || entry === undefined) throw new Error('The restore was not planned.');
    if (item.rejection !== null || (entry.outcome !== 'applied' && entry.outcome !== 'merged')) {
      const document = toRemote(address, heldOf(current));
      return { status: entry.outcome, document, restored: null, ...(entry.error && { error: entry.error }) };
    }
    const time = now();
    const record = restoredRecord({
      conflictId,
      scope,
      userId: identity.userId,
      now: time,
      retention: settings.retention,
    });
    const writes = [
      ...toWrites(run, entry, item, {
        replaced: baseVersion === undefined ? replacedBy(item, entry, current) : entry.conflict,
        recordId: `restore-${createHash('sha256').update(conflictId).digest('base64url')}`,
        userId: identity.userId,
        now: time,
        retention: settings.retention,
      }),
      { kind: 'create' as const, item: record },
    ];
    const result = await partition.batch(writes);
    if (result.kind === 'unstorable') unfit.set(item.index, 'not_storable');
    if (result.kind === 'too-large') {
      throw new RequestError('restore_too_large');
    }
    if (result.kind === 'written') {
      const written = run.writes.get(id);
      const held =
        written === undefined ? heldOf(current) : { ...written.held, etag: result.etags[0] ?? null };
      return {
        status: entry.outcome,
        document: toRemote(address, held),
        restored: { at: formatDateTime(time), userId: identity.userId },
      };
    }
  }
  throw new Unavailable('Others keep writing the document.');
}

async function readConflict(
  conflictId: string,
  scope: string,
  partition: ScopeStore,
): Promise<ConflictEntry> {
  const id = `${CONFLICT_PREFIX}${conflictId}`;
  const item = RECORD_ID.test(conflictId) ? (await partition.read([id])).get(id) : undefined;
  const conflict = parseConflict(item, scope);
  if (conflict === null) throw new RequestError('conflict_not_found');
  return conflict;
}

/** A lost version as an edit that is made now. */
const toChange = (
  { scope, collection, documentId }: ConflictEntry,
  { type, data }: ConflictVersion,
  baseVersion: string | null,
  now: number,
) => ({
  type,
  scope,
  collection,
  documentId,
  baseVersion,
  lastModified: formatDateTime(now),
  ...(type === 'delete' ? {} : { data }),
});

const heldOf = (state: DocumentState): Held | null => (state.kind === 'absent' ? null : state);

const versionOf = (state: DocumentState): string | null =>
  state.kind === 'absent' || state.etag === null
    ? null
    : formatVersion({ etag: state.etag, stamp: state.stamp, live: state.kind === 'live' });

/** What the caller replaces without having named it, as a conflict of its own. */
function replacedBy(
  { incoming }: PreparedChange,
  { conflict }: Entry,
  current: DocumentState,
): Conflict | null {
  if (conflict !== null || current.kind !== 'live' || sameJson(current.data, incoming.data)) return conflict;
  const { stamp, writer, data } = current;
  return {
    lost: { side: 'stored', type: 'upsert', data, stamp, writer },
    kept: {
      side: 'incoming',
      type: incoming.type,
      data: incoming.data,
      stamp: incoming.time,
      writer: incoming.writer,
    },
    bothLost: false,
  };
}

function toWrites(
  run: Run,
  { outcome, erased }: Entry,
  { address, strategy }: PreparedChange & { readonly address: Address },
  log: {
    readonly replaced: Conflict | null;
    readonly recordId: string;
    readonly userId: string;
    readonly now: number;
    readonly retention: number;
  },
): Write[] {
  const common = { ...log, address, deviceId: GATEWAY_DEVICE };
  const { replaced: conflict } = log;
  const records = [
    conflict && conflictRecord({ ...common, strategy: strategy.name, outcome, conflict, base: undefined }),
    erased && deletionRecord({ ...common, data: erased }),
  ];
  return [
    ...[...run.writes.values()].map(({ change, ifMatch, held }): Write => {
      const item = toStored(change.address, held, log.retention);
      return ifMatch === null ? { kind: 'create', item } : { kind: 'replace', item, ifMatch };
    }),
    ...records.flatMap((item): Write[] => (item === null ? [] : [{ kind: 'create', item }])),
  ];
}
