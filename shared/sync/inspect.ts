import { isWellFormed, type ChangeErrorCode } from '../protocol/index.ts';

/** Deepest nesting of a document: beyond it, recursive code in any client is at risk. */
export const MAX_DEPTH = 64;

/**
 * Looks through the content of a document for what must not be stored: nesting beyond `MAX_DEPTH`, a property named
 * `__proto__` (it would change the prototype of objects in careless clients), numbers that JSON text can write but a
 * 64-bit float cannot hold (they would be stored as null), and unpaired surrogates (they have no UTF-8 form: one such
 * text would break the whole delta of a client whose JSON reader is strict).
 *
 * Walks without recursion: hostile nesting must not exhaust the stack.
 *
 * @returns the first fault with its JSON Pointer, or null
 */
export function inspectContent(
  content: unknown,
): { readonly code: ChangeErrorCode; readonly pointer: string } | null {
  interface Place {
    readonly value: unknown;
    readonly key: string;
    readonly parent: Place | null;
    readonly depth: number;
  }
  const stack: Place[] = [{ value: content, key: '', parent: null, depth: 0 }];
  const pointer = (place: Place): string => {
    const keys: string[] = [];
    for (let at = place; at.parent !== null; at = at.parent) keys.push(at.key);
    return keys
      .reverse()
      .map((key) => `/${key.replaceAll('~', '~0').replaceAll('/', '~1')}`)
      .join('');
  };
  for (let place = stack.pop(); place !== undefined; place = stack.pop()) {
    const { value, depth } = place;
    if (typeof value === 'number' && !Number.isFinite(value)) {
      return { code: 'number_out_of_range', pointer: pointer(place) };
    }
    if (typeof value === 'string' && !isWellFormed(value)) {
      return { code: 'malformed_text', pointer: pointer(place) };
    }
    if (typeof value !== 'object' || value === null) continue;
    if (depth > MAX_DEPTH) return { code: 'too_deep', pointer: pointer(place) };
    for (const [key, child] of Object.entries(value)) {
      const next: Place = { value: child, key, parent: place, depth: depth + 1 };
      if (!isWellFormed(key)) return { code: 'malformed_text', pointer: pointer(place) };
      if (key === '__proto__') return { code: 'forbidden_key', pointer: pointer(next) };
      stack.push(next);
    }
  }
  return null;
}
