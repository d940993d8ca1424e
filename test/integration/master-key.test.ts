import { setTimeout as sleep } from 'node:timers/promises';
import type { CosmosClient } from '@azure/cosmos';
import { startEmulator, type Emulator } from '../../emulator/src/index.ts';
import { DATABASE, provision } from '../../local/provision.ts';
import { DOCUMENTS } from '../../shared/cosmos/containers.ts';
import { openCosmos } from '../../shared/cosmos/client.ts';
import { createDocumentStore } from '../../shared/cosmos/document-store.ts';
import { createPermissionStore } from '../../shared/cosmos/permission-store.ts';
import { createKeyProvider } from '../../shared/tokens/key-provider.ts';
import { change, openGateway, request } from '../support/gateway.ts';
import { startKeyVault, type KeyVault } from '../support/key-vault.ts';

const PRIMARY = 'cosmos-primary-key';
const SECONDARY = 'cosmos-secondary-key';

let emulator: Emulator;
let vault: KeyVault;
let clients: CosmosClient[];

beforeEach(async () => {
  emulator = await startEmulator();
  await provision(emulator.endpoint, emulator.key);
  vault = await startKeyVault({ [PRIMARY]: emulator.key, [SECONDARY]: emulator.secondaryKey });
  clients = [];
});
afterEach(async () => {
  for (const client of clients) client.dispose();
  await emulator.dispose();
  await vault.dispose();
});

/** The app's own way to the account: the real SecretClient, the real Cosmos DB client, the stores on top. */
function open() {
  const clock = { skipped: 0 };
  let changes = 0;
  const keys = createKeyProvider(
    {
      kind: 'vault',
      uri: vault.uri,
      secrets: [PRIMARY, SECONDARY],
      credential: vault.credential,
      options: vault.options,
    },
    { now: () => Date.now() + clock.skipped, random: () => 0, onChange: () => (changes += 1) },
  );
  const client = openCosmos(emulator.endpoint, { keys });
  clients.push(client);
  const database = client.database(DATABASE);
  return {
    keys,
    clock,
    changes: () => changes,
    documents: createDocumentStore(() => Promise.resolve(database.container(DOCUMENTS))),
    permissions: createPermissionStore(() => Promise.resolve(database)),
  };
}

const mintFor = (user: string) => ({
  user,
  scope: `user:${user}`,
  container: DOCUMENTS,
  mode: 'read' as const,
  lifetime: 600,
});
const reads = () => vault.requests.filter((name) => name !== 'challenge');

it('is read from Key Vault with its challenge, once for everything that needs it at the same time', async () => {
  const { documents, permissions } = open();
  await Promise.all([
    documents.incarnation(),
    ...['a', 'b', 'c'].map((user) => permissions.mint(mintFor(user))),
  ]);
  expect(vault.requests).toEqual(['challenge', PRIMARY]);
  await permissions.mint(mintFor('d'));
  expect(vault.requests).toEqual(['challenge', PRIMARY]);
});

it('is read ahead of time in the background, and nobody waits for it', async () => {
  const { keys, clock } = open();
  const { key } = emulator;
  await keys.get();
  clock.skipped += 10 * 60_000;
  vault.mode = 'silent';
  const started = performance.now();
  expect(await Promise.all([keys.get(), keys.get()])).toEqual([key, key]);
  expect(performance.now() - started).toBeLessThan(1_000);
});

it('is read ahead of time once for all who use it then, and a new one takes its place without a refused request', async () => {
  const { keys, clock, permissions, changes } = open();
  await Promise.all(Array.from({ length: 20 }, () => keys.get()));
  expect(reads()).toEqual([PRIMARY]);
  // Nine minutes and 59 seconds: the vault is left alone.
  clock.skipped += 10 * 60_000 - 1_000;
  await Promise.all(Array.from({ length: 20 }, () => keys.get()));
  expect(reads()).toEqual([PRIMARY]);
  vault.secrets.set(PRIMARY, emulator.secondaryKey);
  clock.skipped += 2_000;
  const given = await Promise.all(Array.from({ length: 20 }, () => keys.get()));
  expect(new Set(given)).toEqual(new Set([emulator.key]));
  while (changes() === 0) await sleep(5);
  expect(reads()).toEqual([PRIMARY, PRIMARY]);
  expect(await keys.get()).toBe(emulator.secondaryKey);
  emulator.regenerateKey('primary');
  emulator.requests.clear();
  await permissions.mint(mintFor('a'));
  expect(emulator.requests.entries.filter(({ status }) => status === 401)).toEqual([]);
  expect(reads()).toEqual([PRIMARY, PRIMARY]);
});

