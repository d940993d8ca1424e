import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { provision } from '../../local/provision.ts';
import type { DocumentStore } from '../../shared/sync/store.ts';
import { spawnEmulator, type EmulatorProcess } from '../support/emulator-process.ts';
import { change, openGateway, request } from '../support/gateway.ts';
import { mapScopes } from '../support/store.ts';

/**
 * The emulator is killed while a push is being written, and started again on the same file. What was acknowledged is
 * there; what was not is sent again, and is there once.
 */

const BATCHES = 6;
const CHANGES = BATCHES * 99;

let folder: string;
let emulator: EmulatorProcess;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tidemark-test-'));
  emulator = await spawnEmulator(join(folder, 'cosmos.sqlite'));
  await provision(emulator.endpoint, emulator.key);
});
afterAll(async () => {
  await emulator.kill();
  await rm(folder, { recursive: true, force: true });
});

/** A store that calls back when the n-th batch has been sent and is not answered yet, or has just been answered. */
function watched(
  store: DocumentStore,
  at: number,
  moment: 'in flight' | 'answered',
  then: () => Promise<void>,
) {
  let batches = 0;
  const wrapped = mapScopes(store, (scope) => ({
    batch: async (writes) => {
      batches += 1;
      const answer = scope.batch(writes);
      if (batches !== at) return answer;
      if (moment === 'answered') await answer;
      const settled = answer.catch((error: unknown) => error as Error);
      await then();
      const result = await settled;
      if (result instanceof Error) throw result;
      return result;
    },
  }));
  return wrapped;
}

it.each([
  [1, 'in flight'],
  [3, 'in flight'],
  [4, 'answered'],
  [6, 'in flight'],
] as const)(
  'killed at batch %i, %s',
  async (at, moment) => {
    const user = `k${at}`;
    const scope = `user:${user}`;
    const body = {
      ...request(
        'phone',
        Array.from({ length: CHANGES }, (_, index) =>
          change(`d${index}`, index + 1, { changeId: `${user}-${index}` }),
        ),
      ),
      streams: { [scope]: null },
    };
    const gateway = openGateway(emulator.endpoint, emulator.key);
    const port = Number(new URL(emulator.endpoint).port);
    try {
      // Until the emulator dies the answers of whole batches are known to the gateway; the client hears none of them.
      const store = watched(gateway.store, at, moment, () => emulator.kill());
      await expect(gateway.sync(user, body, { deadline: 3000 }, store)).rejects.toThrow('Cosmos DB');
      emulator = await spawnEmulator(join(folder, 'cosmos.sqlite'), port);

      const before = await gateway.items(scope);
      const documents = before.filter(({ collection }) => collection === 'items').length;
      // Whole batches, each with its ledger; every batch that was answered is among them.
      expect(documents % 99).toBe(0);
      expect(documents).toBeGreaterThanOrEqual((moment === 'answered' ? at : at - 1) * 99);
      const ledger = before.find(({ id }) => String(id).startsWith('~ledger:'));
      expect((ledger?.['outcomes'] as string | undefined)?.length ?? 0).toBe(documents);

      const { results } = await gateway.sync(user, body);
      const after = await gateway.items(scope);
      expect(results.map(({ status, outcome }) => outcome ?? status)).toEqual(
        body.changes.map(() => 'applied'),
      );
      expect(results.filter(({ status }) => status === 'duplicate')).toHaveLength(documents);
      expect(after).toHaveLength(CHANGES + 1);
      // What was there was not written again.
      const etags = new Map(before.map(({ id, _etag }) => [id, _etag]));
      expect(
        after.filter(({ id, _etag }) => etags.has(id) && etags.get(id) !== _etag).map(({ id }) => id),
      ).toEqual(documents === CHANGES || ledger === undefined ? [] : [ledger['id']]);

      // And what a client was told stays through another death.
      await emulator.kill();
      emulator = await spawnEmulator(join(folder, 'cosmos.sqlite'), port);
      expect(await gateway.items(scope)).toEqual(after);
    } finally {
      gateway.close();
    }
  },
  30_000,
);
