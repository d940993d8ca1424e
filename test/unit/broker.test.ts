import type { Identity, Role } from '../../shared/auth/identity.ts';
import {
  cosmosUser,
  createBroker,
  type BrokerSettings,
  type Permission,
  type PermissionStore,
} from '../../shared/tokens/broker.ts';
import type { MintLimiter } from '../../shared/tokens/mint-limiter.ts';
import { identityOf } from '../support/gateway.ts';

const alice = identityOf('alice', ['facility:12']);

function setUp({ mint, ...changes }: Partial<BrokerSettings> & { mint?: () => Promise<string> } = {}) {
  const clock = { now: Date.parse('2026-11-22T10:00:00.000Z') };
  const minted: Permission[] = [];
  const store: PermissionStore = {
    mint: async (permission) => {
      minted.push(permission);
      return { value: mint === undefined ? `token ${minted.length}` : await mint(), charge: 5 };
    },
  };
  const limiter: MintLimiter = { run: async (work) => (await work()).value };
  const settings: BrokerSettings = {
    endpoint: 'e',
    database: 'd',
    container: 'c',
    privateMode: 'read',
    sharedKinds: new Set(['facility']),
    lifetime: 1000,
    maxLifetime: 2000,
    ...changes,
  };
  const broker = createBroker(settings, { store, limiter, now: () => clock.now, random: () => 0 });
  const told: string[] = [];
  const ask = (
    identity: Identity,
    asked: { scopes?: string[]; mode?: 'read' | 'all'; lifetime?: number } = {},
  ) =>
    broker.tokensFor(
      identity,
      { scopes: asked.scopes ?? null, mode: asked.mode ?? null, lifetime: asked.lifetime ?? null },
      ({ scope, mode }) => told.push(`${identity.userId} ${scope} ${mode}`),
    );
  return { clock, minted, broker, ask, told, users: () => minted.map(({ user }) => user) };
}

