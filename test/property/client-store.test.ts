import fc from 'fast-check';
import { Replica, type Address } from '../../client/src/index.ts';
import type { SyncRequest } from '../../shared/protocol/index.ts';
import { startGateway, type Gateway } from '../support/gateway.ts';
import { SqlDevice } from '../support/sql-device.ts';

/**
 * The store of the SDK against the real gateway, beside rows in memory: upserts, patches and deletes on two devices, lost and
 * doubled answers, processes that end between any two steps. In the end both hold what is stored, and nothing is pending.
 */

/** More by hand: PROPERTY_RUNS=3000 npm test -- client-store */
const RUNS = Number(process.env['PROPERTY_RUNS'] ?? 30);

type Step =
  | { readonly kind: 'put' | 'patch' | 'remove' | 'restart'; readonly device: number; readonly id: number }
  | {
      readonly kind: 'sync';
      readonly device: number;
      readonly fate: 'answered' | 'answer lost' | 'sent twice';
    };

const device = fc.nat({ max: 1 });
const local = (kind: 'put' | 'patch' | 'remove' | 'restart') =>
  fc.record({ kind: fc.constant(kind), device, id: fc.nat({ max: 2 }) });
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 3, arbitrary: local('put') },
  { weight: 3, arbitrary: local('patch') },
  { weight: 1, arbitrary: local('remove') },
  { weight: 1, arbitrary: local('restart') },
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant('sync' as const),
      device,
      fate: fc.constantFrom('answered', 'answer lost', 'sent twice'),
    }),
  },
);

let gateway: Gateway;
beforeAll(async () => {
  gateway = await startGateway();
});
afterAll(() => gateway.dispose());

let users = 0;

async function play(steps: readonly Step[], maxChanges: number): Promise<void> {
  users += 1;
  const userId = `s${users}`;
  let ids = 0;
  const common = {
    userId,
    collections: ['items'],
    now: Date.now,
    createId: () => `${userId}-${(ids += 1)}`,
  };
  const phone = new SqlDevice({ ...common, maxChanges });
  const tablet = new Replica({ ...common, deviceId: 'tablet', batchSize: maxChanges });
  const at = (id: number): Address => ({
    scope: `user:${userId}`,
    collection: 'items',
    documentId: String(id),
  });
  const sync = async (which: number, fate: string): Promise<boolean> => {
    const target = which === 0 ? phone : tablet;
    const request: SyncRequest = target.request();
    if (fate === 'sent twice') await gateway.sync(userId, request);
    const response = await gateway.sync(userId, request);
    return fate === 'answer lost' || target.take(request, response);
  };

  let edits = 0;
  for (const move of steps) {
    if (move.kind === 'sync') {
      await sync(move.device, move.fate);
      continue;
    }
    const target = move.device === 0 ? phone : tablet;
    const address = at(move.id);
    edits += 1;
    if (move.kind === 'put') target.put(address, { edit: edits, [`k${edits % 3}`]: edits });
    if (move.kind === 'remove') target.remove(address);
    if (move.kind === 'restart') phone.restart();
    if (move.kind === 'patch' && phone.get(address) !== null) {
      phone.patch(address, {
        [`k${edits % 3}`]: edits % 2 === 0 ? edits : null,
        deep: { [`d${edits % 2}`]: edits },
      });
    }
  }
  for (let round = 0; round < 3; round += 1) {
    for (const which of [0, 1]) while (await sync(which, 'answered'));
  }
  expect(phone.documents()).toEqual(new Map([...tablet.documents()].sort(([a], [b]) => (a < b ? -1 : 1))));
  expect([phone.pending, phone.rejected, tablet.pending]).toEqual([0, [], 0]);
  const stored = new Map(
    (await gateway.items(`user:${userId}`))
      .filter(({ id, deleted }) => String(id).startsWith('items:') && deleted === false)
      .map(({ documentId, data }) => [`user:${userId}/items/${String(documentId)}`, data]),
  );
  expect(phone.documents()).toEqual(stored);
}

it(
  'a device on SQLite and one in memory come to hold what is stored',
  async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 4, maxLength: 24 }), fc.constantFrom(1, 2, 1000), play),
      { numRuns: RUNS },
    );
  },
  RUNS * 1000,
);
