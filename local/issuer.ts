import { randomUUID } from 'node:crypto';
import { createServer } from 'node:http';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { SignJWT } from 'jose';
import { isLoopbackName, loopbackUrl, refuseInAzure, requireLoopback } from './development-only.ts';
import { BodyTooLargeError, readBody } from './host/http-request.ts';
import { SigningKeys } from './issuer/keys.ts';
import {
  checkTokenRequest,
  MAX_REQUEST_BYTES,
  parseTokenRequest,
  TokenRequestError,
} from './issuer/token-request.ts';
import type { TokenRequest } from './issuer/token-request.ts';
import { listen } from './listen.ts';

export { TokenRequestError } from './issuer/token-request.ts';
export type { TokenRequest } from './issuer/token-request.ts';

/** Seconds a token lives where nothing else is asked for: what Microsoft Entra ID gives, roughly. */
const DEFAULT_LIFETIME = 3_600;

const DISCOVERY = '/.well-known/openid-configuration';
const JWKS = '/.well-known/jwks.json';
const TOKEN = '/token';

export interface IssuerOptions {
  /** 0 (default) takes a free one. */
  readonly port?: number;
  readonly host?: string;
  /** `aud` of the tokens. */
  readonly audience: string;
  /** Milliseconds since 1970. */
  readonly now?: () => number;
  /** Seconds. */
  readonly lifetime?: number;
  /** Where the signing keys are kept; without it each start makes new ones. */
  readonly keyFile?: string;
}

export interface Issuer {
  /** `iss` of the tokens and the address of the server. */
  readonly issuer: string;
  /** Signs a token, as `POST /token` does. @throws TokenRequestError */
  token(claims: TokenRequest): Promise<string>;
  /** Signs with a new key from now on; tokens signed before stay valid. */
  rotateKeys(): Promise<void>;
  /** Safe to repeat. */
  dispose(): Promise<void>;
}

/**
 * Starts an identity issuer for development. It proves nothing: it makes a token for whoever is asked for, which is
 * why it listens on loopback only. What it issues is real, and checked by the app the same way as in Azure: RS256,
 * with a discovery document and published keys.
 *
 * @throws PortInUseError
 */
export async function startIssuer(options: IssuerOptions): Promise<Issuer> {
  const { port = 0, host = '127.0.0.1', audience, now = Date.now, lifetime = DEFAULT_LIFETIME } = options;
  refuseInAzure('The development identity issuer', process.env);
  requireLoopback('The development identity issuer', host);
  const keys = await SigningKeys.open(options.keyFile);

  const sign = async (request: TokenRequest) => {
    const { lifetime: seconds = lifetime, ...claims } = request;
    const { kid, alg, key } = await keys.current();
    const issuedAt = Math.floor(now() / 1000);
    const token = await new SignJWT({ aud: audience, ...claims })
      .setProtectedHeader({ alg, kid, typ: 'JWT' })
      .setIssuer(issuer)
      // A token that has expired was also issued earlier; one that ends before it begins is no example of anything.
      .setIssuedAt(Math.min(issuedAt, issuedAt + seconds - 1))
      .setNotBefore(Math.min(issuedAt, issuedAt + seconds - 1))
      .setExpirationTime(issuedAt + seconds)
      .setJti(randomUUID())
      .sign(key);
    return { token, expiresIn: Math.max(0, seconds) };
  };

  const routes: Record<string, Endpoint> = {
    [DISCOVERY]: { method: 'GET', answer: () => ({ status: 200, body: discovery(issuer) }) },
    [JWKS]: { method: 'GET', answer: () => ({ status: 200, body: keys.published }) },
    [TOKEN]: {
      method: 'POST',
      answer: async (request) => {
        const body = await readBody(request, MAX_REQUEST_BYTES);
        const asked = parseTokenRequest(request.headers['content-type'] ?? '', body.toString('utf8'));
        const { token, expiresIn } = await sign(asked);
        return { status: 200, body: { access_token: token, token_type: 'Bearer', expires_in: expiresIn } };
      },
    },
  };

  const server = createServer((request, response) => {
    void respond(routes, request, response);
  });
  const issuer = loopbackUrl(host, await listen(server, port, host));

  let ending: Promise<void> | undefined;
  const end = () =>
    new Promise<void>((resolve) => {
      server.close(() => resolve());
      server.closeAllConnections();
    });
  return {
    issuer,
    token: async (claims) => (await sign(checkTokenRequest(claims))).token,
    rotateKeys: () => keys.rotate(),
    dispose: () => (ending ??= end()),
  };
}

