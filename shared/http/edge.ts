import { randomUUID } from 'node:crypto';
import type { HttpRequest, HttpResponseInit, InvocationContext } from '@azure/functions';
import { RequestError, Unavailable } from '../errors.ts';
import { ERRORS, type Problem, type RequestErrorCode } from '../protocol/index.ts';

/** Answers are for one user and one moment: nobody may keep, sniff or frame them. */
const SECURITY_HEADERS = {
  'cache-control': 'no-store',
  'x-content-type-options': 'nosniff',
  'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
  'referrer-policy': 'no-referrer',
};

const REQUEST_ID = /^[A-Za-z0-9._-]{1,64}$/;

type Answer = (request: HttpRequest, context: InvocationContext) => Promise<{ readonly jsonBody: unknown }>;

/**
 * The HTTP edge that every function shares: request ids, JSON answers, and errors as problem documents. What a client
 * can send never ends in 500; what is our own fault is logged with its cause and answered without it.
 */
export const edge =
  (answer: Answer) =>
  async (request: HttpRequest, context: InvocationContext): Promise<HttpResponseInit> => {
    const sent = request.headers.get('x-request-id') ?? '';
    const requestId = REQUEST_ID.test(sent) ? sent : randomUUID();
    const headers = { ...SECURITY_HEADERS, 'x-request-id': requestId };
    try {
      const { jsonBody } = await answer(request, context);
      return json(200, jsonBody, { ...headers, 'content-type': 'application/json; charset=utf-8' });
    } catch (error) {
      const { problem, extra } = toProblem(error, requestId);
      if (problem.status >= 500) context.error(`${requestId} ${problem.code}:`, describe(error));
      return json(problem.status, problem, {
        ...headers,
        ...extra,
        'content-type': 'application/problem+json',
      });
    }
  };

const json = (status: number, body: unknown, headers: Record<string, string>): HttpResponseInit => ({
  status,
  body: JSON.stringify(body),
  headers,
});

function toProblem(error: unknown, requestId: string): { problem: Problem; extra: Record<string, string> } {
  if (error instanceof RequestError) {
    const { code, pointer, message } = error;
    return { problem: problemOf(code, requestId, message, pointer), extra: { ...error.headers } };
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
