/** What a page of another origin may send along, beyond what browsers always allow. */
const REQUEST_HEADERS =
  'authorization, content-type, content-encoding, if-none-match, x-request-id, traceparent';
/** What such a page may read of an answer, beyond what browsers always show. */
const ANSWER_HEADERS = 'x-request-id, retry-after, etag';
/** How long a browser may keep the answer to a preflight, in seconds; browsers cap it at two hours or less. */
const MAX_AGE = '7200';

/**
 * The CORS headers of an answer. An origin is allowed when it is in the list, letter by letter; there is no wildcard.
 * Cookies are never asked for (`Access-Control-Allow-Credentials` is not sent): callers bring a bearer token, which no
 * browser adds by itself.
 *
 * @param origin the Origin header
 */
export function corsHeaders(
  origin: string | null,
  allowed: ReadonlySet<string>,
): Readonly<Record<string, string>> {
  if (origin === null || !allowed.has(origin)) return {};
  return { 'access-control-allow-origin': origin, 'access-control-expose-headers': ANSWER_HEADERS };
}

/** What a preflight request (OPTIONS) is told, on top of {@link corsHeaders}, where its origin is allowed. */
export const preflightHeaders = (methods: readonly string[]): Readonly<Record<string, string>> => ({
  'access-control-allow-methods': methods.join(', '),
  'access-control-allow-headers': REQUEST_HEADERS,
  'access-control-max-age': MAX_AGE,
});
