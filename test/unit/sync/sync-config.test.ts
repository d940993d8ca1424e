import { parseSyncConfig, tokenMode } from '../../../shared/sync/sync-config.ts';

it('fills in what is left open', () => {
  const config = parseSyncConfig({ collections: { items: {} } });
  expect(config.collections.get('items')).toEqual({
    scope: 'user',
    strategy: 'last_write_wins',
    direct: false,
    audited: false,
  });
  expect(config.limits).toEqual({ maxChanges: 1000, maxBodyBytes: 8_000_000, maxDocumentBytes: 921_600 });
});

it.each([
  ['no collections', {}, '/collections'],
  ['a misspelt property', { collections: { items: { stratgy: 'x' } } }, '/collections/items/stratgy'],
  [
    'a strategy that is not there',
    { collections: { items: { strategy: 'server_wins' } } },
    '/collections/items/strategy',
  ],
  ['a collection with a bad name', { collections: { '1st': {} } }, '1st'],
  [
    'a scope of no known kind',
    { collections: { visits: { scope: 'facility' } } },
    '/collections/visits/scope',
  ],
  [
    'private scopes given away by a claim',
    { collections: {}, sharedScopes: { user: 'friends' } },
    '/sharedScopes/user',
  ],
  [
    'a deletion log that token holders could write past',
    { collections: { items: { direct: true, audited: true } } },
    '/collections/items/audited',
  ],
  ['a role that is not there', { collections: {}, roles: { map: { boss: 'owner' } } }, '/roles/map/boss'],
  [
    'a role in a kind that is not there',
    { collections: {}, roles: { map: { boss: 'facility.admin' } } },
    '/roles/map/boss',
  ],
  [
    'a limit past what Cosmos DB holds',
    { collections: {}, limits: { maxDocumentBytes: 2e6 } },
    '/limits/maxDocumentBytes',
  ],
])('refuses %s and names the place', (_, file, place) => {
  expect(() => parseSyncConfig(file)).toThrow(place);
});

it('lets tokens write only where every private collection allows it', () => {
  const mode = (collections: object) =>
    tokenMode(parseSyncConfig({ collections, sharedScopes: { facility: 'f' } }));
  expect(mode({ items: {} })).toBe('read');
  expect(mode({ visits: { scope: 'facility' } })).toBe('read');
  expect(mode({ items: { direct: true }, notes: {} })).toBe('read');
  expect(mode({ items: { direct: true }, visits: { scope: 'facility' } })).toBe('all');
});