describe('The token broker', () => {
  it('says when a token ends, counted from before it was asked for', async () => {
    const { ask } = setUp();
    expect(await ask(alice)).toEqual({
      token: 'token 1',
      endpoint: 'e',
      database: 'd',
      container: 'c',
      partitionKey: ['user:alice'],
      scope: 'user:alice',
      userId: 'alice',
      mode: 'read',
      expiresAt: '2026-11-22T10:16:40.000Z',
      refreshAfter: '2026-11-22T10:13:20.000Z',
    });
  });

  it('hands a token out until four fifths of its life have gone', async () => {
    const { ask, clock, users, told } = setUp();
    await ask(alice);
    clock.now += 799_999;
    expect((await ask(alice)).token).toBe('token 1');
    clock.now += 1;
    expect((await ask(alice)).token).toBe('token 2');
    expect(users()).toEqual(['alice', 'alice']);
    expect(told).toHaveLength(2);
  });

  it('renews tokens that were made together at different times', async () => {
    const settings = { store: { mint: () => Promise.resolve({ value: 't', charge: 1 }) }, now: () => 0 };
    const rolls = [0, 0.5, 0.99];
    const broker = createBroker(
      {
        endpoint: 'e',
        database: 'd',
        container: 'c',
        privateMode: 'read',
        sharedKinds: new Set(),
        lifetime: 1000,
        maxLifetime: 1000,
      },
      {
        ...settings,
        limiter: { run: async (work) => (await work()).value },
        random: () => rolls.shift() ?? 0,
      },
    );
    const times: string[] = [];
    for (const user of ['a', 'b', 'c']) {
      const ask = { scopes: null, mode: null, lifetime: null };
      times.push((await broker.tokensFor(identityOf(user), ask, () => undefined)).refreshAfter);
    }
    expect(times.map((time) => Date.parse(time) / 1000)).toEqual([800, 750, 701]);
  });

  it('mints once for all who ask at the same time, and for each user apart', async () => {
    const { ask, users, told } = setUp();
    const askers = ['alice', 'bob', 'alice', 'bob', 'alice'];
    const tokens = await Promise.all(askers.map((user) => ask(identityOf(user))));
    expect(tokens.map(({ token, userId }) => `${userId} ${token}`)).toEqual(
      askers.map((user) => `${user} token ${user === 'alice' ? 1 : 2}`),
    );
    expect(users()).toEqual(['alice', 'bob']);
    // Who only waited along is not told of a mint: the audit shows one.
    expect(told).toEqual(['alice user:alice read', 'bob user:bob read']);
  });

  it('tells a failed mint to all who wait for it, keeps nothing, and mints again for the next one', async () => {
    let calls = 0;
    const { ask } = setUp({
      mint: () => {
        calls += 1;
        return calls === 1 ? Promise.reject(new Error('throttled')) : Promise.resolve('good');
      },
    });
    const first = await Promise.allSettled([ask(alice), ask(alice)]);
    expect(first.map(({ status }) => status)).toEqual(['rejected', 'rejected']);
    expect((await ask(alice)).token).toBe('good');
    expect(calls).toBe(2);
  });

  it('keeps ten thousand tokens, and lets the one unused for longest go', async () => {
    const { ask, minted, users } = setUp();
    await ask(alice);
    await ask(identityOf('bob'));
    await ask(alice);
    for (let index = 0; index < 9_999; index += 1) await ask(identityOf(`user-${index}`));
    minted.length = 0;
    await ask(alice);
    expect(minted).toEqual([]);
    await ask(identityOf('bob'));
    expect(users()).toEqual(['bob']);
  });

  it('keeps nothing when the clock is set back: the tokens go on ageing by another clock', async () => {
    const { ask, clock } = setUp();
    await ask(alice);
    clock.now += 700_000;
    await ask(alice);
    clock.now -= 600_000;
    expect((await ask(alice)).token).toBe('token 2');
    clock.now -= 1_000;
    expect((await ask(alice)).token).toBe('token 2');
  });

  it('keeps nothing that was being made when the clock was set back: its end was reckoned by the other clock', async () => {
    let finish: ((token: string) => void) | undefined;
    const { ask, clock, minted } = setUp({ mint: () => new Promise((resolve) => (finish = resolve)) });
    const flying = ask(alice);
    clock.now -= 600_000;
    const next = ask(alice);
    finish?.('new');
    expect((await next).token).toBe('new');
    expect(minted).toHaveLength(2);
    expect(Date.parse((await ask(alice)).expiresAt)).toBe(clock.now + 1_000_000);
    void flying;
  });

  it('takes many small steps back for one: together they are a large one', async () => {
    const { ask, clock } = setUp();
    await ask(alice);
    for (let step = 0; step < 10; step += 1) {
      clock.now -= 10_000;
      await ask(alice);
    }
    // The first token would be handed out 100 s beyond its end.
    expect((await ask(alice)).token).toBe('token 2');
  });

  it('gives nothing out again that was made before everything had to be forgotten, nor what was under way', async () => {
    let finish: ((token: string) => void) | undefined;
    const waiting = () => new Promise<string>((resolve) => (finish = resolve));
    const { ask, broker, minted } = setUp({ mint: waiting });
    const old = ask(alice);
    broker.forget();
    const next = ask(alice);
    expect(minted).toHaveLength(1 + 1);
    finish?.('new');
    expect((await next).token).toBe('new');
    // The first answer comes last, and must not take the place of the newer one.
    void old;
    expect((await ask(alice)).token).toBe('new');
  });

  it('takes a lifetime for an upper bound: asking for many of them mints no more than asking for the shortest', async () => {
    const { ask, minted, clock } = setUp();
    const secondsOf = async (lifetime?: number) =>
      (Date.parse((await ask(alice, lifetime === undefined ? {} : { lifetime })).expiresAt) - clock.now) /
      1000;
    expect(await secondsOf()).toBe(1000);
    expect(await secondsOf(600)).toBe(600);
    expect(await secondsOf(900)).toBe(600);
    expect(await secondsOf(86_400)).toBe(600);
    expect(minted.map(({ lifetime }) => lifetime)).toEqual([1000, 600]);
    const fresh = setUp();
    expect(Date.parse((await fresh.ask(alice, { lifetime: 86_400 })).expiresAt)).toBe(
      fresh.clock.now + 2_000_000,
    );
  });
});

