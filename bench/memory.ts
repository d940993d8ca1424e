import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';

/** See `memory-child.ts`. */
export async function benchMemory(): Promise<Record<string, number>> {
  const child = join(import.meta.dirname, 'memory-child.ts');
  const flags = ['--expose-gc', '--disable-warning=ExperimentalWarning'];
  const { stdout } = await promisify(execFile)(process.execPath, [...flags, child]);
  const grown = JSON.parse(stdout) as Record<'rss' | 'heap' | 'left' | 'body', number>;
  return {
    'sync of 10,000 changes, MB of its body': Math.round(grown.body * 10) / 10,
    'MB that the process grows by': Math.round(grown.rss),
    'MB that its heap grows by': Math.round(grown.heap),
    'MB still held afterwards': Math.round(grown.left * 10) / 10,
  };
}
