import type { ServerResponse } from 'node:http';
import type { InvocationResponse, RpcCookie, RpcHttp, TypedData } from './types.ts';

/** Headers of one connection; they belong to the host, not to the app. */
const HOP_BY_HOP = new Set([
  'connection',
  'content-length',
  'keep-alive',
  'proxy-authenticate',
  'proxy-authorization',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
]);

const SAME_SITE = { none: undefined, lax: 'lax', strict: 'strict', explicitNone: 'none' } as const;

/** Sends a status and nothing else, as the Functions host does for everything that no function answers. */
export function sendStatus(response: ServerResponse, status: number): void {
  if (response.headersSent || response.destroyed) return;
  for (const name of response.getHeaderNames()) response.removeHeader(name);
  response.writeHead(status, { 'content-length': 0 }).end();
}

/**
 * Sends what a function returned; a function that returned nothing answers 204.
 *
 * @throws Error when a header cannot be sent, with nothing sent yet.
 */
export function sendResult(response: ServerResponse, { returnValue }: InvocationResponse): void {
  const http = returnValue?.http;
  if (http === undefined) {
    sendStatus(response, 204);
    return;
  }
  const status = Number(http.statusCode ?? 200);
  const body = toBytes(http.body);
  for (const [name, value] of Object.entries(http.headers ?? {})) {
    if (!HOP_BY_HOP.has(name.toLowerCase())) response.setHeader(name, value);
  }
  if (http.cookies !== undefined && http.cookies.length > 0) {
    const fromHeaders = response.getHeader('set-cookie');
    response.setHeader('set-cookie', [
      ...[fromHeaders ?? []].flat().map(String),
      ...http.cookies.map(toSetCookie),
    ]);
  }
  if (hasBody(status)) response.setHeader('content-length', body.length);
  response.writeHead(status);
  response.end(hasBody(status) ? body : undefined);
}

const hasBody = (status: number) => status !== 204 && status !== 205 && status !== 304;

function toBytes(data: RpcHttp['body']): Uint8Array {
  const { bytes, string, json }: TypedData = data ?? {};
  return bytes ?? Buffer.from(string ?? json ?? '');
}

function toSetCookie(cookie: RpcCookie): string {
  const { domain, path, expires, maxAge, secure, httpOnly, sameSite } = cookie;
  const site = SAME_SITE[sameSite ?? 'none'];
  return [
    `${encodeURIComponent(cookie.name)}=${encodeURIComponent(cookie.value)}`,
    ...(expires === undefined ? [] : [`expires=${new Date(expires.value.seconds * 1000).toUTCString()}`]),
    ...(maxAge === undefined ? [] : [`max-age=${maxAge.value}`]),
    ...(domain === undefined ? [] : [`domain=${domain.value}`]),
    `path=${path?.value ?? '/'}`,
    ...(secure?.value ? ['secure'] : []),
    ...(site === undefined ? [] : [`samesite=${site}`]),
    ...(httpOnly?.value ? ['httponly'] : []),
  ].join('; ');
}
