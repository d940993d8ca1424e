import { readFile, writeFile } from 'node:fs/promises';
import { benchEmulator } from '../emulator/bench/emulator-bench.ts';
import { compareEmulators } from '../emulator/bench/other-emulator.ts';
import { buildApp } from '../scripts/build-app.ts';
import { benchClient } from './client.ts';
import { areOthersInstalled, benchCompare, installOthers } from './compare.ts';
import { benchCost } from './cost.ts';
import { benchGateway, benchScopeSize } from './gateway.ts';
import { benchMemory } from './memory.ts';
import { benchTelemetry } from './telemetry.ts';
import { benchTokens } from './tokens.ts';

/**
 * `npm run bench` measures, beside the figures of the last baseline; `npm run bench -- --save` writes them into it, and
 * `npm run bench -- gateway memory` measures those parts only. Figures per second tell about this machine only; ratios and
 * counts hold on any.
 */

const BASELINE = new URL('baseline.json', import.meta.url);
type Figures = Record<string, number>;
const missing: string[] = [];

const PARTS: Record<string, () => Promise<Figures>> = {
  client: benchClient,
  gateway: benchGateway,
  scope: benchScopeSize,
  memory: benchMemory,
  compare: async () => {
    if (asked.includes('compare')) installOthers();
    if (areOthersInstalled()) return benchCompare();
    missing.push('PouchDB and RxDB: `npm run bench -- compare` installs them in bench/compare');
    return {};
  },
  tokens: async () => {
    await buildApp(process.cwd());
    return benchTokens();
  },
  cost: async () => {
    await buildApp(process.cwd());
    return benchCost();
  },
  telemetry: async () => {
    await buildApp(process.cwd());
    return benchTelemetry();
  },
  emulator: async () => {
    const { startMs, figures } = await benchEmulator();
    return {
      'emulator start, milliseconds': Math.round(startMs),
      ...Object.fromEntries(
        figures.flatMap(({ name, emulator, sqlite }) => [
          [`emulator ${name}, per second`, Math.round(emulator)],
          [`emulator ${name}, over plain SQLite`, Math.round((emulator / sqlite) * 1000) / 1000],
        ]),
      ),
    };
  },
  emulators: async () => {
    const comparison = await compareEmulators();
    if (comparison === null) missing.push('npm install --no-save @vercel/cosmosdb-server@1.0.1');
    return Object.fromEntries(
      (comparison ?? []).map(({ name, emulator, other }) => [
        `emulator ${name}, over @vercel/cosmosdb-server`,
        Math.round((emulator / other) * 10) / 10,
      ]),
    );
  },
};

const asked = process.argv.slice(2).filter((argument) => argument !== '--save');
const unknown = asked.filter((name) => PARTS[name] === undefined);
if (unknown.length > 0)
  throw new Error(`No such part: ${unknown.join(', ')}. There are: ${Object.keys(PARTS).join(', ')}.`);

const saved = await readFile(BASELINE, 'utf8').then((text) => JSON.parse(text) as Figures);
const measured: Figures = {};
for (const name of asked.length === 0 ? Object.keys(PARTS) : asked) {
  const started = performance.now();
  const figures = (await PARTS[name]?.()) ?? {};
  console.log(`\n${name}: ${Math.round((performance.now() - started) / 1000)} s`);
  for (const [figure, value] of Object.entries(figures)) {
    console.log(`${figure.padEnd(76)} ${String(value).padStart(9)}   baseline ${saved[figure] ?? 'none'}`);
  }
  Object.assign(measured, figures);
}
for (const packages of missing) console.log(`\nNot compared: ${packages}`);
if (process.argv.includes('--save')) {
  const figures = asked.length === 0 && missing.length === 0 ? measured : { ...saved, ...measured };
  console.log(`\nSaves ${Object.keys(measured).length} figures in bench/baseline.json.`);
  await writeFile(BASELINE, `${JSON.stringify(figures, null, 2)}\n`);
}
