import { createHash } from 'node:crypto';
import type { ActivityRecord, StoredRecord } from '../activity/record.ts';
import { nextCursor, type Cursor } from '../activity/cursor.ts';
import type { ActivityStore } from '../activity/store.ts';
import { RequestError } from '../errors.ts';
import type { DenyEntry, DenyRequest } from '../protocol/manage.ts';
import { formatDateTime, parseDateTime } from '../protocol/index.ts';
import type { Identity } from './identity.ts';

export interface DenyListSettings {
  /** How old the list of this process may be before it is read again, in milliseconds. */
  readonly refresh: number;
}

export interface DenyList {
  /**
   * Lets a user with this bearer token pass or not.
   *
   * @throws RequestError `access_denied`; Unavailable while the list cannot be known
   */
  check(identity: Identity): Promise<void>;
  /**
   * Lets a device pass or not.
   *
   * @param deviceId as the caller names it; null: not named
   * @throws RequestError `access_denied`; Unavailable while the list cannot be known
   */
  checkDevice(identity: Identity, deviceId: string | null): Promise<void>;
  /** @throws RequestError, Unavailable */
  deny(request: DenyRequest, by: Identity): Promise<DenyEntry>;
  /** @throws RequestError `entry_not_found`, Unavailable */
  allow(id: string): Promise<void>;
  /** Entries that are in force, read anew. @throws Unavailable */
  entries(): Promise<readonly DenyEntry[]>;
}

const KIND = 'denied';
/** All entries are in one partition: the whole list is one query. */
const PARTITION = '~denied';
const PAGE = 1_000;
const MAX_ENTRIES = 10_000;
const MAX_MS = 10 * 366 * 86_400_000;
/** The last known list is used for so many refresh times while it cannot be read anew; then nobody passes. */
const STALE_TIMES = 20;

interface Known {
  readonly entries: ReadonlyMap<string, DenyEntry>;
  readonly readAt: number;
}

/**
 * Who may not use the service any more: a user, one device of a user, or one bearer token, until a time.
 *
 * Each process keeps the list and reads it anew in the background, so looking into it costs no request, and an entry
 * takes effect in other processes after `refresh`. The first request of a process waits for it. While it cannot be
 * read, what was known is used for a bounded time; after that requests are refused as `unavailable`, because one who
 * was locked out must not get in by waiting for an outage.
 *
 * A device id is the caller's own word. So that leaving it out does not help, a user with a device on the list has to
 * name one; who would lie about it has to be locked out as a user.
 */
export function createDenyList(
  { refresh }: DenyListSettings,
  store: ActivityStore,
  now: () => number,
): DenyList {
  let known: Known | undefined;
  let flight: Promise<Known> | undefined;
  let triedAt = -Infinity;

  const load = (): Promise<Known> =>
    (flight ??= (async () => {
      try {
        triedAt = now();
        const entries = (await readAll(store)).map(toEntry);
        known = { entries: new Map(entries.map((entry) => [entry.id, entry])), readAt: triedAt };
        return known;
      } finally {
        flight = undefined;
      }
    })());

  const current = async (): Promise<Known> => {
    const time = now();
    if (known === undefined || Math.abs(time - known.readAt) > refresh * STALE_TIMES) return load();
    if (Math.abs(time - known.readAt) >= refresh && Math.abs(time - triedAt) >= refresh) {
      load().catch(() => undefined);
    }
    return known;
  };

  /** What was read before a change of ours must not take its place. */
  const reload = async (): Promise<Known> => {
    await flight?.catch(() => undefined);
    return load();
  };

  const isInForce = (entry: DenyEntry | undefined): boolean =>
    entry !== undefined && (parseDateTime(entry.until) ?? 0) > now();
  const isDenied = (list: Known, target: DenyTarget): boolean =>
    list.entries.size > 0 && isInForce(list.entries.get(idOf(target)));

  return {
    check: async ({ userId, tokenId }) => {
      const list = await current();
      if (
        isDenied(list, { target: 'user', userId }) ||
        (tokenId !== null && isDenied(list, { target: 'token', tokenId }))
      )
        throw new RequestError('access_denied');
    },

    checkDevice: async ({ userId }, deviceId) => {
      const list = await current();
      const isOut =
        deviceId === null
          ? [...list.entries.values()].some(
              (entry) => entry.target === 'device' && entry.userId === userId && isInForce(entry),
            )
          : isDenied(list, { target: 'device', userId, deviceId });
      if (isOut) throw new RequestError('access_denied');
    },

    deny: async (request, by) => {
      const at = now();
      const target = toTarget(request);
      const until = toUntil(request.until, at);
      const { reason } = request;
      const entry: DenyEntry = {
        id: idOf(target),
        ...target,
        until: formatDateTime(until),
        ...(reason === undefined ? {} : { reason }),
        by: by.userId,
        at: formatDateTime(at),
      };
      const { entries } = await reload();
      if (!entries.has(entry.id) && entries.size >= MAX_ENTRIES) throw new RequestError('deny_list_full');
      await store.put(toRecord(entry, Math.ceil((until - at) / 1000)));
      await reload();
      return entry;
    },

    allow: async (id) => {
      if (!(await store.remove(PARTITION, id))) throw new RequestError('entry_not_found');
      await reload();
    },

    entries: async () => [...(await reload()).entries.values()].filter(isInForce),
  };
}

