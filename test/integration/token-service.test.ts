import { CosmosClient } from '@azure/cosmos';
import { startEmulator, type Emulator } from '../../emulator/src/index.ts';
import { startIssuer, type Issuer } from '../../local/issuer.ts';
import { DATABASE, provision } from '../../local/provision.ts';
import type { Identity } from '../../shared/auth/identity.ts';
import { DOCUMENTS } from '../../shared/cosmos/containers.ts';
import { createServices, type Services } from '../../shared/services.ts';

/*
 * The services of the app on a real account and a real issuer, with a clock that a test moves: what is kept, for how
 * long, and what it costs, by the counters of the emulator.
 */

const MINUTE = 60_000;

let emulator: Emulator;
let issuer: Issuer;
let clock: { ahead: number };
let services: Services;

beforeEach(async () => {
  emulator = await startEmulator();
  await provision(emulator.endpoint, emulator.key);
  issuer = await startIssuer({ audience: 'api://tidemark' });
  clock = { ahead: 0 };
  services = createServices(
    {
      COSMOS_ENDPOINT: emulator.endpoint,
      COSMOS_DATABASE: DATABASE,
      COSMOS_AUTH: 'key',
      COSMOS_KEY: emulator.key,
      COSMOS_KEY_SECONDARY: emulator.secondaryKey,
      AUTH_ISSUER: issuer.issuer,
      AUTH_AUDIENCE: 'api://tidemark',
      DENY_LIST_REFRESH_SECONDS: '30',
    },
    '{ "collections": { "items": {} } }',
    null,
    () => Date.now() + clock.ahead,
    () => 0,
  );
});
afterEach(async () => {
  await services.flush();
  await issuer.dispose();
  await emulator.dispose();
});

/** A call as it comes in; the token outlives every test. */
const callOf = async (sub: string) => ({
  headers: new Headers({ authorization: `Bearer ${await issuer.token({ sub, lifetime: 86_400 })}` }),
});
const enter = async (sub: string): Promise<Identity> => services.authenticate(await callOf(sub));
const tokenOf = async (identity: Identity): Promise<string> =>
  (await services.tokensFor(identity, { scopes: null, mode: null, lifetime: null }, () => undefined)).token;
const many = <T>(count: number, work: () => Promise<T>) => Promise.all(Array.from({ length: count }, work));
/** Tokens that the account made since the last look. */
const mints = (): number => {
  const { length } = emulator.requests.entries.filter(
    ({ resource, status }) => resource === 'permission' && status < 300,
  );
  emulator.requests.clear();
  return length;
};

describe('A resource token', () => {
  it('is made once for all who ask at once, kept, and made anew before it ends: once for all again', async () => {
    const alice = await enter('alice');
    const first = await many(50, () => tokenOf(alice));
    expect([new Set(first).size, mints()]).toEqual([1, 1]);

    // Of an hour, four fifths: until then it is handed out without a request of any kind.
    clock.ahead += 48 * MINUTE - 5_000;
    expect([new Set(await many(50, () => tokenOf(alice))), emulator.requests.entries.length]).toEqual([
      new Set(first),
      0,
    ]);

    clock.ahead += 10_000;
    const next = await many(50, () => tokenOf(alice));
    expect([new Set(next).size, mints()]).toEqual([1, 1]);
  });

  it('is made for each user, and the kept ones do not get in the way of each other', async () => {
    const users = await Promise.all(['a', 'b', 'c'].map(enter));
    const tokens = await many(4, () => Promise.all(users.map(tokenOf)));
    expect([new Set(tokens.flat()).size, mints()]).toEqual([3, 3]);
  });
});

describe('A new master key', () => {
  const opens = async (token: string): Promise<boolean> => {
    const client = new CosmosClient({
      endpoint: emulator.endpoint,
      tokenProvider: () => Promise.resolve(token),
      connectionPolicy: { enablePartitionLevelFailover: false },
    });
    try {
      await client
        .database(DATABASE)
        .container(DOCUMENTS)
        .items.query('SELECT * FROM c', { partitionKey: 'user:alice' })
        .fetchAll();
      return true;
    } catch {
      return false;
    } finally {
      client.dispose();
    }
  };

  it('is noticed with the next token that is made; until then a kept one is handed out, and then no more', async () => {
    const [alice, bob] = [await enter('alice'), await enter('bob')];
    const kept = await tokenOf(alice);
    expect(await opens(kept)).toBe(true);
    emulator.regenerateKey('primary');
    expect(await tokenOf(alice)).toBe(kept);
    expect(await opens(kept)).toBe(false);
    // His is made, for which the old key no longer does.
    await tokenOf(bob);
    const next = await tokenOf(alice);
    expect(next).not.toBe(kept);
    expect(await opens(next)).toBe(true);
  });
});

describe('While the deny list cannot be read', () => {
  const breakList = () =>
    emulator.faults.add({
      partitionKey: '~denied',
      times: 1_000,
      action: { kind: 'status', status: 500 },
    });
  const listReads = () =>
    emulator.requests.entries.filter(({ partitionKey }) => partitionKey === '["~denied"]').length;
  const until = () => new Date(Date.now() + 86_400_000).toISOString();

  it('the last one is used for twenty refresh times, then nobody gets in, and it recovers by itself', async () => {
    const [alice, mallory] = [await callOf('alice'), await callOf('mallory')];
    const admin = await services.authenticate(await callOf('root'));
    await services.denyList.deny({ target: 'user', userId: 'mallory', until: until() }, admin);
    breakList();
    // Ten minutes of thirty seconds each; somebody asks all the time.
    for (let seconds = 20; seconds < 600; seconds += 20) {
      clock.ahead += 20_000;
      expect((await services.authenticate(alice)).userId).toBe('alice');
      await expect(services.authenticate(mallory)).rejects.toMatchObject({ code: 'access_denied' });
    }
    expect(listReads()).toBeGreaterThan(0);
    clock.ahead += 30_000;
    for (const call of [alice, mallory]) {
      await expect(services.authenticate(call)).rejects.toMatchObject({ name: 'Unavailable' });
    }
    emulator.faults.clear();
    expect((await services.authenticate(alice)).userId).toBe('alice');
    await expect(services.authenticate(mallory)).rejects.toMatchObject({ code: 'access_denied' });
  });

  it('a process that has never read it lets nobody in', async () => {
    breakList();
    await expect(enter('alice')).rejects.toMatchObject({ name: 'Unavailable' });
    emulator.faults.clear();
    expect((await enter('alice')).userId).toBe('alice');
  });

  it('nobody is put on it or taken off it: the administrator is told', async () => {
    const admin = await enter('root');
    breakList();
    const entry = { target: 'user', userId: 'mallory', until: until() } as const;
    await expect(services.denyList.deny(entry, admin)).rejects.toMatchObject({ name: 'Unavailable' });
    await expect(services.denyList.allow('x')).rejects.toMatchObject({ name: 'Unavailable' });
  });
});
