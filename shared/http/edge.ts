import { randomUUID } from 'node:crypto';
import type { HttpRequest, HttpResponseInit, InvocationContext } from '@azure/functions';
import { RequestError, Unavailable } from '../errors.ts';
import { ERRORS, type Problem, type RequestErrorCode } from '../protocol/index.ts';
import { chooseCoding, encode } from './content-coding.ts';
import { corsHeaders, preflightHeaders } from './cors.ts';
import { entityTag, isKnown } from './entity-tag.ts';

/** What the operator chooses about answers. */
export interface EdgeSettings {
  /** Origins whose pages may call, for example `https://app.example.com`. */
  readonly allowedOrigins: ReadonlySet<string>;
  /** Answers of this many bytes or more are compressed, where the client takes that. */
  readonly compressFrom: number;
  /** Told of every request that is answered with a problem. */
  readonly onRefused?: (code: string, status: number) => void;
}

/** What a function answers with status 200. */
export interface Answered {
  readonly jsonBody: unknown;
  /**
   * Absent: nobody may keep the answer. `private`: the caller may, and is told 304 while it stands. `public`: so may
   * everybody, without asking, for five minutes.
   */
  readonly cache?: 'private' | 'public';
}

/** @param requestId names this call, in the logs and for the caller */
export type Answer = (
  request: HttpRequest,
  context: InvocationContext,
  requestId: string,
) => Promise<Answered>;

/** Every method that a client may try: what a function does not take is answered here, and not by the host. */
export const METHODS = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'] as const;

/** Answers are for one user and one moment: nobody may keep, sniff or frame them. */
const SECURITY_HEADERS = {
  'cache-control': 'no-store',
  'x-content-type-options': 'nosniff',
  'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
  'referrer-policy': 'no-referrer',
  // They differ by these whether or not this one does: what is kept of one must not answer the other.
  vary: 'Accept-Encoding, Origin',
};

const CACHE_CONTROL = { private: 'private, no-cache', public: 'public, max-age=300' };

const REQUEST_ID = /^[A-Za-z0-9._-]{1,64}$/;

/**
 * The HTTP edge that every function shares: request ids, CORS, methods, JSON answers compressed by negotiation, 304 for
 * what the client has already, and errors as problem documents. What a client can send never ends in 500; what is our
 * own fault is logged with its cause and answered without it.
 *
 * @param methods that the function takes; HEAD comes with GET, OPTIONS is answered here
 */
export const edge =
  (methods: readonly string[], answer: Answer, settings: () => EdgeSettings) =>
  async (request: HttpRequest, context: InvocationContext): Promise<HttpResponseInit> => {
    const sent = request.headers.get('x-request-id') ?? '';
    const requestId = REQUEST_ID.test(sent) ? sent : randomUUID();
    const taken = [...new Set([...methods, ...(methods.includes('GET') ? ['HEAD'] : []), 'OPTIONS'])];
    let headers: Record<string, string> = { ...SECURITY_HEADERS, 'x-request-id': requestId };
    let onRefused: EdgeSettings['onRefused'];
    try {
      const { allowedOrigins, compressFrom, ...telling } = settings();
      onRefused = telling.onRefused;
      const cors = corsHeaders(request.headers.get('origin'), allowedOrigins);
      headers = { ...headers, ...cors };
      if (request.method === 'OPTIONS') {
        const isAllowed = Object.keys(cors).length > 0;
        return {
          status: 204,
          headers: { ...headers, allow: taken.join(', '), ...(isAllowed ? preflightHeaders(methods) : {}) },
        };
      }
      if (!taken.includes(request.method)) {
        throw new RequestError('method_not_allowed', { headers: { allow: taken.join(', ') } });
      }
      const { jsonBody, cache } = await answer(request, context, requestId);
      const text = JSON.stringify(jsonBody);
      if (cache !== undefined) {
        const etag = entityTag(text);
        headers = { ...headers, 'cache-control': CACHE_CONTROL[cache], etag };
        if (isKnown(request.headers.get('if-none-match'), etag)) return { status: 304, headers };
      }
      const body = Buffer.from(text);
      const coding = body.length < compressFrom ? null : chooseCoding(request.headers.get('accept-encoding'));
      return {
        status: 200,
        headers: {
          ...headers,
          'content-type': 'application/json; charset=utf-8',
          ...(coding === null ? {} : { 'content-encoding': coding }),
        },
        body: coding === null ? body : await encode(body, coding),
      };
    } catch (error) {
      const { problem, extra } = toProblem(error, requestId);
      onRefused?.(problem.code, problem.status);
      if (problem.status >= 500) context.error(`${requestId} ${problem.code}:`, describe(error));
      return {
        status: problem.status,
        headers: {
          ...headers,
          'cache-control': 'no-store',
          ...extra,
          'content-type': 'application/problem+json',
        },
        body: JSON.stringify(problem),
      };
    }
  };

function toProblem(error: unknown, requestId: string): { problem: Problem; extra: Record<string, string> } {
  if (error instanceof RequestError) {
    const { code, pointer, message } = error;
    const problem = problemOf(code, requestId, message, pointer);
    return { problem: { ...problem, ...error.members }, extra: { ...error.headers } };
  }
  if (error instanceof Unavailable) {
    return {
      problem: problemOf('unavailable', requestId),
      extra: { 'retry-after': String(error.retryAfterSeconds) },
    };
  }
  return { problem: problemOf('internal_error', requestId), extra: {} };
}

function problemOf(code: RequestErrorCode, requestId: string, detail?: string, pointer?: string): Problem {
  const { status, title } = ERRORS[code];
  return {
    type: `urn:tidemark:error:${code}`,
    title,
    status,
    code,
    ...(detail === undefined || detail === title ? {} : { detail }),
    ...(pointer === undefined ? {} : { pointer }),
    requestId,
  };
}

/** An error with its causes, for the log. The SDK's errors carry request headers: only names and messages are told. */
function describe(error: unknown): string {
  const lines: string[] = [];
  for (let at: unknown = error; at instanceof Error && lines.length < 5; at = at.cause) {
    lines.push(`${at.name}: ${at.message.slice(0, 500)}`);
  }
  return lines.join(' <- ') || typeof error;
}
