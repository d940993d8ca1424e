import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CosmosClient } from '@azure/cosmos';
import type { Container } from '@azure/cosmos';
import { startEmulator } from '../src/index.ts';
import { startFrom } from './with-emulator.ts';

const cli = join(__dirname, '..', 'src', 'cli.ts');

interface Server {
  readonly process: ChildProcess;
  readonly endpoint: string;
  readonly key: string;
}

async function launch(data: string): Promise<Server> {
  const child = spawn(
    process.execPath,
    ['--disable-warning=ExperimentalWarning', cli, '--json', '--data', data],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  );
  const line = await new Promise<string>((resolve, reject) => {
    child.stdout.once('data', (chunk: Buffer) => resolve(chunk.toString()));
    child.once('exit', (code) => reject(new Error(`The emulator ended with ${String(code)}.`)));
  });
  const { endpoint, key } = JSON.parse(line) as { endpoint: string; key: string };
  return { process: child, endpoint, key };
}

const ended = (child: ChildProcess): Promise<number | null> =>
  new Promise((resolve) => child.once('exit', resolve));

/** A folder of its own for the data, removed whatever happens. */
async function withFolder(work: (data: string) => Promise<void>): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'cosmos-emulator-'));
  try {
    await work(join(folder, 'data.db'));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Batches of ten, one after the other, until the server is gone. Answers the numbers of the acknowledged ones. */
async function writeUntilKilled(
  container: Container,
  from: number,
): Promise<{ acknowledged: number[]; next: number }> {
  const acknowledged: number[] = [];
  for (let number = from; ; number++) {
    try {
      await container.items.batch(
        Array.from({ length: 10 }, (_, n) => ({
          operationType: 'Create' as const,
          resourceBody: { id: `${number}-${n}`, pk: 'p', batch: number },
        })),
        'p',
      );
      acknowledged.push(number);
    } catch {
      return { acknowledged, next: number + 1 };
    }
  }
}

async function storedBatches(container: Container): Promise<Map<number, number>> {
  const feed = container.items.getChangeFeedIterator({
    changeFeedStartFrom: startFrom.beginning('p'),
    maxItemCount: 1000,
  });
  const counts = new Map<number, number>();
  for (;;) {
    const { statusCode, result } = await feed.readNext();
    if (statusCode === 304) return counts;
    for (const document of result as unknown as { batch: number }[])
      counts.set(document.batch, (counts.get(document.batch) ?? 0) + 1);
  }
}

/** More by hand: KILL_ROUNDS=200 npm test -- durability */
const rounds = Number(process.env['KILL_ROUNDS'] ?? 4);

it(
  'SIGKILL under write load loses no acknowledged batch and leaves none half done',
  async () => {
    await withFolder(async (data) => {
      const acknowledged: number[] = [];
      let next = 0;
      for (let round = 0; round < rounds; round++) {
        const server = await launch(data);
        const client = new CosmosClient({
          endpoint: server.endpoint,
          key: server.key,
          connectionPolicy: { enableEndpointDiscovery: false },
        });
        try {
          const { database } = await client.databases.createIfNotExists({ id: 'db' });
          const { container } = await database.containers.createIfNotExists({
            id: 'items',
            partitionKey: { paths: ['/pk'] },
          });
          const gone = ended(server.process);
          // Every round dies a little later in the stream of writes, at no particular point of any of them.
          const timer = setTimeout(() => server.process.kill('SIGKILL'), 60 + ((round * 37) % 400));
          const written = await writeUntilKilled(container, next);
          clearTimeout(timer);
          await gone;
          acknowledged.push(...written.acknowledged);
          next = written.next;
        } finally {
          client.dispose();
          server.process.kill('SIGKILL');
        }
      }
      const emulator = await startEmulator({ data });
      const client = new CosmosClient({ endpoint: emulator.endpoint, key: emulator.key });
      try {
        const stored = await storedBatches(client.database('db').container('items'));
        expect(acknowledged.length).toBeGreaterThan(0);
        expect(acknowledged.filter((number) => stored.get(number) !== 10)).toEqual([]);
        expect([...stored.values()].every((count) => count === 10)).toBe(true);
      } finally {
        client.dispose();
        await emulator.dispose();
      }
    });
  },
  Math.max(30_000, rounds * 3_000),
);

it('a second emulator on the same file is refused, and says why', async () => {
  await withFolder(async (data) => {
    const first = await startEmulator({ data });
    try {
      await expect(startEmulator({ data })).rejects.toThrow(/another emulator/);
    } finally {
      await first.dispose();
    }
    await (await startEmulator({ data })).dispose();
  });
}, 20_000);

it('SIGTERM ends the tool cleanly, and the data, the key and the feed positions are there next time', async () => {
  await withFolder(async (data) => {
    const server = await launch(data);
    const client = new CosmosClient({ endpoint: server.endpoint, key: server.key });
    const { database } = await client.databases.create({ id: 'db' });
    const { container } = await database.containers.create({ id: 'items', partitionKey: { paths: ['/pk'] } });
    await container.items.create({ id: 'a', pk: 'p' });
    await container.items.create({ id: 'b', pk: 'p' });
    await container.item('b', 'p').delete();
    client.dispose();
    const gone = ended(server.process);
    server.process.kill('SIGTERM');
    expect(await gone).toBe(0);
    const emulator = await startEmulator({ data });
    const again = new CosmosClient({ endpoint: emulator.endpoint, key: server.key });
    try {
      const items = again.database('db').container('items');
      expect((await items.item('a', 'p').read()).statusCode).toBe(200);
      // The number of the deleted document's change is spent: a new change gets the next one.
      expect((await items.items.create({ id: 'c', pk: 'p' })).headers['lsn']).toBe('4');
    } finally {
      again.dispose();
      await emulator.dispose();
    }
  });
}, 20_000);
