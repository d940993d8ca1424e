import { createHmac } from 'node:crypto';
import type { Emulator } from '../src/index.ts';

export interface RawRequest {
  readonly method: string;
  /** Without the leading slash: dbs/db/colls/items/docs. */
  readonly path: string;
  readonly headers?: Record<string, string>;
  readonly body?: unknown;
}

export interface RawAnswer {
  readonly status: number;
  readonly subStatus: number;
  readonly headers: Headers;
  readonly text: string;
}

/** The authorization header of a master key, written out here a second time on purpose. */
export function signed(key: string, request: RawRequest, date: string): string {
  const parts = request.path.split('/').filter((part) => part !== '');
  const isFeed = parts.length % 2 === 1;
  const type = (isFeed ? parts.at(-1) : parts.at(-2)) ?? '';
  const link = (isFeed ? parts.slice(0, -1) : parts).map(decode).join('/');
  const text = `${request.method.toLowerCase()}\n${type}\n${link}\n${date.toLowerCase()}\n\n`;
  const signature = createHmac('sha256', Buffer.from(key, 'base64')).update(text).digest('base64');
  return encodeURIComponent(`type=master&ver=1.0&sig=${signature}`);
}

function decode(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

/** Sends a request as it is, with this authorization header or none. */
export async function send(
  emulator: Emulator,
  request: RawRequest,
  authorization: string | undefined,
  date = new Date().toUTCString(),
): Promise<RawAnswer> {
  const response = await fetch(`${emulator.endpoint}${request.path}`, {
    method: request.method,
    headers: {
      'x-ms-date': date,
      'x-ms-version': '2018-12-31',
      ...(authorization === undefined ? {} : { authorization }),
      ...request.headers,
    },
    ...(request.body === undefined
      ? {}
      : { body: typeof request.body === 'string' ? request.body : JSON.stringify(request.body) }),
  });
  return {
    status: response.status,
    subStatus: Number(response.headers.get('x-ms-substatus') ?? 0),
    headers: response.headers,
    text: await response.text(),
  };
}

/** Sends a request signed with the emulator's own key. */
export function sendSigned(emulator: Emulator, request: RawRequest): Promise<RawAnswer> {
  const date = new Date().toUTCString();
  return send(emulator, request, signed(emulator.key, request, date), date);
}
