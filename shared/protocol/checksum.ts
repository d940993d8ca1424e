/**
 * Order-independent checksums over the live documents of a collection in a scope. A client keeps its own up to date
 * with every document it takes in, and compares it with the service's: replicas that have drifted apart are found
 * without sending the documents. docs/protocol.md has test vectors for clients in other languages.
 *
 * Not for secrets: the digest finds accidents, it does not withstand an attacker.
 */

const MASK = (1n << 64n) - 1n;
/** Documents are spread over so many buckets by their id. */
export const BUCKETS = 256;

const utf8 = new TextEncoder();

/**
 * 64-bit digest of a text: FNV-1a over its UTF-8 form, then the finalizer of MurmurHash3. FNV-1a alone would not do:
 * texts that differ in their last characters only have digests whose differences cancel in a sum.
 */
export function digest64(text: string): bigint {
  // In halves of 32 bits: the prime is 2^40 + 0x1b3, so no product leaves the exact integers of a float.
  let high = 0xcbf29ce4;
  let low = 0x84222325;
  for (const byte of utf8.encode(text)) {
    low = (low ^ byte) >>> 0;
    const product = low * 0x1b3;
    high = (high * 0x1b3 + (low << 8) + Math.floor(product / 2 ** 32)) >>> 0;
    low = product >>> 0;
  }
  return mix((BigInt(high) << 32n) | BigInt(low));
}

function mix(value: bigint): bigint {
  let mixed = value;
  mixed = ((mixed ^ (mixed >> 33n)) * 0xff51afd7ed558ccdn) & MASK;
  mixed = ((mixed ^ (mixed >> 33n)) * 0xc4ceb9fe1a85ec53n) & MASK;
  return mixed ^ (mixed >> 33n);
}

/** 0 to 255: the first byte of the digest of the document id. */
export const bucketOf = (documentId: string): number => Number(digest64(documentId) >> 56n);

/** What one document adds. An id holds no line feed, so no two pairs make the same text. */
const digestOf = (documentId: string, version: string): bigint => digest64(`${documentId}\n${version}`);

/** The checksum of a collection, as it is kept. */
export interface Checksum {
  count: number;
  /** Bucket to the sum of its documents' digests, modulo 2^64; empty buckets are left out or 0. */
  readonly buckets: Map<number, bigint>;
}

export const emptyChecksum = (): Checksum => ({ count: 0, buckets: new Map() });

/** A live document was taken in, in this version. */
export function addDocument(checksum: Checksum, documentId: string, version: string): void {
  checksum.count += 1;
  shift(checksum, documentId, digestOf(documentId, version));
}

/** A live document that was added in this version is no longer held in it: replaced or deleted. */
export function removeDocument(checksum: Checksum, documentId: string, version: string): void {
  checksum.count -= 1;
  shift(checksum, documentId, -digestOf(documentId, version));
}

function shift({ buckets }: Checksum, documentId: string, by: bigint): void {
  const bucket = bucketOf(documentId);
  buckets.set(bucket, ((buckets.get(bucket) ?? 0n) + by) & MASK);
}

/** A checksum as it is sent: numbers as 16 hexadecimal digits, buckets by two. */
export interface ChecksumText {
  readonly count: number;
  readonly sum: string;
  readonly buckets: Readonly<Record<string, string>>;
}

export function formatChecksum({ count, buckets }: Checksum): ChecksumText {
  const filled = [...buckets].filter(([, sum]) => sum !== 0n).sort(([a], [b]) => a - b);
  return {
    count,
    sum: hex(
      filled.reduce((total, [, sum]) => (total + sum) & MASK, 0n),
      16,
    ),
    buckets: Object.fromEntries(filled.map(([bucket, sum]) => [formatBucket(bucket), hex(sum, 16)])),
  };
}

/** Adds what one answer says to what the answers before it said. */
export function addAnswer(checksum: Checksum, answer: ChecksumText): void {
  checksum.count += answer.count;
  for (const [bucket, sum] of Object.entries(answer.buckets)) {
    const at = Number.parseInt(bucket, 16);
    checksum.buckets.set(at, ((checksum.buckets.get(at) ?? 0n) + BigInt(`0x${sum}`)) & MASK);
  }
}

/**
 * The buckets in which two replicas differ.
 *
 * @param changed buckets that cannot be compared: something in them has changed since the position of the client
 */
export const differingBuckets = (a: Checksum, b: Checksum, changed: readonly string[] = []): string[] => {
  const left = new Set(changed);
  return Array.from({ length: BUCKETS }, (_, bucket) => bucket)
    .filter((bucket) => (a.buckets.get(bucket) ?? 0n) !== (b.buckets.get(bucket) ?? 0n))
    .map(formatBucket)
    .filter((bucket) => !left.has(bucket));
};

export const formatBucket = (bucket: number): string => hex(BigInt(bucket), 2);

const hex = (value: bigint, digits: number): string => value.toString(16).padStart(digits, '0');
