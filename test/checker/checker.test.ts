import { createCoreClient } from './client.ts';
import { createMemoryGround, PALETTE } from './grounds.ts';
import { printHistory } from './history.ts';
import { search, shrink, type Play } from './search.ts';
import { play } from './world.ts';

/**
 * Random histories of devices, users, clocks, networks, gateways and operators, each checked against the properties of
 * invariants.ts.
 *
 * CI plays 2,000. More by hand: CHECKER_RUNS=50000 npm test -- test/checker/checker
 * One seed again:  CHECKER_SEED=4711 npm test -- test/checker/checker
 */
const SEED = process.env['CHECKER_SEED'];
const RUNS = SEED === undefined ? Number(process.env['CHECKER_RUNS'] ?? 500) : 1;

const inMemory: Play = (history) => play(history, createMemoryGround(), createCoreClient());

it(
  `${RUNS} histories on a store in memory`,
  async () => {
    const started = Date.now();
    const failure = await search(inMemory, PALETTE, { from: Number(SEED ?? 1), count: RUNS });
    if (failure !== null) {
      const { history, violation } = await shrink(inMemory, failure);
      throw new Error(
        `${violation.message}\n\n${printHistory(history)}\n\nAgain: CHECKER_SEED=${history.seed} npm test -- test/checker/checker`,
      );
    }
    process.stdout.write(`${RUNS} histories, ${((Date.now() - started) / RUNS).toFixed(2)} ms each\n`);
  },
  RUNS * 100 + 120_000,
);
