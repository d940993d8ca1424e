import { badRequest } from '../errors.ts';
import { isObject, valueAt } from '../json.ts';
import type { JsonObject, JsonValue } from '../json.ts';

/** One component of a partition key. An empty object stands for None: the property is not there. */
export type KeyValue = string | number | boolean | null | Record<string, never>;

export interface PartitionKeyDefinition {
  readonly paths: readonly string[];
  readonly kind: 'Hash' | 'MultiHash';
  readonly version: 1 | 2;
  /** The service made the key itself (containers created without one): documents need not have it. */
  readonly systemKey: boolean;
}

const none: KeyValue = {};

/** '/a/"b c"/d' as ['a', 'b c', 'd']. */
export function splitPath(path: string): string[] {
  const parts: string[] = [];
  const pattern = /\/(?:"([^"]*)"|'([^']*)'|([^/]*))/gy;
  for (const match of path.matchAll(pattern)) parts.push(match[1] ?? match[2] ?? (match[3] ?? '').trim());
  return parts.filter((part) => part !== '');
}

/** The partition key of a document, or an error where a component is an object or an array. */
export function keyOfDocument(document: JsonObject, paths: readonly (readonly string[])[]): KeyValue[] {
  return paths.map((path) => {
    const value = valueAt(document, path);
    if (value === undefined) return none;
    const key = toKeyValue(value);
    if (key === undefined)
      throw badRequest(
        'Partition key values are strings, numbers, booleans or null; this document has an object or array there.',
        1001,
      );
    return key;
  });
}

function toKeyValue(value: JsonValue | undefined): KeyValue | undefined {
  if (isObject(value)) return Object.keys(value).length === 0 ? none : undefined;
  return Array.isArray(value) ? undefined : value;
}

/** The x-ms-documentdb-partitionkey header: a JSON array with one value per component. */
export function parseKeyHeader(text: string): KeyValue[] {
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch {
    throw badRequest(`Partition key ${text} is invalid.`);
  }
  return parseKeyValues(parsed) ?? fail(text);
}

function fail(text: string): never {
  throw badRequest(`Partition key ${text} is invalid.`);
}

export function parseKeyValues(parsed: unknown): KeyValue[] | undefined {
  if (!Array.isArray(parsed)) return undefined;
  const values = parsed.map((value) => toKeyValue(value as JsonValue));
  return values.every((value) => value !== undefined) ? values : undefined;
}

/** The text under which a partition key is stored and compared. */
export function canonicalKey(values: readonly KeyValue[]): string {
  return JSON.stringify(values);
}
