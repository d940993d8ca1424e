import { startStack } from '../local/stack.ts';

const USERS = 100;
const REQUESTS = 1_000;
const AT_ONCE = 8;
const ROUNDS = 3;

const percentile = (values: readonly number[], share: number): number =>
  values.toSorted((a, b) => a - b)[Math.min(values.length - 1, Math.floor(values.length * share))] ?? 0;

/**
 * What the token service costs, on the whole stack over HTTP: the mints of 1,000 requests of 100 users, and how long an
 * answer from memory takes beside one of the health endpoint in the same run.
 */
export async function benchTokens(): Promise<Record<string, number>> {
  const stack = await startStack({
    quiet: true,
    settings: { TOKEN_QUEUE_SECONDS: '60', TOKEN_METADATA_RUS: '200' },
  });
  try {
    const bearers = await Promise.all(
      Array.from({ length: USERS }, (_, index) => stack.issuerHandle.token({ sub: `user-${index}` })),
    );
    const ask = (index: number) => ({
      url: `${stack.api}/GetCosmosToken`,
      headers: { authorization: `Bearer ${bearers[index % USERS] ?? ''}` },
    });
    /** Milliseconds of each of many requests, some at once. */
    const time = async (
      request: (index: number) => { url: string; headers: Record<string, string> },
    ): Promise<number[]> => {
      const took: number[] = [];
      let next = 0;
      const worker = async (): Promise<void> => {
        for (let index = next++; index < REQUESTS; index = next++) {
          const { url, headers } = request(index);
          const started = performance.now();
          const response = await fetch(url, { headers });
          await response.arrayBuffer();
          if (response.status !== 200) throw new Error(`${url}: ${response.status}`);
          took.push(performance.now() - started);
        }
      };
      await Promise.all(Array.from({ length: AT_ONCE }, worker));
      return took;
    };

    stack.emulator.requests.clear();
    await time(ask);
    const mints = stack.emulator.requests.entries.filter(
      ({ resource, status }) => resource === 'permission' && status < 300,
    ).length;
    const rounds: { token: number; health: number }[] = [];
    for (let round = -1; round < ROUNDS; round += 1) {
      const health = percentile(await time(() => ({ url: `${stack.api}/health`, headers: {} })), 0.99);
      const token = percentile(await time(ask), 0.99);
      // The first round warms up.
      if (round >= 0) rounds.push({ token, health });
    }
    const median = (values: readonly number[]): number => percentile(values, 0.5);
    const round2 = (value: number): number => Math.round(value * 100) / 100;
    return {
      'mints of 1,000 token requests of 100 users': mints,
      'token from memory, p99 in milliseconds': round2(median(rounds.map(({ token }) => token))),
      'token from memory, p99 over that of the health endpoint': round2(
        median(rounds.map(({ token, health }) => token / health)),
      ),
    };
  } finally {
    await stack.dispose();
  }
}
