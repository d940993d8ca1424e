import { createMintLimiter, Throttled } from '../../shared/tokens/mint-limiter.ts';

/** A limiter on a clock that moves only when told to; `sleep` wakes in the order of time. */
function setUp({ requestUnitsPerSecond = 100, maxWait = 3_000, charge = 10 } = {}) {
  const clock = { now: 1_000_000_000_000, ahead: 0 };
  const asleep: { at: number; wake: () => void }[] = [];
  const limiter = createMintLimiter(
    { requestUnitsPerSecond, maxWait },
    {
      now: () => clock.now + clock.ahead,
      random: () => 0,
      // Timers go by a clock that nobody sets.
      sleep: (milliseconds) =>
        new Promise((resolve) => asleep.push({ at: clock.now + milliseconds, wake: resolve })),
    },
  );
  const settle = async () => {
    for (let turn = 0; turn < 300; turn += 1) await Promise.resolve();
  };
  const started: number[] = [];
  const begin = clock.now;
  return {
    clock,
    started,
    asleep,
    settle,
    /** A mint that is done as soon as it starts; what came of it: the time it started, or the seconds to stay away. */
    mint: async (
      work: () => Promise<{ value: string; charge: number }> = () => Promise.resolve({ value: 'ok', charge }),
    ) => {
      try {
        await limiter.run(() => {
          started.push(clock.now - begin);
          return work();
        });
        return 'done';
      } catch (error) {
        const { code, headers, message } = error as {
          code?: string;
          headers?: Record<string, string>;
          message: string;
        };
        return code === undefined ? message : `${code} ${headers?.['retry-after'] ?? ''}`;
      }
    },
    advance: async (milliseconds: number) => {
      const end = clock.now + milliseconds;
      await settle();
      for (;;) {
        const next = asleep.toSorted((a, b) => a.at - b.at)[0];
        if (next === undefined || next.at > end) break;
        asleep.splice(asleep.indexOf(next), 1);
        clock.now = Math.max(clock.now, next.at);
        next.wake();
        await settle();
      }
      clock.now = end;
    },
  };
}

const results = <T>(promises: readonly Promise<T>[]) => Promise.all(promises);

describe('The limit on mints', () => {
  it('starts what half a second of the budget pays for at once, and then one after the other as it allows', async () => {
    const { mint, advance, started } = setUp();
    // The first one is taken to cost 12, as nothing is known yet; each of them costs 10, a tenth of a second.
    const all = results(Array.from({ length: 20 }, () => mint()));
    await advance(3_000);
    expect(await all).toEqual(Array(20).fill('done'));
    expect(started.filter((at) => at === 0).length).toBeLessThanOrEqual(6);
    const perSecond = started.map(
      (at) => started.filter((other) => other >= at && other < at + 1_000).length,
    );
    // A second of the budget, and the half that may be spent at once.
    expect(Math.max(...perSecond)).toBeLessThanOrEqual(15);
    expect(started.at(-1)).toBeGreaterThan(1_000);
    expect(started.at(-1)).toBeLessThan(2_000);
    expect(started).toEqual(started.toSorted((a, b) => a - b));
  });

  it('serves first come first, whatever each takes', async () => {
    const { mint, advance } = setUp();
    const order: number[] = [];
    const all = results(
      Array.from({ length: 12 }, (_, index) =>
        mint(() => {
          order.push(index);
          return Promise.resolve({ value: 'ok', charge: index % 3 === 0 ? 30 : 5 });
        }),
      ),
    );
    await advance(10_000);
    await all;
    expect(order).toEqual(Array.from({ length: 12 }, (_, index) => index));
  });

  it('learns what a mint takes: dear ones start more rarely', async () => {
    const count = async (charge: number) => {
      const { mint, advance, started } = setUp({ charge, maxWait: 60_000 });
      const all = results(Array.from({ length: 200 }, () => mint()));
      await advance(20_000);
      const { length } = started;
      await advance(600_000);
      await all;
      return length;
    };
    // Twenty seconds of 100 RU/s, and the half second at the start.
    expect(await count(40)).toBeLessThanOrEqual(20.5 * 2.5 + 2);
    expect(await count(40)).toBeGreaterThan(40);
    expect(await count(10)).toBe(200);
  });

  it('sends away who would wait too long, each a little later than the one before, and for five minutes at most', async () => {
    const { mint, advance } = setUp({ maxWait: 1_000 });
    const all = results(Array.from({ length: 5_000 }, () => mint()));
    await advance(10_000);
    const answers = await all;
    const served = answers.filter((answer) => answer === 'done').length;
    expect(served).toBeGreaterThanOrEqual(8);
    expect(served).toBeLessThanOrEqual(16);
    const seconds = answers
      .flatMap((answer) => /^token_service_busy (\d+)$/.exec(answer)?.[1] ?? [])
      .map(Number);
    expect(seconds).toHaveLength(5_000 - served);
    expect(seconds).toEqual(seconds.toSorted((a, b) => a - b));
    expect([seconds[0], seconds.at(-1)]).toEqual([2, 300]);
  });

  it('that nobody may wait for takes what is free and sends all others away', async () => {
    const { mint, advance, asleep } = setUp({ maxWait: 0 });
    const all = results(Array.from({ length: 10 }, () => mint()));
    await advance(0);
    expect(asleep).toEqual([]);
    const answers = await all;
    expect(answers[0]).toBe('done');
    expect(answers.slice(1).every((answer) => answer.startsWith('token_service_busy'))).toBe(true);
  });

  it('goes on after a mint that failed, and tells its caller why', async () => {
    const { mint, advance } = setUp();
    const failing = mint(() => Promise.reject(new Error('no answer')));
    const next = mint();
    await advance(1_000);
    expect(await results([failing, next])).toEqual(['no answer', 'done']);
  });
});

