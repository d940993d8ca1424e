import { ChangeFeedStartFrom, CosmosClient, PartitionKeyDefinitionVersion } from '@azure/cosmos';
import type { Container, ContainerRequest, Database, FeedRange, PartitionKey } from '@azure/cosmos';
import { startEmulator } from '../src/index.ts';
import type { Emulator, EmulatorOptions } from '../src/index.ts';

export interface Bench {
  readonly emulator: Emulator;
  readonly client: CosmosClient;
  readonly database: Database;
  readonly container: Container;
}

/**
 * Runs a test against a fresh emulator with the real SDK, and leaves nothing behind. The container is partitioned by
 * /pk and has time to live switched on.
 */
export async function withEmulator(
  test: (bench: Bench) => Promise<void>,
  options: EmulatorOptions & { container?: Partial<ContainerRequest> } = {},
): Promise<void> {
  const { container: definition, ...rest } = options;
  const emulator = await startEmulator(rest);
  const client = new CosmosClient({ endpoint: emulator.endpoint, key: emulator.key });
  try {
    const { database } = await client.databases.create({ id: 'db' });
    const { container } = await database.containers.create({
      id: 'items',
      partitionKey: { paths: ['/pk'], version: PartitionKeyDefinitionVersion.V2 },
      defaultTtl: -1,
      ...definition,
    });
    emulator.requests.clear();
    await test({ emulator, client, database, container });
  } finally {
    client.dispose();
    await emulator.dispose();
  }
}

/** A client that holds a token and nothing else. */
export function tokenClient(emulator: Emulator, token: string): CosmosClient {
  return new CosmosClient({
    endpoint: emulator.endpoint,
    tokenProvider: () => Promise.resolve(token),
    connectionPolicy: { enablePartitionLevelFailover: false },
  });
}

/** The status of what the SDK throws; 0 where it throws nothing. A batch keeps the status in the cause. */
export async function refusalOf(work: () => Promise<unknown>): Promise<number> {
  try {
    await work();
    return 0;
  } catch (error) {
    const failure = error as { code?: number; cause?: { code?: number } };
    return failure.code ?? failure.cause?.code ?? -1;
  }
}

/** Where a change feed starts. What the SDK makes here is not declared as a ChangeFeedStartFrom, though it is meant to be. */
export const startFrom = {
  beginning: (of?: PartitionKey | FeedRange) =>
    ChangeFeedStartFrom.Beginning(of) as unknown as ChangeFeedStartFrom,
  now: (of?: PartitionKey | FeedRange) => ChangeFeedStartFrom.Now(of) as unknown as ChangeFeedStartFrom,
  time: (time: Date, of?: PartitionKey | FeedRange) =>
    ChangeFeedStartFrom.Time(time, of) as unknown as ChangeFeedStartFrom,
  continuation: (token: string) => ChangeFeedStartFrom.Continuation(token) as unknown as ChangeFeedStartFrom,
};
