import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { renderErrorsPage } from '../../scripts/errors-doc.ts';
import { ERRORS } from '../../shared/protocol/index.ts';

describe('docs/errors.md', () => {
  const page = readFileSync(join(process.cwd(), 'docs', 'errors.md'), 'utf8');

  it('is what `npm run docs` writes from the table of errors', () => {
    expect(page).toBe(renderErrorsPage());
  });

  it.each(Object.entries(ERRORS))('has one row for %s, with its status and title', (code, entry) => {
    const rows = page.split('\n').filter((line) => line.startsWith(`| \`${code}\` `));
    expect(rows).toHaveLength(1);
    const cells = rows[0]?.split('|').map((cell) => cell.trim());
    expect(cells?.[2]).toBe(entry.where === 'request' ? String(entry.status) : '');
    expect(cells?.[4]).toBe(entry.title);
  });
});
