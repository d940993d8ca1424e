/** `npm run docs`: writes the pages that are made from code. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describeApi } from '../shared/protocol/openapi.ts';
import { renderErrorsPage } from './errors-doc.ts';

const docs = join(process.cwd(), 'docs');
await writeFile(join(docs, 'errors.md'), renderErrorsPage());
await writeFile(join(docs, 'openapi.json'), `${JSON.stringify(describeApi(), null, 2)}\n`);
