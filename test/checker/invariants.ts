import type { JsonObject } from '../../shared/conflict/index.ts';
import type { Outcome } from '../../shared/protocol/index.ts';
import { isPoison, namesIn, type Drawn, type Edit } from './model.ts';

/**
 * What sync promises, each as functions of what was observed. A function answers null, or says what is
 * wrong. `world.ts` calls them: some at every write to the store, some at every answer a device takes in, some when all
 * is quiet.
 */
export type Verdict = string | null;

const firstOf = <T>(items: Iterable<T>, wrong: (item: T) => Verdict): Verdict => {
  for (const item of items) {
    const verdict = wrong(item);
    if (verdict !== null) return verdict;
  }
  return null;
};

const list = (names: Iterable<string>): string => [...names].sort().join(', ');
/** Members in a fixed order: their order means nothing. */
const show = (content: unknown): string =>
  content === undefined
    ? 'nothing'
    : JSON.stringify(content, (_, value: unknown) =>
        typeof value === 'object' && value !== null && !Array.isArray(value)
          ? Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)))
          : value,
      );

/** A document as it lay in the store, and when it came there. */
export interface Version {
  readonly item: JsonObject;
  readonly storedAt: number;
}

/** One document written by a batch, with the changes of the request that speak of it, up to the one written. */
export interface DocumentWrite {
  readonly key: string;
  readonly strategy: string;
  readonly before: Version | null;
  /** Was there ever a document of this name? */
  readonly existed: boolean;
  readonly after: JsonObject;
  readonly changes: readonly Drawn[];
  /** Conflict records of this document, in the same batch. */
  readonly records: readonly JsonObject[];
  readonly now: number;
}

/** One change that a batch's ledger tells of. */
export interface TakenIn {
  readonly drawn: Drawn;
  readonly outcome: Outcome;
  readonly earlierOutcome: Outcome | null;
  readonly strategy: string;
  /** The document before and after the batch; null: none. */
  readonly before: Version | null;
  readonly after: JsonObject | null;
  /** Later changes of the same document that the same batch took in. */
  readonly followers: readonly Drawn[];
  readonly records: readonly JsonObject[];
  /** Did the clock of the device step between the last edit and the sending? */
  readonly clockStepped: boolean;
}

/** Stamps grow by a millisecond where time stands still. */
const SLACK_MS = 1_000;

const isDeleted = (item: JsonObject): boolean => item['deleted'] === true;
const contentOf = (item: JsonObject | null | undefined): unknown =>
  item == null || isDeleted(item) ? null : item['data'];
const lostIn = (record: JsonObject): JsonObject => record['lost'] as JsonObject;
/** A merge of which both sides lost something keeps both in its record. */
const namesLogged = (records: readonly JsonObject[]): Set<string> =>
  new Set(
    records.flatMap((record) => {
      const { kept, bothLost } = record as { kept?: JsonObject; bothLost?: boolean };
      return [...namesIn(lostIn(record)['data']), ...(bothLost === true ? namesIn(kept?.['data']) : [])];
    }),
  );
const logsDelete = (records: readonly JsonObject[]): boolean =>
  records.some((record) => lostIn(record)['deleted'] === true);

/** 1. Every replica holds the same documents: those of the store. */
export const converged = (
  who: string,
  held: ReadonlyMap<string, unknown>,
  stored: ReadonlyMap<string, unknown>,
): Verdict =>
  firstOf(new Set([...held.keys(), ...stored.keys()]), (key) => {
    const [mine, theirs] = [held.get(key), stored.get(key)].map(show);
    return mine === theirs ? null : `${who} holds ${mine} where the store has ${theirs}: ${key}`;
  });

/** 2. What a write replaces was known to its author, or is in the conflict log. */
export function losersAreLogged({ key, before, after, changes, records }: DocumentWrite): Verdict {
  if (before === null) return null;
  if (isDeleted(before.item)) {
    const lost = !isDeleted(after) && !changes.some(({ sawNothing }) => sawNothing) && !logsDelete(records);
    return lost ? `A delete was undone, its loser is not logged: ${key}` : null;
  }
  const known = new Set([
    ...changes.flatMap(({ seen }) => [...seen]),
    ...namesIn(contentOf(after)),
    ...namesLogged(records),
  ]);
  const lost = [...namesIn(contentOf(before.item))].filter((name) => !known.has(name));
  return lost.length === 0
    ? null
    : `${list(lost)} of ${key} were replaced by ${show(contentOf(after))}, whose author had not seen them, and are not logged`;
}

