import { roleIn, type Identity } from '../auth/identity.ts';
import { formatVersion, isJsonObject } from '../conflict/index.ts';
import { RequestError } from '../errors.ts';
import {
  addDocument,
  bucketOf,
  emptyChecksum,
  formatBucket,
  formatChecksum,
  IntegrityQuery,
  IntegrityRequest,
  isDocumentId,
  itemId,
  scopeKind,
  type Checksum,
  type IntegrityAnswer,
  type IntegrityDocuments,
} from '../protocol/index.ts';
import { compileSchema, type SchemaFault } from '../validation/validator.ts';
import { parseCheckpoint, type Checkpoint } from './checkpoint.ts';
import {
  parseStored,
  toHeld,
  toRemote,
  SYSTEM_PREFIX,
  type Stored,
  type StoredDocument,
} from '../stored/document.ts';
import type { DocumentStore, Meter, ScopeStore } from './store.ts';
import type { SyncSettings } from './sync.ts';

/**
 * Do client and service hold the same? The service walks the change feed of the scope page by page and keeps nothing
 * of the documents but sums, so memory does not grow with the scope. An answer covers so many pages; its
 * `continuation` leads on, and sums are added.
 *
 * What the sums are compared with is the client's state at its checkpoint. A document that is written during the walk
 * may be counted in two versions, or not at all; so at the end the feed is read once more, from the checkpoint: every
 * bucket with a document in there is named as changed, and is not compared. All others are exact.
 *
 * Cost: all of the scope is read once, which is what a first sync of it costs.
 */

export interface IntegrityDependencies {
  readonly store: DocumentStore;
  readonly settings: SyncSettings;
  readonly now: () => number;
}

const checkQuery = compileSchema(IntegrityQuery);
const checkRequest = compileSchema(IntegrityRequest);
const PAGE = 1000;
/** Pages of an answer: 20,000 documents, or 80 MB, whichever is less. */
const MAX_PAGES = 20;
/** About how many entries of buckets an answer holds. */
const MAX_VERSIONS = 10_000;
/** How much of the time may have passed when the last page is asked for. */
const SHARE = 0.5;

/**
 * The checksums of a scope, as far as one answer reaches.
 *
 * @param raw the parameters of the query, not yet checked
 * @throws RequestError, Unavailable
 */
export async function checksums(
  raw: unknown,
  identity: Identity,
  dependencies: IntegrityDependencies,
): Promise<IntegrityAnswer> {
  refuse(checkQuery(raw), (pointer) => `The parameter \`${pointer.slice(1)}\``);
  const query = raw as IntegrityQuery;
  const { scope = identity.ownScope } = query;
  mayRead(identity, scope);
  const known = collectionsOf(scope, dependencies);
  if (query.collections?.some((name) => !known.includes(name)) === true) {
    throw new RequestError('unknown_collection');
  }
  const epoch = await epochOf(dependencies);
  const checkpoint = parseCheckpoint(query.checkpoint);
  if (checkpoint?.epoch !== epoch || checkpoint.scope !== scope) {
    throw new RequestError('checkpoint_unusable');
  }
  const covered = checkpoint.passes.flatMap(({ collections }) => collections);
  const wanted = query.collections ?? known.filter((name) => covered.includes(name));
  const missing = wanted.find((name) => !covered.includes(name));
  if (missing !== undefined) {
    throw new RequestError('checkpoint_unusable', {
      detail: `It does not cover the collection \`${missing}\`.`,
    });
  }
  const walk = openWalk(scope, checkpoint.session, dependencies);
  const sums = new Map(wanted.map((name) => [name, { sum: emptyChecksum(), changed: new Set<number>() }]));

  let position = parsePosition(query.continuation, epoch);
  if (position.phase === 'all') {
    const continuation = await walk.read(position.continuation, (document) => {
      const own = sums.get(document.collection);
      if (own !== undefined && !document.deleted) addStored(own.sum, document);
    });
    position =
      continuation === null
        ? { phase: 'since', index: 0, continuation: null }
        : { phase: 'all', continuation };
  }
  while (position.phase === 'since') {
    const start = startsOf(checkpoint, wanted)[position.index];
    if (start === undefined || walk.isOver()) break;
    const continuation = await walk.read(position.continuation ?? start.continuation, (document) => {
      if (start.collections.includes(document.collection)) {
        sums.get(document.collection)?.changed.add(bucketOf(document.documentId));
      }
    });
    position = { phase: 'since', index: position.index + (continuation === null ? 1 : 0), continuation };
  }
  const done = position.phase === 'since' && startsOf(checkpoint, wanted)[position.index] === undefined;
  return {
    scope,
    collections: Object.fromEntries(
      [...sums].map(([name, { sum, changed }]) => [
        name,
        { ...formatChecksum(sum), changed: [...changed].sort((a, b) => a - b).map(formatBucket) },
      ]),
    ),
    continuation: done ? null : formatPosition(position, epoch),
    stats: walk.stats(),
  };
}

