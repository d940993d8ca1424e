import {
  addAnswer,
  differingBuckets,
  emptyChecksum,
  type Checksum,
  type ChecksumText,
} from '../../../shared/protocol/checksum.ts';
import type { IntegrityAnswer, IntegrityDocuments } from '../../../shared/protocol/integrity.ts';
import type { RemoteDocument } from '../../../shared/protocol/sync.ts';
import type { Address } from '../core/row-store.ts';
import type { Database } from '../sql/database.ts';
import type { Lease } from '../sql/local-database.ts';

/** How a transport compares what device and service hold. docs/protocol.md, Integrity. */
export interface IntegrityQuestions {
  checksums(
    query: {
      readonly scope: string;
      readonly checkpoint: string;
      readonly continuation?: string;
    },
    signal: AbortSignal,
  ): Promise<IntegrityAnswer>;
  documents(
    request: {
      readonly scope: string;
      readonly collection: string;
      readonly buckets?: readonly string[];
      readonly documentIds?: readonly string[];
      readonly continuation?: string;
    },
    signal: AbortSignal,
  ): Promise<IntegrityDocuments>;
}

/** A document in which device and service differ. */
export interface Diverged {
  readonly address: Address;
  /** `missing` on the device; there in another version; there, and not on the service. */
  readonly kind: 'missing' | 'different' | 'surplus';
}

/** What a comparison found. */
export interface Comparison {
  readonly diverged: readonly Diverged[];
  /** How many documents were set right. */
  readonly repaired: number;
  /** Scopes in which too much differs: they were set back, and the next exchange fetches them anew. */
  readonly restarted: readonly string[];
}

export interface ComparisonContext {
  readonly database: Database;
  readonly questions: IntegrityQuestions;
  readonly userId: string;
  readonly collections: readonly string[];
  readonly lease: Lease | null;
  readonly signal: AbortSignal;
  /** False: only finds. */
  readonly repair: boolean;
}

/** Where more buckets differ than this, of 256, everything is fetched anew: that is cheaper. */
const MANY_BUCKETS = 64;
/** Documents of one question. */
const DOCUMENTS = 99;

/** Compares bucket by bucket, and sets right what differs. Documents with pending edits are left to their edits. */
export async function compare(context: ComparisonContext): Promise<Comparison> {
  const { database, userId, collections, signal } = context;
  const diverged: Diverged[] = [];
  const restarted: string[] = [];
  let repaired = 0;
  for (const { scope, checkpoint } of await database.positions(userId)) {
    const theirs = await askChecksums(context, scope, checkpoint);
    for (const collection of collections) {
      const other = theirs.get(collection);
      // It does not live in scopes of this kind.
      if (other === undefined) continue;
      signal.throwIfAborted();
      const mine = await database.checksum(userId, scope, collection);
      const buckets = differingBuckets(toChecksum(mine.checksum), other.sums, [
        ...other.changed,
        ...mine.pending,
      ]);
      if (buckets.length === 0) continue;
      const found = await difference(context, scope, collection, buckets);
      diverged.push(...found);
      if (!context.repair || found.length === 0) continue;
      if (buckets.length > MANY_BUCKETS) {
        await database.restartScope(userId, scope, context.lease);
        restarted.push(scope);
        break;
      }
      repaired += await mend(context, scope, collection, found);
    }
  }
  return { diverged, repaired, restarted };
}

const toChecksum = (text: ChecksumText): Checksum => {
  const checksum = emptyChecksum();
  addAnswer(checksum, text);
  return checksum;
};

async function askChecksums(
  { questions, signal }: ComparisonContext,
  scope: string,
  checkpoint: string,
): Promise<Map<string, { sums: Checksum; changed: Set<string> }>> {
  const all = new Map<string, { sums: Checksum; changed: Set<string> }>();
  for (let continuation: string | null | undefined; continuation !== null;) {
    const query = { scope, checkpoint, ...(continuation === undefined ? {} : { continuation }) };
    const answer: IntegrityAnswer = await questions.checksums(query, signal);
    for (const [collection, { changed, ...part }] of Object.entries(answer.collections)) {
      const known = all.get(collection) ?? { sums: emptyChecksum(), changed: new Set() };
      all.set(collection, known);
      addAnswer(known.sums, part);
      for (const bucket of changed) known.changed.add(bucket);
    }
    ({ continuation } = answer);
  }
  return all;
}

/** Which documents of the buckets differ. */
async function difference(
  { database, questions, userId, signal }: ComparisonContext,
  scope: string,
  collection: string,
  buckets: readonly string[],
): Promise<Diverged[]> {
  const theirs = new Map<string, string>();
  for (let continuation: string | null | undefined; continuation !== null;) {
    const request = { scope, collection, buckets, ...(continuation === undefined ? {} : { continuation }) };
    const answer: IntegrityDocuments = await questions.documents(request, signal);
    for (const { documentId, version } of answer.versions) theirs.set(documentId, version);
    ({ continuation } = answer);
  }
  const mine = new Map(
    (await database.versions(userId, scope, collection, buckets)).map(({ documentId, version }) => [
      documentId,
      version,
    ]),
  );
  return [...new Set([...mine.keys(), ...theirs.keys()])].flatMap((documentId): Diverged[] => {
    const [held, stored] = [mine.get(documentId), theirs.get(documentId)];
    if (held === stored) return [];
    const kind = held === undefined ? 'missing' : stored === undefined ? 'surplus' : 'different';
    return [{ address: { scope, collection, documentId }, kind }];
  });
}

async function mend(
  { database, questions, userId, lease, signal }: ComparisonContext,
  scope: string,
  collection: string,
  found: readonly Diverged[],
): Promise<number> {
  let repaired = 0;
  for (let from = 0; from < found.length; from += DOCUMENTS) {
    const some = found.slice(from, from + DOCUMENTS);
    const documentIds = some.map(({ address }) => address.documentId);
    const documents: RemoteDocument[] = [];
    for (let continuation: string | null | undefined; continuation !== null;) {
      const request = {
        scope,
        collection,
        documentIds,
        ...(continuation === undefined ? {} : { continuation }),
      };
      const answer: IntegrityDocuments = await questions.documents(request, signal);
      documents.push(...answer.documents);
      ({ continuation } = answer);
    }
    const known = new Set(documents.map(({ documentId }) => documentId));
    const gone = some.flatMap(({ address }) => (known.has(address.documentId) ? [] : [address]));
    repaired += await database.mend(userId, documents, gone, lease);
  }
  return repaired;
}
