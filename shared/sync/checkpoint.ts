/**
 * Where a client stands in the change feed of one scope. Opaque to clients, and it grants nothing: the scope is
 * looked up in the verified token, and a checkpoint only says from where to read on.
 *
 * A pass reads the feed for some collections. There is one, unless collections were added later: those start over
 * from the beginning, and the passes join once all of them have seen the end of the feed in one request.
 */
export interface Pass {
  readonly collections: readonly string[];
  /** Null: from the beginning. */
  readonly continuation: string | null;
  /** When the pass began, ms since the epoch. */
  readonly started: number;
  /** When it last saw the end of the feed; null: never. */
  readonly drained: number | null;
}

export interface Checkpoint {
  /** Which store these positions belong to. */
  readonly epoch: string;
  readonly scope: string;
  readonly passes: readonly Pass[];
  /** Retention when it was written, in seconds: tombstones of that time lived so long. */
  readonly retention: number;
  /** Session token of the store: makes another gateway see what this one saw. */
  readonly session: string | null;
}

const FORMAT = 1;
const DAY_SECONDS = 86_400;

export const formatCheckpoint = ({ epoch, scope, passes, retention, session }: Checkpoint): string =>
  Buffer.from(
    JSON.stringify([
      FORMAT,
      epoch,
      scope,
      retention,
      session,
      passes.map((pass) => [pass.collections, pass.continuation, pass.started, pass.drained]),
    ]),
  ).toString('base64url');

/** Null for text that no gateway wrote, or that was changed on the way. */
export function parseCheckpoint(text: string): Checkpoint | null {
  let content: unknown;
  try {
    content = JSON.parse(Buffer.from(text, 'base64url').toString('utf8'));
  } catch {
    return null;
  }
  if (!Array.isArray(content)) return null;
  const [format, epoch, scope, retention, session, passes] = content as unknown[];
  if (format !== FORMAT || typeof epoch !== 'string' || typeof scope !== 'string') return null;
  if (typeof retention !== 'number' || (session !== null && !isHeaderText(session)) || !Array.isArray(passes))
    return null;
  const parsed = passes.map(parsePass);
  return parsed.includes(null) ? null : { epoch, scope, retention, session, passes: parsed as Pass[] };
}

function parsePass(value: unknown): Pass | null {
  if (!Array.isArray(value)) return null;
  const [collections, continuation, started, drained] = value as unknown[];
  if (!Array.isArray(collections) || !collections.every((name) => typeof name === 'string')) return null;
  if (continuation !== null && !isHeaderText(continuation)) return null;
  if (!isTime(started) || (drained !== null && !isTime(drained))) return null;
  return { collections, continuation, started, drained };
}

const isTime = (value: unknown): value is number => typeof value === 'number' && Number.isSafeInteger(value);

/** Positions travel in HTTP headers: text that a header cannot hold never came from the store. */
const isHeaderText = (value: unknown): value is string =>
  typeof value === 'string' && /^[\x20-\x7e]{1,4096}$/.test(value);

/**
 * May the client read on from its checkpoint? Not where the positions belong to another store, and not where a pass
 * has not seen the end of the feed for so long that a tombstone it still needed may have expired: retention (the
 * smaller of then and now) less a day. A pass that never saw the end ages from its start. Times from the future are
 * nobody's.
 *
 * @param retention now, in seconds
 * @param now milliseconds since the epoch
 */
export function isUsable(
  checkpoint: Checkpoint,
  expected: { epoch: string; scope: string },
  retention: number,
  now: number,
): boolean {
  if (checkpoint.epoch !== expected.epoch || checkpoint.scope !== expected.scope) return false;
  const oldest = oldestUsable(Math.min(checkpoint.retention, retention), now);
  return checkpoint.passes.every(({ started, drained }) => {
    const since = drained ?? started;
    return since >= oldest && since <= now + DAY_SECONDS * 1000;
  });
}

/** Before this time a tombstone that is still needed may have expired: the retention, in seconds, less a day. */
export const oldestUsable = (retention: number, now: number): number =>
  now - (retention - DAY_SECONDS) * 1000;

/**
 * Fits the passes to the collections a client asks for: those it no longer asks for are dropped, those that are new
 * get a pass of their own from the beginning.
 */
export function fitPasses(passes: readonly Pass[], collections: readonly string[], now: number): Pass[] {
  const wanted = new Set(collections);
  const kept = passes
    .map((pass) => ({ ...pass, collections: pass.collections.filter((name) => wanted.delete(name)) }))
    .filter((pass) => pass.collections.length > 0);
  return wanted.size === 0
    ? kept
    : [...kept, { collections: [...wanted], continuation: null, started: now, drained: null }];
}

/**
 * Passes that all saw the end in one request become one. It goes on from where the first of them ended: the others
 * ended there or later, and reading a document twice is harmless.
 */
export function joinPasses(passes: readonly Pass[], now: number): Pass[] {
  const [first] = passes;
  if (first === undefined || passes.length === 1) return [...passes];
  return [{ ...first, collections: passes.flatMap((pass) => pass.collections), drained: now }];
}
