import { CosmosClient, type OperationInput } from '@azure/cosmos';
import { Replica } from '../client/src/index.ts';
import { startEmulator } from '../emulator/src/index.ts';
import { DATABASE, provision } from '../local/provision.ts';
import { DOCUMENTS } from '../shared/cosmos/containers.ts';
import { openCosmos } from '../shared/cosmos/client.ts';
import { createDocumentStore } from '../shared/cosmos/document-store.ts';
import { parseSyncConfig } from '../shared/sync/sync-config.ts';
import { createRules } from '../shared/sync/rules.ts';
import { sync } from '../shared/sync/sync.ts';

const RECORDS = 4_950; // 50 batches of 99
const ROUNDS = 5;

/** Seconds that some work took. */
async function time(work: () => Promise<void>): Promise<number> {
  const started = performance.now();
  await work();
  return (performance.now() - started) / 1000;
}

const median = (values: readonly number[]): number =>
  values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0;

const round2 = (value: number): number => Math.round(value * 100) / 100;

/**
 * What the gateway costs, as ratios against the bare SDK doing the same work on the same emulator in the same run:
 * those hold on any machine. Requests and request units are counted.
 */
export async function benchGateway(): Promise<Record<string, number>> {
  const emulator = await startEmulator();
  await provision(emulator.endpoint, emulator.key);
  const admin = new CosmosClient({ endpoint: emulator.endpoint, key: emulator.key });
  const container = admin.database(DATABASE).container(DOCUMENTS);
  const client = openCosmos(emulator.endpoint, { key: emulator.key });
  const store = createDocumentStore(() => Promise.resolve(client.database(DATABASE).container(DOCUMENTS)));
  const config = parseSyncConfig({ collections: { items: {} } });

  const contentOf = (index: number) => ({
    title: `Record ${index}`,
    done: index % 2 === 0,
    priority: index % 7,
  });

  /** The bare SDK: the same documents, in the same number of transactional batches, with as much envelope. */
  async function bare(scope: string): Promise<void> {
    for (let from = 0; from < RECORDS; from += 99) {
      const operations = Array.from({ length: 100 }, (_, index): OperationInput => ({
        operationType: 'Create',
        resourceBody: {
          id: `items:${from}-${index}`,
          scope,
          collection: 'items',
          documentId: String(from + index),
          userId: scope,
          deviceId: 'bench',
          seq: from + index,
          lastModified: new Date().toISOString(),
          deleted: false,
          ttl: -1,
          data: contentOf(from + index),
        },
      }));
      await container.items.batch(operations, [scope], { contentResponseOnWriteEnabled: false });
    }
  }

  const syncAs = (user: string, body: unknown) =>
    sync(
      body,
      {
        userId: user,
        claimedId: user,
        tokenId: null,
        ownScope: `user:${user}`,
        scopes: [`user:${user}`],
        roles: { general: 'writer', kinds: new Map() },
      },
      {
        store,
        rules: createRules(config, null),
        settings: { config, epoch: '1', retention: 7_776_000, deadline: 60_000 },
        now: Date.now,
        wait: () => 0,
        onMalformed: () => undefined,
      },
    );

  function newDevice(user: string, deviceId: string): Replica {
    const createId = () => crypto.randomUUID();
    return new Replica({
      userId: user,
      deviceId,
      collections: ['items'],
      now: Date.now,
      createId,
      batchSize: 990,
    });
  }

  async function drain(user: string, device: Replica): Promise<void> {
    for (let more = true; more;) {
      const request = device.request();
      more = device.take(request, await syncAs(user, JSON.parse(JSON.stringify(request))));
    }
  }

  const runs: { bare: number; push: number; pull: number; noop: number }[] = [];
  let counted = { requests: 0, requestUnits: 0, bareRequestUnits: 0 };
  for (let round = -1; round < ROUNDS; round += 1) {
    emulator.requests.clear();
    const bareSeconds = await time(() => bare(`bare:${round}`));
    const bareRequestUnits = emulator.requests.entries.reduce((sum, { charge }) => sum + charge, 0);

    const user = `u${round}`;
    const phone = newDevice(user, 'phone');
    for (let index = 0; index < RECORDS; index += 1) {
      phone.put({ scope: `user:${user}`, collection: 'items', documentId: String(index) }, contentOf(index));
    }
    emulator.requests.clear();
    const push = await time(() => drain(user, phone));
    const batches = emulator.requests.entries.filter(({ operation }) => operation === 'batch');
    counted = {
      requests: batches.length,
      requestUnits: batches.reduce((sum, { charge }) => sum + charge, 0),
      bareRequestUnits,
    };
    const tablet = newDevice(user, 'tablet');
    const pull = await time(() => drain(user, tablet));
    const noop =
      (await time(async () => {
        for (let repeat = 0; repeat < 50; repeat += 1) await drain(user, tablet);
      })) / 50;
    // The first round warms up.
    if (round >= 0) runs.push({ bare: bareSeconds, push, pull, noop });
  }
  client.dispose();
  admin.dispose();
  await emulator.dispose();

  return {
    'gateway push, documents per second': Math.round(RECORDS / median(runs.map(({ push }) => push))),
    'bare SDK batches, documents per second': Math.round(
      RECORDS / median(runs.map(({ bare: seconds }) => seconds)),
    ),
    'gateway push over bare SDK': round2(median(runs.map(({ push, bare: seconds }) => seconds / push))),
    'gateway pull, documents per second': Math.round(RECORDS / median(runs.map(({ pull }) => pull))),
    'sync with nothing to do, milliseconds': round2(median(runs.map(({ noop }) => noop)) * 1000),
    'requests that wrote the changes': counted.requests,
    'RU of the push over RU of bare batches': round2(counted.requestUnits / counted.bareRequestUnits),
  };
}
