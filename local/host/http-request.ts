import { randomBytes } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import type { NullableString, RpcHttp, TraceContext } from './types.ts';

/** The Functions host's own limit of a request body, in bytes (maxRequestBodySize of its web server). */
export const MAX_BODY_BYTES = 104_857_600;

/** A request body over {@link MAX_BODY_BYTES}. */
export class BodyTooLargeError extends Error {}

/** The client went away before its request was complete. */
export class RequestAbortedError extends Error {}

/**
 * The address of a request.
 *
 * @returns undefined where Host header and path do not make a URL.
 */
export function readUrl(request: IncomingMessage): URL | undefined {
  const path = request.url ?? '/';
  const host = request.headers.host ?? `127.0.0.1:${request.socket.localPort ?? 80}`;
  const text = path.startsWith('/') ? `http://${host}${path}` : path;
  return /^https?:/i.test(text) && URL.canParse(text) ? new URL(text) : undefined;
}

export function declaresTooLarge(request: IncomingMessage): boolean {
  return Number(request.headers['content-length'] ?? 0) > MAX_BODY_BYTES;
}

/**
 * Reads the whole body.
 *
 * @throws BodyTooLargeError, with the rest of the body being discarded
 * @throws RequestAbortedError
 */
export function readBody(request: IncomingMessage, limit = MAX_BODY_BYTES): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    let chunks: Buffer[] = [];
    let size = 0;
    request.on('data', (chunk: Buffer) => {
      size += chunk.length;
      if (size <= limit) {
        chunks.push(chunk);
      } else {
        chunks = [];
        reject(new BodyTooLargeError());
      }
    });
    request.on('end', () => resolve(Buffer.concat(chunks)));
    request.on('error', () => reject(new RequestAbortedError()));
    request.on('close', () => reject(new RequestAbortedError()));
  });
}

/**
 * The request in the form in which the Functions host hands it to the worker: header names in lower case, repeated
 * headers and query parameters joined with a comma, the body as bytes, never decompressed.
 */
export function toRpcHttp(
  request: IncomingMessage,
  url: URL,
  params: Readonly<Record<string, string>>,
  body: Buffer,
): RpcHttp {
  return {
    url: url.href,
    method: request.method ?? 'GET',
    body: body.length > 0 ? { bytes: body } : null,
    nullableHeaders: nullable(readHeaders(request)),
    nullableQuery: nullable(join(url.searchParams)),
    nullableParams: nullable(Object.entries(params)),
  };
}

function* readHeaders({ rawHeaders }: IncomingMessage): Iterable<[string, string]> {
  const pairs: [string, string][] = [];
  for (let index = 0; index < rawHeaders.length; index += 2) {
    pairs.push([(rawHeaders[index] ?? '').toLowerCase(), rawHeaders[index + 1] ?? '']);
  }
  // A comma may be part of a cookie's value.
  yield* join(
    pairs.filter(([name]) => name !== 'cookie'),
    ',',
  );
  yield* join(
    pairs.filter(([name]) => name === 'cookie'),
    '; ',
  );
}

function join(pairs: Iterable<readonly [string, string]>, separator = ','): Map<string, string> {
  const joined = new Map<string, string>();
  for (const [name, value] of pairs) {
    const earlier = joined.get(name);
    joined.set(name, earlier === undefined ? value : earlier + separator + value);
  }
  return joined;
}

function nullable(pairs: Iterable<readonly [string, string]>): Record<string, NullableString> {
  return Object.fromEntries([...pairs].map(([name, value]) => [name, { value }]));
}

/** Continues the caller's W3C trace, or begins one, as the host does for every call. */
export function readTrace(request: IncomingMessage): TraceContext {
  const { traceparent, tracestate } = request.headers;
  const [, traceId, flags] =
    /^00-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-([0-9a-f]{2})$/.exec(String(traceparent)) ?? [];
  const span = randomBytes(8).toString('hex');
  return {
    traceParent: `00-${traceId ?? randomBytes(16).toString('hex')}-${span}-${flags ?? '00'}`,
    traceState: traceId === undefined ? '' : String(tracestate ?? ''),
  };
}
