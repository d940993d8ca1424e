import { createCoreClient } from './client.ts';
import { createMemoryGround, PALETTE } from './grounds.ts';
import { printHistory } from './history.ts';
import { MUTANTS, plant } from './mutants.ts';
import { search, shrink, type Play } from './search.ts';
import { play } from './world.ts';

/**
 * Every planted bug is caught within 2,000 histories. `CHECKER_PRINT=1` prints the shrunk history that caught it.
 */
const LIMIT = 2_000;
const PRINT = process.env['CHECKER_PRINT'] !== undefined;

it.each(MUTANTS.map((mutant) => [mutant.name, mutant] as const))(
  'catches: %s',
  async (name, mutant) => {
    const mutated: Play = (history) =>
      play(history, plant(mutant, createMemoryGround()), mutant.client ?? createCoreClient());
    const failure = await search(mutated, PALETTE, { from: 1, count: LIMIT });
    expect(failure).not.toBeNull();
    process.stdout.write(`after ${failure!.after} histories: ${name}\n`);
    if (!PRINT) return;
    const { history, violation } = await shrink(mutated, failure!);
    process.stdout.write(`${violation.message}\n${printHistory(history)}\n\n`);
  },
  120_000,
);
