/** A text that is no JSON, or holds a number that this language cannot keep. */
export class JsonTextError extends Error {}

/** Only texts with such digits can hold a number that is lost. */
const SUSPECT = /\d{16}|[eE]\+?\d{3}/;

/**
 * JSON, with nothing lost: an integer beyond 2^53 that would become another one is refused.
 *
 * @throws JsonTextError
 */
export function parseJson(text: string): unknown {
  let lost: string | undefined;
  const check = (_: string, value: unknown, { source }: { readonly source?: string } = {}): unknown => {
    if (typeof value === 'number' && source !== undefined && isLost(source, value)) lost ??= source;
    return value;
  };
  let value: unknown;
  try {
    value = SUSPECT.test(text) ? JSON.parse(text, check) : JSON.parse(text);
  } catch (error) {
    throw new JsonTextError(`It is no JSON: ${error instanceof Error ? error.message : String(error)}`);
  }
  if (lost !== undefined) {
    throw new JsonTextError(`The number ${lost} is beyond what a 64-bit float holds: write it as text.`);
  }
  return value;
}

/**
 * Would a number be another one, once it was read? One that JavaScript writes just so comes from a float; digits after the
 * point are rounded, as everywhere.
 */
export function isLost(source: string, value: number): boolean {
  if (!Number.isFinite(value)) return true;
  return /^-?\d+$/.test(source) && String(value) !== source && BigInt(source) !== BigInt(value);
}
