import { directTransport } from '../../client/src/cosmos/index.ts';
import { TidemarkError } from '../../client/src/index.ts';
import type { JsonObject } from '../../shared/conflict/index.ts';
import { RequestError, Unavailable } from '../../shared/errors.ts';
import type { ScopeToken, SyncRequest, SyncResponse } from '../../shared/protocol/index.ts';
import type { Item } from '../../shared/stored/document.ts';
import type { ScopeStore, Write } from '../../shared/sync/store.ts';
import { Crash } from '../support/store.ts';
import { Violation, type GatewayCall } from './world.ts';

/**
 * A request taken straight to the store, by the SDK's direct transport: what it sends to Cosmos DB over HTTP is answered
 * from the store that the gateway of a history would see, so both are watched, interleaved and struck by faults alike.
 */
export async function syncDirectly({ store, user, body, settings, now }: GatewayCall): Promise<SyncResponse> {
  const scope = `user:${user}`;
  const token: ScopeToken = {
    token: 'resource',
    endpoint: 'http://cosmos.test/',
    database: 'd',
    container: 'c',
    partitionKey: [scope],
    scope,
    userId: user,
    mode: 'all',
    expiresAt: '2099-01-01T00:00:00.000Z',
    refreshAfter: '2099-01-01T00:00:00.000Z',
  };
  /** What is no answer of Cosmos DB: the process died, or the checker found something. */
  let thrown: unknown;
  const partition = store.open(scope, null, { requests: 0, requestUnits: 0 }, new AbortController().signal);
  const transport = directTransport({
    tokens: { getToken: () => Promise.resolve(token) },
    retention: settings.retention,
    runtime: {
      now,
      setTimer: () => () => undefined,
      fetch: async (...args) => {
        try {
          return await answer(partition, new Request(...args));
        } catch (error) {
          if (error instanceof Unavailable) return new Response('{}', { status: 503 });
          thrown = error;
          throw error;
        }
      },
    },
  });
  try {
    const request = JSON.parse(JSON.stringify(body)) as SyncRequest;
    return (await transport.send(request, new AbortController().signal)).response;
  } catch (error) {
    if (thrown instanceof Violation || thrown instanceof Crash) throw thrown;
    if (error instanceof TidemarkError && error.code === 'user_mismatch')
      throw new RequestError('user_mismatch');
    if (error instanceof TidemarkError && error.retryable) throw new Unavailable(error.message);
    throw error;
  }
}

type Operation =
  | { readonly operationType: 'Create' | 'Upsert'; readonly resourceBody: Item }
  | { readonly operationType: 'Replace'; readonly ifMatch: string; readonly resourceBody: Item };

async function answer(scope: ScopeStore, request: Request): Promise<Response> {
  const { headers } = request;
  if (headers.has('x-ms-cosmos-is-batch-request')) {
    const operations = (await request.json()) as Operation[];
    const result = await scope.batch(operations.map(toWrite));
    if (result.kind === 'too-large') return new Response('{}', { status: 413 });
    const codes = operations.map((_, index) =>
      result.kind === 'written'
        ? { statusCode: 200, eTag: result.etags[index] }
        : { statusCode: index === result.culprit ? 412 : 424 },
    );
    return Response.json(codes, { status: result.kind === 'written' ? 200 : 207 });
  }
  if (headers.has('x-ms-documentdb-isquery')) {
    const { parameters } = (await request.json()) as { parameters: { value: string }[] };
    const found = await scope.read(parameters.map(({ value }) => value));
    return Response.json({ Documents: [...found.values()] });
  }
  const page = await scope.changes(headers.get('if-none-match'), Number(headers.get('x-ms-max-item-count')));
  if (page === null) return new Response('{}', { status: 400 });
  const { items, continuation, drained } = page;
  if (drained) return new Response(null, { status: 304, headers: { etag: continuation } });
  return Response.json({ Documents: items as JsonObject[] }, { headers: { etag: continuation } });
}

const toWrite = (operation: Operation): Write => {
  const { operationType, resourceBody: item } = operation;
  if (operationType === 'Replace') return { kind: 'replace', item, ifMatch: operation.ifMatch };
  return { kind: operationType === 'Create' ? 'create' : 'upsert', item };
};
