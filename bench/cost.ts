import { startStack, type Stack } from '../local/stack.ts';

/**
 * What typical syncs cost in Cosmos DB, counted by the emulator over the app in dist/app, which has to be built: every request that reached it, of
 * the operation log and the token service too. Counts and request units do not depend on the machine; units are the
 * emulator's, which follow the published ones.
 */
export async function benchCost(): Promise<Record<string, number>> {
  const stack = await startStack({ quiet: true, settings: { RATE_LIMIT_PER_SECOND: '0' } });
  try {
    const phone = await device(stack, 'phone');
    const tablet = await device(stack, 'tablet');
    await phone.sync(0);
    await tablet.sync(0);
    await settled();

    const figures: Record<string, number> = {};
    const measure = async (name: string, work: () => Promise<unknown>): Promise<void> => {
      stack.emulator.requests.clear();
      await work();
      await settled();
      const { entries } = stack.emulator.requests;
      const units = entries.reduce((sum, { charge }) => sum + charge, 0);
      figures[`cost of ${name}, requests`] = entries.length;
      figures[`cost of ${name}, RU`] = Math.round(units * 100) / 100;
    };
    await measure('a sync with nothing to do', () => phone.sync(0));
    await measure('a sync that sends one edit', () => phone.sync(1));
    await measure('a sync that sends ten edits', () => phone.sync(10));
    await measure('a sync that brings eleven documents', () => tablet.sync(0));
    await measure('a sync that sends 99 edits', () => phone.sync(99));
    await measure('a new device that is brought 110 documents', async () =>
      (await device(stack, 'new')).sync(0),
    );
    await measure('a resource token', () => phone.token());
    return figures;
  } finally {
    await stack.dispose();
  }
}

/** The operation log is written in the background, up to five seconds later. */
const settled = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 6_000));

async function device(stack: Stack, deviceId: string) {
  const bearer = await stack.issuerHandle.token({ sub: 'alice' });
  const scope = 'user:alice';
  let seq = 0;
  let stream: object | null = null;
  let checkpoint: string | undefined;
  const headers = { authorization: `Bearer ${bearer}`, 'content-type': 'application/json' };
  return {
    async sync(edits: number): Promise<void> {
      const lastModified = new Date().toISOString();
      const changes = Array.from({ length: edits }, () => {
        seq += 1;
        return {
          changeId: `${deviceId}-${seq}`,
          seq,
          type: 'upsert',
          scope,
          collection: 'items',
          documentId: `${deviceId}-${seq}`,
          baseVersion: null,
          lastModified,
          // About a kilobyte, as documents of apps are.
          data: { title: `Record ${seq}`, text: 'x'.repeat(900) },
        };
      });
      const response = await fetch(`${stack.api}/sync`, {
        method: 'POST',
        headers,
        body: JSON.stringify({
          protocol: 1,
          deviceId,
          clientTime: lastModified,
          collections: ['items'],
          streams: { [scope]: stream },
          ...(checkpoint === undefined ? {} : { checkpoints: { [scope]: checkpoint } }),
          changes,
        }),
      });
      if (!response.ok) throw new Error(`${response.status} ${await response.text()}`);
      const answer = (await response.json()) as {
        checkpoints: Record<string, string>;
        streams: Record<string, object | null>;
        results: { status: string }[];
      };
      const failed = answer.results.find(({ status }) => status !== 'applied');
      if (failed !== undefined) throw new Error(`An edit was ${failed.status}.`);
      checkpoint = answer.checkpoints[scope];
      stream = answer.streams[scope] ?? null;
    },
    async token(): Promise<void> {
      const response = await fetch(`${stack.api}/GetCosmosToken`, { headers });
      if (!response.ok) throw new Error(`${response.status} ${await response.text()}`);
    },
  };
}
