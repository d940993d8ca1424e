import fc from 'fast-check';
import { Replica, type Address } from '../../client/src/index.ts';
import type { SyncRequest, SyncResponse } from '../../shared/protocol/index.ts';
import { startGateway, type Gateway } from '../support/gateway.ts';

/**
 * Two devices of one user edit the same few documents, with clocks that are wrong, over a network that loses and
 * doubles; then everything is synced until nothing is pending. Whatever happened, both hold the same, and no edit is
 * gone without a trace.
 */

/** More by hand: PROPERTY_RUNS=5000 npm test -- convergence */
const RUNS = Number(process.env['PROPERTY_RUNS'] ?? 60);

type Step =
  | { readonly kind: 'put' | 'remove'; readonly device: number; readonly id: number }
  | {
      readonly kind: 'sync';
      readonly device: number;
      readonly fate: 'answered' | 'answer lost' | 'sent twice' | 'late twin';
    };

const device = fc.nat({ max: 1 });
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('put' as const), device, id: fc.nat({ max: 2 }) }) },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant('remove' as const), device, id: fc.nat({ max: 2 }) }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant('sync' as const),
      device,
      fate: fc.constantFrom('answered', 'answer lost', 'sent twice', 'late twin'),
    }),
  },
);

let gateway: Gateway;
beforeAll(async () => {
  gateway = await startGateway();
});
afterAll(() => gateway.dispose());

let users = 0;

async function play(steps: readonly Step[], skews: readonly [number, number]): Promise<void> {
  users += 1;
  const user = `u${users}`;
  let ids = 0;
  const createId = () => `${user}-${(ids += 1)}`;
  const devices = skews.map(
    (skew, index) =>
      new Replica({
        userId: user,
        deviceId: `d${index}`,
        collections: ['items'],
        now: () => Date.now() + skew,
        createId,
      }),
  );
  const at = (id: number): Address => ({
    scope: `user:${user}`,
    collection: 'items',
    documentId: String(id),
  });
  const send = (request: SyncRequest): Promise<SyncResponse> => gateway.sync(user, request);

  let edits = 0;
  const written: string[] = [];
  /** Edits whose author had them before the eyes when making the next one. */
  const replacedKnowingly = new Set<unknown>();
  const late: SyncRequest[] = [];

  for (const move of steps) {
    const replica = devices[move.device]!;
    if (move.kind === 'sync') {
      const request = replica.request();
      if (move.fate === 'late twin') late.push(request);
      if (move.fate === 'sent twice') await send(request);
      const response = await send(request);
      if (move.fate !== 'answer lost') replica.take(request, response);
      continue;
    }
    replacedKnowingly.add(replica.get(at(move.id))?.['edit']);
    if (move.kind === 'remove') {
      replica.remove(at(move.id));
    } else {
      const edit = `${user}/${(edits += 1)}`;
      written.push(edit);
      replica.put(at(move.id), { edit });
    }
  }

  // Requests that the network held back arrive when everybody has gone on.
  for (const request of late) await send(request);
  for (let round = 0; round < 3; round += 1) {
    for (const replica of devices) {
      for (let more = true; more;) {
        const request = replica.request();
        more = replica.take(request, await send(request));
      }
    }
  }

  const [first, second] = devices.map((replica) => replica.documents());
  expect(second).toEqual(first);
  expect(devices.map(({ pending, rejected }) => [pending, rejected])).toEqual([
    [0, []],
    [0, []],
  ]);

  const stored = await gateway.items(`user:${user}`);
  const contentOf = (value: unknown) => (value as { edit?: unknown } | null | undefined)?.edit;
  const live = new Map(
    stored
      .filter(
        ({ collection, deleted, lost }) => collection === 'items' && deleted === false && lost === undefined,
      )
      .map((item) => [`user:${user}/items/${String(item['documentId'])}`, item['data']]),
  );
  expect(first).toEqual(live);
  const logged = new Set(
    stored.flatMap(({ lost }) => (lost === undefined ? [] : [contentOf((lost as { data: unknown }).data)])),
  );
  const held = new Set([...live.values()].map(contentOf));
  const vanished = written.filter(
    (edit) => !held.has(edit) && !logged.has(edit) && !replacedKnowingly.has(edit),
  );
  expect(vanished).toEqual([]);
}

it(
  'two devices converge, and no edit vanishes without being replaced knowingly or logged',
  async () => {
    const skew = fc.constantFrom(0, -3_600_000, 86_400_000);
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 4, maxLength: 24 }), fc.tuple(skew, skew), play),
      {
        numRuns: RUNS,
      },
    );
  },
  RUNS * 1000,
);
