import { CosmosClient } from '@azure/cosmos';
import { CONTAINERS } from '../shared/cosmos/containers.ts';

/** Name of the product's database, as Bicep creates it. */
export const DATABASE = 'tidemark';

/** Creates the database and its containers where they are missing; what is there stays as it is. */
export async function provision(endpoint: string, key: string): Promise<void> {
  const client = new CosmosClient({ endpoint, key });
  try {
    const { database } = await client.databases.createIfNotExists({ id: DATABASE });
    for (const container of CONTAINERS) await database.containers.createIfNotExists(container);
  } finally {
    client.dispose();
  }
}