describe('Many lifetimes asked for at once', () => {
  it('make a token for each full ten minutes at most, and nobody gets one that lives longer than asked', async () => {
    const { ask, minted, clock } = setUp({ lifetime: 3_600, maxLifetime: 3_600 });
    const lifetimes = Array.from({ length: 3_000 }, (_, index) => 600 + index);
    const answers = await Promise.all(lifetimes.toReversed().map((lifetime) => ask(alice, { lifetime })));
    expect(new Set(minted.map(({ lifetime }) => lifetime))).toEqual(
      new Set([3_000, 2_400, 1_800, 1_200, 600]),
    );
    expect(minted).toHaveLength(5);
    lifetimes.toReversed().forEach((lifetime, index) => {
      const lives = (Date.parse(answers[index]?.expiresAt ?? '') - clock.now) / 1000;
      expect(lives).toBeLessThanOrEqual(lifetime);
      expect(lives).toBeGreaterThan(lifetime - 600);
    });
  });
});

describe('What a token opens', () => {
  const modeOf = async (role: Role, asked?: 'read' | 'all', privateMode: 'read' | 'all' = 'all') => {
    const { ask } = setUp({ privateMode });
    return (await ask(identityOf('alice', [], role), asked === undefined ? {} : { mode: asked })).mode;
  };

  it('is never more than the role allows, and no more than was asked for', async () => {
    expect(await modeOf('writer')).toBe('all');
    expect(await modeOf('writer', 'read')).toBe('read');
    expect(await modeOf('writer', 'all')).toBe('all');
    expect(await modeOf('reader')).toBe('read');
    expect(await modeOf('writer', undefined, 'read')).toBe('read');
  });

  it.each<[string, Role, 'read' | 'all']>([
    ['a reader', 'reader', 'all'],
    ['a writer where collections are not for direct writing', 'writer', 'read'],
    ['an admin there', 'admin', 'read'],
  ])('is not given for writing to %s', async (_, role, privateMode) => {
    await expect(modeOf(role, 'all', privateMode)).rejects.toMatchObject({ code: 'mode_not_granted' });
  });

  it('are the scopes asked for, each with a token and a Cosmos user of its own, all in one answer', async () => {
    const { ask, minted } = setUp({ privateMode: 'all' });
    const answer = await ask(alice, { scopes: ['facility:12', 'user:alice', 'facility:12'] });
    expect(answer.scope).toBe('facility:12');
    expect(answer.tokens?.map(({ scope, mode, token }) => `${scope} ${mode} ${token}`)).toEqual([
      'facility:12 read token 1',
      'user:alice all token 2',
    ]);
    expect(minted.map(({ user }) => user)).toEqual([cosmosUser(alice, 'facility:12'), 'alice']);
    expect(cosmosUser(alice, 'facility:12')).toMatch(/^alice~[\w-]{43}$/);
  });

  it('are two for one scope where one is for reading only', async () => {
    const { ask, minted } = setUp({ privateMode: 'all' });
    await ask(alice);
    expect((await ask(alice, { mode: 'read' })).mode).toBe('read');
    expect(minted.map(({ mode }) => mode)).toEqual(['all', 'read']);
  });

  it.each(['user:bob', 'facility:13', 'team:1', 'facility', 'user:alice/x', ''])(
    'is never %j, and nothing is made for the scopes beside it',
    async (scope) => {
      const { ask, minted } = setUp();
      await expect(ask(alice, { scopes: ['user:alice', scope] })).rejects.toMatchObject({
        code: 'scope_not_granted',
      });
      expect(minted).toEqual([]);
    },
  );

  it('is every shared scope there is for an admin, for reading, but none of a kind that is not configured', async () => {
    const { ask } = setUp();
    const admin = identityOf('root', [], 'admin');
    expect((await ask(admin, { scopes: ['facility:13'] })).mode).toBe('read');
    for (const scope of ['team:1', 'user:bob']) {
      await expect(ask(admin, { scopes: [scope] })).rejects.toMatchObject({ code: 'scope_not_granted' });
    }
  });
});
