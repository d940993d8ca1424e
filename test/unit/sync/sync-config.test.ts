import { readFile } from 'node:fs/promises';
import {
  SyncConfigFile,
  parseSyncConfig,
  readSyncConfig,
  tokenMode,
} from '../../../shared/sync/sync-config.ts';

it('fills in what is left open', () => {
  const config = parseSyncConfig({ collections: { items: {} } });
  expect(config.collections.get('items')).toEqual({
    scope: 'user',
    strategy: { name: 'last_write_wins' },
    schema: null,
    maxDocumentBytes: 921_600,
    direct: false,
    audited: false,
  });
  expect(config.limits).toEqual({
    maxChanges: 1000,
    maxBodyBytes: 8_000_000,
    maxBodyNodes: 500_000,
    maxDocumentBytes: 921_600,
    maxScopes: 50,
    maxAnswerBytes: 4_000_000,
    ruleMilliseconds: 1000,
  });
});

describe('The text of the file', () => {
  const text = (...lines: string[]) => lines.join('\n');

  it('may hold comments and a comma too many', () => {
    const config = readSyncConfig(text('{', '  // what there is', '  "collections": { "items": {}, },', '}'));
    expect([...config.collections.keys()]).toEqual(['items']);
  });

  it.each([
    ['no JSON', text('{', '  "collections": }'), 'sync.config.json:2: it is no JSON'],
    ['nothing', '', 'sync.config.json'],
    [
      'a misspelt property',
      text('{ "collections": {', '  "items": {', '    "stratgy": 1', '} } }'),
      'sync.config.json:3: `/collections/items/stratgy` is not known.',
    ],
    [
      'a property of the wrong kind',
      text('{', '  "collections": {', '    "items": {', '      "scope": 7', '} } }'),
      'sync.config.json:4: `/collections/items/scope` must be string.',
    ],
    ['something missing', text('', '{', '}'), 'sync.config.json:2: `/collections` is required.'],
    [
      'a scope of no known kind',
      text('{ "collections": {', '  "visits": {', '    "scope": "facility" } } }'),
      'sync.config.json:3: `/collections/visits/scope` is "facility", which is not in `/sharedScopes`.',
    ],
    [
      'a schema that is none',
      text('{ "collections": { "a": { "schema": {', '"type": 7', '} } } }'),
      'sync.config.json:1: `/collections/a/schema` is no JSON Schema',
    ],
  ])('with %s is refused with line and reason', (_, content, message) => {
    expect(() => readSyncConfig(content)).toThrow(message);
  });
});

it.each([
  ['no collections', {}, '/collections'],
  ['a misspelt property', { collections: { items: { stratgy: 'x' } } }, '/collections/items/stratgy'],
  [
    'a strategy that is not there',
    { collections: { items: { strategy: 'first_write_wins' } } },
    '/collections/items/strategy',
  ],
  [
    'rules for fields of a strategy that knows none',
    { collections: { items: { strategy: 'server_wins', fields: { '/a': { owner: 'client' } } } } },
    '/collections/items/fields',
  ],
  [
    'an owner for fields of a strategy that knows none',
    { collections: { items: { defaultOwner: 'client' } } },
    '/collections/items/defaultOwner',
  ],
  [
    'a field that is no JSON Pointer',
    { collections: { items: { strategy: 'field_level_merge', fields: { a: {} } } } },
    '/collections/items/fields',
  ],
  [
    "elements of an array that are the server's",
    { collections: { items: { strategy: 'field_level_merge', fields: { '/a/*/b': { owner: 'server' } } } } },
    '/collections/items/fields/~1a~1*~1b',
  ],
  [
    'a schema that is none',
    { collections: { items: { schema: { type: 'objekt' } } } },
    '/collections/items/schema',
  ],
  [
    'a schema that token holders could write past',
    { collections: { items: { direct: true, schema: { type: 'object' } } } },
    '/collections/items/schema',
  ],
  [
    'a strategy that token holders could write past',
    { collections: { items: { direct: true, strategy: 'client_wins' } } },
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

it('the schema for editors is the one the service reads by, and the file keeps it', async () => {
  const published: unknown = JSON.parse(await readFile('sync.config.schema.json', 'utf8'));
  expect(published).toEqual(JSON.parse(JSON.stringify(SyncConfigFile)));
  expect(readSyncConfig(await readFile('sync.config.json', 'utf8')).collections.size).toBeGreaterThan(0);
});

it('lets tokens write only where every private collection allows it', () => {
  const mode = (collections: object) =>
    tokenMode(parseSyncConfig({ collections, sharedScopes: { facility: 'f' } }));
  expect(mode({ items: {} })).toBe('read');
  expect(mode({ visits: { scope: 'facility' } })).toBe('read');
  expect(mode({ items: { direct: true }, notes: {} })).toBe('read');
  expect(mode({ items: { direct: true }, visits: { scope: 'facility' } })).toBe('all');
});
