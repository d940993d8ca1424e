import { readFile } from 'node:fs/promises';
import { SyncConfigFile, readSyncConfig } from '../../shared/sync/sync-config.ts';

let page: string;
beforeAll(async () => {
  page = await readFile('docs/configuration.md', 'utf8');
});

it('docs/configuration.md shows a file that the service reads', () => {
  const [, text = ''] = /```jsonc\n([^]*?)```/.exec(page) ?? [];
  const { collections, roles } = readSyncConfig(text);
  expect([...collections.keys()]).toEqual(['items', 'notes', 'surveys']);
  expect(roles.map.get('Clinic.Lead')).toEqual({ kind: 'facility', role: 'admin' });
});

it('docs/configuration.md names every property', () => {
  const { collections, limits } = SyncConfigFile.properties;
  const [collection] = Object.values(collections.patternProperties);
  const names = [collection, limits].flatMap((schema) =>
    Object.keys((schema as { properties: object }).properties),
  );
  expect(names.length).toBeGreaterThan(10);
  expect(names.filter((name) => !page.includes(`\`${name}\``))).toEqual([]);
});

it('docs/configuration.md shows the error as it is told', () => {
  const [, message = ''] = /```\n(sync\.config\.json:[^]*?)\n```/.exec(page) ?? [];
  expect(() => readSyncConfig('{ "collections": {\n"visits": {\n"scope": "facility" } } }')).toThrow(message);
});

it('docs/configuration.md shows the rules as they are in sync.rules.ts', async () => {
  const module = await readFile('sync.rules.ts', 'utf8');
  const [, shown = ''] = /```ts\n([^]*?)```/.exec(page) ?? [];
  const plain = (text: string) => text.replace(/: Violation \| null/g, '').replace(/\s+/g, ' ');
  expect(plain(module)).toContain(plain(shown).trim());
});
