import fc from 'fast-check';
import { createLoad, waitAfterRefusal, waitAfterSync } from '../../../shared/sync/pace.ts';

const INTERVAL = 300_000;

describe('The time until the next sync', () => {
  it.each([
    // more to fetch, pressure, random, wait
    [false, 0, 0, 300_000],
    [false, 0, 1, 330_000],
    [false, 1, 0, 900_000],
    [false, 1, 1, 1_200_000],
    [false, 0.5, 0.5, 682_500],
    [true, 0, 0.5, 0],
    [true, 1, 0, 5_000],
    [true, 1, 1, 15_000],
  ])('more to fetch: %s, pressure %s, random %s: %s ms', (hasMore, pressure, random, wait) => {
    expect(waitAfterSync(hasMore, INTERVAL, pressure, random)).toBe(wait);
  });

  it('is never shorter under more pressure', () => {
    const share = fc.double({ min: 0, max: 1, noNaN: true });
    fc.assert(
      fc.property(fc.boolean(), share, share, share, (hasMore, a, b, random) => {
        const [low, high] = [Math.min(a, b), Math.max(a, b)];
        expect(waitAfterSync(hasMore, INTERVAL, high, random)).toBeGreaterThanOrEqual(
          waitAfterSync(hasMore, INTERVAL, low, random),
        );
      }),
    );
  });
});

it.each([
  // asked for, pressure, random, seconds
  [1, 0, 1, 1],
  [0, 0, 0, 1],
  [7, 0, 0.5, 7],
  [1, 1, 0, 1],
  [1, 0.5, 0.5, 6],
  [1, 1, 1, 21],
])('After a 503 for %s s under pressure %s, random %s: %s s', (seconds, pressure, random, wait) => {
  expect(waitAfterRefusal(seconds, pressure, random)).toBe(wait);
});

describe('Pressure', () => {
  const start = () => {
    const clock = { time: 0 };
    return { clock, load: createLoad(() => clock.time) };
  };

  it('is nothing where nothing happens', () => {
    expect(start().load.pressure()).toBe(0);
  });

  it('rises with every call that the store throttles, and halves in 30 seconds', () => {
    const { clock, load } = start();
    load.throttled();
    expect(load.pressure()).toBeCloseTo(0.1);
    for (let count = 0; count < 50; count += 1) load.throttled();
    expect(load.pressure()).toBe(1);
    clock.time += 30_000;
    expect(load.pressure()).toBeCloseTo(0.5);
    clock.time += 30_000;
    expect(load.pressure()).toBeCloseTo(0.25);
    clock.time -= 3_600_000;
    expect(load.pressure()).toBeCloseTo(0.25);
  });

  it('rises with the syncs in flight past what is usual, and ends with them', () => {
    const { load } = start();
    const ends = Array.from({ length: 16 }, () => load.begin());
    expect(load.pressure()).toBe(0);
    ends.push(...Array.from({ length: 24 }, () => load.begin()));
    expect(load.pressure()).toBeCloseTo(0.5);
    ends.push(...Array.from({ length: 100 }, () => load.begin()));
    expect(load.pressure()).toBe(1);
    // Said twice, it still counts once.
    for (const end of [...ends, ...ends]) end();
    expect(load.pressure()).toBe(0);
  });
});
