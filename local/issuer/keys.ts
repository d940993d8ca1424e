import { randomUUID } from 'node:crypto';
import { readFile, rename, writeFile } from 'node:fs/promises';
import { calculateJwkThumbprint, exportJWK, generateKeyPair, importJWK } from 'jose';
import type { CryptoKey, JWK } from 'jose';

const ALGORITHM = 'RS256';

/** How many keys that no longer sign are still published, so that tokens outlive a rotation. */
const RETIRED = 2;

type Key = JWK & { readonly kid: string };

/**
 * The issuer's signing keys, the newest first. With a file they survive a restart, and so do the tokens they signed.
 */
export class SigningKeys {
  readonly #file: string | undefined;
  #keys: readonly Key[];

  /** @throws Error when the file is there but holds no keys. */
  static async open(file?: string): Promise<SigningKeys> {
    const stored = file === undefined ? undefined : await readKeys(file);
    const keys = new SigningKeys(file, stored ?? []);
    if (keys.#keys.length === 0) await keys.rotate();
    return keys;
  }

  private constructor(file: string | undefined, keys: readonly Key[]) {
    this.#file = file;
    this.#keys = keys;
  }

  /** The public halves, as `/.well-known/jwks.json` shows them. */
  get published(): { keys: JWK[] } {
    return {
      keys: this.#keys.map(({ kty, kid, n, e }) => ({ kty, kid, n, e, alg: ALGORITHM, use: 'sig' }) as JWK),
    };
  }

  /** The key that signs from now on, with its name. */
  async current(): Promise<{ kid: string; alg: string; key: CryptoKey | Uint8Array }> {
    const [jwk] = this.#keys;
    if (jwk === undefined) throw new Error('The issuer has no key.');
    return { kid: jwk.kid, alg: ALGORITHM, key: await importJWK(jwk, ALGORITHM) };
  }

  /** Signs with a new key from now on; the last ones stay published. */
  async rotate(): Promise<void> {
    const { privateKey } = await generateKeyPair(ALGORITHM, { extractable: true });
    const jwk = await exportJWK(privateKey);
    const key = { ...jwk, kid: await calculateJwkThumbprint(jwk) };
    this.#keys = [key, ...this.#keys].slice(0, 1 + RETIRED);
    if (this.#file !== undefined) await writeKeys(this.#file, this.#keys);
  }
}

async function readKeys(file: string): Promise<readonly Key[] | undefined> {
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
  const keys = parseKeys(text);
  if (keys === undefined) throw new Error(`${file} holds no signing keys. Delete it to start with new ones.`);
  return keys;
}

function parseKeys(text: string): readonly Key[] | undefined {
  try {
    const content: unknown = JSON.parse(text);
    if (typeof content !== 'object' || content === null || !('keys' in content)) return undefined;
    const { keys } = content;
    return Array.isArray(keys) && keys.every(isPrivateKey) ? keys : undefined;
  } catch {
    return undefined;
  }
}

function isPrivateKey(value: unknown): value is Key {
  return (
    typeof value === 'object' &&
    value !== null &&
    ['kty', 'kid', 'n', 'e', 'd'].every(
      (name) => name in value && typeof Reflect.get(value, name) === 'string',
    )
  );
}

/** In one step, readable by the owner only: a crash leaves the old file or the new one. */
async function writeKeys(file: string, keys: readonly Key[]): Promise<void> {
  const draft = `${file}.${randomUUID()}`;
  await writeFile(draft, `${JSON.stringify({ keys }, undefined, 2)}\n`, { mode: 0o600 });
  await rename(draft, file);
}
