import { isJsonObject, type JsonObject } from './json.ts';

/**
 * JSON merge patch, RFC 7396 section 2: members of the patch replace members of the target, `null` removes one,
 * objects are merged. Neither argument is changed.
 */
export function mergePatch(target: unknown, patch: JsonObject): JsonObject {
  const result = new Map<string, unknown>(isJsonObject(target) ? Object.entries(target) : []);
  for (const [key, value] of Object.entries(patch)) {
    if (value === null) result.delete(key);
    else result.set(key, isJsonObject(value) ? mergePatch(result.get(key), value) : value);
  }
  return Object.fromEntries(result);
}
