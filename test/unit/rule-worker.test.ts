import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createRuleWorker, type RuleWorker } from '../../shared/validation/rule-worker.ts';

const MODULE = `
exports.rules = {
  sound: () => undefined,
  strict: (data, { documentId, userId, scope, collection }) =>
    ({ pointer: '/n', rule: 'never', message: [scope, collection, documentId, userId, data.n].join(' ') }),
  patient: async (data) => { await null; return data.bad ? { rule: 'late', message: 'bad' } : null; },
  broken: () => { throw new Error('a bug in the rule'); },
  vague: () => 'no',
  endless: (data) => { while (data.spin) ; return null; },
  greedy: (data) => { const all = []; while (data.spin) all.push(new Array(1e6).fill(1)); return null; },
  leaving: (data) => { if (data.spin) process.exit(3); return null; },
  curious: () => ({ rule: 'env', message: JSON.stringify(process.env) }),
};
`;

let folder: string;
let worker: RuleWorker;
const logged: string[] = [];

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'rules-'));
  await writeFile(join(folder, 'rules.cjs'), MODULE);
  await writeFile(join(folder, 'wrong.cjs'), 'exports.rule = {};');
  worker = createRuleWorker({
    module: join(folder, 'rules.cjs'),
    timeout: 300,
    log: (message) => logged.push(message),
  });
});
afterAll(async () => {
  await worker.dispose();
  await rm(folder, { recursive: true });
});

const ask = (collection: string, data: Record<string, unknown> = {}) =>
  worker.ask({ scope: 'user:a', collection, documentId: '7', userId: 'a', data });

it('a rule that returns nothing is kept, and so is every document of a collection without rules', async () => {
  expect(await ask('sound')).toBeNull();
  expect(await ask('unruled')).toBeNull();
  expect(await ask('toString')).toBeNull();
});

it('a rule sees the document and whose it is, and names what breaks it', async () => {
  expect(await ask('strict', { n: 5 })).toEqual({
    pointer: '/n',
    rule: 'never',
    message: 'user:a strict 7 a 5',
  });
});

it('a rule may be asynchronous, and its pointer may be left out', async () => {
  expect(await ask('patient')).toBeNull();
  expect(await ask('patient', { bad: true })).toEqual({ pointer: '', rule: 'late', message: 'bad' });
});

it.each([
  ['throws', 'broken', 'a bug in the rule'],
  ['says something that is no violation', 'vague', 'something other than'],
  ['never ends', 'endless', 'no answer within 300 ms'],
  ['ends the thread', 'leaving', 'ended with 3'],
  ['takes all memory', 'greedy', /memory|no answer within/],
])('a rule that %s is an error for its document alone, and is told to the log', async (_, name, reason) => {
  logged.length = 0;
  const [bad, behind] = await Promise.allSettled([ask(name, { spin: true }), ask('strict', { n: 1 })]);
  expect(bad.status).toBe('rejected');
  expect(behind).toMatchObject({ status: 'fulfilled', value: { rule: 'never' } });
  expect(logged).toHaveLength(1);
  expect(logged[0]).toMatch(reason);
  expect(logged[0]).not.toContain('spin');
});

it('rules see no settings of the app', async () => {
  expect(await ask('curious')).toMatchObject({ message: '{}' });
});

it('a module without rules answers nothing', async () => {
  const wrong = createRuleWorker({ module: join(folder, 'wrong.cjs'), timeout: 300, log: () => undefined });
  await expect(
    wrong.ask({ scope: 's', collection: 'c', documentId: '1', userId: 'u', data: {} }),
  ).rejects.toThrow('exports no `rules`');
  await wrong.dispose();
});
