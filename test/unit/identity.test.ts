import { encodeName, toIdentity } from '../../shared/auth/identity.ts';

const mapping = { userClaim: 'sub', sharedScopes: new Map([['facility', 'facilities']]) };

describe('A name in a scope', () => {
  it.each([
    ['alice', 'alice'],
    ['alice@example.com', 'alice@example.com'],
    ['a.b-c_D9', 'a.b-c_D9'],
    ['a b', 'a=20b'],
    ['a=20b', 'a=3D20b'],
    ['a:b', 'a=3Ab'],
    ['a/../b', 'a=2F..=2Fb'],
    ['.', '=2E'],
    ['..', '=2E=2E'],
    ['...', '...'],
    ['\u00fc', '=C3=BC'],
    ['\ud83d\ude00', '=F0=9F=98=80'],
    ['a\n\u0000', 'a=0A=00'],
    ['%2e', '=252e'],
  ])('%j is spelled %s', (name, encoded) => expect(encodeName(name)).toBe(encoded));

  it.each([
    ['empty', ''],
    ['of 201 characters', 'a'.repeat(201)],
    ['too long once encoded', '\u20ac'.repeat(23)],
    ['half a surrogate pair', 'a\ud83d'],
  ])('cannot be %s', (_name, name) => expect(encodeName(name)).toBeNull());
});

describe('An identity', () => {
  it('has the own scope first, then the shared ones of its claims, each once', () => {
    expect(toIdentity({ sub: 'a b', facilities: ['12', 'x y', '12', 7, null, ''] }, mapping)).toEqual({
      userId: 'a=20b',
      claimedId: 'a b',
      ownScope: 'user:a=20b',
      scopes: ['user:a=20b', 'facility:12', 'facility:x=20y'],
    });
  });

  it('takes a claim that is one text for a list of one', () => {
    expect(toIdentity({ sub: 'a', facilities: '12' }, mapping).scopes).toEqual(['user:a', 'facility:12']);
  });

  it('cannot be led out of its scope by a claim', () => {
    const { scopes } = toIdentity({ sub: 'bob:x', facilities: ['12:user:alice', { id: '13' }] }, mapping);
    expect(scopes).toEqual(['user:bob=3Ax', 'facility:12=3Auser=3Aalice']);
  });

  it('has every scope the token grants: one left out would look revoked to the device', () => {
    const facilities = Array.from({ length: 80 }, (_, index) => String(index));
    expect(toIdentity({ sub: 'a', facilities }, mapping).scopes).toHaveLength(81);
  });

  it.each([undefined, null, 7, '', ['a'], {}])('cannot be made of the user %j', (sub) => {
    expect(() => toIdentity({ sub }, mapping)).toThrow(
      expect.objectContaining({ code: 'user_id_unusable' }) as Error,
    );
  });
});
