import { CosmosClient } from '@azure/cosmos';
import { startEmulator } from '../../emulator/src/index.ts';
import { DATABASE, provision } from '../../local/provision.ts';
import { ACTIVITY, DOCUMENTS } from '../../shared/cosmos/containers.ts';
import { eraseUser } from '../../shared/cosmos/erase-user.ts';

it('erasing a user takes documents, logs and Cosmos DB users, and nothing of anybody else', async () => {
  const emulator = await startEmulator();
  const client = new CosmosClient({ endpoint: emulator.endpoint, key: emulator.key });
  try {
    await provision(emulator.endpoint, emulator.key);
    const database = client.database(DATABASE);
    for (const user of ['alice', 'alice2']) {
      await database.container(DOCUMENTS).items.create({ id: 'items:1', scope: `user:${user}` });
      await database.container(ACTIVITY).items.create({ id: '1', userId: user });
      for (const id of [user, `${user}~team`]) await database.users.create({ id });
    }
    await database.container(DOCUMENTS).items.create({ id: 'items:1', scope: 'facility:1', userId: 'alice' });

    expect(await eraseUser(database, 'alice')).toEqual(['alice', 'alice~team']);

    const documents = await database.container(DOCUMENTS).items.readAll<{ scope: string }>().fetchAll();
    expect(documents.resources.map(({ scope }) => scope).sort()).toEqual(['facility:1', 'user:alice2']);
    const records = await database.container(ACTIVITY).items.readAll<{ userId: string }>().fetchAll();
    expect(records.resources.map(({ userId }) => userId)).toEqual(['alice2']);
    const users = await database.users.readAll().fetchAll();
    expect(users.resources.map(({ id }) => id).sort()).toEqual(['alice2', 'alice2~team']);
  } finally {
    client.dispose();
    await emulator.dispose();
  }
});
