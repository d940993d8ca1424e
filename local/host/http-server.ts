import { randomUUID } from 'node:crypto';
import { createServer } from 'node:http';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { App } from './app.ts';
import { findFunction, triggerType } from './http-function.ts';
import type { HttpFunction } from './http-function.ts';
import {
  BodyTooLargeError,
  declaresTooLarge,
  readBody,
  readTrace,
  readUrl,
  RequestAbortedError,
  toRpcHttp,
} from './http-request.ts';
import { sendResult, sendStatus } from './http-response.ts';
import { invoke } from './invocation.ts';
import type { CallLog } from './invocation.ts';
import type { InvocationRequest, RegisteredFunction } from './types.ts';

/** The web server of an app. `settled` waits for the requests that are being served. */
export interface HttpServer {
  readonly server: Server;
  settled(): Promise<unknown>;
}

/** Makes a server that passes requests to the app's functions. It does not listen yet. */
export function createHttpServer(app: App, functions: readonly HttpFunction[], log: CallLog): HttpServer {
  const running = new Set<Promise<void>>();
  const answer = (request: IncomingMessage, response: ServerResponse) => {
    const work = serve(app, functions, log, request, response).finally(() => running.delete(work));
    running.add(work);
  };
  // As much room for headers as the Functions host's web server has; Node's own default is half of it.
  const server = createServer({ maxHeaderSize: 32_768 }, answer);
  server.on('checkContinue', (request: IncomingMessage, response: ServerResponse) => {
    if (!declaresTooLarge(request)) response.writeContinue();
    answer(request, response);
  });
  return { server, settled: () => Promise.allSettled(running) };
}

async function serve(
  app: App,
  functions: readonly HttpFunction[],
  log: CallLog,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const say = (
    level: 'information' | 'warning' | 'error',
    message: string,
    functionName?: string,
    id?: string,
  ) =>
    log(
      {
        level,
        category: 'host',
        message,
        ...(functionName === undefined ? {} : { functionName }),
        ...(id === undefined ? {} : { invocationId: id }),
      },
      undefined,
    );
  const url = readUrl(request);
  if (url === undefined) {
    sendStatus(response, 400);
    return;
  }
  const method = request.method ?? 'GET';
  const timer = method === 'POST' ? findTimer(app, url.pathname) : undefined;
  if (timer !== undefined) {
    await runTimer(app, timer, log, say, response);
    return;
  }
  const match = findFunction(functions, method, url.pathname);
  if (match === undefined) {
    sendStatus(response, 404);
    return;
  }
  const { name } = match.target;
  if (match.rivals.length > 0) {
    const others = match.rivals.map((rival) => rival.name).join(', ');
    say('warning', `${method} ${url.pathname} fits ${others} too; in Azure another one may answer.`, name);
  }

  const body = await receiveBody(request, response, (message) => say('warning', message, name));
  if (body === undefined) return;

  const invocationId = randomUUID();
  const call: InvocationRequest = {
    invocationId,
    inputData: [{ name: match.target.trigger, data: { http: toRpcHttp(request, url, match.params, body) } }],
    triggerMetadata: {},
    traceContext: readTrace(request),
  };
  const started = performance.now();
  const took = () => `${Math.round(performance.now() - started)} ms`;
  try {
    const result = await invoke(app, match.target.registered, call, log);
    if (response.destroyed) return;
    sendResult(response, result);
    say('information', `${method} ${url.pathname} ${response.statusCode}, ${took()}`, name, invocationId);
  } catch (error) {
    const reason = error instanceof Error ? (error.stack ?? error.message) : String(error);
    say('error', `${method} ${url.pathname} failed, ${took()}: ${reason}`, name, invocationId);
    sendStatus(response, 500);
  }
}

/** The function that `POST /admin/functions/<name>` asks for, where a timer triggers it. */
function findTimer(app: App, pathname: string): RegisteredFunction | undefined {
  const name = /^\/admin\/functions\/([^/]+)$/i.exec(pathname)?.[1]?.toLowerCase();
  return app.functions.find(
    (each) => each.metadata.name.toLowerCase() === name && triggerType(each) === 'timerTrigger',
  );
}

/** Runs a timer function at once, as the Functions host does when it is asked to (202, and no word of the result). */
async function runTimer(
  app: App,
  registered: RegisteredFunction,
  log: CallLog,
  say: (level: 'information' | 'error', message: string, functionName?: string, id?: string) => void,
  response: ServerResponse,
): Promise<void> {
  const { name, bindings } = registered.metadata;
  const [trigger = ''] = Object.entries(bindings).find(([, { type }]) => type === 'timerTrigger') ?? [];
  const invocationId = randomUUID();
  const timer = { schedule: { adjustForDST: true }, scheduleStatus: null, isPastDue: false };
  sendStatus(response, 202);
  try {
    const call: InvocationRequest = {
      invocationId,
      inputData: [{ name: trigger, data: { json: JSON.stringify(timer) } }],
      triggerMetadata: {},
      traceContext: { traceParent: '', traceState: '' },
    };
    await invoke(app, registered, call, log);
    say('information', 'has run.', name, invocationId);
  } catch (error) {
    say(
      'error',
      `failed: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`,
      name,
      invocationId,
    );
  }
}

/**
 * Takes in the body as the Functions host does. It reads a body only where Content-Length says how long it is: what
 * comes in chunks never reaches the worker (azure-functions-nodejs-worker issue 524), which is better noticed here.
 *
 * @returns undefined when the request has been answered or its client has left.
 */
async function receiveBody(
  request: IncomingMessage,
  response: ServerResponse,
  warn: (message: string) => void,
): Promise<Buffer | undefined> {
  if (declaresTooLarge(request)) {
    sendStatus(response, 413);
    return undefined;
  }
  try {
    const body = await readBody(request);
    if (request.headers['content-length'] !== undefined || body.length === 0) return body;
    warn('The body came in chunks, without Content-Length: Azure drops such a body, and so does this host.');
    return Buffer.alloc(0);
  } catch (error) {
    if (error instanceof BodyTooLargeError) sendStatus(response, 413);
    else if (!(error instanceof RequestAbortedError)) throw error;
    return undefined;
  }
}
