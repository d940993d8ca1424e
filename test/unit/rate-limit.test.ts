import fc from 'fast-check';
import { createRateLimiter } from '../../shared/http/rate-limit.ts';

/** A limiter with a clock that the test moves. */
function limiter(perSecond: number, burst: number, maxUsers?: number) {
  const clock = { time: 1_000_000 };
  const take = createRateLimiter({ perSecond, burst }, () => clock.time, maxUsers);
  const takeMany = (count: number, user = 'alice') => Array.from({ length: count }, () => take(user));
  return { clock, take, takeMany };
}
const taken = (waits: readonly number[]) => waits.filter((wait) => wait === 0).length;

describe('A user', () => {
  it('may send a burst at once, and one more for each interval that passes', () => {
    const { clock, takeMany } = limiter(10, 5);
    expect(takeMany(6)).toEqual([0, 0, 0, 0, 0, 100]);
    clock.time += 100;
    expect(takeMany(2)).toEqual([0, 100]);
    clock.time += 250;
    expect(takeMany(3)).toEqual([0, 0, 50]);
  });

  it('never has more than a burst, however long the pause', () => {
    const { clock, takeMany } = limiter(10, 5);
    clock.time += 86_400_000;
    expect(taken(takeMany(20))).toBe(5);
  });

  it('pays nothing for requests that are refused', () => {
    const { clock, takeMany } = limiter(1, 1);
    takeMany(1000);
    clock.time += 1000;
    expect(takeMany(2)).toEqual([0, 1000]);
  });

  it('is served after the wait that was told, to the millisecond', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 1000 }),
        fc.integer({ min: 1, max: 50 }),
        fc.array(fc.nat(2000), { maxLength: 60 }),
        (perSecond, burst, pauses) => {
          const { clock, take } = limiter(perSecond, burst);
          for (const pause of pauses) {
            clock.time += pause;
            const wait = take('alice');
            if (wait === 0) continue;
            expect(wait).toBeLessThanOrEqual(1000 / perSecond);
            clock.time += Math.ceil(wait);
            expect(take('alice')).toBe(0);
          }
        },
      ),
    );
  });

  it('gets no more than the rate and one burst over any time', () => {
    fc.assert(
      fc.property(fc.array(fc.nat(300), { minLength: 50, maxLength: 200 }), (pauses) => {
        const { clock, take } = limiter(7, 3);
        const started = clock.time;
        let count = 0;
        for (const pause of pauses) {
          clock.time += pause;
          if (take('alice') === 0) count += 1;
        }
        expect(count).toBeLessThanOrEqual(3 + (7 * (clock.time - started)) / 1000 + 0.01);
      }),
    );
  });

  it('has a bucket alone', () => {
    const { takeMany } = limiter(1, 2);
    expect(taken(takeMany(5, 'alice'))).toBe(2);
    expect(taken(takeMany(5, 'bob'))).toBe(2);
    expect(taken(takeMany(5, '__proto__'))).toBe(2);
  });

  it('does not wait for a clock that was set back', () => {
    const { clock, takeMany } = limiter(10, 5);
    takeMany(5);
    clock.time -= 3_600_000;
    expect(takeMany(1)).toEqual([100]);
    clock.time += 100;
    expect(takeMany(1)).toEqual([0]);
  });
});

it('As many users as agreed are remembered: the one who did not call for longest is forgotten', () => {
  const { takeMany } = limiter(1, 1, 2);
  takeMany(1, 'alice');
  takeMany(1, 'bob');
  expect(takeMany(1, 'alice')).toEqual([1000]);
  takeMany(1, 'carol');
  expect(takeMany(1, 'alice')).toEqual([1000]);
  expect(takeMany(1, 'bob')).toEqual([0]);
});

it('A rate of 0 is no limit', () => {
  expect(taken(limiter(0, 1).takeMany(1000))).toBe(1000);
});
