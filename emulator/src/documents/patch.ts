import { badRequest } from '../errors.ts';
import { copyJson, isObject } from '../json.ts';
import type { JsonObject, JsonValue } from '../json.ts';

/**
 * Partial document update: add, set, replace, remove, incr and move on JSON pointers.
 * https://learn.microsoft.com/azure/cosmos-db/partial-document-update
 */
export interface PatchRequest {
  readonly operations: readonly PatchOperation[];
  /** `from c where …`: the patch is applied only where it holds. */
  readonly condition: string | undefined;
}

export type PatchOperation =
  | { readonly op: 'add' | 'set' | 'replace'; readonly path: string; readonly value: JsonValue }
  | { readonly op: 'remove'; readonly path: string }
  | { readonly op: 'incr'; readonly path: string; readonly value: number }
  | { readonly op: 'move'; readonly path: string; readonly from: string };

const maximumOperations = 10;

export function parsePatch(body: JsonValue | undefined): PatchRequest {
  const operations = isObject(body) ? body['operations'] : body;
  const condition = isObject(body) ? body['condition'] : undefined;
  if (!Array.isArray(operations) || operations.length === 0)
    throw badRequest('A patch needs a list of operations, at least one.');
  if (operations.length > maximumOperations)
    throw badRequest(`The number of patch operations is limited to ${maximumOperations}.`);
  if (condition !== undefined && condition !== null && typeof condition !== 'string')
    throw badRequest('The condition of a patch is text: from c where …');
  return {
    operations: operations.map(parseOperation),
    condition: condition === null || condition === '' ? undefined : condition,
  };
}

function parseOperation(value: JsonValue): PatchOperation {
  if (!isObject(value)) throw badRequest('A patch operation is an object.');
  const { op, path } = value;
  if (typeof path !== 'string' || !path.startsWith('/') || path === '/')
    throw badRequest('A patch operation needs a path that starts with a slash.');
  const name = typeof op === 'string' ? op.toLowerCase() : '';
  switch (name) {
    case 'add':
    case 'set':
    case 'replace':
      if (value['value'] === undefined) throw badRequest(`The patch operation ${name} needs a value.`);
      return { op: name, path, value: value['value'] };
    case 'remove':
      return { op: name, path };
    case 'incr':
    case 'increment':
      if (typeof value['value'] !== 'number')
        throw badRequest('The patch operation incr needs a number as its value.');
      return { op: 'incr', path, value: value['value'] };
    case 'move':
      if (typeof value['from'] !== 'string' || !value['from'].startsWith('/'))
        throw badRequest('The patch operation move needs a from path.');
      return { op: name, path, from: value['from'] };
    default:
      throw badRequest(`Patch operation '${name}' is none of add, set, replace, remove, incr and move.`);
  }
}

/** The document after the patch. The given one is left as it is. */
export function applyPatch(
  document: JsonObject,
  operations: readonly PatchOperation[],
  keyPaths: readonly (readonly string[])[],
): JsonObject {
  const result = copyJson(document);
  for (const operation of operations) {
    refuseFixed(operation.path, keyPaths);
    if (operation.op === 'move') refuseFixed(operation.from, keyPaths);
    applyOne(result, operation);
  }
  return result;
}

const fixedNames: ReadonlySet<string> = new Set(['id', '_rid', '_self', '_etag', '_ts', '_attachments']);

function refuseFixed(path: string, keyPaths: readonly (readonly string[])[]): void {
  const parts = splitPointer(path);
  if (parts.length === 1 && fixedNames.has(parts[0] ?? ''))
    throw badRequest(`The property ${path} cannot be patched: it belongs to the system.`);
  const touchesKey = keyPaths.some((key) => parts.every((part, index) => part === key[index]));
  if (touchesKey)
    throw badRequest(`The property ${path} cannot be patched: it is part of the partition key.`);
}

/** RFC 6901: ~1 is a slash, ~0 a tilde. */
function splitPointer(path: string): string[] {
  return path
    .slice(1)
    .split('/')
    .map((part) => part.replaceAll('~1', '/').replaceAll('~0', '~'));
}

function applyOne(document: JsonObject, operation: PatchOperation): void {
  const place = find(document, operation.path);
  switch (operation.op) {
    case 'add':
      write(place, operation.value, 'insert');
      break;
    case 'set':
      write(place, operation.value, 'overwrite');
      break;
    case 'replace':
      requireValue(place, operation.path);
      write(place, operation.value, 'overwrite');
      break;
    case 'remove':
      requireValue(place, operation.path);
      remove(place);
      break;
    case 'incr': {
      const current = read(place);
      if (current !== undefined && typeof current !== 'number')
        throw badRequest(`The value at ${operation.path} is not a number and cannot be incremented.`);
      write(place, (current ?? 0) + operation.value, 'overwrite');
      break;
    }
    case 'move': {
      if (operation.path === operation.from || operation.path.startsWith(`${operation.from}/`))
        throw badRequest(`The path ${operation.path} is inside the path it would be moved from.`);
      const source = find(document, operation.from);
      const value = requireValue(source, operation.from);
      remove(source);
      write(find(document, operation.path), value, 'insert');
      break;
    }
  }
}

type Place =
  | { readonly parent: JsonObject; readonly name: string }
  | { readonly parent: JsonValue[]; readonly index: number; readonly end: boolean };

function find(document: JsonObject, path: string): Place {
  const parts = splitPointer(path);
  const name = parts.pop() ?? '';
  let parent: JsonValue | undefined = document;
  for (const part of parts) {
    parent = step(parent, part);
    if (parent === undefined) throw missing(path);
  }
  if (isObject(parent)) return { parent, name };
  if (!Array.isArray(parent)) throw missing(path);
  if (name === '-') return { parent, index: parent.length, end: true };
  if (!/^(0|[1-9]\d*)$/.test(name)) throw badRequest(`The path ${path} needs a number for the array.`);
  return { parent, index: Number(name), end: false };
}

function step(parent: JsonValue, part: string): JsonValue | undefined {
  if (isObject(parent)) return Object.hasOwn(parent, part) ? parent[part] : undefined;
  return Array.isArray(parent) && /^\d+$/.test(part) ? parent[Number(part)] : undefined;
}

const missing = (path: string): Error =>
  badRequest(`The path ${path} does not exist: a patch makes no parents on the way.`);

function read(place: Place): JsonValue | undefined {
  if ('index' in place) return place.end ? undefined : place.parent[place.index];
  return Object.hasOwn(place.parent, place.name) ? place.parent[place.name] : undefined;
}

function requireValue(place: Place, path: string): JsonValue {
  const value = read(place);
  if (value === undefined) throw badRequest(`There is nothing at ${path}.`);
  return value;
}

function write(place: Place, value: JsonValue, inArrays: 'insert' | 'overwrite'): void {
  if ('index' in place) {
    if (place.index > place.parent.length)
      throw badRequest(`The array index ${place.index} is past the end of the array.`);
    place.parent.splice(place.index, inArrays === 'insert' ? 0 : 1, copyJson(value));
  } else {
    Object.defineProperty(place.parent, place.name, {
      value: copyJson(value),
      configurable: true,
      enumerable: true,
      writable: true,
    });
  }
}

function remove(place: Place): void {
  if ('index' in place) place.parent.splice(place.index, 1);
  else Reflect.deleteProperty(place.parent, place.name);
}