/** 2. What a change brings is stored, or in the conflict log, or replaced by its own author. */
export function takenInMeansKept(taken: TakenIn): Verdict {
  const { drawn, outcome, strategy, before, after, followers, records } = taken;
  const { change, edits } = drawn;
  const id = change.changeId ?? '';
  if (outcome === 'failed' || outcome === 'rejected' || followers.length > 0) return null;
  const recorded = records.some((record) => record['id'] === `~conflict:${id}`);
  const current = after ?? before?.item ?? null;
  if (change.type === 'delete') {
    // What its author never saw may have come just after: then the delete met nothing.
    const there = namesIn(contentOf(current));
    const meant = there.size > 0 && [...there].every((name) => drawn.seen.has(name));
    return meant && !recorded ? `Delete ${id} is ${outcome}, and what it meant is there` : null;
  }
  // Under `field_level_merge`, field c is the server's: no client writes it, ever.
  const { c: serverField, ...rest } = change.data;
  const brought = namesIn(strategy === 'field_level_merge' ? rest : { ...rest, c: serverField });
  const kept = new Set([...namesIn(contentOf(current)), ...namesLogged(records)]);
  const lost = edits.filter(({ name }) => brought.has(name) && !kept.has(name));
  return lost.length === 0
    ? null
    : `Change ${id} is ${outcome}, but ${list(lost.map(({ name }) => name))} are neither stored nor logged`;
}

/** 2. At the end, every edit is accounted for. */
export const editsAreAccountedFor = (edits: Iterable<Edit>): Verdict =>
  firstOf(edits, ({ name, key, end, takenBy }) =>
    end === null && takenBy.size === 0 ? `Edit ${name} of ${key} never arrived, and nobody was told` : null,
  );

/** 3. A change is taken in once, and so is an edit. */
export function takenInOnce({ drawn, outcome, earlierOutcome }: TakenIn): Verdict {
  const id = drawn.change.changeId ?? '';
  if (earlierOutcome !== null)
    return `Change ${id} was ${earlierOutcome}, and was taken in once more: ${outcome}`;
  if (outcome === 'failed' || outcome === 'rejected') return null;
  return firstOf(drawn.edits, ({ name, copied, takenBy }) =>
    takenBy.size > 1 && !copied ? `Edit ${name} was taken in by the changes ${list(takenBy)}` : null,
  );
}

/** 3. A repeat is no conflict: nothing loses against itself. */
export const noConflictWithItself = ({ drawn, before, records }: TakenIn): Verdict => {
  const { changeId = '', seq } = drawn.change;
  const own = records.find((record) => record['id'] === `~conflict:${changeId}`);
  if (own === undefined || before === null || drawn.edits.some(({ copied }) => copied)) return null;
  const same =
    before.item['seq'] === seq &&
    before.item['userId'] === own['userId'] &&
    before.item['deviceId'] === own['deviceId'];
  return same ? `Change ${changeId} lost against itself` : null;
};

/** 3. A request that was answered before changes nothing. */
export const repeatsChangeNothing = (number: number, before: string, after: string): Verdict =>
  before === after
    ? null
    : `The repeat of request ${number} changed the store:\nbefore ${before}\nafter  ${after}`;

/** 3. What an answer says is what the ledger says. */
export const answersAreTrue = (drawn: Drawn, said: Outcome, code: string | undefined): Verdict => {
  const { change, outcome, edits } = drawn;
  // Where the scope was lost since, nobody looks into its ledger.
  if (code === 'scope_forbidden') return null;
  // A copy of the store sends the same change, and may be told that it was not taken in: not as its own.
  if (said === outcome || edits.some(({ copied }) => copied)) return null;
  if (outcome === null && (said === 'failed' || said === 'rejected')) return null;
  return `Change ${change.changeId ?? ''} was answered ${said}; the ledger says ${outcome ?? 'nothing'}`;
};

/** 4. An edit stays until its own change was answered, and is what the user sees. */
export const editsStay = (
  key: string,
  pending: boolean,
  shown: JsonObject | null,
  wanted: JsonObject | null,
): Verdict => {
  if (!pending) return `An edit of ${key} waits no more, and nobody answered it`;
  return show(shown) === show(wanted)
    ? null
    : `The user wrote ${show(wanted)} into ${key} and sees ${show(shown)}`;
};

/** 4. Every change that is sent comes from an edit of this user on this device. */
export const inventsNothing = (changeId: string, made: boolean): Verdict =>
  made ? null : `Change ${changeId} is nobody's edit`;

/** 5. The version that is stored has reached the device: by a delta, or as the result of its own change. */
export const deltaMissesNothing = (key: string, version: string, met: ReadonlySet<string>): Verdict =>
  met.has(version) ? null : `No answer ever brought version ${version} of ${key}`;

/** 6. A document whose tombstone is gone comes back only by the hand of one who saw that there was none. */
export const nothingResurrected = ({ key, before, existed, after, changes }: DocumentWrite): Verdict =>
  before === null && existed && !isDeleted(after) && !changes.some(({ sawNothing }) => sawNothing)
    ? `${key} was deleted and forgotten, and is back with ${show(contentOf(after))}`
    : null;

