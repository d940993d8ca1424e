import { isJsonObject } from '../conflict/index.ts';
import type { RemoteDocument } from '../protocol/index.ts';
import {
  fitPasses,
  formatCheckpoint,
  isUsable,
  joinPasses,
  oldestUsable,
  type Checkpoint,
  type Pass,
} from './checkpoint.ts';
import { SYSTEM_PREFIX, parseStored, toHeld, toRemote } from '../stored/document.ts';
import type { ScopeStore } from './store.ts';

export interface PullContext {
  readonly store: ScopeStore;
  readonly scope: string;
  readonly epoch: string;
  readonly collections: readonly string[];
  /** The checkpoint that the client sent; null where there is none, or none that can be read. */
  readonly sent: Checkpoint | null;
  /** The client sent none: it has nothing yet. */
  readonly first: boolean;
  /** From when on a client without a checkpoint asks for changes, in milliseconds since the epoch; null: for all. */
  readonly since: number | null;
  /** About how many documents to answer with. */
  readonly limit: number;
  /** About how many bytes the answer has room for. */
  readonly maxBytes: number;
  /** ETags that this request wrote: the client has those documents. */
  readonly written: ReadonlySet<string>;
  /** How long tombstones are kept, in seconds. */
  readonly retention: number;
  readonly now: () => number;
  /** Milliseconds since the epoch, by `now`: no page is asked for after it. */
  readonly deadline: number;
  /** Told of an item in the store that is not a document: someone wrote it past the gateway. */
  readonly onMalformed: (id: string) => void;
}

export interface Pulled {
  readonly documents: readonly RemoteDocument[];
  /** What they take as JSON, about. */
  readonly bytes: number;
  readonly checkpoint: string;
  readonly hasMore: boolean;
  /** The checkpoint could not be used: the delta starts over. */
  readonly resync: boolean;
}

const MAX_PAGE = 1000;
/** Taken for the size of a document while nobody knows, in bytes. */
const EXPECTED_SIZE = 16_000;

/**
 * Reads the delta of a scope from its change feed. The position is the feed's own continuation, never a clock, so
 * a change between two pages, or in the same millisecond, is delivered. A page is never cut: `limit` and `maxBytes` are
 * hints.
 *
 * @throws Unavailable
 */
export async function pull(context: PullContext): Promise<Pulled> {
  const { store, scope, epoch, sent, retention, now } = context;
  const usable = sent !== null && isUsable(sent, { epoch, scope }, retention, now());
  let since = context.first && context.since !== null ? Math.min(context.since, now()) : null;
  // Tombstones of that time have expired: only the whole history tells what was deleted.
  const tooOld = since !== null && since < oldestUsable(retention, now());
  if (tooOld) since = null;
  let resync = tooOld || (!context.first && !usable);
  let passes = fitPasses(usable ? sent.passes : [], context.collections, now());

  const delta: Delta = { documents: [], bytes: 0 };
  let ended = 0;
  for (let index = 0; index < passes.length; index += 1) {
    const pass = passes[index];
    if (pass === undefined) break;
    const read = await readPass(pass, since, context, delta);
    if (read === null) {
      // The store does not take the continuation: a checkpoint that was tampered with, or of a store gone by.
      if (resync) throw new Error('The change feed does not answer from its beginning.');
      resync = true;
      delta.documents.length = 0;
      delta.bytes = 0;
      ended = 0;
      passes = fitPasses([], context.collections, now());
      index = -1;
      continue;
    }
    passes[index] = read.pass;
    if (read.ended) ended += 1;
  }

  const hasMore = ended < passes.length;
  const checkpoint = formatCheckpoint({
    epoch,
    scope,
    passes: hasMore ? passes : joinPasses(passes, now()),
    // Where the end was not seen, tombstones of the time before are still waited for.
    retention: usable && hasMore ? Math.min(sent.retention, retention) : retention,
    session: store.session,
  });
  return { ...delta, checkpoint, hasMore, resync };
}

/** What was read so far. */
interface Delta {
  readonly documents: RemoteDocument[];
  bytes: number;
}

/** Reads one pass until the end of the feed, the limit or the deadline. Null where its continuation is refused. */
async function readPass(
  pass: Pass,
  since: number | null,
  { store, scope, limit, maxBytes, written, now, deadline, onMalformed }: PullContext,
  delta: Delta,
): Promise<{ pass: Pass; ended: boolean } | null> {
  const { documents } = delta;
  const wanted = new Set(pass.collections);
  let { continuation } = pass;
  let unwanted = 1;
  while (maxBytes > 0 && now() < deadline) {
    const size = pageSize(delta, limit, maxBytes, written.size);
    if (size <= 0) break;
    const page = await store.changes(continuation ?? since, Math.min(size * unwanted, MAX_PAGE));
    if (page === null) return null;
    continuation = page.continuation;
    if (page.drained) return { pass: { ...pass, continuation, drained: now() }, ended: true };
    const before = documents.length;
    for (const item of page.items) {
      const { id, _etag: etag } = isJsonObject(item) ? item : {};
      // The echo of a large push is most of what is read: it is told before anything is parsed.
      if (typeof etag === 'string' && written.has(etag)) continue;
      if (typeof id === 'string' && id.startsWith(SYSTEM_PREFIX)) continue;
      const document = parseStored(item, scope);
      if (document === null) onMalformed(typeof id === 'string' ? id : '');
      else if (wanted.has(document.collection)) {
        documents.push(toRemote(document, toHeld(document)));
        delta.bytes += Buffer.byteLength(JSON.stringify(document.data));
      }
    }
    // Pages full of what this client does not want are walked faster.
    unwanted = documents.length === before ? unwanted * 4 : 1;
  }
  return { pass: { ...pass, continuation }, ended: false };
}

/**
 * As many documents as still fit, going by the size of those that came; the first page is asked for in any case. Until
 * then what this request wrote is read beside them: it takes no room in the answer.
 */
function pageSize({ documents, bytes }: Delta, limit: number, maxBytes: number, echo: number): number {
  const left = limit - documents.length;
  if (documents.length === 0) return Math.min(left, Math.max(1, Math.floor(maxBytes / EXPECTED_SIZE)) + echo);
  return Math.min(left, Math.floor(((maxBytes - bytes) * documents.length) / Math.max(1, bytes)));
}
