import { freezeTime } from '../support/gateway.ts';
import { createCoreClient } from './client.ts';
import { startEmulatorGrounds, startTwoGateways, type EmulatorGrounds } from './emulator-ground.ts';
import { START, PALETTE } from './grounds.ts';
import { printHistory, type Palette } from './history.ts';
import { search } from './search.ts';
import { play } from './world.ts';

/**
 * The same histories on the emulator, through the real SDK: fewer, because a request costs milliseconds there. More by
 * hand: CHECKER_REAL_RUNS=2000 npm run test:long -- real-store
 */
const RUNS = Number(process.env['CHECKER_REAL_RUNS'] ?? 12);
const TIMEOUT = RUNS * 10_000 + 60_000;
const SEED = Number(process.env['CHECKER_SEED'] ?? 1);

async function check(grounds: EmulatorGrounds, palette: Palette): Promise<void> {
  try {
    const failure = await search((history) => play(history, grounds.next(), createCoreClient()), palette, {
      from: SEED,
      count: RUNS,
    });
    if (failure === null) return;
    const { history, violation } = failure;
    throw new Error(`${violation.message}\n\n${printHistory(history)}\n\nCHECKER_SEED=${history.seed}`);
  } finally {
    await grounds.dispose();
  }
}

describe('On the emulator', () => {
  beforeEach(() => freezeTime(START));
  afterEach(() => jest.useRealTimers());

  it(`${RUNS} histories hold`, async () => check(await startEmulatorGrounds(false), PALETTE), TIMEOUT);

  it(
    `${RUNS} histories hold where requests to Cosmos DB are throttled, doubled and lose their answers`,
    async () => check(await startEmulatorGrounds(true), PALETTE),
    TIMEOUT,
  );
});

it(
  `${RUNS} histories hold on gateways in two processes, on replicas that lag`,
  async () => check(await startTwoGateways(6), { ...PALETTE, time: false }),
  TIMEOUT,
);
