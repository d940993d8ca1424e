import { readFile, writeFile } from 'node:fs/promises';
import { benchEmulator } from '../emulator/bench/emulator-bench.ts';
import { compareEmulators } from '../emulator/bench/other-emulator.ts';
import { buildApp } from '../scripts/build-app.ts';
import { benchClient } from './client.ts';
import { benchCost } from './cost.ts';
import { benchGateway } from './gateway.ts';
import { benchTokens } from './tokens.ts';

/**
 * `npm run bench` measures, beside the figures of the last baseline; `npm run bench -- --save` writes a new one. Figures
 * per second tell about this machine only; ratios and counts hold on any.
 */

const BASELINE = new URL('baseline.json', import.meta.url);

const client = await benchClient();
const gateway = await benchGateway();
await buildApp(process.cwd());
const tokens = await benchTokens();
const cost = await benchCost();
const { startMs, figures } = await benchEmulator();
const comparison = await compareEmulators();
const measured: Record<string, number> = {
  ...gateway,
  ...client,
  ...tokens,
  ...cost,
  'emulator start, milliseconds': Math.round(startMs),
  ...Object.fromEntries(
    figures.flatMap(({ name, emulator, sqlite }) => [
      [`emulator ${name}, per second`, Math.round(emulator)],
      [`emulator ${name}, over plain SQLite`, Math.round((emulator / sqlite) * 1000) / 1000],
    ]),
  ),
  ...Object.fromEntries(
    (comparison ?? []).map(({ name, emulator, other }) => [
      `emulator ${name}, over @vercel/cosmosdb-server`,
      Math.round((emulator / other) * 10) / 10,
    ]),
  ),
};

const saved = await readFile(BASELINE, 'utf8').then(
  (text) => JSON.parse(text) as Record<string, number>,
  (): Record<string, number> => ({}),
);
const width = Math.max(...Object.keys(measured).map((name) => name.length));
for (const [name, value] of Object.entries(measured)) {
  console.log(`${name.padEnd(width)} ${String(value).padStart(9)}   baseline ${saved[name] ?? 'none'}`);
}
if (comparison === null) {
  console.log('\nNot compared: npm install --no-save @vercel/cosmosdb-server@1.0.1');
}
if (process.argv.includes('--save')) await writeFile(BASELINE, `${JSON.stringify(measured, null, 2)}\n`);
