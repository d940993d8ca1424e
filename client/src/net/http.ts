import { isJsonObject, type JsonObject } from '../../../shared/conflict/json.ts';
import { describeError, TidemarkError } from '../errors.ts';
import { untilAborted, type Runtime } from '../runtime.ts';
import type { TokenProvider } from '../tokens/token-provider.ts';

export interface HttpOptions {
  /** Milliseconds that an answer may take. */
  readonly timeout: number;
  /** Bodies of at least so many bytes go out as gzip, where the platform can. Infinity: none. */
  readonly compressAbove: number;
}

/** An answer of the service, and what it took. */
export interface HttpAnswer {
  readonly body: JsonObject;
  readonly requests: number;
  readonly bytesSent: number;
  readonly bytesReceived: number;
}

/**
 * Sends JSON with a bearer token. A token that is refused is replaced once; what else goes wrong is told as one of the
 * codes of `TidemarkError`, with whether it may be tried again.
 *
 * @param body absent: GET
 * @throws TidemarkError
 */
export async function callService(
  url: string,
  body: unknown,
  token: TokenProvider,
  options: HttpOptions,
  runtime: Runtime,
  signal: AbortSignal,
): Promise<HttpAnswer> {
  const payload = body === undefined ? null : await encode(JSON.stringify(body), options.compressAbove);
  let requests = 0;
  let bytesSent = 0;
  for (const refresh of [false, true]) {
    const bearer = await tokenOf(token, refresh, signal);
    requests += 1;
    bytesSent += payload?.bytes.length ?? 0;
    const { status, headers, text } = await exchange(url, payload, bearer, options.timeout, runtime, signal);
    if ((status === 401 || status === 403) && !refresh) continue;
    const parsed = parseJson(text, headers.get('content-type'));
    if (status === 200 && parsed !== null) {
      return { body: parsed, requests, bytesSent, bytesReceived: text.length };
    }
    throw toError(url, status, headers, parsed, runtime.now());
  }
  throw new TidemarkError('unauthorized', 'The token was refused.');
}

interface Payload {
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly encoding: string | null;
}

async function encode(text: string, compressAbove: number): Promise<Payload> {
  const bytes = new TextEncoder().encode(text);
  if (bytes.length < compressAbove || typeof CompressionStream === 'undefined')
    return { bytes, encoding: null };
  const stream = new Blob([bytes]).stream().pipeThrough(new CompressionStream('gzip'));
  // In one piece: a body that comes in chunks, without a length, does not reach the service.
  return { bytes: new Uint8Array(await new Response(stream).arrayBuffer()), encoding: 'gzip' };
}

async function tokenOf(provider: TokenProvider, refresh: boolean, signal: AbortSignal): Promise<string> {
  try {
    const asked = provider.getToken(refresh ? { refresh, signal } : { signal });
    const { token } = await untilAborted(asked, signal);
    if (token !== '') return token;
  } catch (cause) {
    if (signal.aborted) throw cause;
    if (cause instanceof TidemarkError) throw cause;
    throw new TidemarkError('no_token', `The token provider failed: ${describeError(cause)}`, { cause });
  }
  throw new TidemarkError('no_token', 'The token provider gave no token. Sign the user in.');
}

async function exchange(
  url: string,
  payload: Payload | null,
  bearer: string,
  timeout: number,
  runtime: Runtime,
  signal: AbortSignal,
): Promise<{ status: number; headers: Headers; text: string }> {
  const ending = new AbortController();
  const cancel = runtime.setTimer(() => ending.abort(), timeout);
  const stop = () => ending.abort();
  signal.addEventListener('abort', stop, { once: true });
  try {
    signal.throwIfAborted();
    const response = await runtime.fetch(url, {
      method: payload === null ? 'GET' : 'POST',
      headers: {
        authorization: `Bearer ${bearer}`,
        accept: 'application/json',
        ...(payload === null ? {} : { 'content-type': 'application/json' }),
        ...(payload?.encoding == null ? {} : { 'content-encoding': payload.encoding }),
      },
      signal: ending.signal,
      ...(payload === null ? {} : { body: payload.bytes }),
    });
    return { status: response.status, headers: response.headers, text: await response.text() };
  } catch (cause) {
    signal.throwIfAborted();
    const reason = ending.signal.aborted ? `no answer within ${timeout} ms` : reasonOf(cause);
    throw new TidemarkError('offline', `${url} was not reached: ${reason}.`, { cause, retryable: true });
  } finally {
    cancel();
    signal.removeEventListener('abort', stop);
  }
}

/** `fetch` of Node.js says why only in the cause of its error. */
function reasonOf(error: unknown): string {
  const { cause } = error instanceof Error ? error : {};
  const code = cause instanceof Error && 'code' in cause ? cause.code : undefined;
  return typeof code === 'string' ? code : describeError(error);
}

function parseJson(text: string, contentType: string | null): JsonObject | null {
  if (contentType?.includes('json') !== true) return null;
  try {
    const value: unknown = JSON.parse(text);
    return isJsonObject(value) ? value : null;
  } catch {
    return null;
  }
}

function toError(
  url: string,
  status: number,
  headers: Headers,
  problem: JsonObject | null,
  now: number,
): TidemarkError {
  const retryAfter = readRetryAfter(headers.get('retry-after'), now);
  const busy = status === 408 || status === 429 || status >= 500;
  const code = problem?.['code'];
  if (typeof code !== 'string') {
    // A proxy's error page, or the sign-in page of a network that answers 200 to everything.
    const kind = busy ? 'offline' : 'not_the_service';
    return new TidemarkError(kind, `${url} answered ${status}, and not as the service does.`, {
      status,
      retryable: busy,
      retryAfter,
    });
  }
  const message = [problem?.['detail'] ?? problem?.['title'] ?? code, `(${status})`].map(String).join(' ');
  return new TidemarkError(code, message, { status, retryable: busy, retryAfter });
}

/** Seconds or a date, as milliseconds from now. */
export function readRetryAfter(text: string | null, now: number): number | null {
  if (text === null || text.trim() === '') return null;
  const seconds = Number(text);
  if (Number.isFinite(seconds)) return Math.max(0, seconds * 1000);
  const date = Date.parse(text);
  return Number.isNaN(date) ? null : Math.max(0, date - now);
}
