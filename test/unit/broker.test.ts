import { createBroker, type PermissionStore } from '../../shared/tokens/broker.ts';
import { identityOf } from '../support/gateway.ts';

const alice = identityOf('alice');

function setUp(mint?: PermissionStore['mint']) {
  const clock = { now: Date.parse('2026-11-22T10:00:00.000Z') };
  const minted: string[] = [];
  const store: PermissionStore = {
    mint:
      mint ??
      (({ user }) => {
        minted.push(user);
        return Promise.resolve(`token ${minted.length}`);
      }),
  };
  const settings = { endpoint: 'e', database: 'd', container: 'c', mode: 'read', lifetime: 1000 } as const;
  return { clock, minted, broker: createBroker(settings, store, () => clock.now) };
}

describe('The token broker', () => {
  it('says when a token ends, counted from before it was asked for', async () => {
    const { broker } = setUp();
    expect(await broker.tokenFor(alice)).toEqual({
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
    const { broker, clock, minted } = setUp();
    await broker.tokenFor(alice);
    clock.now += 799_999;
    expect((await broker.tokenFor(alice)).token).toBe('token 1');
    clock.now += 1;
    expect((await broker.tokenFor(alice)).token).toBe('token 2');
    expect(minted).toEqual(['alice', 'alice']);
  });

  it('mints once for all who ask at the same time, and for each user apart', async () => {
    const { broker, minted } = setUp();
    const askers = ['alice', 'bob', 'alice', 'bob', 'alice'];
    const tokens = await Promise.all(askers.map((user) => broker.tokenFor(identityOf(user))));
    expect(tokens.map(({ token, userId }) => `${userId} ${token}`)).toEqual(
      askers.map((user) => `${user} token ${user === 'alice' ? 1 : 2}`),
    );
    expect(minted).toEqual(['alice', 'bob']);
  });

  it('tells a failed mint to all who wait for it, keeps nothing, and mints again for the next one', async () => {
    let calls = 0;
    const { broker } = setUp(() => {
      calls += 1;
      return calls === 1 ? Promise.reject(new Error('throttled')) : Promise.resolve('good');
    });
    const first = await Promise.allSettled([broker.tokenFor(alice), broker.tokenFor(alice)]);
    expect(first.map(({ status }) => status)).toEqual(['rejected', 'rejected']);
    expect((await broker.tokenFor(alice)).token).toBe('good');
    expect(calls).toBe(2);
  });

  it('keeps ten thousand tokens, and lets the one unused for longest go', async () => {
    const { broker, minted } = setUp();
    await broker.tokenFor(alice);
    await broker.tokenFor(identityOf('bob'));
    await broker.tokenFor(alice);
    for (let index = 0; index < 9_999; index += 1) await broker.tokenFor(identityOf(`user-${index}`));
    minted.length = 0;
    await broker.tokenFor(alice);
    expect(minted).toEqual([]);
    await broker.tokenFor(identityOf('bob'));
    expect(minted).toEqual(['bob']);
  });

  it('keeps nothing when the clock is set back: the tokens go on ageing by another clock', async () => {
    const { broker, clock } = setUp();
    await broker.tokenFor(alice);
    clock.now += 700_000;
    await broker.tokenFor(alice);
    clock.now -= 600_000;
    expect((await broker.tokenFor(alice)).token).toBe('token 2');
    clock.now -= 1_000;
    expect((await broker.tokenFor(alice)).token).toBe('token 2');
  });
});
