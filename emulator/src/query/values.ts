/** What documents, parameters and results are made of. */
export type Json = null | boolean | number | string | Json[] | JsonObject;
export type JsonObject = { [key: string]: Json };

/**
 * What an expression yields: JSON, or `undefined`, which is a value of its own in Cosmos DB (a property that
 * is not there, an operator applied to types it has no meaning for) and is never stored or returned.
 */
export type Value = Json | undefined;

/**
 * Order between types in ORDER BY, MIN and MAX:
 * undefined < null < boolean < number < string < array < object. Between objects there is none: they stay as they come.
 */
export type TypeRank = 0 | 1 | 2 | 3 | 4 | 5 | 6;

export function typeRank(value: Value): TypeRank {
  if (value === undefined) return 0;
  if (value === null) return 1;
  if (typeof value === 'boolean') return 2;
  if (typeof value === 'number') return 3;
  if (typeof value === 'string') return 4;
  return Array.isArray(value) ? 5 : 6;
}

export function isObject(value: Value): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** A property of an object; inherited ones (`constructor`, `__proto__`) do not exist. */
export function propertyOf(value: Value, name: string): Value {
  return isObject(value) && Object.hasOwn(value, name) ? value[name] : undefined;
}

/** Sets a property even where its name is `__proto__`. Undefined values leave no property. */
export function setProperty(target: JsonObject, name: string, given: Value): void {
  const value = storable(given);
  if (value === undefined) return;
  if (name === '__proto__') {
    Object.defineProperty(target, name, { value, writable: true, enumerable: true, configurable: true });
  } else {
    target[name] = value;
  }
}

/**
 * Strings by code point. Not JavaScript's own order, which is by UTF-16 code unit and puts U+E000..U+FFFF after
 * the surrogates; this is the order of UTF-8 bytes, so SQLite's BINARY collation agrees.
 */
export function compareStrings(a: string, b: string): number {
  if (a === b) return 0;
  const length = Math.min(a.length, b.length);
  let at = 0;
  while (at < length && a.charCodeAt(at) === b.charCodeAt(at)) at++;
  // Where the units before are the first halves of pairs, the pairs are what differs.
  if (at > 0 && isHighSurrogate(a.charCodeAt(at - 1))) {
    const pairs = comparePoints(a, b, at - 1);
    if (pairs !== 0) return pairs;
  }
  return comparePoints(a, b, at);
}

const comparePoints = (a: string, b: string, at: number) =>
  (a.codePointAt(at) ?? -1) - (b.codePointAt(at) ?? -1);

const isHighSurrogate = (unit: number) => unit >= 0xd800 && unit <= 0xdbff;

/** Total order over all values, types first: ORDER BY, MIN, MAX. */
export function compareValues(a: Value, b: Value): number {
  const byType = typeRank(a) - typeRank(b);
  if (byType !== 0) return byType;
  if (typeof a === 'number' && typeof b === 'number') return a - b;
  if (typeof a === 'string' && typeof b === 'string') return compareStrings(a, b);
  if (typeof a === 'boolean' && typeof b === 'boolean') return Number(a) - Number(b);
  if (Array.isArray(a) && Array.isArray(b)) return compareArrays(a, b);
  return 0;
}

function compareArrays(a: Json[], b: Json[]): number {
  const length = Math.min(a.length, b.length);
  for (let i = 0; i < length; i++) {
    const order = compareValues(a[i], b[i]);
    if (order !== 0) return order;
  }
  return a.length - b.length;
}

/** Deep equality; the order of an object's properties does not matter. */
export function sameValue(a: Value, b: Value): boolean {
  if (a === b) return true;
  if (Array.isArray(a)) {
    return Array.isArray(b) && a.length === b.length && a.every((item, i) => sameValue(item, b[i]));
  }
  if (!isObject(a) || !isObject(b)) return false;
  const keys = Object.keys(a);
  return (
    keys.length === Object.keys(b).length &&
    keys.every((key) => Object.hasOwn(b, key) && sameValue(propertyOf(a, key), propertyOf(b, key)))
  );
}

/**
 * The `=` operator: undefined where an operand is undefined, else whether both are the same.
 *
 * The documentation's table of equality comparisons says undefined for operands of different types too. The service
 * does not do so: `c.x != null` holds for every defined value that is not null (Microsoft's EF Core provider writes
 * all its null checks so), and the interpreter with which Microsoft checks the service's answers
 * (azure-cosmos-dotnet-v3, OfflineEngine) compares across types to false. `<`, `<=`, `>` and `>=` are undefined
 * there as documented.
 */
export function equal(a: Value, b: Value): boolean | undefined {
  return a === undefined || b === undefined ? undefined : sameValue(a, b);
}

/** For `<`, `<=`, `>`, `>=`: undefined across types and for arrays and objects. */
export function order(a: Value, b: Value): number | undefined {
  const rank = typeRank(a);
  if (rank !== typeRank(b) || rank === 0 || rank >= 5) return undefined;
  return compareValues(a, b);
}

/** A text that is equal for equal values only: DISTINCT, GROUP BY, sets. (-0 and 0 are equal, and String says so.) */
export function keyOf(value: Value): string {
  if (value === undefined) return 'u';
  if (typeof value === 'number') return String(value);
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  if (Array.isArray(value)) return `[${value.map(keyOf).join(',')}]`;
  const keys = Object.keys(value).sort();
  return `{${keys.map((key) => `${JSON.stringify(key)}:${keyOf(propertyOf(value, key))}`).join(',')}}`;
}

/**
 * Infinity and NaN can be calculated with (`IS_FINITE_NUMBER(1/0)`), but JSON cannot hold them: as a result, an item
 * or a property they count as undefined.
 */
export const storable = (value: Value): Value =>
  typeof value === 'number' && !Number.isFinite(value) ? undefined : value;

/** How deep documents and parameters may nest; the service's own limit for documents is 128. */
export const MAX_JSON_DEPTH = 256;

/** Whether a value nests deeper than allowed. Does not recurse: it guards the functions above, which do. */
export function isTooDeep(value: Json): boolean {
  let level: Json[] = [value];
  for (let depth = 0; level.length > 0; depth++) {
    if (depth > MAX_JSON_DEPTH) return true;
    level = level.flatMap((item) => (typeof item === 'object' && item !== null ? Object.values(item) : []));
  }
  return false;
}
