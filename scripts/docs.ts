/** `npm run docs`: writes the pages that are made from code. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { renderErrorsPage } from './errors-doc.ts';

await writeFile(join(process.cwd(), 'docs', 'errors.md'), renderErrorsPage());
