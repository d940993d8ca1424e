/** `npm run docs`: writes what is made from code: pages, parts of pages, schemas, and data that Bicep loads. */
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { SyncConfigFile } from '../shared/sync/sync-config.ts';
import { describeApi } from '../shared/protocol/openapi.ts';
import { renderCli } from './cli-doc.ts';
import { renderCost, renderTelemetryCost, type Price } from './cost-doc.ts';
import { renderErrorsPage } from './errors-doc.ts';
import { replaceGenerated } from './generated.ts';
import { renderContainers, renderSettingDefaults } from './infra-data.ts';
import { renderOperations } from './operations-doc.ts';
import { renderSettings } from './settings-doc.ts';

const docs = join(process.cwd(), 'docs');
await writeFile(join(docs, 'errors.md'), renderErrorsPage());
await writeFile(join(docs, 'openapi.json'), `${JSON.stringify(describeApi(), null, 2)}\n`);
await writeFile(
  join(process.cwd(), 'sync.config.schema.json'),
  `${JSON.stringify(SyncConfigFile, null, 2)}\n`,
);

/** Writes the part of a page that is made from code. */
const renew = async (page: string, part: string, content: string) => {
  const file = join(docs, page);
  await writeFile(file, replaceGenerated(await readFile(file, 'utf8'), part, content));
};
await renew('operations.md', 'settings', renderSettings());
await renew('protocol.md', 'addresses', renderOperations());
for (const [part, content] of Object.entries(renderCli())) await renew('cli.md', part, content);

const generated = join(process.cwd(), 'infra', 'generated');
await writeFile(join(generated, 'containers.json'), renderContainers());
await writeFile(join(generated, 'settings.json'), renderSettingDefaults());

const bench = async (name: string): Promise<unknown> =>
  JSON.parse(await readFile(join(process.cwd(), 'bench', name), 'utf8'));
const alerts = await readdir(join(process.cwd(), 'infra', 'queries', 'alerts'));
const measured = (await bench('baseline.json')) as Record<string, number>;
await renew('operations.md', 'telemetry-cost', renderTelemetryCost(measured));
const cost = join(docs, 'cost.md');
await writeFile(
  cost,
  replaceGenerated(
    await readFile(cost, 'utf8'),
    'cost',
    renderCost(measured, (await bench('prices.json')) as Price[], alerts.length),
  ),
);
