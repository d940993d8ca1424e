import type { IncomingHttpHeaders } from 'node:http';
import type { Caller, Keys } from '../auth/authenticate.ts';
import { badRequest } from '../errors.ts';
import type { JsonObject, JsonValue } from '../json.ts';
import { isObject } from '../json.ts';
import type { BulkBudget } from '../documents/bulk.ts';
import type { Cursors } from '../documents/cursors.ts';
import type { Catalog, ContainerState } from '../resources/catalog.ts';
import type { WriterServices } from '../documents/document-writer.ts';
import type { Route } from './route.ts';

/** What handlers work with: made once, when the emulator starts. */
export interface Services extends WriterServices {
  readonly catalog: Catalog;
  readonly cursors: Cursors;
  readonly keys: Keys;
  readonly endpoint: () => string;
}

/** One request, authenticated and authorized. */
export interface Context {
  readonly services: Services;
  readonly route: Route;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
  readonly caller: Caller;
  readonly container: ContainerState | undefined;
  /** For requests whose operations meet the throughput limit one by one. */
  readonly budget?: BulkBudget;
}

export interface Answer {
  readonly status: number;
  readonly charge: number;
  readonly body: string | null;
  readonly headers?: Readonly<Record<string, string>>;
  /** Operations in a batch; 1 where absent. */
  readonly operations?: number;
}

export function header(context: Pick<Context, 'headers'>, name: string): string | undefined {
  const value = context.headers[name];
  return typeof value === 'string' && value !== '' ? value : undefined;
}

/** The body as JSON, or 400. */
export function jsonBody(context: Context): JsonValue {
  try {
    return JSON.parse(context.body) as JsonValue;
  } catch {
    throw badRequest('The request body is not JSON.');
  }
}

export function objectBody(context: Context): JsonObject {
  const body = jsonBody(context);
  if (!isObject(body)) throw badRequest('The request body is not a JSON object.');
  return body;
}

const maximumPage = 1000;
const defaultPage = 100;

/** x-ms-max-item-count: 1 to 1000; -1 leaves it to the service. */
export function pageSize(context: Context): number {
  const text = header(context, 'x-ms-max-item-count');
  if (text === undefined) return defaultPage;
  const count = Number(text);
  if (!Number.isInteger(count) || count === 0 || count < -1)
    throw badRequest(`The page size ${text} is invalid: it is -1 or a number from 1.`);
  return count === -1 ? maximumPage : count;
}
