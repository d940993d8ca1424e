import fc from 'fast-check';
import {
  addAnswer,
  addDocument,
  bucketOf,
  differingBuckets,
  digest64,
  emptyChecksum,
  formatBucket,
  formatChecksum,
  removeDocument,
  type Checksum,
} from '../../../shared/protocol/checksum.ts';

/** The digest as the protocol describes it, one step after the other. */
function described(text: string): bigint {
  const mask = (1n << 64n) - 1n;
  let hash = 0xcbf29ce484222325n;
  for (const byte of Buffer.from(text)) hash = ((hash ^ BigInt(byte)) * 0x100000001b3n) & mask;
  hash = ((hash ^ (hash >> 33n)) * 0xff51afd7ed558ccdn) & mask;
  hash = ((hash ^ (hash >> 33n)) * 0xc4ceb9fe1a85ec53n) & mask;
  return hash ^ (hash >> 33n);
}

const checksumOf = (documents: readonly (readonly [string, string])[]): Checksum => {
  const checksum = emptyChecksum();
  for (const [documentId, version] of documents) addDocument(checksum, documentId, version);
  return checksum;
};

describe('The digest', () => {
  it.each([
    ['', 'efd01f60ba992926'],
    ['a', '82a2a958a9bece5b'],
    ['42', '810b196a56ee3cec'],
    ['Käse 🧀', '128fe2e3c76f32b6'],
    ['42\n1.l.mwr6ubvk.%220001%22', '4626931496c3d759'],
  ])('of %j is what other languages compute', (text, expected) => {
    expect(digest64(text).toString(16).padStart(16, '0')).toBe(expected);
  });

  it('is FNV-1a and a finalizer, for every text', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 60 }), (text) => {
        expect(digest64(text)).toBe(described(text));
      }),
    );
  });
});

const documents = fc.uniqueArray(fc.tuple(fc.string({ maxLength: 8 }), fc.string({ maxLength: 8 })), {
  selector: ([id]) => id,
});

describe('A checksum', () => {
  it('does not depend on the order', () => {
    fc.assert(
      fc.property(documents, (some) => {
        expect(formatChecksum(checksumOf(some.toReversed()))).toEqual(formatChecksum(checksumOf(some)));
      }),
    );
  });

  it('forgets what was removed: kept step by step it is the same as made at once', () => {
    fc.assert(
      fc.property(documents, documents, (kept, gone) => {
        const checksum = checksumOf([...gone, ...kept]);
        for (const [documentId, version] of gone) removeDocument(checksum, documentId, version);
        expect(formatChecksum(checksum)).toEqual(formatChecksum(checksumOf(kept)));
      }),
    );
  });

  it('may come in parts', () => {
    fc.assert(
      fc.property(documents, documents, (first, second) => {
        const sum = emptyChecksum();
        addAnswer(sum, formatChecksum(checksumOf(first)));
        addAnswer(sum, formatChecksum(checksumOf(second)));
        expect(formatChecksum(sum)).toEqual(formatChecksum(checksumOf([...first, ...second])));
      }),
    );
  });

  it('sees two versions that changed places, as a sum of FNV-1a alone would not in any of these 500 cases', () => {
    for (let index = 0; index < 500; index += 1) {
      const [a, b] = [`a${index}`, `e${index}`];
      const before = formatChecksum(
        checksumOf([
          [a, 'v1'],
          [b, 'v2'],
        ]),
      ).sum;
      expect(
        formatChecksum(
          checksumOf([
            [a, 'v2'],
            [b, 'v1'],
          ]),
        ).sum,
      ).not.toBe(before);
    }
  });

  it('names the buckets that differ, and no others', () => {
    const same = Array.from({ length: 500 }, (_, index) => [`d${index}`, 'v1'] as const);
    const mine = checksumOf([...same, ['missing there', 'v1'], ['other version', 'v1']]);
    const theirs = checksumOf([...same, ['other version', 'v2'], ['missing here', 'v1']]);
    const expected = ['missing there', 'other version', 'missing here'].map((id) =>
      formatBucket(bucketOf(id)),
    );
    expect(differingBuckets(mine, theirs)).toEqual(expected.toSorted());
    expect(differingBuckets(mine, theirs, expected.slice(0, 1))).toEqual(expected.slice(1).toSorted());
    expect(differingBuckets(mine, mine)).toEqual([]);
  });

  it('spreads documents over the buckets', () => {
    const filled = Array.from({ length: 25_600 }, (_, index) => bucketOf(String(index)));
    const counts = filled.reduce(
      (all, bucket) => all.set(bucket, (all.get(bucket) ?? 0) + 1),
      new Map<number, number>(),
    );
    expect(counts.size).toBe(256);
    expect(Math.max(...counts.values())).toBeLessThan(160);
    expect(Math.min(...counts.values())).toBeGreaterThan(50);
  });
});
