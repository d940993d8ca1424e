import { once } from 'node:events';
import { Agent, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { CosmosClient } from '@azure/cosmos';
import { startEmulator } from '../src/index.ts';
import { perSecond } from './emulator-bench.ts';

/**
 * The same work on this emulator and on @vercel/cosmosdb-server, where that is installed (it brings 436 packages along,
 * so it is no dependency: `npm install --no-save @vercel/cosmosdb-server@1.0.1`). It holds everything in memory and
 * checks no key; so this one keeps its data in memory here, and goes on checking keys. Both over TLS, which the other one
 * insists on.
 */
export interface Comparison {
  readonly name: string;
  /** Per second. */
  readonly emulator: number;
  readonly other: number;
}

const documents = 1_000;
const queries = 50;
const other = '@vercel/cosmosdb-server';

async function measure(endpoint: string, key: string): Promise<readonly [number, number, number]> {
  const client = new CosmosClient({
    endpoint,
    key,
    // Both bring a certificate of their own making.
    agent: new Agent({ keepAlive: true, rejectUnauthorized: false }),
    connectionPolicy: { enablePartitionLevelFailover: false },
  });
  try {
    const { database } = await client.databases.create({ id: 'bench' });
    const { container } = await database.containers.create({ id: 'items', partitionKey: { paths: ['/pk'] } });
    const creates = await perSecond(documents, async () => {
      for (let n = 0; n < documents; n += 1) await container.items.create({ id: `d${n}`, pk: 'p', n });
    });
    const reads = await perSecond(documents, async () => {
      for (let n = 0; n < documents; n += 1) {
        const { resource } = await container.item(`d${n}`, 'p').read<{ n: number }>();
        if (resource?.n !== n) throw new Error(`d${n} was not read.`);
      }
    });
    const found = await perSecond(queries, async () => {
      for (let n = 0; n < queries; n += 1) {
        const query = { query: 'SELECT * FROM c WHERE c.n = @n', parameters: [{ name: '@n', value: n }] };
        const { resources } = await container.items.query(query, { partitionKey: 'p' }).fetchAll();
        if (resources.length !== 1)
          throw new Error(`The query for ${n} found ${resources.length} documents.`);
      }
    });
    return [creates, reads, found];
  } finally {
    client.dispose();
  }
}

/** Null where the other emulator is not installed. */
export async function compareEmulators(): Promise<Comparison[] | null> {
  const module = await (import(other) as Promise<{ createHttpsServer: () => Server }>).catch(() => null);
  if (module === null) return null;
  const server = module.createHttpsServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const emulator = await startEmulator({ https: true });
  try {
    const { port } = server.address() as AddressInfo;
    const own = await measure(emulator.endpoint, emulator.key);
    const others = await measure(`https://127.0.0.1:${port}/`, emulator.key);
    return [
      'creates, one after the other',
      'point reads, one after the other',
      'queries for 1 of 1000 documents',
    ].map((name, index) => ({ name, emulator: own[index] ?? 0, other: others[index] ?? 0 }));
  } finally {
    server.close();
    server.closeAllConnections();
    await emulator.dispose();
  }
}
