import { exportJWK, generateKeyPair } from 'jose';
import { createKeySet } from '../../../shared/auth/key-set.ts';

const ISSUER = 'https://issuer.example/';
const DISCOVERY = 'https://issuer.example/.well-known/openid-configuration';
const KEYS = 'https://keys.example/jwks';
const MINUTE = 60_000;

/** An identity provider behind `fetch`. */
async function setUp(issuer = ISSUER, jwksUri: string | null = null) {
  const publicKeys: object[] = [];
  const idp = {
    isDown: false,
    asked: [] as string[],
    uri: KEYS,
    issuer,
    answer: null as Response | null,
    wait: null as Promise<void> | null,
  };
  const addKey = async (kid: string): Promise<void> => {
    const { publicKey } = await generateKeyPair('ES256');
    publicKeys.unshift({ ...(await exportJWK(publicKey)), kid, alg: 'ES256', use: 'sig' });
  };
  await addKey('one');
  const clock = { now: 1_000_000_000_000 };
  const find = createKeySet(
    { issuer, jwksUri },
    {
      now: () => clock.now,
      random: () => 0,
      fetch: (address) => {
        idp.asked.push(address);
        if (idp.isDown) return Promise.reject(new TypeError('fetch failed'));
        if (idp.answer !== null) return Promise.resolve(idp.answer);
        const body = address.includes('openid-configuration')
          ? { issuer: idp.issuer, jwks_uri: idp.uri }
          : { keys: publicKeys };
        const response = Response.json(body);
        return idp.wait?.then(() => response) ?? Promise.resolve(response);
      },
    },
  );
  const look = (kid: string) => find({ alg: 'ES256', kid }, { payload: '', signature: '' });
  /** Lets a refresh in the background come to its end. */
  const settle = () => new Promise((resolve) => setTimeout(resolve, 5));
  return { idp, clock, look, addKey, publicKeys, settle };
}

