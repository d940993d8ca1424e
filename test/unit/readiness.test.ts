import { RequestError, Unavailable } from '../../shared/errors.ts';
import { checkReadiness } from '../../shared/readiness.ts';

const works = { name: 'store', attempt: () => Promise.resolve() };
const broken = (error: Error) => ({ name: 'keys', attempt: () => Promise.reject(error) });
const now = () => 0;

const refusal = async (promise: Promise<unknown>): Promise<RequestError> => {
  const error: unknown = await promise.then(
    () => null,
    (reason: unknown) => reason,
  );
  if (!(error instanceof RequestError)) throw new Error('It is ready.');
  return error;
};

it('A service is ready when everything that it leans on works', async () => {
  const times = [0, 10, 25, 40];
  const readiness = await checkReadiness([works, { ...works, name: 'keys' }], () => times.shift() ?? 0);
  expect(readiness.status).toBe('ready');
  expect(readiness.checks.map(({ name, ok }) => ({ name, ok }))).toEqual([
    { name: 'store', ok: true },
    { name: 'keys', ok: true },
  ]);
  expect(readiness.checks.map(({ milliseconds }) => milliseconds)).toEqual([25, 30]);
});

it('What does not work is named, and what works too', async () => {
  const error = await refusal(checkReadiness([works, broken(new Unavailable('No keys.'))], now));
  expect(error).toMatchObject({
    code: 'not_ready',
    headers: { 'retry-after': '10' },
    message: 'Does not work: keys.',
    members: {
      checks: [
        { name: 'store', ok: true },
        { name: 'keys', ok: false, detail: 'No keys.' },
      ],
    },
  });
});

it('What others say of a failure is not passed on: it may hold what nobody should see', async () => {
  const error = await refusal(checkReadiness([broken(new Error('AccountKey=secret'))], now));
  expect(JSON.stringify(error.members)).not.toContain('secret');
});

it('What does not answer is given up, also when it does not heed the signal', async () => {
  const limit = new AbortController();
  const deaf = { name: 'deaf', attempt: () => new Promise(() => undefined) };
  const checking = refusal(checkReadiness([works, deaf], now, () => limit.signal));
  limit.abort();
  expect((await checking).members).toMatchObject({
    checks: [{ ok: true }, { ok: false, detail: 'No answer in time.' }],
  });
});
