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

    // More than a batch, in both the ways that a batch can end; repeated, there is nothing left to do.
    for (let i = 0; i < 230; i += 1)
      await database.container(DOCUMENTS).items.create({ id: `items:n${i}`, scope: 'user:alice' });
    emulator.faults.add({ operation: 'batch', times: 1, action: { kind: 'loseAnswer' } });
    await eraseUser(database, 'alice').catch(() => undefined);
    const rest = await eraseUser(database, 'alice');
    expect(rest.documents).toBeLessThanOrEqual(231);
    expect(await eraseUser(database, 'alice')).toEqual({ documents: 0, activity: 0, users: [] });
    expect(await eraseUser(database, 'alice', false)).toMatchObject({ users: null });

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
