import {
  createPrivateKey,
  createPublicKey,
  createSign,
  generateKeyPairSync,
  type JsonWebKey,
} from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

export const base64url = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url');

/** Makes tokens with the development issuer's own signing key, as it lies on disk: what the issuer would never sign. */
export function createForge(dataDir: string, issuer: string, audience: string) {
  const file = readFileSync(join(dataDir, 'issuer-keys.json'), 'utf8');
  const { keys } = JSON.parse(file) as { keys: [JsonWebKey & { kid: string }] };
  const [{ kid }] = keys;
  const key = createPrivateKey({ key: keys[0], format: 'jwk' });
  const foreign = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const now = Math.floor(Date.now() / 1000);
  const claims = { iss: issuer, aud: audience, sub: 'alice', iat: now, exp: now + 600 };
  const signWith =
    (algorithm: string, privateKey = key) =>
    (input: string): string =>
      createSign(algorithm).update(input).sign(privateKey, 'base64url');
  const signAs = (
    content: unknown,
    header: Readonly<Record<string, unknown>> = {},
    signer: (input: string) => string = signWith('RSA-SHA256'),
  ): string => {
    const input = `${base64url({ alg: 'RS256', typ: 'JWT', kid, ...header })}.${base64url(content)}`;
    return `${input}.${signer(input)}`;
  };
  return {
    kid,
    now,
    claims,
    publicPem: createPublicKey(key).export({ type: 'spki', format: 'pem' }) as string,
    foreign,
    signedByForeign: signWith('RSA-SHA256', foreign.privateKey),
    rs512: signWith('RSA-SHA512'),
    /** A token of any payload. */
    signAs,
    /** A token that the app takes, but for the changes. */
    sign: (
      changes: Readonly<Record<string, unknown>> = {},
      header: Readonly<Record<string, unknown>> = {},
      signer?: (input: string) => string,
    ): string => signAs({ ...claims, ...changes }, header, signer),
  };
}