/** 6. Live documents never expire, tombstones always do. */
export const onlyTombstonesExpire = ({ key, after }: DocumentWrite): Verdict =>
  isDeleted(after) === (after['ttl'] !== -1) ? null : `${key} has ttl ${show(after['ttl'])}`;

/** 7. Nobody writes in the future, and stamps only grow. */
export function stampsAreBounded({ key, before, after, now }: DocumentWrite): Verdict {
  const stamp = Date.parse(String(after['lastModified']));
  if (stamp > now + SLACK_MS)
    return `${key} is stamped ${String(after['lastModified'])}, at ${new Date(now).toISOString()}`;
  const last = before === null ? null : Date.parse(String(before.item['lastModified']));
  return last !== null && stamp <= last
    ? `The stamp of ${key} went back to ${String(after['lastModified'])}`
    : null;
}

/**
 * 7. Who edits after something was stored does not lose against it, however wrong the clocks are, as long as the own one
 * did not step in between.
 */
export function laterEditsWin({ drawn, outcome, strategy, before, clockStepped }: TakenIn): Verdict {
  const edited = drawn.edits.at(-1)?.at;
  if (strategy !== 'last_write_wins' || outcome !== 'skipped' || clockStepped) return null;
  // A patch never undeletes.
  if (drawn.change.type === 'patch' && before !== null && isDeleted(before.item)) return null;
  if (before === null || edited === undefined || before.storedAt + SLACK_MS >= edited) return null;
  return `An edit of ${new Date(edited).toISOString()} lost against what was stored ${new Date(before.storedAt).toISOString()}`;
}

/** 8. Only what is poison is rejected, and the user is told. */
export const rejectionsAreReported = (
  drawn: Drawn,
  code: string | undefined,
  mayUse: boolean,
  kept: boolean,
): Verdict => {
  const { change } = drawn;
  const poison = isPoison(change.type === 'delete' ? null : change.data) || isPoison(change.base);
  if (!poison && mayUse) return `Change ${change.changeId ?? ''} was rejected as ${code ?? 'nothing'}`;
  return kept ? null : `Change ${change.changeId ?? ''} was rejected, and its edit is not kept aside`;
};

/** 8. What is poison is never stored. */
export const poisonIsRefused = ({ key, after }: DocumentWrite): Verdict =>
  isPoison(contentOf(after)) ? `Poison was stored in ${key}` : null;

/** 9. A device shows its user only what the user may see and asked for. */
export const showsOnlyGranted = (
  who: string,
  keys: Iterable<string>,
  scopes: readonly string[],
  collections: readonly string[],
): Verdict =>
  firstOf(keys, (key) => {
    const [scope = '', collection = ''] = key.split('/');
    return scopes.includes(scope) && collections.includes(collection) ? null : `${who} still shows ${key}`;
  });

/** 9. An edit that can no longer be sent is handed back to the user as it was. */
export const setAsideIsWhole = (
  key: string,
  wanted: JsonObject | null | undefined,
  kept: JsonObject | null,
): Verdict =>
  wanted !== undefined && show(wanted) === show(kept)
    ? null
    : `Set aside of ${key} is ${show(kept)}, the user had ${show(wanted)}`;

/** 10. A request touches only the scopes that its token grants. */
export const scopesAreClosed = (user: string, scope: string, granted: readonly string[]): Verdict =>
  granted.includes(scope) ? null : `A request of ${user} opened ${scope}`;

/** 10. What is written names its author, in the scope it is stored in. */
export const authorsAreTrue = (user: string, scope: string, { key, after }: DocumentWrite): Verdict =>
  after['userId'] === user && after['scope'] === scope
    ? null
    : `${key} was written by ${user} and says ${show(after['userId'])} of ${show(after['scope'])}`;

/** 11. The device knows how many of its edits wait. */
export const pendingIsTrue = (who: string, said: number, waiting: number): Verdict =>
  said === waiting ? null : `${who} says that ${said} documents wait; there are ${waiting}`;

/** 12. After a crash a device is as it was. */
export const crashChangesNothing = (who: string, before: string, after: string): Verdict =>
  before === after ? null : `${who} started again as another one:\nbefore ${before}\nafter  ${after}`;

/** All changes of a transaction are taken in by one batch, or none of them. Null: not in this batch. */
export const transactionsAreWhole = (name: string, became: readonly (Outcome | null)[]): Verdict => {
  const fates = new Set(became.map((outcome) => (outcome === 'merged' ? 'applied' : outcome)));
  return fates.size === 1 && !fates.has('skipped')
    ? null
    : `Of transaction ${name} became: ${became.map((outcome) => outcome ?? 'nothing').join(', ')}`;
};

/** Exactly one record tells of a conflict: none is written over. */
export const recordsStay = (id: string, replaced: boolean): Verdict =>
  replaced ? `Conflict record ${id} was written over` : null;
