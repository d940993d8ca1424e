import fc from 'fast-check';
import { compareWrites, formatVersion, parseVersion, type Stamped } from '../../shared/conflict/index.ts';

const write: fc.Arbitrary<Stamped> = fc.record({
  time: fc.integer({ min: 0, max: 3 }),
  writer: fc.record({
    userId: fc.constantFrom('a', 'b', 'é'),
    deviceId: fc.constantFrom('a', 'b', 'B'),
    seq: fc.option(fc.integer({ min: 1, max: 3 })),
  }),
});

describe('The order of writes', () => {
  it('is total: for any two different writes, one comes first', () => {
    fc.assert(
      fc.property(write, write, (a, b) => {
        expect(Math.sign(compareWrites(a, b))).toBe(-Math.sign(compareWrites(b, a)) || 0);
        if (compareWrites(a, b) === 0) {
          expect({ ...a.writer, seq: a.writer.seq ?? 0, time: a.time }).toEqual({
            ...b.writer,
            seq: b.writer.seq ?? 0,
            time: b.time,
          });
        }
      }),
    );
  });

  it('is transitive, so the same writes have the same winner in any order', () => {
    fc.assert(
      fc.property(
        fc.array(write, { minLength: 1, maxLength: 6 }),
        fc.infiniteStream(fc.nat()),
        (writes, numbers) => {
          const winner = (all: readonly Stamped[]) =>
            all.reduce((best, next) => (compareWrites(next, best) > 0 ? next : best));
          const shuffled = writes
            .map((each) => ({ each, at: numbers.next().value }))
            .sort((a, b) => a.at - b.at)
            .map(({ each }) => each);
          expect(compareWrites(winner(shuffled), winner(writes))).toBe(0);
        },
      ),
    );
  });
});

describe('A version', () => {
  it('comes back from its text as it was, whatever the ETag', () => {
    fc.assert(
      fc.property(
        fc.string({ unit: 'grapheme', minLength: 1 }).filter((etag) => !etag.includes('*')),
        fc.integer({ min: -1e12, max: 8.64e15 }),
        fc.boolean(),
        (etag, stamp, live) => {
          expect(parseVersion(formatVersion({ etag, stamp, live }))).toEqual({ etag, stamp, live });
        },
      ),
    );
  });

  it('with a star is none: it would match whatever is stored', () => {
    expect(parseVersion(formatVersion({ etag: '*', stamp: 0, live: true }))).toBeNull();
  });

  it('is null for any other text, and never throws', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        expect(parseVersion(text)).toBeNull();
        expect(() => parseVersion(`1.l.z.%${text}`)).not.toThrow();
      }),
    );
  });
});
