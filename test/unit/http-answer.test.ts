import { chooseCoding } from '../../shared/http/content-coding.ts';
import { corsHeaders } from '../../shared/http/cors.ts';
import { entityTag, isKnown } from '../../shared/http/entity-tag.ts';
import { unmatchedRoute } from '../../shared/http/unmatched-route.ts';
import { parseRoute, splitPath } from '../../local/host/routes.ts';

describe('An answer is encoded as the client weighs it', () => {
  it.each([
    [null, null],
    ['', null],
    ['gzip', 'gzip'],
    ['x-gzip', 'gzip'],
    ['GZIP', 'gzip'],
    ['gzip, deflate', 'gzip'],
    ['gzip, deflate, br', 'br'],
    ['gzip, deflate, br, zstd', 'zstd'],
    ['zstd;q=0.5, br;q=0.8', 'br'],
    ['br;q=0.8 , gzip ; q=0.9', 'gzip'],
    ['gzip;q=0', null],
    ['gzip;q=0.000', null],
    ['gzip;q=0.001', 'gzip'],
    ['*', 'zstd'],
    ['zstd;q=0, *', 'br'],
    ['*;q=0', null],
    ['identity', null],
    ['identity;q=0', null],
    ['identity;q=0, gzip;q=0.1', 'gzip'],
    ['identity, gzip', 'gzip'],
    ['identity, gzip;q=0.9', null],
    ['identity;q=0.5, gzip;q=1', 'gzip'],
    ['gzip;q=2', null],
    ['gzip;q=-1', null],
    ['gzip;level=9', null],
    ['deflate, compress', null],
    [',,;q=1,gzip', 'gzip'],
    ['constructor, __proto__', null],
    ['g'.repeat(100_000), null],
    [' '.repeat(100_000), null],
  ])('%j: %s', (header, coding) => {
    expect(chooseCoding(header)).toBe(coding);
  });
});

describe('A client that has the content already', () => {
  const tag = entityTag('{"a":1}');

  it.each([
    [tag, true],
    [tag.replace('W/', ''), true],
    [`"other", ${tag}`, true],
    ['*', true],
    [null, false],
    ['', false],
    ['"other"', false],
    [entityTag('{"a":2}'), false],
    [tag.slice(0, -2), false],
  ])('says so with If-None-Match: %s is %s', (header, known) => {
    expect(isKnown(header, tag)).toBe(known);
  });

  it('knows it by a weak tag of characters that a tag may have', () => {
    expect(tag).toMatch(/^W\/"[\w-]{22}"$/);
    expect(entityTag('{"a":1}')).toBe(tag);
  });
});

describe('An origin', () => {
  const allowed = new Set(['https://app.example.com']);

  it('that is allowed is named, and may read what a client needs', () => {
    expect(corsHeaders('https://app.example.com', allowed)).toEqual({
      'access-control-allow-origin': 'https://app.example.com',
      'access-control-expose-headers': 'x-request-id, retry-after, etag',
    });
  });

  it.each([
    null,
    '',
    'null',
    '*',
    'http://app.example.com',
    'https://app.example.com:8443',
    'https://app.example.com.evil.example',
    'https://evil-app.example.com',
    'https://APP.example.com',
  ])('%j is not allowed by its likeness to one that is', (origin) => {
    expect(corsHeaders(origin, allowed)).toEqual({});
  });
});

describe('What no function answers', () => {
  const route = parseRoute(`api/${unmatchedRoute(['sync', 'openapi.json', 'sync/conflicts/{id}/restore'])}`);
  const matches = (path: string) => route.match(splitPath(path)) !== undefined;

  it.each(['/api/sync', '/api/SYNC', '/api/sync/', '/api/openapi.json', '/api/sync/conflicts/7/restore'])(
    'is not %s',
    (path) => expect(matches(path)).toBe(false),
  );

  it.each([
    '/api',
    '/api/',
    '/api/nothing',
    '/api/syncs',
    '/api/sync/more',
    '/api/openapixjson',
    '/api/a/b/c',
  ])('is %s', (path) => expect(matches(path)).toBe(true));
});
