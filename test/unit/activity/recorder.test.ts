import type { ActivityRecord } from '../../../shared/activity/record.ts';
import { createRecorder } from '../../../shared/activity/recorder.ts';

const record = (userId: string, id: number): ActivityRecord => ({
  id: `r${id}`,
  userId,
  kind: 'sync',
  at: '2026-11-22T10:00:00.000Z',
  ttl: 60,
});

/** A recorder over a store that takes batches, or refuses them, and a clock that the test moves. */
function setUp({ capacity = 1000 }: { capacity?: number } = {}) {
  const batches: string[][] = [];
  const due: (() => void)[] = [];
  const state = { broken: false, dropped: 0, batches, due };
  const recorder = createRecorder({
    store: {
      append: (records) => {
        if (state.broken) return Promise.reject(new Error('not now'));
        batches.push(records.map(({ userId, id }) => `${userId} ${id}`));
        return Promise.resolve();
      },
    },
    interval: 5000,
    capacity,
    onDropped: (count) => (state.dropped += count),
    schedule: (callback, milliseconds) => {
      expect(milliseconds).toBe(5000);
      due.push(callback);
    },
  });
  return { recorder, ...state, state };
}

it('writes nothing until the interval has passed, then one batch for each user', async () => {
  const { recorder, batches, due } = setUp();
  recorder.add(record('alice', 1));
  recorder.add(record('bob', 2));
  recorder.add(record('alice', 3));
  expect(batches).toEqual([]);
  expect(due).toHaveLength(1);
  due[0]?.();
  await recorder.flush();
  expect(batches.sort()).toEqual([['alice r1', 'alice r3'], ['bob r2']]);
});

it('is quiet while there is nothing to write', async () => {
  const { recorder, batches, due } = setUp();
  await recorder.flush();
  expect([batches, due]).toEqual([[], []]);
});

it('puts no more than 100 records into a batch', async () => {
  const { recorder, batches } = setUp();
  for (let id = 0; id < 250; id += 1) recorder.add(record('alice', id));
  await recorder.flush();
  expect(batches.map(({ length }) => length).sort()).toEqual([100, 100, 50]);
});

it('keeps what could not be written, and tries again', async () => {
  const { recorder, state, batches, due } = setUp();
  state.broken = true;
  recorder.add(record('alice', 1));
  due[0]?.();
  await recorder.flush();
  expect(batches).toEqual([]);
  state.broken = false;
  recorder.add(record('alice', 2));
  expect(due).toHaveLength(2);
  due[1]?.();
  await recorder.flush();
  expect(batches).toEqual([['alice r1', 'alice r2']]);
});

it('holds a bounded number of records: the oldest are dropped, and that is told', async () => {
  const { recorder, state, batches } = setUp({ capacity: 10 });
  state.broken = true;
  for (let id = 0; id < 200; id += 1) {
    recorder.add(record('alice', id));
    if (id % 7 === 0) await recorder.flush();
  }
  state.broken = false;
  await recorder.flush();
  const written = batches.flat();
  expect(written).toEqual(
    Array.from({ length: written.length }, (_, index) => `alice r${200 - written.length + index}`),
  );
  expect(written.length).toBeLessThanOrEqual(11);
  expect(written.length + state.dropped).toBe(200);
});

it('loses nothing that comes in while it writes', async () => {
  const { recorder, batches } = setUp();
  recorder.add(record('alice', 1));
  const first = recorder.flush();
  recorder.add(record('alice', 2));
  await first;
  await recorder.flush();
  expect(batches).toEqual([['alice r1'], ['alice r2']]);
});
