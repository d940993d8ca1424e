import { isAdmin, roleIn, toIdentity } from '../../shared/auth/identity.ts';
import { encodeName } from '../../shared/protocol/index.ts';
import { parseSyncConfig } from '../../shared/sync/sync-config.ts';

const { sharedScopes, roles } = parseSyncConfig({
  collections: {},
  sharedScopes: { facility: 'facilities', team: 'teams' },
  roles: {
    claim: 'groups',
    map: {
      reads: 'reader',
      writes: 'writer',
      leads: 'admin',
      looks: 'facility.reader',
      keeps: 'facility.writer',
      runs: 'facility.admin',
      supports: 'user.admin',
    },
  },
});
const mapping = { userClaim: 'sub', alias: null, otherAliases: ['partner'], sharedScopes, roles };

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
      tokenId: null,
      ownScope: 'user:a=20b',
      scopes: ['user:a=20b', 'facility:12', 'facility:x=20y'],
      roles: { general: 'writer', kinds: new Map() },
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

  it('of an issuer with an alias has that before its name, and no other issuer can make it', () => {
    const partner = { ...mapping, alias: 'partner', otherAliases: [] };
    expect(toIdentity({ sub: 'a b', jti: 't1' }, partner)).toMatchObject({
      userId: 'partner.a=20b',
      claimedId: 'partner.a b',
      tokenId: 't1',
      ownScope: 'user:partner.a=20b',
    });
    for (const sub of ['partner.a b', 'partner.']) {
      expect(() => toIdentity({ sub }, mapping)).toThrow(
        expect.objectContaining({ code: 'user_id_unusable' }) as Error,
      );
    }
    expect(toIdentity({ sub: 'partners.a' }, mapping).userId).toBe('partners.a');
    expect(toIdentity({ sub: '..' }, partner).userId).toBe('partner...');
  });

  it('names its token by jti, or by uti as Microsoft Entra ID does', () => {
    const idOf = (claims: object) => toIdentity({ sub: 'a', ...claims }, mapping).tokenId;
    expect([idOf({ jti: '1', uti: '2' }), idOf({ uti: '2' }), idOf({ jti: 7 }), idOf({ jti: '' })]).toEqual([
      '1',
      '2',
      null,
      null,
    ]);
  });

  it.each([undefined, null, 7, '', ['a'], {}])('cannot be made of the user %j', (sub) => {
    expect(() => toIdentity({ sub }, mapping)).toThrow(
      expect.objectContaining({ code: 'user_id_unusable' }) as Error,
    );
  });
});

describe('A role', () => {
  const rolesOf = (groups: unknown) => {
    const identity = toIdentity({ sub: 'a', facilities: ['12'], teams: ['x'], groups }, mapping);
    return ['user:a', 'facility:12', 'team:x', 'user:b', 'facility:13', 'team:y'].map((scope) =>
      roleIn(identity, scope),
    );
  };

  it.each<[string, unknown, (string | null)[]]>([
    ['no claim: the default', undefined, ['writer', 'writer', 'writer', null, null, null]],
    ['texts that mean nothing here', ['x', 7, null], ['writer', 'writer', 'writer', null, null, null]],
    ['reader', ['reads'], ['reader', 'reader', 'reader', null, null, null]],
    ['one text instead of a list', 'reads', ['reader', 'reader', 'reader', null, null, null]],
    ['the higher of two', ['reads', 'writes'], ['writer', 'writer', 'writer', null, null, null]],
    ['reader in one kind', ['looks'], ['writer', 'reader', 'writer', null, null, null]],
    ['a kind before the general one', ['writes', 'looks'], ['writer', 'reader', 'writer', null, null, null]],
    ['the higher of two in a kind', ['looks', 'keeps'], ['writer', 'writer', 'writer', null, null, null]],
    ['a writer among readers', ['reads', 'keeps'], ['reader', 'writer', 'reader', null, null, null]],
    ['admin of a kind', ['reads', 'runs'], ['reader', 'admin', 'reader', null, 'admin', null]],
    ['admin: all that is shared', ['leads'], ['admin', 'admin', 'admin', null, 'admin', 'admin']],
    ['admin, but not there', ['leads', 'looks'], ['admin', 'reader', 'admin', null, null, 'admin']],
    ['admin of private scopes', ['supports'], ['admin', 'writer', 'writer', 'admin', null, null]],
  ])('from a token: %s', (_, groups, expected) => expect(rolesOf(groups)).toEqual(expected));

  it.each(['', 'facility', 'facility:', ':1', 'facility:a b', 'facility:1:2', 'Facility:1', 'facility:%2f'])(
    'is none in the scope %j, even for an admin',
    (scope) => expect(roleIn(toIdentity({ sub: 'a', groups: 'leads' }, mapping), scope)).toBeNull(),
  );

  it('lets only a general admin administer the service', () => {
    const may = (groups: string[]) => isAdmin(toIdentity({ sub: 'a', groups }, mapping));
    expect([may(['leads']), may(['runs', 'supports']), may(['writes']), may([])]).toEqual([
      true,
      false,
      false,
      false,
    ]);
  });

  it('is not read from a claim that is not configured', () => {
    expect(toIdentity({ sub: 'a', roles: ['leads'] }, mapping).roles.general).toBe('writer');
  });
});
