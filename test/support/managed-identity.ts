import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { generateKeyPair, exportJWK, jwtVerify, SignJWT } from 'jose';

/**
 * The identity endpoint that App Service gives an app (IDENTITY_ENDPOINT, version 2019-08-01), and the issuer whose
 * tokens it hands out, on this machine.
 */
export interface ManagedIdentity {
  readonly issuer: string;
  /** The environment that the platform gives an app. */
  readonly environment: Readonly<Record<string, string>>;
  /** What the app asked for: client id and resource. */
  readonly asked: readonly { readonly clientId: string | null; readonly resource: string | null }[];
  /** Did this issuer give the token, for this resource, and is it still good? */
  accepts(token: string, resource: string): Promise<boolean>;
  dispose(): Promise<void>;
}

export async function startManagedIdentity(principal: string): Promise<ManagedIdentity> {
  const { privateKey, publicKey } = await generateKeyPair('RS256', { extractable: true });
  const jwk = { ...(await exportJWK(publicKey)), kid: 'one', alg: 'RS256', use: 'sig' };
  const secret = 'only-the-platform-knows';
  const asked: { clientId: string | null; resource: string | null }[] = [];
  let url = '';
  const server = createServer((request, response) => {
    void answer(new URL(request.url ?? '/', url), request.headers['x-identity-header']).then(
      ({ status, body }) => {
        response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
      },
    );
  });
  const answer = async ({ pathname, searchParams }: URL, header: unknown) => {
    if (pathname === '/.well-known/openid-configuration')
      return { status: 200, body: { issuer: url, jwks_uri: `${url}/keys` } };
    if (pathname === '/keys') return { status: 200, body: { keys: [jwk] } };
    if (header !== secret) return { status: 401, body: {} };
    const resource = searchParams.get('resource');
    asked.push({ clientId: searchParams.get('client_id'), resource });
    const token = await new SignJWT({ oid: principal })
      .setProtectedHeader({ alg: 'RS256', kid: 'one' })
      .setIssuer(url)
      .setAudience(resource ?? '')
      .setIssuedAt()
      .setNotBefore('-5s')
      .setExpirationTime('1h')
      .sign(privateKey);
    const expires = Math.floor(Date.now() / 1000) + 3600;
    return {
      status: 200,
      body: { access_token: token, expires_on: String(expires), resource, token_type: 'Bearer' },
    };
  };
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return {
    issuer: url,
    environment: { IDENTITY_ENDPOINT: `${url}/msi/token`, IDENTITY_HEADER: secret },
    asked,
    accepts: (token, resource) =>
      jwtVerify(token, publicKey, { issuer: url, audience: resource, algorithms: ['RS256'] }).then(
        () => true,
        () => false,
      ),
    dispose: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}
