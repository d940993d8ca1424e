import { startStack } from '../../local/stack.ts';
import { postSync, call } from './api.ts';
import { startIngestion, type Envelope } from './ingestion.ts';

/** What a stack was put through, and everything it told about that. */
export interface Captured {
  readonly envelopes: readonly Envelope[];
  /** All of it, as it went over the wire. */
  readonly text: string;
  /** What must be in no telemetry. */
  readonly secrets: Readonly<Record<string, string>>;
  /** The W3C headers of the calls that Cosmos DB got. */
  readonly traceparents: readonly string[];
}

/** The trace that every sync of `captureTelemetry` belongs to. */
export const TRACE_ID = '0af7651916cd43dd8448eb211c80319c';

/**
 * Puts the built app through everything it has words for, and gives what the real SDK sent to an ingestion endpoint on
 * this machine.
 *
 * @param what `trouble`: all that it can meet. `health`: syncs and a token, and nothing else
 */
export async function captureTelemetry(what: 'trouble' | 'health' = 'trouble'): Promise<Captured> {
  const ingestion = await startIngestion();
  try {
    const stack = await startStack({
      quiet: true,
      onLine: () => undefined,
      settings: { ...ingestion.settings, TELEMETRY_SAMPLING_PERCENT: '100' },
    });
    try {
      const token = await stack.issuerHandle.token({ sub: 'alice.in.wonderland' });
      const sync = (body: object) =>
        postSync(
          stack,
          token,
          { protocol: 1, clientTime: new Date().toISOString(), ...body },
          { traceparent: `00-${TRACE_ID}-00f067aa0ba902b7-01` },
        );
      const edit = (documentId: string, text: string, more: object = {}) => ({
        type: 'upsert',
        collection: 'items',
        documentId,
        lastModified: new Date(Date.now() - 90_000).toISOString(),
        data: { text },
        ...more,
      });
      const mint = async (sub: string) =>
        call(`${stack.api}/GetCosmosToken`, {
          headers: { authorization: `Bearer ${await stack.issuerHandle.token({ sub })}` },
        });
      const { faults } = stack.emulator;
      await sync({ deviceId: 'phone', changes: [edit('rabbit-hole', 'down it went')] });
      if (what === 'health') {
        for (let i = 0; i < 4; i += 1)
          await sync({ deviceId: 'tablet', changes: [edit(`note-${i}`, 'so what')] });
        await mint('alice.in.wonderland');
        await stack.dispose();
        return { envelopes: ingestion.envelopes, text: ingestion.text(), secrets: {}, traceparents: [] };
      }
      // Throttled at first.
      faults.add({
        operation: 'batch',
        times: 2,
        action: { kind: 'status', status: 429, subStatus: 3200, retryAfterMs: 1 },
      });
      // A document made on nothing that is there already: a conflict, and one change that nobody will take in.
      await sync({
        deviceId: 'tablet',
        streams: { 'user:alice.in.wonderland': null },
        changes: [
          edit('rabbit-hole', 'up it came', { changeId: 'c1', seq: 1, baseVersion: null }),
          edit('/', 'nowhere', { changeId: 'c2', seq: 2, baseVersion: null }),
        ],
      });
      await sync({ deviceId: 'phone', checkpoints: { 'user:alice.in.wonderland': 'unreadable' } });
      for (let i = 0; i < 4; i += 1) await postSync(stack, 'not.a.token', { protocol: 1, deviceId: 'phone' });
      faults.add({ operation: 'batch', times: 100, action: { kind: 'status', status: 503 } });
      await sync({ deviceId: 'phone', changes: [edit('rabbit-hole', 'never there')] });
      faults.clear();
      const minted = await mint('alice.in.wonderland');
      faults.add({ resource: 'permission', times: 100, action: { kind: 'status', status: 503 } });
      await mint('hatter');
      faults.clear();
      // A device that was in a drawer, on a day when the database is slow.
      faults.add({ operation: 'batch', times: 1, action: { kind: 'delay', ms: 2_100 } });
      const longAgo = new Date(Date.now() - 40 * 86_400_000).toISOString();
      await sync({ deviceId: 'drawer', changes: [edit('late', 'so late', { lastModified: longAgo })] });
      const traceparents = stack.emulator.requests.entries.flatMap(({ traceparent }) => traceparent ?? []);
      await stack.dispose();
      return {
        envelopes: ingestion.envelopes,
        text: ingestion.text(),
        secrets: {
          'the bearer token': token,
          'the resource token': String(minted.body['token']),
          'the master key': stack.cosmosKey,
          'a user id': 'wonderland',
          'a document id': 'rabbit-hole',
          content: 'it went',
          'other content': 'up it came',
        },
        traceparents,
      };
    } finally {
      await stack.dispose();
    }
  } finally {
    await ingestion.dispose();
  }
}
