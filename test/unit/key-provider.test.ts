import { createHttpHeaders, type HttpClient } from '@azure/core-rest-pipeline';
import { createKeyProvider } from '../../shared/tokens/key-provider.ts';

const MINUTE = 60_000;

/** The real SecretClient against a vault that asks for a token first, as Key Vault does. */
function setUp() {
  const clock = { now: 1_000_000_000_000 };
  const vault = {
    primary: 'first',
    secondary: 'other',
    isDown: false,
    reads: [] as string[],
    changes: 0,
    wait: null as Promise<void> | null,
  };
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
      const name = request.url.includes('/secrets/secondary') ? 'secondary' : 'primary';
      vault.reads.push(name);
      if (vault.isDown) return answer(403, { error: { code: 'Forbidden', message: 'no' } });
      const found = answer(200, {
        value: vault[name],
        id: `https://v.vault.azure.net/secrets/${name}/1`,
        attributes: {},
      });
      return vault.wait?.then(() => found) ?? found;
    },
  };
  const provider = createKeyProvider(
    {
      kind: 'vault',
      uri: 'https://v.vault.azure.net',
      secrets: ['primary', 'secondary'],
      credential: {
        getToken: () => Promise.resolve({ token: 't', expiresOnTimestamp: Date.now() + 3_600_000 }),
      },
      options: { httpClient },
    },
    { now: () => clock.now, random: () => 0, onChange: () => (vault.changes += 1) },
  );
  /** Lets a read that goes on in the background come to its end. */
  const settle = () => new Promise((resolve) => setTimeout(resolve, 20));
  return { clock, vault, provider, settle };
}

describe('The key provider', () => {
  it('answers the key of a setting as it is, and the secondary one when that is refused', async () => {
    const source = { kind: 'setting', keys: ['k1', 'k2'] } as const;
    let now = 0;
    const provider = createKeyProvider(source, { now: () => now, random: () => 0 });
    expect(await provider.get()).toBe('k1');
    expect(await provider.refused('k1')).toBe('k2');
    expect(await provider.get()).toBe('k2');
    // Two bad keys are not tried in turn for ever.
    expect(await provider.refused('k2')).toBeNull();
    now += 5_000;
    expect(await provider.refused('k2')).toBe('k1');
    const alone = createKeyProvider({ kind: 'setting', keys: ['k'] }, { now: Date.now, random: () => 0 });
    expect([await alone.get(), await alone.refused('k')]).toEqual(['k', null]);
  });

  it('reads the vault once for all who ask at the same time, and ahead of time without holding up anybody', async () => {
    const { clock, vault, provider, settle } = setUp();
    expect(await Promise.all([provider.get(), provider.get(), provider.get()])).toEqual(
      Array(3).fill('first'),
    );
    vault.primary = 'second';
    clock.now += 10 * MINUTE - 1;
    expect(await provider.get()).toBe('first');
    expect(vault.reads).toHaveLength(1);
    clock.now += 1;
    expect(await Promise.all([provider.get(), provider.get()])).toEqual(['first', 'first']);
    await settle();
    expect(await provider.get()).toBe('second');
    expect(vault.reads).toHaveLength(2);
    expect(vault.changes).toBe(1);
  });

  it('reads a refused key again once for all, and goes on with the new one', async () => {
    const { vault, provider } = setUp();
    await provider.get();
    vault.primary = 'second';
    expect(await Promise.all([provider.refused('first'), provider.refused('first')])).toEqual([
      'second',
      'second',
    ]);
    expect(vault.reads).toEqual(['primary', 'primary']);
    // One whose request was still under way with the old key does not ask the vault again.
    expect(await provider.refused('first')).toBe('second');
    expect(vault.reads).toHaveLength(2);
  });

  it('switches to the other key where the same one is still in the vault, and back', async () => {
    const { vault, provider } = setUp();
    await provider.get();
    expect(await provider.refused('first')).toBe('other');
    expect(vault.reads).toEqual(['primary', 'primary', 'secondary']);
    expect(await provider.get()).toBe('other');
    vault.primary = 'second';
    expect(await provider.refused('other')).toBe('second');
  });

  it('is not led back by a look at the vault that began before the key was refused', async () => {
    const { clock, vault, provider, settle } = setUp();
    await provider.get();
    let answer: (() => void) | undefined;
    vault.wait = new Promise((resolve) => (answer = resolve));
    // The look ahead of time finds the old key still, and is slow to tell.
    clock.now += 10 * MINUTE;
    expect(await provider.get()).toBe('first');
    await settle();
    vault.wait = null;
    vault.primary = 'second';
    expect(await provider.refused('first')).toBe('second');
    answer?.();
    await settle();
    expect(await provider.get()).toBe('second');
    expect(vault.changes).toBe(1);
  });

  it('does not ask the vault for every refused request when no key is good', async () => {
    const { clock, vault, provider } = setUp();
    vault.secondary = 'first';
    await provider.get();
    expect(await provider.refused('first')).toBeNull();
    const { length } = vault.reads;
    expect(await provider.refused('first')).toBeNull();
    expect(vault.reads).toHaveLength(length);
    clock.now += 5_000;
    vault.primary = 'second';
    expect(await provider.refused('first')).toBe('second');
  });

  it('goes on with the key it has while the vault is down, for a day, and asks again every minute', async () => {
    const { clock, vault, provider, settle } = setUp();
    await provider.get();
    vault.isDown = true;
    clock.now += 10 * MINUTE;
    expect(await provider.get()).toBe('first');
    await settle();
    const { length } = vault.reads;
    expect(await provider.get()).toBe('first');
    await settle();
    expect(vault.reads).toHaveLength(length);
    clock.now += MINUTE;
    expect(await provider.get()).toBe('first');
    await settle();
    expect(vault.reads.length).toBeGreaterThan(length);
    clock.now += 24 * 60 * MINUTE;
    await expect(provider.get()).rejects.toMatchObject({ name: 'Unavailable', retryAfterSeconds: 5 });
    vault.isDown = false;
    vault.primary = 'second';
    clock.now += MINUTE;
    expect(await provider.get()).toBe('second');
  });

  it('is unavailable while it has no key, without asking for each request, and recovers', async () => {
    const { clock, vault, provider } = setUp();
    vault.isDown = true;
    await expect(provider.get()).rejects.toMatchObject({ name: 'Unavailable' });
    const { length } = vault.reads;
    await expect(provider.get()).rejects.toMatchObject({ name: 'Unavailable' });
    expect(vault.reads).toHaveLength(length);
    vault.isDown = false;
    clock.now += 2_000;
    expect(await provider.get()).toBe('first');
  });

  it('takes no empty secret for a key', async () => {
    const { vault, provider } = setUp();
    vault.primary = '';
    await expect(provider.get()).rejects.toMatchObject({ name: 'Unavailable' });
  });

  it('reads the key anew when the clock was set back', async () => {
    const { clock, vault, provider, settle } = setUp();
    await provider.get();
    vault.primary = 'second';
    clock.now -= MINUTE;
    expect(await provider.get()).toBe('first');
    await settle();
    expect(await provider.get()).toBe('second');
  });
});
