import { setTimeout as sleep } from 'node:timers/promises';
import { serviceMetadataLimit, startEmulator, type Emulator } from '../../emulator/src/index.ts';
import { DATABASE, provision } from '../../local/provision.ts';
import { RequestError } from '../../shared/errors.ts';
import { DOCUMENTS } from '../../shared/cosmos/containers.ts';
import { openCosmos } from '../../shared/cosmos/client.ts';
import { createPermissionStore } from '../../shared/cosmos/permission-store.ts';
import { createBroker, type Broker } from '../../shared/tokens/broker.ts';
import { createMintLimiter } from '../../shared/tokens/mint-limiter.ts';
import { identityOf } from '../support/gateway.ts';

let emulator: Emulator;
const closers: (() => void)[] = [];

beforeEach(async () => {
  emulator = await startEmulator();
  await provision(emulator.endpoint, emulator.key);
  emulator.limits.set({ metadata: serviceMetadataLimit });
  emulator.requests.clear();
});
afterEach(async () => {
  for (const close of closers.splice(0)) close();
  await emulator.dispose();
});

/** The token service of one process, on the real SDK. */
function openBroker(requestUnitsPerSecond = 100, maxWait = 3_000): Broker {
  const client = openCosmos(emulator.endpoint, { key: emulator.key }, { retries: 0 });
  closers.push(() => client.dispose());
  return createBroker(
    {
      endpoint: emulator.endpoint,
      database: DATABASE,
      container: DOCUMENTS,
      privateMode: 'read',
      sharedKinds: new Set(),
      lifetime: 3600,
      maxLifetime: 3600,
    },
    {
      store: createPermissionStore(() => Promise.resolve(client.database(DATABASE))),
      limiter: createMintLimiter(
        { requestUnitsPerSecond, maxWait },
        { now: Date.now, random: Math.random, sleep: (ms) => sleep(ms) },
      ),
      now: Date.now,
      random: Math.random,
    },
  );
}

const ask = { scopes: null, mode: null, lifetime: null };
/** What a user gets: a token, or for how many seconds to stay away. */
const tokenFor = async (broker: Broker, user: string): Promise<string | number> => {
  try {
    return (await broker.tokensFor(identityOf(user), ask, () => undefined)).token;
  } catch (error) {
    if (!(error instanceof RequestError) || error.code !== 'token_service_busy') throw error;
    return Number(error.headers['retry-after']);
  }
};

/** The most request units of metadata in any second. */
function peak(): number {
  const entries = emulator.requests.entries.filter(({ kind }) => kind === 'metadata');
  return Math.max(
    0,
    ...entries.map(({ at }) =>
      entries
        .filter((other) => other.at >= at && other.at < at + 1000)
        .reduce((sum, { charge }) => sum + charge, 0),
    ),
  );
}
const throttled = () => emulator.requests.entries.filter(({ status }) => status === 429).length;

it('ten thousand users at once: each has a token or is told when to come, and the account is never out of metadata', async () => {
  const broker = openBroker();
  const users = Array.from({ length: 10_000 }, (_, index) => `user-${index}`);
  const started = Date.now();
  const answers = await Promise.all(users.map((user) => tokenFor(broker, user)));
  const seconds = (Date.now() - started) / 1000;
  const served = answers.filter((answer) => typeof answer === 'string');
  const sentAway = answers.filter((answer) => typeof answer === 'number');
  // A new user costs three requests: the permission of nobody, the user, the permission.
  expect(served.length).toBeGreaterThan(15);
  expect(served.length + sentAway.length).toBe(10_000);
  // They come back over time, not as the crowd that they were.
  expect(Math.min(...sentAway)).toBeGreaterThanOrEqual(3);
  expect(Math.max(...sentAway)).toBeLessThanOrEqual(330);
  expect(new Set(sentAway).size).toBeGreaterThan(100);
  expect(throttled()).toBe(0);
  expect(peak()).toBeLessThanOrEqual(serviceMetadataLimit);
  expect(seconds).toBeLessThan(20);
  // Who has a token goes on having it, whatever the crowd does.
  expect(await tokenFor(broker, 'user-0')).toBe(answers[0]);
}, 60_000);

it('those who come back when they are told are all served in the end', async () => {
  const broker = openBroker(200, 300);
  const waits: number[] = [];
  const untilServed = async (user: string): Promise<string> => {
    for (;;) {
      const answer = await tokenFor(broker, user);
      if (typeof answer === 'string') return answer;
      waits.push(answer);
      await sleep(answer * 1000);
    }
  };
  const tokens = await Promise.all(Array.from({ length: 60 }, (_, index) => untilServed(`user-${index}`)));
  expect(new Set(tokens).size).toBe(60);
  expect(waits.length).toBeGreaterThan(20);
  expect(throttled()).toBe(0);
}, 60_000);

it('several processes that know nothing of each other slow down when the account throttles, and all are served', async () => {
  // Few enough that a machine which is busy with other things gets there, too.
  emulator.limits.set({ metadata: 120 });
  const brokers = [1, 2, 3].map(() => openBroker(200, 60_000));
  const answers = await Promise.all(
    brokers.flatMap((broker, process) =>
      Array.from({ length: 25 }, (_, index) => tokenFor(broker, `p${process}-${index}`)),
    ),
  );
  expect(answers.filter((answer) => typeof answer === 'string')).toHaveLength(75);
  // Three at 200 RU/s are more than this account has; without slowing down most requests would be refused.
  const { entries } = emulator.requests;
  expect(throttled()).toBeGreaterThan(0);
  expect(throttled() / entries.length).toBeLessThan(0.3);
}, 60_000);