describe('Where the account throttles', () => {
  const throttledTimes = (times: number, retryAfterMs = 500) => {
    let left = times;
    return () => {
      if (left === 0) return Promise.resolve({ value: 'ok', charge: 10 });
      left -= 1;
      return Promise.reject(new Throttled(retryAfterMs));
    };
  };

  it('the same mint is tried again after the time that was told, and its caller does not notice', async () => {
    const { mint, advance, started } = setUp();
    const one = mint(throttledTimes(1));
    await advance(5_000);
    expect(await one).toBe('done');
    expect(started).toEqual([0, 500]);
  });

  it('mints start half as often, and as before a minute later', async () => {
    const { mint, advance, started, clock } = setUp({ maxWait: 60_000 });
    const ended = mint(throttledTimes(1, 1));
    await advance(1_000);
    await ended;
    const many = async () => {
      const from = started.length;
      const all = results(Array.from({ length: 60 }, () => mint()));
      await advance(2_000);
      const { length } = started;
      await advance(60_000);
      await all;
      return length - from;
    };
    const slow = await many();
    clock.now += 60_000;
    const fast = await many();
    expect(slow).toBeLessThanOrEqual(18);
    expect(fast).toBeGreaterThanOrEqual(22);
  });

  it('for ever, nobody waits for ever: twice the longest wait, and then they are told when to come', async () => {
    const { mint, advance, clock } = setUp({ maxWait: 2_000 });
    const begin = clock.now;
    const took: number[] = [];
    const all = results(
      Array.from({ length: 5 }, async () => {
        const answer = await mint(throttledTimes(Infinity, 900));
        took.push(clock.now - begin);
        return answer;
      }),
    );
    await advance(120_000);
    for (const answer of await all) expect(answer).toMatch(/^token_service_busy \d+$/);
    expect(Math.max(...took)).toBeLessThanOrEqual(2 * 2_000 + 900);
  });

  it('who was let wait, and finds it slowed down meanwhile, is told when to come instead of waiting on', async () => {
    const { mint, advance, clock } = setUp({ maxWait: 1_000 });
    const begin = clock.now;
    const first = mint(throttledTimes(1, 50_000));
    const took: number[] = [];
    const others = Array.from({ length: 8 }, async () => {
      const answer = await mint();
      took.push(clock.now - begin);
      return answer;
    });
    await advance(300_000);
    const answers = [await first, ...(await results(others))];
    expect(answers.filter((answer) => answer.startsWith('token_service_busy')).length).toBeGreaterThan(3);
    expect(Math.max(...took)).toBeLessThanOrEqual(3_000);
  });
});

describe('When the clock is set back by an hour', () => {
  const HOUR = 3_600_000;

  it('who waits already goes on waiting no longer than before', async () => {
    const { mint, advance, clock, started } = setUp();
    const all = results(Array.from({ length: 20 }, () => mint()));
    await advance(100);
    clock.ahead -= HOUR;
    await advance(5_000);
    expect(started).toHaveLength(20);
    expect(await all).toEqual(Array(20).fill('done'));
  });

  it('who comes then is served', async () => {
    const { mint, advance, clock } = setUp();
    const before = results(Array.from({ length: 20 }, () => mint()));
    await advance(5_000);
    await before;
    clock.ahead -= HOUR;
    const after = mint();
    await advance(1_000);
    expect(await after).toBe('done');
  });

  it('and forward, the budget of that hour is not spent at once', async () => {
    const { mint, advance, clock, started } = setUp({ maxWait: 10_000 });
    await mint();
    clock.ahead += HOUR;
    const from = started.length;
    const all = results(Array.from({ length: 30 }, () => mint()));
    await advance(1_000);
    expect(started.length - from).toBeLessThanOrEqual(16);
    await advance(60_000);
    await all;
  });
});
