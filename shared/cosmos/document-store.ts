import type { Container, OperationInput, OperationResponse } from '@azure/cosmos';
import { isJsonObject } from '../conflict/index.ts';
import { Unavailable } from '../errors.ts';
import type { BatchResult, DocumentStore, FeedPage, Meter, ScopeStore, Write } from '../sync/store.ts';
import { attempt } from './attempt.ts';

/** Header of the service that names the container which answered, by its resource id. */
const CONTAINER_RID = 'x-ms-content-path';
const CONTAINER_READ_MS = 20_000;

/** The container `documents` as the sync domain sees it. */
export function createDocumentStore(open: () => Promise<Container>): DocumentStore {
  let incarnation: Promise<string> | undefined;
  const read = async (): Promise<string> => {
    const container = await open();
    const { resource } = await attempt(
      'reading the container',
      AbortSignal.timeout(CONTAINER_READ_MS),
      (abortSignal) => container.read({ abortSignal }),
    );
    return resource?._rid ?? '';
  };
  return {
    /** The container's resource id. Read once for each process: it is a metadata request, and those are scarce. */
    incarnation: () => {
      incarnation ??= read().catch((error: unknown) => {
        incarnation = undefined;
        throw error;
      });
      return incarnation;
    },
    open: (scope, session, meter, signal) =>
      openScope(open, scope, session, meter, signal, async (seen) => {
        if (seen === (await incarnation)) return;
        incarnation = undefined;
        throw new Unavailable('The container was replaced by another one of its name.');
      }),
  };
}

function openScope(
  open: () => Promise<Container>,
  scope: string,
  given: string | null,
  meter: Meter,
  signal: AbortSignal,
  /** Told the resource id of the container that answered. */
  checkIncarnation: (seen: string) => Promise<void>,
): ScopeStore {
  /** From the client's checkpoint at first, then from the store's own answers, which are at least as new. */
  let session = given;
  const count = (requests: number, requestUnits: number, newSession: string | undefined): void => {
    meter.requests += requests;
    meter.requestUnits += requestUnits;
    if (newSession !== undefined && newSession !== '') session = newSession;
  };

  /** Makes a call in this session; where the store refuses one that came from a client, without. */
  const withSession = async <T>(
    call: (session: { sessionToken?: string }) => Promise<T | null>,
  ): Promise<T | null> => {
    const asked = session;
    const answer = await call(asked === null ? {} : { sessionToken: asked });
    if (answer !== null || asked === null || asked !== given) return answer;
    session = null;
    return call({});
  };

  return {
    get session() {
      return session;
    },

    async batch(writes): Promise<BatchResult> {
      const container = await open();
      const response = await attempt(
        'writing a batch',
        signal,
        (abortSignal) =>
          container.items.batch(writes.map(toOperation), [scope], {
            contentResponseOnWriteEnabled: false,
            abortSignal,
          }),
        413,
      );
      if (response === null) return { kind: 'too-large' };
      const { result = [], headers } = response;
      count(1, Number(headers['x-ms-request-charge'] ?? 0), sessionOf(headers));
      const culprit = result.findIndex(({ statusCode }) => statusCode >= 400 && statusCode !== 424);
      if (culprit === -1 && result.length === writes.length) {
        return { kind: 'written', etags: result.map(({ eTag }: OperationResponse) => eTag ?? '') };
      }
      return refusal(culprit, result[culprit]?.statusCode);
    },

    async read(ids) {
      const container = await open();
      const query = {
        query: `SELECT * FROM c WHERE c.id IN (${ids.map((_, index) => `@${index}`).join(', ')})`,
        parameters: ids.map((value, index) => ({ name: `@${index}`, value })),
      };
      const page = await withSession((sessionToken) =>
        attempt(
          'reading documents',
          signal,
          (abortSignal) =>
            container.items
              .query<unknown>(query, {
                partitionKey: [scope],
                maxItemCount: -1,
                abortSignal,
                ...sessionToken,
              })
              .fetchAll(),
          400,
        ),
      );
      if (page === null) throw new Unavailable('Cosmos DB, reading documents: status 400');
      // The SDK asks for the query plan beside the query.
      count(2, page.requestCharge, undefined);
      return new Map(page.resources.filter(isJsonObject).map((item) => [String(item['id']), item]));
    },

    async changes(from, maxItems): Promise<FeedPage | null> {
      const container = await open();
      const page = await withSession((sessionToken) => {
        // `getChangeFeedIterator` reads the container first, each time: metadata throughput that a sync must not cost.
        // eslint-disable-next-line @typescript-eslint/no-deprecated
        const feed = container.items.changeFeed<unknown>([scope] as unknown as string, {
          maxItemCount: maxItems,
          ...startOf(from),
          ...sessionToken,
        });
        // The continuation came from a client: that the store does not understand it is no fault of ours.
        return attempt('reading the change feed', signal, () => feed.fetchNext(), 400);
      });
      if (page === null) return null;
      const headers = page.headers as Record<string, unknown>;
      // The SDK's `requestCharge` of a feed page leaves out what is behind the decimal point.
      count(1, Number(headers['x-ms-request-charge'] ?? 0), page.sessionToken);
      const { [CONTAINER_RID]: rid } = headers;
      if (typeof rid === 'string') await checkIncarnation(rid);
      return {
        items: page.result,
        continuation: page.etag,
        drained: page.statusCode === 304,
      };
    },
  };
}

function startOf(from: string | number | null) {
  if (from === null) return { startFromBeginning: true };
  return typeof from === 'string' ? { continuation: from } : { startTime: new Date(from) };
}

function refusal(culprit: number, status: number | undefined): BatchResult {
  if (status === 413) return { kind: 'too-large' };
  // Cosmos DB does not take the content, and never will.
  if (status === 400) return { kind: 'unstorable', culprit };
  // Exists already, is gone, is another version: what is stored is not what was expected.
  if (status === 409 || status === 404 || status === 412) return { kind: 'refused', culprit };
  throw new Unavailable(`Cosmos DB, writing a batch: operation ${culprit} answered ${status ?? 'nothing'}`);
}

function toOperation(write: Write): OperationInput {
  switch (write.kind) {
    case 'create':
      return { operationType: 'Create', resourceBody: { ...write.item } };
    case 'upsert':
      return { operationType: 'Upsert', resourceBody: { ...write.item } };
    case 'replace':
      return {
        operationType: 'Replace',
        id: write.item.id,
        resourceBody: { ...write.item },
        ifMatch: write.ifMatch,
      };
    case 'move-ledger':
      return {
        operationType: 'Patch',
        id: write.id,
        resourceBody: {
          // A ledger may have been written past the gateway: its text is quoted, whatever it holds.
          condition: `FROM c WHERE c.seq = ${write.expected.seq} AND c.changeId = ${JSON.stringify(write.expected.changeId)}`,
          operations: [
            { op: 'set', path: '/seq', value: write.to.seq },
            { op: 'set', path: '/changeId', value: write.to.changeId },
            { op: 'set', path: '/outcomes', value: write.outcomes },
          ],
        },
      };
  }
}

function sessionOf(headers: unknown): string | undefined {
  const token = isJsonObject(headers) ? headers['x-ms-session-token'] : undefined;
  return typeof token === 'string' ? token : undefined;
}
