import { benchEmulator } from './emulator-bench.ts';

const { startMs, figures } = await benchEmulator();
const round = (value: number): string => Math.round(value).toLocaleString('en');
console.log(`start ${startMs.toFixed(0)} ms`);
for (const { name, emulator, sqlite } of figures)
  console.log(
    `${name}: ${round(emulator)}/s, plain SQLite ${round(sqlite)}/s (${(sqlite / emulator).toFixed(1)} times)`,
  );
