import { createMemoryGround, DIRECT_PALETTE, PALETTE } from './grounds.ts';
import { printHistory } from './history.ts';
import { createSdkDevices } from './sdk-client.ts';
import { search, shrink, type Play } from './search.ts';
import { play } from './world.ts';

/**
 * The histories of checker.test.ts with the SDK as every device: its engine, its stores, SQLite files, processes that die
 * between any two statements.
 *
 * More by hand:    CHECKER_RUNS=5000 npm test -- test/checker/sdk
 * One seed again:  CHECKER_SEED=4711 npm test -- test/checker/sdk
 */
const SEED = process.env['CHECKER_SEED'];
const RUNS = SEED === undefined ? Number(process.env['CHECKER_RUNS'] ?? 50) : 1;

const onSdk: Play = async (history) => {
  const devices = createSdkDevices();
  try {
    await play(history, createMemoryGround(), devices.create);
  } finally {
    await devices.dispose();
  }
};

it.each([
  ['through the gateway', PALETTE],
  ['through the gateway and past it', DIRECT_PALETTE],
])(
  `${RUNS} histories of devices that run the SDK on SQLite, %s`,
  async (_way, palette) => {
    const started = Date.now();
    const failure = await search(onSdk, palette, { from: Number(SEED ?? 1), count: RUNS });
    if (failure !== null) {
      const { history, violation } = await shrink(onSdk, failure);
      throw new Error(
        `${violation.message}\n\n${printHistory(history)}\n\nAgain: CHECKER_SEED=${history.seed} npm test -- test/checker/sdk.test`,
      );
    }
    process.stdout.write(`${RUNS} histories, ${((Date.now() - started) / RUNS).toFixed(2)} ms each\n`);
  },
  RUNS * 2_000 + 120_000,
);
