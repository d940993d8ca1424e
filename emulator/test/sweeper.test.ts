import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import type { Container, OperationInput } from '@azure/cosmos';
import { SqliteStore } from '../src/storage/sqlite-store.ts';
import { Sweeper } from '../src/storage/sweeper.ts';
import { withEmulator } from './with-emulator.ts';

const start = Date.now();

/** What is in the file after documents were made at the start and sweeps done at a later time. */
async function leftAfter(
  seconds: number,
  make: (containers: { off: Container; own: Container; all: Container }) => Promise<void>,
): Promise<{ left: unknown[]; rounds: boolean[] }> {
  const directory = mkdtempSync(join(tmpdir(), 'sweeper-'));
  const data = join(directory, 'cosmos.db');
  try {
    await withEmulator(
      async ({ database, container }) => {
        const partitionKey = { paths: ['/pk'] };
        const { container: off } = await database.containers.create({ id: 'off', partitionKey });
        const { container: all } = await database.containers.create({
          id: 'all',
          partitionKey,
          defaultTtl: 60,
        });
        await make({ off, own: container, all });
      },
      { data, durability: 'normal', now: () => start },
    );
    const store = new SqliteStore(data, 'normal');
    const sweeper = new Sweeper(store, () => start + seconds * 1000);
    const rounds = [sweeper.sweep(), sweeper.sweep()];
    store.close();
    const db = new DatabaseSync(data);
    const left = db
      .prepare('SELECT id FROM documents ORDER BY id')
      .all()
      .map(({ id }) => id);
    db.close();
    return { left, rounds };
  } finally {
    rmSync(directory, { recursive: true });
  }
}

describe('the sweeper', () => {
  it('removes what is expired from the file, and nothing else', async () => {
    const { left } = await leftAfter(30, async ({ off, own, all }) => {
      // Time to live is off in the first container, and left to each document in the second.
      await off.items.create({ id: 'off-5', pk: 'p', ttl: 5 });
      await own.items.create({ id: 'own-5', pk: 'p', ttl: 5 });
      await own.items.create({ id: 'own-31', pk: 'p', ttl: 31 });
      await own.items.create({ id: 'own-none', pk: 'p' });
      await all.items.create({ id: 'all-5', pk: 'p', ttl: 5 });
      await all.items.create({ id: 'all-60', pk: 'p' });
      await all.items.create({ id: 'all-never', pk: 'p', ttl: -1 });
    });
    expect(left).toEqual(['all-60', 'all-never', 'off-5', 'own-31', 'own-none']);
  });

  it('goes on where it stopped, and begins again at the end', async () => {
    const { left, rounds } = await leftAfter(30, async ({ own }) => {
      for (let batch = 0; batch < 21; batch++) {
        const operations = Array.from({ length: 100 }, (_, n): OperationInput => ({
          operationType: 'Create',
          resourceBody: { id: `${batch * 100 + n}`, pk: 'p', ttl: 5 },
        }));
        await own.items.batch(operations, 'p');
      }
    });
    expect(rounds).toEqual([false, true]);
    expect(left).toEqual([]);
  });
});