it('is changed, both keys in turn, under load: no request fails', async () => {
  const { documents, permissions, changes } = open();
  const gateway = openGateway(emulator.endpoint, emulator.key);
  const failures: unknown[] = [];
  let done = 0;
  let isOver = false;

  const minting = async (user: string): Promise<void> => {
    while (!isOver) {
      await permissions.mint(mintFor(user)).then(
        () => (done += 1),
        (error: unknown) => failures.push(error),
      );
    }
  };
  const syncing = async (user: string): Promise<void> => {
    let claim: { seq: number; changeId: string } | null = null;
    for (let seq = 1; !isOver; seq += 1) {
      const body = request(user, [change(`d${seq}`, seq)], claim, { streams: { [`user:${user}`]: claim } });
      const answer = await gateway.sync(user, body, {}, documents).catch((error: unknown) => {
        failures.push(error);
        return null;
      });
      if (answer === null) return;
      expect(answer.results[0]?.status).toBe('applied');
      claim = { seq, changeId: `c${seq}` };
      done += 1;
    }
  };
  const load = [...['a', 'b', 'c'].map(minting), ...['x', 'y', 'z'].map(syncing)];
  /** Waits until as much again was done with the key of the moment. */
  const goOn = async (count = 40): Promise<void> => {
    const until = done + count;
    while (done < until && failures.length === 0) await sleep(2);
  };
  try {
    await goOn();
    // As an operator does it: the key that is not in use first, then the one in use.
    vault.secrets.set(SECONDARY, emulator.regenerateKey('secondary'));
    await goOn();
    const primary = emulator.regenerateKey('primary');
    await goOn();
    vault.secrets.set(PRIMARY, primary);
    await goOn();
    // And once more, now the other way round, with the vault behind each time.
    const secondary = emulator.regenerateKey('secondary');
    await goOn();
    vault.secrets.set(SECONDARY, secondary);
    vault.secrets.set(PRIMARY, emulator.regenerateKey('primary'));
    await goOn();
  } finally {
    isOver = true;
    await Promise.all(load);
    gateway.close();
  }
  expect(failures).toEqual([]);
  const refused = emulator.requests.entries.filter(({ status }) => status === 401).length;
  // Requests did meet the end of a key, each of the three changes of the one in use, and were repeated.
  expect(refused).toBeGreaterThanOrEqual(3);
  expect(changes()).toBe(3);
  // The vault is asked when a key ends, not for each refused request.
  expect(reads().length).toBeLessThanOrEqual(1 + 3 * 2);
}, 60_000);

it('that Cosmos DB refuses, both of them, is told as unavailable, and the vault is not asked for each request', async () => {
  emulator.regenerateKey('primary');
  emulator.regenerateKey('secondary');
  const { permissions } = open();
  for (const user of ['a', 'b', 'c', 'd']) {
    await expect(permissions.mint(mintFor(user))).rejects.toMatchObject({ name: 'Unavailable' });
  }
  expect(reads()).toEqual([PRIMARY, PRIMARY, SECONDARY, SECONDARY, PRIMARY]);
});

it.each(['down', 'forbidden'] as const)(
  'is unavailable, with a time to come back, while the vault is %s at the start; it recovers by itself',
  async (mode) => {
    vault.mode = mode;
    const { permissions, clock } = open();
    await expect(permissions.mint(mintFor('a'))).rejects.toMatchObject({
      name: 'Unavailable',
      message: 'The master key cannot be read from Key Vault.',
      retryAfterSeconds: 5,
    });
    vault.mode = 'up';
    clock.skipped += 5_000;
    expect((await permissions.mint(mintFor('a'))).value).toMatch(/^type=resource/);
  },
);

it('goes on being used while the vault is down, also when its time is over', async () => {
  const { permissions, clock } = open();
  await permissions.mint(mintFor('a'));
  vault.mode = 'down';
  for (let minutes = 0; minutes < 120; minutes += 15) {
    clock.skipped += 15 * 60_000;
    expect((await permissions.mint(mintFor('a'))).value).toMatch(/^type=resource/);
  }
});
