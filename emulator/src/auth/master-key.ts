import { createHmac, timingSafeEqual } from 'node:crypto';
import type { Route } from '../http/route.ts';

/**
 * The signature of a master key: HMAC-SHA256 over verb, type and link of the resource and the date, each on a line,
 * with the decoded key.
 * https://learn.microsoft.com/rest/api/cosmos-db/access-control-on-cosmosdb-resources
 */
export function signRequest(key: Buffer, verb: string, type: string, link: string, date: string): string {
  const text = `${verb.toLowerCase()}\n${type.toLowerCase()}\n${link}\n${date.toLowerCase()}\n\n`;
  return createHmac('sha256', key).update(text, 'utf8').digest('base64');
}

/**
 * Checks a signature. The link is the path with names in their own case; a resource addressed by its rid is signed
 * with the rid alone in lower case, and so are offers.
 */
export function signatureMatches(
  key: Buffer,
  verb: string,
  route: Route,
  rawLink: string,
  date: string,
  signature: string,
): boolean {
  const rid = (route.link.split('/').at(-1) ?? '').toLowerCase();
  const links = new Set([route.link, rawLink, rid]);
  return [...links].some((link) => sameText(signRequest(key, verb, route.type, link, date), signature));
}

export function sameText(left: string, right: string): boolean {
  const a = Buffer.from(left);
  const b = Buffer.from(right);
  return a.length === b.length && timingSafeEqual(a, b);
}
