import { setTimeout as sleep } from 'node:timers/promises';
import { startStack, type Stack } from '../../local/stack.ts';
import { call, changedItems, Database, expectProblem, postSync } from '../support/api.ts';

let stack: Stack;
let database: Database;
beforeAll(async () => {
  stack = await startStack({ quiet: true, settings: { RATE_LIMIT_PER_SECOND: '1', RATE_LIMIT_BURST: '3' } });
  database = new Database(stack);
}, 30_000);
afterAll(async () => {
  database.dispose();
  await stack.dispose();
});

const edit = (documentId: string) => ({
  protocol: 1,
  deviceId: 'phone',
  changes: [
    { type: 'upsert', collection: 'items', documentId, lastModified: '2026-11-21T10:00:00.000Z', data: {} },
  ],
});

it('A user who sends too much at once is told to wait, and what was refused wrote nothing', async () => {
  const alice = await stack.issuerHandle.token({ sub: 'alice' });
  const ids = Array.from({ length: 40 }, (_, index) => `d${index}`);
  const before = await database.snapshot();
  const answers = await Promise.all(ids.map((id) => postSync(stack, alice, edit(id))));
  const taken = ids.filter((_, index) => answers[index]?.status === 200);
  expect(taken.length).toBeGreaterThanOrEqual(3);
  // One more for each second that the forty took: few, however slow the machine is.
  expect(taken.length).toBeLessThan(30);
  for (const answer of answers.filter(({ status }) => status !== 200)) {
    expectProblem(answer, 429, 'rate_limited');
    expect(answer.headers.get('retry-after')).toBe('1');
  }
  expect(changedItems(before, await database.snapshot()).sort()).toEqual(
    taken.map((id) => `user:alice items:${id}`).sort(),
  );
});

it('The audit tells whose requests for tokens were too many', async () => {
  const ask = async (sub: string, path: string, claims: object = {}) =>
    call(`${stack.api}/${path}`, {
      headers: { authorization: `Bearer ${await stack.issuerHandle.token({ sub, ...claims })}` },
    });
  const answers = await Promise.all(Array.from({ length: 20 }, () => ask('dave', 'GetCosmosToken')));
  expect(answers.some(({ status }) => status === 429)).toBe(true);
  let codes: unknown[] = [];
  for (let tries = 0; tries < 20 && !codes.includes('rate_limited'); tries += 1) {
    await sleep(500);
    const { body } = await ask('root', 'manage/audit?userId=dave', { roles: ['admin'] });
    codes = ((body['entries'] ?? []) as { code?: string }[]).map(({ code }) => code);
  }
  expect(codes).toContain('rate_limited');
}, 30_000);

it('Nobody else has to wait for that, and what is for anybody is not counted', async () => {
  const [carol, bob] = await Promise.all(['carol', 'bob'].map((sub) => stack.issuerHandle.token({ sub })));
  await Promise.all(Array.from({ length: 20 }, () => postSync(stack, carol ?? '', edit('1'))));
  expect((await postSync(stack, bob ?? '', edit('1'))).status).toBe(200);
  const probes = await Promise.all(Array.from({ length: 20 }, () => call(`${stack.api}/health`)));
  expect(new Set(probes.map(({ status }) => status))).toEqual(new Set([200]));
});
