import type { JsonObject } from '../json.ts';

const system: ReadonlySet<string> = new Set(['_rid', '_self', '_etag', '_ts', '_attachments']);

/** The properties a client sent, without those that only the service sets. */
export function withoutSystem(body: JsonObject): JsonObject {
  const clean: JsonObject = {};
  for (const [name, value] of Object.entries(body))
    if (!system.has(name))
      Object.defineProperty(clean, name, { value, configurable: true, enumerable: true, writable: true });
  return clean;
}

/**
 * ETags look like the service's: a quoted text of five groups of hexadecimal digits. A number that is never used
 * twice makes it unique, the time makes it readable.
 */
export function makeEtag(number: number, step: number, origin: number, seconds: number): string {
  const hex = (value: number, digits: number): string =>
    (value % 16 ** digits).toString(16).padStart(digits, '0');
  const high = hex(Math.floor(number / 16 ** 8), 4);
  return `"${hex(number, 8)}-${high}-${hex(step, 4)}-${hex(origin, 4)}-${hex(seconds, 8)}0000"`;
}
