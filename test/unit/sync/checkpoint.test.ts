import {
  fitPasses,
  formatCheckpoint,
  isUsable,
  joinPasses,
  parseCheckpoint,
  type Checkpoint,
  type Pass,
} from '../../../shared/sync/checkpoint.ts';

const DAY = 86_400_000;
const NOW = 1000 * DAY;
const pass = (collections: string[], fields: Partial<Pass> = {}): Pass => ({
  collections,
  continuation: '"5"',
  started: NOW,
  drained: NOW,
  ...fields,
});
const checkpoint: Checkpoint = {
  epoch: 'rid/1',
  scope: 'user:alice',
  retention: 90 * 86_400,
  session: '0:-1#5',
  passes: [pass(['items'])],
};

describe('The text of a checkpoint', () => {
  it('comes back as it was', () => {
    expect(parseCheckpoint(formatCheckpoint(checkpoint))).toEqual(checkpoint);
  });

  it.each([
    ['nothing', ''],
    ['no JSON', Buffer.from('nonsense').toString('base64url')],
    ['another format', Buffer.from(JSON.stringify([2, 'e', 's', 1, null, []])).toString('base64url')],
    [
      'a position no header can hold',
      formatCheckpoint({ ...checkpoint, passes: [pass(['items'], { continuation: '"5"\r\nx: y' })] }),
    ],
    ['a session no header can hold', formatCheckpoint({ ...checkpoint, session: 'é' })],
    ['a time that is none', formatCheckpoint({ ...checkpoint, passes: [pass(['items'], { started: 0.5 })] })],
  ])('is refused when it holds %s', (_, text) => {
    expect(parseCheckpoint(text)).toBeNull();
  });
});

describe('A checkpoint can be used', () => {
  const usable = (change: Partial<Checkpoint>, retention = 90, now = NOW) =>
    isUsable({ ...checkpoint, ...change }, { epoch: 'rid/1', scope: 'user:alice' }, retention * 86_400, now);

  it.each([
    ['fresh', {}, 90, NOW, true],
    ['a day before retention ends', {}, 90, NOW + 89 * DAY, true],
    ['later than that', {}, 90, NOW + 89 * DAY + 1, false],
    ['when retention was shortened since', {}, 30, NOW + 29 * DAY + 1, false],
    [
      'when retention was lengthened since: tombstones of then lived shorter',
      {},
      365,
      NOW + 89 * DAY + 1,
      false,
    ],
    ['of another epoch', { epoch: 'rid/2' }, 90, NOW, false],
    ['of another scope', { scope: 'user:bob' }, 90, NOW, false],
    [
      'of a pass that never drained: it ages from its start',
      { passes: [pass(['items'], { drained: null, started: NOW - 90 * DAY })] },
      90,
      NOW,
      false,
    ],
    [
      'of two passes, one of them too old',
      { passes: [pass(['items']), pass(['notes'], { drained: NOW - 90 * DAY })] },
      90,
      NOW,
      false,
    ],
    ['from the future', { passes: [pass(['items'], { drained: NOW + 2 * DAY })] }, 90, NOW, false],
  ])('%s', (_, change, retention, now, expected) => {
    expect(usable(change, retention, now)).toBe(expected);
  });
});

describe('Passes', () => {
  it('stay as they are while the collections do', () => {
    expect(fitPasses([pass(['items', 'notes'])], ['notes', 'items'], NOW)).toEqual([
      pass(['items', 'notes']),
    ]);
  });

  it('give a new collection a pass of its own, from the beginning', () => {
    expect(fitPasses([pass(['items'])], ['items', 'notes'], NOW)).toEqual([
      pass(['items']),
      { collections: ['notes'], continuation: null, started: NOW, drained: null },
    ]);
  });

  it('forget a collection no longer asked for, so that it starts over when it comes back', () => {
    const [left] = fitPasses([pass(['items', 'notes']), pass(['visits'])], ['items'], NOW);
    expect(left?.collections).toEqual(['items']);
    expect(fitPasses([left!], ['items', 'visits'], NOW)[1]?.continuation).toBeNull();
  });

  it('join where the first of them ended', () => {
    expect(
      joinPasses([pass(['items'], { continuation: '"5"' }), pass(['notes'], { continuation: '"9"' })], NOW),
    ).toEqual([pass(['items', 'notes'], { continuation: '"5"' })]);
  });
});
