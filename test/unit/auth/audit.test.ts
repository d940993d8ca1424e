import type { ActivityRecord } from '../../../shared/activity/record.ts';
import { createAudit } from '../../../shared/auth/audit.ts';

function setUp() {
  const written: (ActivityRecord & Record<string, unknown>)[] = [];
  const timers: (() => void)[] = [];
  let ids = 0;
  const clock = { now: 1_000 };
  const audit = createAudit(
    { retention: 86_400 },
    {
      recorder: { add: (record) => written.push({ ...record }), flush: () => Promise.resolve() },
      store: { list: () => Promise.resolve([]) },
      now: () => clock.now,
      createId: () => String((ids += 1)),
      schedule: (callback) => timers.push(callback),
    },
  );
  const tick = () => timers.splice(0).forEach((callback) => callback());
  return { audit, written, timers, tick, clock };
}

describe('The audit', () => {
  it('has a line for each token made, with who, what and from where, kept for the time that is set', () => {
    const { audit, written } = setUp();
    audit.record({ event: 'mint', userId: 'alice', scope: 'user:alice', mode: 'read', from: '10.0.0.1' });
    expect(written).toEqual([
      {
        id: 'audit:1',
        kind: 'audit',
        userId: 'alice',
        at: '1970-01-01T00:00:01.000Z',
        ttl: 86_400,
        event: 'mint',
        scope: 'user:alice',
        mode: 'read',
        from: '10.0.0.1',
        count: 1,
      },
    ]);
  });

  it('counts refusals that are alike in one line, with the time of the last', () => {
    const { audit, written, tick, clock } = setUp();
    for (let index = 0; index < 5_000; index += 1) {
      clock.now += 1;
      audit.record({ event: 'refused', userId: '~nobody', code: 'invalid_token', from: '10.0.0.1' });
    }
    audit.record({ event: 'refused', userId: '~nobody', code: 'invalid_token', from: '10.0.0.2' });
    expect(written).toEqual([]);
    tick();
    expect(written.map(({ from, count, at }) => [from, count, at])).toEqual([
      ['10.0.0.1', 5_000, '1970-01-01T00:00:06.000Z'],
      ['10.0.0.2', 1, '1970-01-01T00:00:06.000Z'],
    ]);
  });

  it('makes at most a thousand lines, and one for each code, of a flood that comes from everywhere', () => {
    const { audit, written, tick, timers } = setUp();
    for (let index = 0; index < 20_000; index += 1) {
      const code = index % 2 === 0 ? 'invalid_token' : 'token_expired';
      audit.record({ event: 'refused', userId: '~nobody', code, from: `10.0.${index >> 8}.${index & 255}` });
    }
    expect(timers).toHaveLength(1);
    tick();
    expect(written).toHaveLength(1_002);
    expect(written.reduce((sum, { count }) => sum + Number(count), 0)).toBe(20_000);
    expect(written.filter(({ from }) => from === undefined).map(({ code, count }) => [code, count])).toEqual([
      ['invalid_token', 9_500],
      ['token_expired', 9_500],
    ]);
  });

  it('writes what waits when the process ends', async () => {
    const { audit, written } = setUp();
    audit.record({ event: 'denied', userId: 'alice', code: 'access_denied' });
    await audit.flush();
    expect(written).toHaveLength(1);
  });

  it('refuses a continuation that it did not write', async () => {
    const { audit } = setUp();
    await expect(audit.list({ continuation: 'x' })).rejects.toMatchObject({ code: 'invalid_continuation' });
  });
});