/**
 * Ids and versions of the live documents of some buckets, or some documents whole.
 *
 * @param raw the body, not yet checked
 * @throws RequestError, Unavailable
 */
export async function integrityDocuments(
  raw: unknown,
  identity: Identity,
  dependencies: IntegrityDependencies,
): Promise<IntegrityDocuments> {
  const fault = checkRequest(raw);
  refuse(fault, (pointer) => `\`${pointer || '/'}\``, fault?.pointer);
  const {
    scope = identity.ownScope,
    collection,
    buckets,
    documentIds,
    continuation,
  } = raw as IntegrityRequest;
  if ((buckets === undefined) === (documentIds === undefined)) {
    throw new RequestError('invalid_request', { detail: 'Send either `buckets` or `documentIds`.' });
  }
  mayRead(identity, scope);
  if (!collectionsOf(scope, dependencies).includes(collection)) {
    throw new RequestError('unknown_collection', { pointer: '/collection' });
  }
  const epoch = await epochOf(dependencies);
  const walk = openWalk(scope, null, dependencies);
  if (documentIds !== undefined) {
    const bad = documentIds.findIndex((id) => !isDocumentId(id));
    if (bad !== -1) {
      throw new RequestError('invalid_request', {
        pointer: `/documentIds/${bad}`,
        detail: 'It is no document id.',
      });
    }
    const found = await walk.partition.read(documentIds.map((documentId) => itemId(collection, documentId)));
    const documents = documentIds.map((documentId) => {
      const document = parseStored(found.get(itemId(collection, documentId)), scope);
      return toRemote({ scope, collection, documentId }, document === null ? null : toHeld(document));
    });
    return { versions: [], documents, continuation: null, stats: walk.stats() };
  }

  const asked = new Set(buckets);
  const position = parsePosition(continuation, epoch);
  if (position.phase !== 'all') throw new RequestError('invalid_continuation');
  /** By id: of a document that is met twice the later version counts. */
  const versions = new Map<string, string>();
  const next = await walk.read(
    position.continuation,
    (document) => {
      if (document.collection !== collection || !asked.has(formatBucket(bucketOf(document.documentId))))
        return;
      if (document.deleted) versions.delete(document.documentId);
      else versions.set(document.documentId, versionOf(document));
    },
    () => versions.size >= MAX_VERSIONS,
  );
  return {
    versions: [...versions].map(([documentId, version]) => ({ documentId, version })),
    documents: [],
    continuation: next === null ? null : formatPosition({ phase: 'all', continuation: next }, epoch),
    stats: walk.stats(),
  };
}

function refuse(fault: SchemaFault | null, place: (pointer: string) => string, pointer?: string): void {
  if (fault === null) return;
  throw new RequestError('invalid_request', {
    detail: `${place(fault.pointer)} ${fault.reason}.`,
    ...(pointer === undefined ? {} : { pointer }),
  });
}

function mayRead(identity: Identity, scope: string): void {
  if (roleIn(identity, scope) === null) throw new RequestError('scope_not_granted');
}