type DenyTarget =
  | { readonly target: 'user'; readonly userId: string }
  | { readonly target: 'device'; readonly userId: string; readonly deviceId: string }
  | { readonly target: 'token'; readonly tokenId: string };

/** The same target has the same id, so locking out twice makes one entry. A token's id may hold any character. */
const idOf = (target: DenyTarget): string =>
  createHash('sha256')
    .update(JSON.stringify(Object.values(target)))
    .digest('base64url');

function toTarget({ target, userId, deviceId, tokenId }: DenyRequest): DenyTarget {
  const extra = { user: [deviceId, tokenId], device: [tokenId], token: [userId, deviceId] }[target];
  if (extra.every((each) => each === undefined)) {
    if (target === 'user' && userId !== undefined) return { target, userId };
    if (target === 'device' && userId !== undefined && deviceId !== undefined) {
      return { target, userId, deviceId };
    }
    if (target === 'token' && tokenId !== undefined) return { target, tokenId };
  }
  throw new RequestError('invalid_request', {
    pointer: '/target',
    detail:
      'A user is named by `userId`, a device by `userId` and `deviceId`, a token by `tokenId`, and by nothing else.',
  });
}

function toUntil(text: string, now: number): number {
  const until = parseDateTime(text);
  if (until === null || until <= now || until > now + MAX_MS) {
    throw new RequestError('invalid_request', {
      pointer: '/until',
      detail: '`/until` is a time ahead in RFC 3339, at most ten years from now.',
    });
  }
  return until;
}

/** The partition takes the name of the field that a record calls `userId`. */
const toRecord = ({ userId, ...entry }: DenyEntry, ttl: number): ActivityRecord => ({
  ...entry,
  ...(userId === undefined ? {} : { deniedUser: userId }),
  kind: KIND,
  userId: PARTITION,
  ttl,
});

function toEntry(record: StoredRecord): DenyEntry {
  const { deniedUser } = record;
  const own = Object.entries(record).filter(
    ([name]) => !['userId', 'kind', 'ttl', 'deniedUser'].includes(name),
  );
  return {
    ...Object.fromEntries(own),
    ...(deniedUser === undefined ? {} : { userId: deniedUser }),
  } as unknown as DenyEntry;
}

async function readAll(store: ActivityStore): Promise<StoredRecord[]> {
  const all: StoredRecord[] = [];
  let cursor: Cursor | null = null;
  for (;;) {
    const page: readonly StoredRecord[] = await store.list({
      kind: KIND,
      userId: PARTITION,
      limit: PAGE,
      cursor,
    });
    all.push(...page);
    if (page.length < PAGE || all.length >= MAX_ENTRIES) return all;
    cursor = nextCursor(cursor, page);
  }
}
