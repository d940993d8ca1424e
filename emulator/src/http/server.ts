import { randomUUID } from 'node:crypto';
import { createServer } from 'node:http';
import type { IncomingMessage, RequestListener, Server, ServerResponse } from 'node:http';
import { createServer as createSecureServer } from 'node:https';
import { bearerToken } from '../auth/authenticate.ts';
import type { BearerVerifier } from '../auth/bearer.ts';
import { actionsOf } from '../auth/roles.ts';
import { CosmosError } from '../errors.ts';
import { explorerPage, explorerPolicy } from '../explorer/page.ts';
import type { Certificate } from './certificate.ts';
import { header } from './context.ts';
import type { Answer } from './context.ts';
import { dispatch, refusal } from './dispatch.ts';
import type { DispatchServices, Request } from './dispatch.ts';
import type { FaultAction, FaultPlan } from './faults.ts';
import type { RequestLog } from './request-log.ts';
import { kindOf, parseRoute } from './route.ts';

/** Bodies past this are not read to the end: twice the largest document. */
const maximumBodyBytes = 4 * 1024 * 1024;

export interface ServerParts {
  readonly services: DispatchServices;
  readonly log: RequestLog;
  readonly faults: FaultPlan;
  readonly verifier: BearerVerifier | undefined;
}

export function createCosmosServer(parts: ServerParts, certificate?: Certificate): Server {
  const listener: RequestListener = (incoming, outgoing) => {
    serve(parts, incoming, outgoing).catch((error: unknown) => {
      // The client went away while the body was on its way: there is nobody to answer.
      outgoing.destroy(error instanceof Error ? error : undefined);
    });
  };
  const options = { keepAliveTimeout: 60_000 };
  if (certificate === undefined) return createServer(options, listener);
  const { certificate: cert, key } = certificate;
  return createSecureServer({ ...options, cert, key }, listener);
}

async function serve(parts: ServerParts, incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> {
  const started = performance.now();
  const at = parts.services.now();
  const body = await readBody(incoming);
  const path = pathOf(incoming.url ?? '/');
  const method = incoming.method ?? 'GET';
  if (method === 'GET' && path === '/_explorer') {
    outgoing.writeHead(200, {
      'content-type': 'text/html; charset=utf-8',
      'content-security-policy': explorerPolicy,
      'x-content-type-options': 'nosniff',
    });
    outgoing.end(explorerPage);
    return;
  }
  const route = parseRoute(method, path, incoming.headers);
  const bearer = await proveBearer(parts, incoming.headers.authorization);
  const request: Request = { method, path, route, headers: incoming.headers, body: body ?? '', bearer };
  const partitionKey = header(request, 'x-ms-documentdb-partitionkey') ?? null;
  const { resource, operation } = route;
  const fault = parts.faults.next({ method, resource, operation, partitionKey });

  if (fault?.kind === 'delay') await wait(fault.ms);
  const answer =
    body === undefined
      ? refusal(new CosmosError(413, 'Request size is too large.'))
      : process(parts, request, fault);
  const lost = fault?.kind === 'cut' || fault?.kind === 'loseAnswer';
  parts.log.add({
    at,
    method,
    path,
    resource,
    operation,
    kind: kindOf(route),
    partitionKey,
    status: fault?.kind === 'cut' ? 0 : answer.status,
    subStatus: Number(answer.headers?.['x-ms-substatus'] ?? 0),
    charge: answer.charge,
    durationMs: performance.now() - started,
    traceparent: header(request, 'traceparent') ?? null,
    operations: answer.operations ?? 1,
    dataActions: bearer === undefined ? [] : (actionsOf(route, request.body) ?? []),
  });
  if (lost) incoming.socket.destroy();
  else
    send(outgoing, answer, header(request, 'x-ms-activity-id') ?? randomUUID(), performance.now() - started);
}

/** The JavaScript SDK sends a question mark in a document's id as it is; the service has no query strings there. */
const documentPath = /^\/*dbs\/[^/?]+\/colls\/[^/?]+\/docs\/[^/?]/;

const pathOf = (url: string): string => (documentPath.test(url) ? url : (url.split('?')[0] ?? '/'));

async function proveBearer(
  { verifier, services }: ServerParts,
  authorization: string | undefined,
): Promise<string | CosmosError | undefined> {
  const token = bearerToken(authorization);
  if (token === undefined || verifier === undefined) return undefined;
  try {
    return await verifier.principalOf(token, services.now());
  } catch (error) {
    return error instanceof CosmosError
      ? error
      : new CosmosError(401, 'The Microsoft Entra token is not accepted.');
  }
}

function process(parts: ServerParts, request: Request, fault: FaultAction | undefined): Answer {
  if (fault?.kind === 'cut') return { status: 0, charge: 0, body: null };
  if (fault?.kind === 'status') return faultAnswer(fault);
  const answer = dispatch(parts.services, request);
  if (fault?.kind === 'duplicate') dispatch(parts.services, request);
  return answer;
}

function faultAnswer(fault: Extract<FaultAction, { kind: 'status' }>): Answer {
  const headers: Record<string, string> = {};
  if (fault.retryAfterMs !== undefined) headers['x-ms-retry-after-ms'] = String(fault.retryAfterMs);
  return refusal(
    new CosmosError(fault.status, 'This answer comes from the fault plan.', {
      subStatus: fault.subStatus ?? 0,
      headers,
    }),
  );
}

const wait = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms).unref());

/** The body as text, or undefined where it is too large. */
function readBody(incoming: IncomingMessage): Promise<string | undefined> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let bytes = 0;
    incoming.on('data', (chunk: Buffer) => {
      bytes += chunk.length;
      if (bytes <= maximumBodyBytes) chunks.push(chunk);
    });
    incoming.on('end', () =>
      resolve(bytes > maximumBodyBytes ? undefined : Buffer.concat(chunks).toString('utf8')),
    );
    incoming.on('error', reject);
  });
}

function send(outgoing: ServerResponse, answer: Answer, activity: string, durationMs: number): void {
  const body = answer.status === 204 || answer.status === 304 ? null : answer.body;
  const headers: Record<string, string | number> = {
    'x-ms-activity-id': activity,
    'x-ms-request-charge': String(answer.charge),
    'x-ms-request-duration-ms': durationMs.toFixed(3),
    'x-ms-version': '2018-12-31',
    'x-ms-serviceversion': 'version=tidemark-emulator',
    'cache-control': 'no-store, no-cache',
    ...answer.headers,
  };
  if (body !== null) headers['content-type'] = 'application/json';
  headers['content-length'] = body === null ? 0 : Buffer.byteLength(body);
  if (answer.status === 304 || answer.status === 204) delete headers['content-length'];
  outgoing.writeHead(answer.status, headers);
  outgoing.end(body ?? undefined);
}
