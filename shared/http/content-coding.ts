import { promisify } from 'node:util';
import { brotliCompress, constants, gzip, zstdCompress } from 'node:zlib';

/** What an answer may be compressed with, the preferred one first: at these levels zstd is the fastest by far. */
const CODINGS = ['zstd', 'br', 'gzip'] as const;
export type Coding = (typeof CODINGS)[number];

const ENCODERS: Readonly<Record<Coding, (content: Buffer) => Promise<Buffer>>> = {
  zstd: promisify((content: Buffer, done: (error: Error | null, result: Buffer) => void) =>
    zstdCompress(content, done),
  ),
  br: promisify((content: Buffer, done: (error: Error | null, result: Buffer) => void) =>
    brotliCompress(content, { params: { [constants.BROTLI_PARAM_QUALITY]: 4 } }, done),
  ),
  gzip: promisify((content: Buffer, done: (error: Error | null, result: Buffer) => void) =>
    gzip(content, done),
  ),
};

/** Compresses off the main thread. */
export const encode = (content: Buffer, coding: Coding): Promise<Buffer> => ENCODERS[coding](content);

/**
 * Chooses how to compress an answer: the coding that the client weighs highest, of equal ones the preferred one here
 * (RFC 9110, section 12.5.3). What the client forbids is not used, with one exception: where it takes nothing at all,
 * not even the plain form, it gets that. A sync that has written is not refused for the form of its answer.
 *
 * @param header Accept-Encoding; null where there is none
 * @returns null for the plain form
 */
export function chooseCoding(header: string | null): Coding | null {
  const weights = parseWeights(header ?? '');
  const others = weights.get('*');
  let chosen: Coding | null = null;
  let best = 0;
  for (const coding of CODINGS) {
    const weight =
      weights.get(coding) ?? (coding === 'gzip' ? weights.get('x-gzip') : undefined) ?? others ?? 0;
    if (weight > best) [chosen, best] = [coding, weight];
  }
  // A client that gives the plain form a greater weight wants it; one that does not name it merely takes it.
  return (weights.get('identity') ?? 0) > best ? null : chosen;
}

/** Weights by name, in lower case. An element that cannot be read does not count. */
function parseWeights(header: string): Map<string, number> {
  const weights = new Map<string, number>();
  for (const element of header.split(',')) {
    const [, name, weight] =
      /^[ \t]*([!#$%&'*+.^_`|~0-9A-Za-z-]+)[ \t]*(?:;[ \t]*[qQ]=(0(?:\.\d{0,3})?|1(?:\.0{0,3})?)[ \t]*)?$/.exec(
        element,
      ) ?? [];
    if (name !== undefined) weights.set(name.toLowerCase(), Number(weight ?? 1));
  }
  return weights;
}
