import { createHttpHeaders, type HttpClient } from '@azure/core-rest-pipeline';
import { createKeyProvider } from '../../shared/tokens/key-provider.ts';

const MINUTE = 60_000;

/** The real SecretClient against a vault that asks for a token first, as Key Vault does. */
function setUp() {
  const clock = { now: 1_000_000_000_000 };
  const vault = { key: 'first', isDown: false, reads: 0 };
  const httpClient: HttpClient = {
    sendRequest: (request) => {
      const answer = (status: number, body: object, headers: Record<string, string> = {}) =>
        Promise.resolve({
          request,
          status,
          headers: createHttpHeaders({ 'content-type': 'application/json', ...headers }),
          bodyAsText: JSON.stringify(body),
        });
      if (request.headers.get('authorization') === undefined) {
        return answer(
          401,
          {},
          {
            'www-authenticate':
              'Bearer authorization="https://login.example/tenant", resource="https://vault.azure.net"',
          },
        );
      }
      vault.reads += 1;
      if (vault.isDown) return answer(403, { error: { code: 'Forbidden', message: 'no' } });
      return answer(200, {
        value: vault.key,
        id: 'https://v.vault.azure.net/secrets/cosmos/1',
        attributes: {},
      });
    },
  };
  const provider = createKeyProvider(
    {
      kind: 'vault',
      uri: 'https://v.vault.azure.net',
      secret: 'cosmos',
      credential: {
        getToken: () => Promise.resolve({ token: 't', expiresOnTimestamp: Date.now() + 3_600_000 }),
      },
      options: { httpClient },
    },
    () => clock.now,
  );
  return { clock, vault, provider };
}

describe('The key provider', () => {
  it('answers the key of a setting as it is', async () => {
    const provider = createKeyProvider({ kind: 'setting', key: 'k' }, Date.now);
    provider.forget();
    expect(await provider.get()).toBe('k');
  });

  it('reads the vault once for all who ask at the same time, and again after ten minutes', async () => {
    const { clock, vault, provider } = setUp();
    expect(await Promise.all([provider.get(), provider.get(), provider.get()])).toEqual(
      Array(3).fill('first'),
    );
    vault.key = 'second';
    clock.now += 10 * MINUTE - 1;
    expect(await provider.get()).toBe('first');
    clock.now += 1;
    expect(await provider.get()).toBe('second');
    expect(vault.reads).toBe(2);
  });

  it('reads it again at once when the key was refused', async () => {
    const { vault, provider } = setUp();
    await provider.get();
    vault.key = 'second';
    provider.forget();
    expect(await provider.get()).toBe('second');
  });

  it('goes on with the key it has while the vault is down, and asks again a minute later', async () => {
    const { clock, vault, provider } = setUp();
    await provider.get();
    clock.now += 10 * MINUTE;
    vault.isDown = true;
    expect(await provider.get()).toBe('first');
    const { reads } = vault;
    expect(await provider.get()).toBe('first');
    expect(vault.reads).toBe(reads);
    vault.isDown = false;
    vault.key = 'second';
    clock.now += MINUTE;
    expect(await provider.get()).toBe('second');
  });

  it('is unavailable while it has no key, and recovers', async () => {
    const { vault, provider } = setUp();
    vault.isDown = true;
    await expect(provider.get()).rejects.toMatchObject({ name: 'Unavailable' });
    vault.isDown = false;
    expect(await provider.get()).toBe('first');
  });

  it('takes no empty secret for a key', async () => {
    const { vault, provider } = setUp();
    vault.key = '';
    await expect(provider.get()).rejects.toMatchObject({ name: 'Unavailable' });
  });
});
