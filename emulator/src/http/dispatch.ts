import type { IncomingHttpHeaders } from 'node:http';
import { authenticate } from '../auth/authenticate.ts';
import type { Keys } from '../auth/authenticate.ts';
import { authorize } from '../auth/authorize.ts';
import { handleDocuments, ownerHeaders } from '../documents/handlers.ts';
import { chargeOf } from '../documents/document-writer.ts';
import { keyFromHeader } from '../documents/partition.ts';
import { handleQuery, handleQueryPlan } from '../documents/query.ts';
import { CosmosError, notSupported } from '../errors.ts';
import { canonicalKey } from '../partition/partition-key.ts';
import type { ContainerState } from '../resources/catalog.ts';
import { handleResources } from '../resources/handlers.ts';
import { header } from './context.ts';
import type { Answer, Context, Services } from './context.ts';
import type { Route } from './route.ts';

export interface Request {
  readonly method: string;
  readonly path: string;
  readonly route: Route;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

export interface DispatchServices extends Services {
  readonly keys: Keys;
}

/** One request to one answer. Nothing is read or written before the caller is known and allowed. */
export function dispatch(services: DispatchServices, request: Request): Answer {
  let container: ContainerState | undefined;
  try {
    const { route } = request;
    const caller = authenticate(
      services.keys,
      {
        authorization: header(request, 'authorization'),
        date: header(request, 'x-ms-date') ?? header(request, 'date'),
      },
      request.method,
      route,
      rawLink(request),
      services.now(),
    );
    container = containerOf(services, route);
    authorize(caller, route, { container: container?.model.rid, partitionKey: keyOf(request, container) });
    const context: Context = {
      services,
      route,
      headers: request.headers,
      body: request.body,
      caller,
      container,
    };
    return answerTo(context);
  } catch (error) {
    return refusal(error, container);
  }
}

/** The path as it was sent; for feeds of the parent. Some clients sign it before decoding. */
function rawLink({ path, route }: Request): string {
  const parts = path.split('/').filter((part) => part !== '');
  return (route.feed ? parts.slice(0, -1) : parts).join('/');
}

function containerOf(services: Services, route: Route): ContainerState | undefined {
  const { resource, names } = route;
  const [database, container] = names;
  const under = resource === 'container' || resource === 'document' || resource === 'pkranges';
  return under && database !== undefined && container !== undefined
    ? services.catalog.container(database, container)
    : undefined;
}

function keyOf(request: Request, container: ContainerState | undefined): string | null {
  const text = header(request, 'x-ms-documentdb-partitionkey');
  return text === undefined || container === undefined ? null : canonicalKey(keyFromHeader(container, text));
}

function answerTo(context: Context): Answer {
  const { route, container } = context;
  if (route.resource === 'unknown') throw notSupported(`the resource type '${route.type}'`);
  if (route.resource !== 'document') return handleResources(context);
  if (container === undefined)
    throw new CosmosError(404, 'Owner resource does not exist.', { subStatus: 1003 });
  if (route.operation === 'query') return handleQuery(context, container);
  if (route.operation === 'queryPlan') return handleQueryPlan(context, container);
  return handleDocuments(context, container);
}

/** Every error as an answer with a JSON body. What is not a CosmosError is a defect of the emulator: 500. */
export function refusal(error: unknown, container?: ContainerState): Answer {
  const known =
    error instanceof CosmosError
      ? error
      : new CosmosError(
          500,
          `The emulator failed: ${error instanceof Error ? error.message : String(error)}`,
        );
  return {
    status: known.status,
    charge: chargeOf(known),
    body: JSON.stringify({ code: known.code, message: known.message, ...known.details }),
    headers: {
      ...(container === undefined ? {} : ownerHeaders(container)),
      'x-ms-substatus': String(known.subStatus),
      ...known.headers,
    },
  };
}