interface Answer {
  readonly status: number;
  readonly body: object;
  readonly headers?: Record<string, string>;
}

interface Endpoint {
  readonly method: 'GET' | 'POST';
  answer(request: IncomingMessage): Answer | Promise<Answer>;
}

function discovery(issuer: string): object {
  return {
    issuer,
    jwks_uri: issuer + JWKS,
    token_endpoint: issuer + TOKEN,
    grant_types_supported: ['client_credentials'],
    response_types_supported: ['token'],
    subject_types_supported: ['public'],
    id_token_signing_alg_values_supported: ['RS256'],
    token_endpoint_auth_methods_supported: ['none'],
  };
}

async function respond(
  routes: Readonly<Record<string, Endpoint>>,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  allowLoopbackOrigin(request, response);
  const { status, body, headers } = await answerFor(routes, request);
  if (response.destroyed) return;
  const text = Buffer.from(status === 204 ? '' : `${JSON.stringify(body)}\n`);
  response.writeHead(status, {
    'cache-control': 'no-store',
    ...(status === 204 ? {} : { 'content-type': 'application/json', 'content-length': text.length }),
    ...headers,
  });
  response.end(text);
}

async function answerFor(
  routes: Readonly<Record<string, Endpoint>>,
  request: IncomingMessage,
): Promise<Answer> {
  // A page on the internet whose name resolves to 127.0.0.1 would otherwise read tokens.
  if (!isLoopbackName((request.headers.host ?? '127.0.0.1').replace(/:\d+$/, ''))) {
    return oauthError(403, 'invalid_request', 'This issuer answers to 127.0.0.1, [::1] and localhost only.');
  }
  const path = (request.url ?? '/').replace(/\?.*$/s, '');
  const endpoint = Object.hasOwn(routes, path) ? routes[path] : undefined;
  if (endpoint === undefined) {
    return oauthError(404, 'invalid_request', `Nothing here. Try ${Object.keys(routes).join(', ')}.`);
  }
  if (request.method === 'OPTIONS') return { status: 204, body: {} };
  const method = request.method === 'HEAD' ? 'GET' : request.method;
  if (method !== endpoint.method) {
    const { status, body } = oauthError(405, 'invalid_request', `Use ${endpoint.method}.`);
    return { status, body, headers: { allow: endpoint.method } };
  }
  try {
    return await endpoint.answer(request);
  } catch (error) {
    if (error instanceof TokenRequestError) return oauthError(400, 'invalid_request', error.message);
    if (error instanceof BodyTooLargeError) {
      return oauthError(413, 'invalid_request', `A token request has at most ${MAX_REQUEST_BYTES} bytes.`);
    }
    return oauthError(500, 'server_error', 'The issuer failed.');
  }
}

/** The form of an error in OAuth (RFC 6749, section 5.2). */
function oauthError(status: number, error: string, description: string): Answer {
  return { status, body: { error, error_description: description } };
}

/** Lets web apps that run on this machine call the issuer; other origins are not named and so cannot read answers. */
function allowLoopbackOrigin(request: IncomingMessage, response: ServerResponse): void {
  const { origin } = request.headers;
  response.setHeader('vary', 'Origin');
  if (origin === undefined || !URL.canParse(origin) || !isLoopbackName(new URL(origin).hostname)) return;
  response.setHeader('access-control-allow-origin', origin);
  response.setHeader('access-control-allow-methods', 'GET, POST');
  response.setHeader('access-control-allow-headers', 'content-type, authorization');
}