const collectionsOf = (scope: string, { settings }: IntegrityDependencies): string[] =>
  [...settings.config.collections]
    .filter(([, collection]) => collection.scope === scopeKind(scope))
    .map(([name]) => name);

const epochOf = async ({ store, settings }: IntegrityDependencies): Promise<string> =>
  `${await store.incarnation()}/${settings.epoch}`;

const versionOf = (document: Stored<StoredDocument>): string => {
  const { etag, stamp, kind } = toHeld(document);
  return formatVersion({ etag: etag ?? '', stamp, live: kind === 'live' });
};

const addStored = (checksum: Checksum, document: Stored<StoredDocument>): void =>
  addDocument(checksum, document.documentId, versionOf(document));

/** From where the client has not seen the changes of which collections. */
const startsOf = ({ passes }: Checkpoint, wanted: readonly string[]) =>
  passes.filter(({ collections }) => collections.some((name) => wanted.includes(name)));

/** Reads pages of the change feed of a scope, as many as one answer may cost. */
function openWalk(scope: string, session: string | null, dependencies: IntegrityDependencies) {
  const { store, settings, now } = dependencies;
  const meter: Meter = { requests: 0, requestUnits: 0 };
  const partition: ScopeStore = store.open(scope, session, meter, AbortSignal.timeout(settings.deadline));
  const end = now() + settings.deadline * SHARE;
  let pages = 0;
  const isOver = (): boolean => pages >= MAX_PAGES || now() >= end;
  return {
    partition,
    isOver,
    stats: () => ({ requests: meter.requests, requestUnits: Math.round(meter.requestUnits * 100) / 100 }),
    /**
     * @param visit told every document and tombstone, in the order of the feed
     * @returns from where to read on; null: the end of the feed was seen
     */
    async read(
      from: string | null,
      visit: (document: Stored<StoredDocument>) => void,
      isFull: () => boolean = () => false,
    ): Promise<string | null> {
      let at = from;
      do {
        const page = await partition.changes(at, PAGE);
        if (page === null) throw new RequestError('invalid_continuation');
        pages += 1;
        at = page.continuation;
        if (page.drained) return null;
        for (const item of page.items) {
          const id = isJsonObject(item) ? item['id'] : undefined;
          if (typeof id === 'string' && id.startsWith(SYSTEM_PREFIX)) continue;
          const document = parseStored(item, scope);
          if (document !== null) visit(document);
        }
      } while (!isOver() && !isFull());
      return at;
    },
  };
}

/** `all`: the walk over the whole scope. `since`: what changed after the checkpoint, one of its passes after the other. */
type Position =
  | { readonly phase: 'all'; readonly continuation: string | null }
  | { readonly phase: 'since'; readonly index: number; readonly continuation: string | null };

const formatPosition = (position: Position, epoch: string): string =>
  Buffer.from(
    JSON.stringify([epoch, position.phase === 'all' ? -1 : position.index, position.continuation]),
  ).toString('base64url');

/** Continuations travel in HTTP headers: text that a header cannot hold never came from the store. */
const HEADER_TEXT = /^[\x20-\x7e]{1,4096}$/;

/** @throws RequestError for a text that no walk of this store wrote */
function parsePosition(text: string | undefined, epoch: string): Position {
  if (text === undefined) return { phase: 'all', continuation: null };
  let content: unknown;
  try {
    content = JSON.parse(Buffer.from(text, 'base64url').toString('utf8'));
  } catch {
    content = null;
  }
  const [of, index, continuation] = Array.isArray(content) ? (content as unknown[]) : [];
  const readable =
    of === epoch &&
    Number.isSafeInteger(index) &&
    (continuation === null || (typeof continuation === 'string' && HEADER_TEXT.test(continuation)));
  if (!readable) throw new RequestError('invalid_continuation');
  const at = { continuation: continuation };
  return index === -1
    ? { phase: 'all', ...at }
    : { phase: 'since', index: Math.max(0, index as number), ...at };
}
