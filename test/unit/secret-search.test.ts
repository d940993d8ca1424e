import { createHash } from 'node:crypto';
import { createSecretSearch } from '../support/secret-search.ts';

const random = (name: string, encoding: 'base64' | 'base64url' = 'base64') =>
  Buffer.concat([1, 2, 3].map((part) => createHash('sha256').update(`${name}${part}`).digest())).toString(
    encoding,
  );

const KEY = random('key');
const JWT = `eyJhbGciOiJSUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiJhbGljZSIsImlzcyI6Imh0dHA6Ly9pc3N1ZXIifQ.${random('jwt', 'base64url')}`;
const TOKEN = `type=resource&ver=1&sig=${random('signature')};${random('grant')};`;
const SIGNATURE = `type=master&ver=1.0&sig=${random('master').slice(0, 43)}=`;

const search = createSecretSearch([KEY, JWT, TOKEN, SIGNATURE, 'x'.repeat(200), 'short']);

describe.each([
  ['a key', KEY],
  ['a bearer token', JWT],
  ['a resource token', TOKEN],
  ['a signature of the master key', SIGNATURE],
])('The search finds %s', (_, secret) => {
  it.each<[string, (text: string) => string]>([
    ['as it is', (text) => text],
    ['in a header', (text) => JSON.stringify({ authorization: `Bearer ${text}` })],
    ['percent-encoded', (text) => `?sig=${encodeURIComponent(text)}`],
    ['in base64', (text) => Buffer.from(`a ${text}`).toString('base64')],
    ['in base64, cut otherwise', (text) => Buffer.from(`abc ${text}`).toString('base64')],
    ['of a longer text', (text) => `${'fine '.repeat(1_000)}${text}`],
    ['without its beginning', (text) => text.slice(-40)],
  ])('%s, and does not show it', (_how, write) => {
    const found = search(`it failed with ${write(secret)}, sorry`);
    expect(found).toHaveLength(1);
    expect(found[0]).toMatch(/\[a secret\]$/);
    expect(createSecretSearch([secret])(found.join())).toEqual([]);
  });
});

it('The search finds each of several, and tells what stands before it', () => {
  expect(search(`one ${KEY}\ntwo ${KEY}`)).toEqual(['one [a secret]', '\ntwo [a secret]']);
});

it.each([
  ['what every token begins with', JWT.slice(0, JWT.lastIndexOf('.') + 1)],
  ['the kind of a resource token', 'type=resource&ver=1&sig='],
  ['a text that is like a secret but none', random('another')],
  ['a secret that is no more than one letter', 'x'.repeat(300)],
  ['a short text that was used as a secret', 'short'],
  ['nothing', ''],
])('The search takes no notice of %s', (_, text) => expect(search(text)).toEqual([]));
