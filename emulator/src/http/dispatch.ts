import type { IncomingHttpHeaders } from 'node:http';
import { authenticate } from '../auth/authenticate.ts';
import type { Caller, Keys } from '../auth/authenticate.ts';
import type { RoleAssignment } from '../auth/bearer.ts';
import { authorize } from '../auth/authorize.ts';
import { handleDocuments, ownerHeaders } from '../documents/handlers.ts';
import { chargeOf } from '../documents/document-writer.ts';
import { keyFromHeader } from '../documents/partition.ts';
import { sliceOf } from '../documents/feed-slice.ts';
import { rangeHeaders } from '../documents/session.ts';
import { handleQuery, handleQueryPlan } from '../documents/query.ts';
import { CosmosError, notSupported } from '../errors.ts';
import { canonicalKey } from '../partition/partition-key.ts';
import type { ContainerState } from '../resources/catalog.ts';
import { handleResources } from '../resources/handlers.ts';
import { header } from './context.ts';
import type { Answer, Context, Services } from './context.ts';
import type { RequestLog } from './request-log.ts';
import { kindOf } from './route.ts';
import type { Route } from './route.ts';
import type { Throughput } from './throughput.ts';

export interface Request {
  readonly method: string;
  readonly path: string;
  readonly route: Route;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
  readonly bearer?: string | CosmosError | undefined;
}

export interface DispatchServices extends Services {
  readonly keys: Keys;
  readonly throughput: Throughput;
  readonly log: RequestLog;
  readonly assignments: readonly RoleAssignment[];
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
        bearer: request.bearer,
      },
      request.method,
      route,
      rawLink(request),
      services.now(),
    );
    if (route.type === '_explorer') return requestLog(services, caller);
    container = containerOf(services, route);
    const target = {
      container: container?.model.rid,
      partitionKey: keyOf(request, container),
      body: request.body,
    };
    authorize(caller, route, target, services.assignments);
    const context: Context = {
      services,
      route,
      headers: request.headers,
      body: request.body,
      caller,
      container,
    };
    return withinLimits(services.throughput, context);
  } catch (error) {
    return refusal(error, container, request);
  }
}

/** The last requests, for the explorer. Both kinds of account keys may see them; nobody else. */
function requestLog({ log }: DispatchServices, caller: Caller): Answer {
  if (caller.kind !== 'master' && caller.kind !== 'readOnly')
    throw new CosmosError(403, 'Only holders of an account key see the last requests.');
  return { status: 200, charge: 0, body: JSON.stringify(log.entries.slice(-1000)) };
}

/** Refuses with 429 what is over its budget, and books what the rest costs. */
function withinLimits(throughput: Throughput, context: Context): Answer {
  const { route, container } = context;
  // Reading the account and planning a query are not served by the partitions that hold metadata.
  if (route.resource === 'account' || route.operation === 'queryPlan') return answerTo(context);
  const kind = kindOf(route) === 'data' && container !== undefined ? 'partition' : 'metadata';
  const budgets = kind === 'partition' && container ? rangesOf(context, container) : ['account'];
  if (route.operation === 'bulk')
    // Some of its operations may be let in and some not: each has its own answer.
    return answerTo({
      ...context,
      budget: {
        waitFor: () => throughput.waitFor(kind, budgets),
        spend: (charge) => throughput.spend(kind, budgets, charge),
      },
    });
  const wait = throughput.waitFor(kind, budgets);
  if (wait > 0)
    throw new CosmosError(429, 'Request rate is large. More request units are needed; wait and try again.', {
      subStatus: 3200,
      headers: { 'x-ms-retry-after-ms': String(wait) },
    });
  try {
    const answer = answerTo(context);
    throughput.spend(kind, budgets, answer.charge);
    return answer;
  } catch (error) {
    if (error instanceof CosmosError) throughput.spend(kind, budgets, chargeOf(error));
    throw error;
  }
}

function rangesOf(context: Context, container: ContainerState): string[] {
  return sliceOf(context, container).ranges.map(({ id }) => `${container.model.rid}/${id}`);
}

/** The path as it was sent; for feeds of the parent. Some clients sign it before decoding. */
function rawLink({ path, route }: Request): string {
  const parts = path.split('/').filter((part) => part !== '');
  return (route.feed ? parts.slice(0, -1) : parts).join('/');
}

const inContainer: ReadonlySet<string> = new Set(['container', 'document', 'pkranges', 'conflict']);

function containerOf(services: Services, route: Route): ContainerState | undefined {
  const { resource, names } = route;
  const [database, container] = names;
  const under = inContainer.has(resource);
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

/**
 * A document that is not there is news of its partition too: the session token says as of when. A partition in which
 * nothing was ever written has no news.
 */
function sessionOf(request: Request, container: ContainerState): Record<string, string> {
  if (request.route.resource !== 'document' || request.route.operation === 'queryPlan') return {};
  try {
    const { ranges } = sliceOf(request, container);
    return ranges.some(({ lsn }) => lsn > 0) ? rangeHeaders(ranges) : {};
  } catch {
    // The request does not say where it goes; that may be why it was refused.
    return {};
  }
}

/** Every error as an answer with a JSON body. What is not a CosmosError is a defect of the emulator: 500. */
export function refusal(error: unknown, container?: ContainerState, request?: Request): Answer {
  const known =
    error instanceof CosmosError
      ? error
      : error instanceof RangeError && error.message.includes('call stack')
        ? new CosmosError(400, 'The request is nested too deeply.')
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
      ...(container === undefined || request === undefined ? {} : sessionOf(request, container)),
      'x-ms-substatus': String(known.subStatus),
      ...known.headers,
    },
  };
}
