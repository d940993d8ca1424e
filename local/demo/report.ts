import type { Emulator } from '../../emulator/src/index.ts';
import { ACTIVITY } from '../../shared/cosmos/containers.ts';

/** What a stretch of work cost, counted by the emulator from the requests that reached it. */
export interface Cost {
  /** Transactional batches. */
  readonly batches: number;
  /** Point reads and queries of documents. */
  readonly reads: number;
  /** Pages of the change feed. */
  readonly feed: number;
  /** Everything that is no document operation, query plans included. */
  readonly metadata: number;
  readonly requestUnits: number;
  readonly seconds: number;
}

/** Runs some work and tells what it cost. Logs are written in the background, whenever it suits: they are not counted. */
export async function measure<T>(
  emulator: Emulator,
  work: () => Promise<T>,
): Promise<{ value: T; cost: Cost }> {
  const started = performance.now();
  emulator.requests.clear();
  const value = await work();
  const entries = emulator.requests.entries.filter(({ path }) => !path.includes(`/colls/${ACTIVITY}/`));
  const count = (...operations: string[]) =>
    entries.filter(({ kind, operation }) => kind === 'data' && operations.includes(operation)).length;
  return {
    value,
    cost: {
      batches: count('batch'),
      reads: count('read', 'query', 'list'),
      feed: count('changeFeed'),
      metadata: entries.filter(({ kind }) => kind === 'metadata').length,
      requestUnits: entries.reduce((sum, { charge }) => sum + charge, 0),
      seconds: (performance.now() - started) / 1000,
    },
  };
}

const { isTTY } = process.stdout;
const paint = (code: number, text: string): string => (isTTY ? `\u001b[${code}m${text}\u001b[0m` : text);
const number = new Intl.NumberFormat('en-US', { maximumFractionDigits: 1 });

/** Prints the account of the demo, and keeps the tally of what it claims. */
export class Report {
  #failed = 0;
  #passed = 0;

  get failed(): number {
    return this.#failed;
  }

  get tally(): string {
    return `${this.#passed} claims checked, ${this.#failed} false`;
  }

  title(text: string): void {
    console.log(`\n${paint(1, text)}`);
  }

  say(text: string): void {
    console.log(`  ${text}`);
  }

  cost({ batches, reads, feed, metadata, requestUnits, seconds }: Cost): void {
    const parts = [
      `${batches} batches`,
      `${feed} feed pages`,
      `${reads} reads`,
      `${metadata} metadata`,
      `${number.format(requestUnits)} RU`,
      `${seconds.toFixed(1)} s`,
    ];
    console.log(`  ${paint(2, `Cosmos DB: ${parts.join(', ')}`)}`);
  }

  /** A claim of the demo; a false one makes it fail. */
  claim(text: string, holds: boolean): void {
    if (holds) this.#passed += 1;
    else this.#failed += 1;
    console.log(`  ${holds ? paint(32, '✓') : paint(31, '✗ FALSE:')} ${text}`);
  }

  /** A bar on a terminal; silent elsewhere. */
  progress(done: number, all: number): void {
    if (!isTTY) return;
    const width = 40;
    const full = Math.round((done / all) * width);
    process.stdout.write(
      `\r  ${'█'.repeat(full)}${'░'.repeat(width - full)} ${number.format(done)}/${number.format(all)}`,
    );
    if (done >= all) process.stdout.write('\r\u001b[2K');
  }
}

export const format = (value: number): string => number.format(value);
