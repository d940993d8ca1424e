import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { OPTIONS, readOptions, type OptionName } from '../../../../client/src/cli/options.ts';
import { readSettings } from '../../../../client/src/cli/settings.ts';

const folder = mkdtempSync(join(tmpdir(), 'tidemark-settings-'));
const file = join(folder, 'tidemark.json');
afterEach(() => rmSync(file, { force: true }));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const read = (args: readonly string[], env: Record<string, string> = {}, config?: object) => {
  if (config !== undefined) writeFileSync(file, JSON.stringify(config));
  return readSettings(readOptions(args, Object.keys(OPTIONS) as OptionName[]), env, folder);
};

it('takes each setting from the command line, else the environment, else tidemark.json, else the default', () => {
  const config = {
    url: 'https://file.example/api',
    database: 'file.db',
    user: 'file',
    tokenFile: 'file.token',
  };
  const env = { TIDEMARK_URL: 'https://env.example/api', TIDEMARK_DATABASE: 'env.db', TIDEMARK_TOKEN: 'env' };
  expect(read(['--url', 'https://arg.example/api', '--token-command', 'arg'], env, config)).toMatchObject({
    url: 'https://arg.example/api',
    database: join(folder, 'env.db'),
    user: 'file',
    token: { kind: 'command', command: 'arg' },
    configFile: file,
  });
  expect(read([], { TIDEMARK_TOKEN: 'env' }, config)).toMatchObject({
    url: 'https://file.example/api',
    database: join(folder, 'file.db'),
    token: { kind: 'text', text: 'env' },
  });
  expect(read([], {}, config)).toMatchObject({ token: { kind: 'file', path: join(folder, 'file.token') } });
  rmSync(file);
  expect(read([])).toEqual({
    url: null,
    database: join(folder, 'tidemark.db'),
    user: null,
    collections: {},
    token: null,
    configFile: null,
  });
});

it('needs nothing but a name to sign in at the local stack', () => {
  expect(
    read(['--dev-user', 'alice', '--dev-claim', 'facilities=["12"]', '--dev-claim', 'team=red']),
  ).toMatchObject({
    url: 'http://127.0.0.1:7071/api',
    user: 'alice',
    token: {
      kind: 'development',
      user: 'alice',
      issuer: 'http://127.0.0.1:7072',
      claims: { facilities: ['12'], team: 'red' },
    },
  });
});

it.each([
  [['--url', 'https://my-app.azurewebsites.net/api', '--dev-user', 'alice']],
  [['--url', 'http://127.0.0.1.example.com/api', '--dev-user', 'alice']],
  [['--dev-issuer', 'https://issuer.example', '--dev-user', 'alice']],
])('has development tokens for addresses of this machine only: %j', (args) => {
  expect(() => read(args)).toThrow('this machine only');
});

it.each([
  [['--token', 'x'], 'TIDEMARK_TOKEN'],
  [['--token=x'], 'TIDEMARK_TOKEN'],
  [['--token-file', 'a', '--token-command', 'b'], '2 ways'],
  [['--url', 'nonsense'], 'http or https'],
  [['--url', 'https://me:secret@example.com/api'], 'no user, password, query'],
  [['--url', 'https://example.com/api?code=secret'], 'no user, password, query'],
  [['--nonsense'], '--nonsense'],
])('refuses %j', (args, words) => {
  let message = '';
  try {
    read(args);
  } catch (error) {
    message = String(error);
  }
  expect(message).toContain(words);
  expect(message).not.toContain('secret');
});

it.each([
  [{ token: 'x' }, 'no place'],
  [{ nonsense: 1 }, '"nonsense"'],
  [{ url: 5 }, '"url"'],
  [{ collections: { items: { scope: 5 } } }, '"collections"'],
])('refuses %j in tidemark.json', (config, words) => {
  expect(() => read([], {}, config)).toThrow(words);
});

it('puts collections of the command line beside those of the file, which may say more of them', () => {
  const collections = { items: {}, visits: { scope: 'facility', indexes: ['day'] } };
  expect(read(['-c', 'visits', '-c', 'more'], {}, { collections }).collections).toEqual({
    ...collections,
    more: {},
  });
});
