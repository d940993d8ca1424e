import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { readConfig } from '../../shared/config.ts';

const read = (path: string): string => readFileSync(join(process.cwd(), path), 'utf8');

const pages = [
  ...readdirSync(process.cwd()).filter((name) => name.endsWith('.md')),
  ...readdirSync(join(process.cwd(), 'docs'), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.md'))
    .map((name) => join('docs', name)),
];

/** Anchors as GitHub makes them of headings. */
const anchorsOf = (page: string): Set<string> =>
  new Set(
    [...page.replace(/^```[^]*?^```/gm, '').matchAll(/^#+ (.+)$/gm)].map(([, title = '']) =>
      title
        .toLowerCase()
        .replace(/[^\p{L}\p{N} _-]/gu, '')
        .replaceAll(' ', '-'),
    ),
  );

describe('The pages of the documentation', () => {
  it.each(pages)('%s links to nothing that is not there', (path) => {
    const broken = [...read(path).matchAll(/\]\(([^)\s]+)\)/g)]
      .map(([, target = '']) => target)
      .filter((target) => !/^[a-z]+:/.test(target))
      .filter((target) => {
        const [file = '', anchor] = target.split('#');
        const to = file === '' ? path : join(dirname(path), file);
        if (!existsSync(join(process.cwd(), to))) return true;
        return anchor !== undefined && !anchorsOf(read(to)).has(anchor);
      });
    expect(broken).toEqual([]);
  });

  it.each(pages)('%s names no file that is not there', (path) => {
    const named = [
      ...read(path).matchAll(/`((?:client|docs|emulator|functions|local|scripts|shared|test)\/[\w./-]*)`/g),
    ].map(([, file = '']) => file);
    expect(named.filter((file) => !existsSync(join(process.cwd(), file)))).toEqual([]);
  });
});

describe('docs/operations.md', () => {
  const page = read('docs/operations.md');
  const rows = new Map(
    [...page.matchAll(/^\| `([A-Z][A-Z_]+)`\s*\| ([^|]*)\|/gm)].map(([, name = '', fallback = '']) => [
      name,
      fallback.trim().replaceAll('`', ''),
    ]),
  );
  /** Reads the settings and notes which ones were looked at. */
  const asked = (settings: Record<string, string>): Set<string> => {
    const names = new Set<string>();
    const env = new Proxy(settings, {
      get: (target, name) => {
        names.add(String(name));
        return Reflect.get(target, name) as unknown;
      },
    });
    readConfig(env);
    return names;
  };
  const required = {
    COSMOS_ENDPOINT: 'http://127.0.0.1:8081/',
    AUTH_ISSUER: 'http://127.0.0.1:7072',
    AUTH_AUDIENCE: 'api://tidemark',
    COSMOS_KEY: 'a2V5',
  };

  it('lists every setting that the app reads, and no other', () => {
    const names = asked({ ...required, KEY_VAULT_URI: 'https://vault.example/' });
    expect([...rows.keys()].sort()).toEqual([...names].sort());
  });

  it('names the defaults that the app takes', () => {
    const defaults = Object.fromEntries(
      [...rows].filter(([, fallback]) => !/^(required|none|found by discovery)$/.test(fallback)),
    );
    expect(Object.keys(defaults)).toHaveLength(10);
    const spelledOut = { ...required, ...defaults };
    expect(readConfig(spelledOut)).toEqual(readConfig(required));
    const vault = { KEY_VAULT_URI: 'https://vault.example/' };
    expect(readConfig({ ...spelledOut, ...vault })).toEqual(readConfig({ ...required, ...vault }));
  });
});
