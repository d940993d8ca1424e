import { startStack, type Stack } from '../../local/stack.ts';
import { call, expectProblem } from '../support/api.ts';

let stack: Stack;
let admin: string;
beforeAll(async () => {
  stack = await startStack({ quiet: true, onLine: () => undefined });
  admin = await stack.issuerHandle.token({ sub: 'root', roles: ['admin'] });
}, 30_000);
afterAll(() => stack.dispose());
afterEach(() => stack.emulator.faults.clear());

const ready = (token: string) =>
  call(`${stack.api}/ready`, { headers: token === '' ? {} : { authorization: `Bearer ${token}` } });

it('An administrator is told that everything works, and what was tried', async () => {
  const answer = await ready(admin);
  expect(answer.status).toBe(200);
  expect(answer.body).toEqual({
    status: 'ready',
    checks: ['documents', 'issuer 1', 'master key'].map((name) => ({
      name,
      ok: true,
      milliseconds: expect.any(Number) as number,
    })),
  });
});

it('A look at it costs a read of the documents and one of the database', async () => {
  await ready(admin);
  stack.emulator.requests.clear();
  await ready(admin);
  expect(stack.emulator.requests.entries.map(({ kind, operation }) => `${kind} ${operation}`).sort()).toEqual(
    ['data changeFeed', 'metadata read'],
  );
});

it('Nobody else is told', async () => {
  expectProblem(await ready(''), 401, 'missing_token');
  const user = await stack.issuerHandle.token({ sub: 'alice' });
  expectProblem(await ready(user), 403, 'role_insufficient');
  const ofOneKind = await stack.issuerHandle.token({ sub: 'alice', roles: ['facility.admin'] });
  expectProblem(await ready(ofOneKind), 403, 'role_insufficient');
});

it('Documents that cannot be read are named', async () => {
  stack.emulator.faults.add({
    operation: 'changeFeed',
    times: 20,
    action: { kind: 'status', status: 429, retryAfterMs: 1 },
  });
  const answer = await ready(admin);
  expectProblem(answer, 503, 'not_ready');
  expect(answer.headers.get('retry-after')).toBe('10');
  expect(answer.body['checks']).toMatchObject([
    { name: 'documents', ok: false, detail: 'Cosmos DB, reading the change feed: status 429' },
    { name: 'issuer 1', ok: true },
    { name: 'master key', ok: true },
  ]);
});

it('Documents that do not answer do not hold up the answer', async () => {
  stack.emulator.faults.add({ operation: 'changeFeed', times: 5, action: { kind: 'delay', ms: 12_000 } });
  const started = Date.now();
  const answer = await ready(admin);
  expect(Date.now() - started).toBeLessThan(11_000);
  expect(answer.body['checks']).toMatchObject([{ name: 'documents', ok: false }, { ok: true }, { ok: true }]);
});

it('A master key that is not taken is named', async () => {
  stack.emulator.faults.add({ resource: 'database', times: 20, action: { kind: 'status', status: 401 } });
  const answer = await ready(admin);
  expect(answer.body['checks']).toMatchObject([
    { ok: true },
    { ok: true },
    { name: 'master key', ok: false },
  ]);
});

it('An issuer that is gone is named, although its users still come in with keys at hand', async () => {
  await stack.issuerHandle.dispose();
  const answer = await ready(admin);
  expectProblem(answer, 503, 'not_ready');
  expect(answer.body['checks']).toMatchObject([
    { ok: true },
    { name: 'issuer 1', ok: false, detail: 'The identity provider cannot be reached.' },
    { ok: true },
  ]);
});