describe('The keys of an issuer', () => {
  it('are found by discovery when first needed, once for all', async () => {
    const { idp, look } = await setUp();
    await Promise.all([look('one'), look('one'), look('one')]);
    expect(idp.asked).toEqual([DISCOVERY, KEYS]);
    await look('one');
    expect(idp.asked).toHaveLength(2);
  });

  it('come from the address that is set, without discovery', async () => {
    const { idp, look } = await setUp(ISSUER, 'https://set.example/k');
    await look('one');
    expect(idp.asked).toEqual(['https://set.example/k']);
  });

  it('are fetched again in the background after ten minutes, and nobody waits', async () => {
    const { idp, clock, look, settle } = await setUp();
    await look('one');
    clock.now += 10 * MINUTE;
    await Promise.all([look('one'), look('one')]);
    await settle();
    expect(idp.asked).toHaveLength(4);
  });

  it('stay good for six hours while the issuer is down, and no longer', async () => {
    const { idp, clock, look, settle } = await setUp();
    await look('one');
    idp.isDown = true;
    for (let minutes = 0; minutes < 6 * 60; minutes += 30) {
      clock.now += 30 * MINUTE - 1;
      await look('one');
      await settle();
    }
    clock.now += MINUTE;
    await expect(look('one')).rejects.toMatchObject({ name: 'Unavailable', retryAfterSeconds: 5 });
    idp.isDown = false;
    clock.now += 1_000;
    await look('one');
  });

  it('are not asked for with each request while there are none: once a second, by one flight', async () => {
    const { idp, clock, look } = await setUp();
    idp.isDown = true;
    const outcomes = async () =>
      (await Promise.allSettled(Array.from({ length: 20 }, async () => look('one')))).map(
        ({ status }) => status,
      );
    for (let second = 1; second <= 3; second += 1) {
      expect(new Set([...(await outcomes()), ...(await outcomes())])).toEqual(new Set(['rejected']));
      expect(idp.asked).toHaveLength(second);
      clock.now += 1_000;
    }
    idp.isDown = false;
    await look('one');
  });

  it('are looked for anew when a token names one that is not known: a rollover locks nobody out', async () => {
    const { look, addKey } = await setUp();
    await look('one');
    await addKey('two');
    await look('two');
    await look('one');
  });

  it('are looked for once more where a look under way began before the new one was there', async () => {
    const { idp, clock, look, addKey, settle } = await setUp(ISSUER, 'https://set.example/k');
    await look('one');
    let answer: (() => void) | undefined;
    idp.wait = new Promise((resolve) => (answer = resolve));
    clock.now += 10 * MINUTE;
    await look('one');
    await settle();
    idp.wait = null;
    await addKey('two');
    const early = look('two');
    answer?.();
    await expect(early).rejects.toMatchObject({ code: 'ERR_JWKS_NO_MATCHING_KEY' });
    await look('two');
  });

  it('are not asked for with every made-up name: once in ten seconds, which brings all that are new', async () => {
    const { idp, clock, look, addKey } = await setUp();
    await look('one');
    const before = idp.asked.length;
    for (let index = 0; index < 50; index += 1) {
      await expect(look(`made-up-${index}`)).rejects.toMatchObject({ code: 'ERR_JWKS_NO_MATCHING_KEY' });
    }
    expect(idp.asked.length - before).toBe(2);
    await addKey('two');
    clock.now += 10_000;
    await expect(look('made-up')).rejects.toMatchObject({ code: 'ERR_JWKS_NO_MATCHING_KEY' });
    await look('two');
    expect(idp.asked.length - before).toBe(4);
  });

  it('that cannot be told to be unknown, because the issuer is down, refuse nobody for good', async () => {
    const { idp, look } = await setUp();
    await look('one');
    idp.isDown = true;
    await expect(look('two')).rejects.toMatchObject({ name: 'Unavailable' });
    await expect(look('two')).rejects.toMatchObject({ name: 'Unavailable' });
  });

  it('go when the issuer takes them back', async () => {
    const { clock, look, publicKeys, addKey, settle } = await setUp();
    await look('one');
    await addKey('two');
    publicKeys.pop();
    clock.now += 10 * MINUTE;
    await look('one');
    await settle();
    clock.now += 10_000;
    await expect(look('one')).rejects.toMatchObject({ code: 'ERR_JWKS_NO_MATCHING_KEY' });
  });

  it.each([
    ['over http', 'http://keys.example/jwks'],
    ['over http on this machine, for an issuer elsewhere', 'http://127.0.0.1:9/jwks'],
    ['from a file', 'file:///etc/passwd'],
    ['from no address', 'keys'],
  ])('are not taken %s', async (_, uri) => {
    const { idp, look } = await setUp();
    idp.uri = uri;
    await expect(look('one')).rejects.toMatchObject({ name: 'Unavailable' });
    expect(idp.asked).toEqual([DISCOVERY]);
  });

  it('are taken over http on this machine where the issuer is here, too', async () => {
    const { idp, look } = await setUp('http://127.0.0.1:7072');
    idp.uri = 'http://127.0.0.1:7072/keys';
    await look('one');
  });

  it.each<[string, () => Response]>([
    ['a redirect', () => new Response(null, { status: 302, headers: { location: 'https://evil.example' } })],
    ['an error', () => new Response('{}', { status: 500 })],
    ['no JSON', () => new Response('<html>')],
    ['a megabyte', () => new Response('x'.repeat(1_000_000))],
    ['another issuer', () => Response.json({ issuer: 'https://evil.example', jwks_uri: KEYS })],
    ['no keys', () => Response.json({ issuer: ISSUER })],
  ])('are not made of %s', async (_, answer) => {
    const { idp, look } = await setUp();
    idp.answer = answer();
    await expect(look('one')).rejects.toMatchObject({ name: 'Unavailable' });
  });

  it('an answer that is refused is not left half read: its connection is free again', async () => {
    const { idp, look } = await setUp();
    const cancelled = jest.fn();
    idp.answer = new Response(new ReadableStream({ cancel: cancelled }), { status: 500 });
    await expect(look('one')).rejects.toMatchObject({ name: 'Unavailable' });
    expect(cancelled).toHaveBeenCalledTimes(1);
  });

  it('are fetched anew when the clock was set back', async () => {
    const { idp, clock, look, settle } = await setUp();
    await look('one');
    clock.now -= MINUTE;
    await look('one');
    await settle();
    expect(idp.asked).toHaveLength(4);
  });
});
