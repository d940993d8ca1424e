import { createHash } from 'node:crypto';

/**
 * Names the content of an answer. It is a weak tag, because the same content goes out in several encodings (RFC 9110,
 * section 8.8.1), and If-None-Match compares weakly anyway.
 */
export const entityTag = (content: string): string =>
  `W/"${createHash('sha256').update(content).digest('base64url').slice(0, 22)}"`;

/**
 * Does the client have this content already?
 *
 * @param header If-None-Match; null where there is none
 */
export function isKnown(header: string | null, tag: string): boolean {
  if (header === null) return false;
  if (header.trim() === '*') return true;
  const opaque = (text: string): string => text.trim().replace(/^W\//, '');
  return header.split(',').some((each) => opaque(each) === opaque(tag));
}
