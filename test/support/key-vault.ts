import { randomBytes } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { TokenCredential } from '@azure/identity';
import type { SecretClientOptions } from '@azure/keyvault-secrets';
import { makeCertificate } from '../../emulator/src/http/certificate.ts';

/** Key Vault's REST API, as far as reading secrets goes, over HTTPS on loopback: for the real `SecretClient`. */
export interface KeyVault {
  readonly uri: string;
  /** By name. Changed by tests while it runs. */
  readonly secrets: Map<string, string>;
  /** `down`: 503 to everything. `forbidden`: the caller's access is gone. `silent`: no answer at all. */
  mode: 'up' | 'down' | 'forbidden' | 'silent';
  /** What it was asked, in order: `challenge`, or the name of a secret. */
  readonly requests: string[];
  /** What a client needs to talk to it: a credential that it accepts, and its certificate. */
  readonly credential: TokenCredential;
  readonly options: SecretClientOptions;
  readonly certificate: string;
  readonly dispose: () => Promise<void>;
}

/** Where it stands in for a vault in Azure: by its own name there, and for callers with their own tokens. */
export interface KeyVaultOptions {
  /** A name that its callers resolve to this machine. */
  readonly host?: string;
  /** Is a bearer token one that Microsoft Entra gave for a vault? Default: only that of `credential` is. */
  readonly accepts?: (token: string) => Promise<boolean>;
}

const TENANT = '11111111-2222-3333-4444-555555555555';
const RESOURCE = 'https://vault.azure.net';

export async function startKeyVault(
  secrets: Readonly<Record<string, string>>,
  { host, accepts }: KeyVaultOptions = {},
): Promise<KeyVault> {
  const { certificate, key } = makeCertificate(Date.now(), randomBytes, 'Key Vault', host);
  const accessToken = randomBytes(24).toString('base64url');
  const scopes: string[] = [];
  const isKnown = async (authorization = ''): Promise<boolean> =>
    authorization === `Bearer ${accessToken}` ||
    (accepts !== undefined && (await accepts(authorization.replace(/^Bearer /, ''))));
  const answer = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const send = (status: number, body: object, headers: Record<string, string> = {}): void => {
      response.writeHead(status, { 'content-type': 'application/json; charset=utf-8', ...headers });
      response.end(JSON.stringify(body));
    };
    const fail = (status: number, code: string): void => send(status, { error: { code, message: code } });
    if (vault.mode === 'silent') return;
    if (vault.mode === 'down') {
      fail(503, 'ServiceUnavailable');
      return;
    }
    // The first request comes without a token, to be told where to get one.
    if (!(await isKnown(request.headers.authorization))) {
      vault.requests.push('challenge');
      send(
        401,
        { error: { code: 'Unauthorized', message: 'AKV10000: Request is missing a Bearer or PoP token.' } },
        {
          'www-authenticate': `Bearer authorization="https://login.microsoftonline.com/${TENANT}", resource="${RESOURCE}"`,
        },
      );
      return;
    }
    const { pathname, searchParams } = new URL(request.url ?? '/', vault.uri);
    const name = /^\/secrets\/([0-9A-Za-z-]{1,127})\/?$/.exec(pathname)?.[1];
    if (request.method !== 'GET' || name === undefined || !searchParams.has('api-version')) {
      fail(400, 'BadParameter');
      return;
    }
    vault.requests.push(name);
    if (vault.mode === 'forbidden') {
      fail(403, 'Forbidden');
      return;
    }
    const value = vault.secrets.get(name);
    if (value === undefined) {
      fail(404, 'SecretNotFound');
      return;
    }
    send(200, {
      value,
      id: `${vault.uri}/secrets/${name}/${'0'.repeat(32)}`,
      attributes: { enabled: true, created: 1_700_000_000, updated: 1_700_000_000 },
    });
  };
  const server: Server = createServer(
    { cert: certificate, key },
    (request, response) => void answer(request, response),
  );
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const vault: KeyVault = {
    uri: `https://${host ?? '127.0.0.1'}:${(server.address() as AddressInfo).port}`,
    secrets: new Map(Object.entries(secrets)),
    mode: 'up',
    requests: [],
    credential: {
      getToken: (scope, options) => {
        scopes.push(String(scope));
        if (options?.tenantId !== undefined && options.tenantId !== TENANT)
          throw new Error('Another tenant.');
        return Promise.resolve({ token: accessToken, expiresOnTimestamp: Date.now() + 3_600_000 });
      },
    },
    certificate,
    options: {
      tlsOptions: { ca: certificate },
      // The resource of the challenge is Key Vault's own, and this server is not below it.
      disableChallengeResourceVerification: true,
      retryOptions: { maxRetries: 1, retryDelayInMs: 10, maxRetryDelayInMs: 10 },
    },
    dispose: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
  return vault;
}
