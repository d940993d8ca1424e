import {
  decide,
  fieldRules,
  isRepeat,
  type Base,
  type DocumentState,
  type Earlier,
  type Held,
  type Incoming,
  type Strategy,
} from '../../../shared/conflict/index.ts';

const THEIRS = { userId: 'alice', deviceId: 'tablet', seq: 5 };
const MINE = { userId: 'alice', deviceId: 'phone', seq: 9 };
const NOW = 1_000_000;

const live: Held = {
  kind: 'live',
  etag: '"e1"',
  stamp: NOW,
  writer: THEIRS,
  data: { v: 'theirs', deep: { a: 1 } },
};
const tombstone: Held = { ...live, kind: 'tombstone', data: null };
const absent: DocumentState = { kind: 'absent' };

const current: Base = { kind: 'version', etag: '"e1"', stamp: NOW, live: true };
const older: Base = { kind: 'version', etag: '"e0"', stamp: NOW - 500, live: true };
const oldTombstone: Base = { ...older, live: false };
const nothing: Base = { kind: 'nothing' };
const unknown: Base = { kind: 'live' };
const unstated: Base = { kind: 'unstated' };

const incoming = (type: Incoming['type'], base: Base, time: number): Incoming => ({
  type,
  base,
  baseContent: null,
  time,
  writer: MINE,
  data: type === 'delete' ? null : { v: 'mine' },
});

/** What became of it, what is stored then, and who went to the log. */
const summary = (state: DocumentState, change: Incoming, earlier: Earlier | null = null): string => {
  const { outcome, write, conflict } = decide(state, change, earlier);
  const stored =
    write === null ? 'unchanged' : write.kind === 'tombstone' ? 'tombstone' : JSON.stringify(write.data);
  return `${outcome}, ${stored}, ${conflict === null ? 'no loser' : `${conflict.lost.side} lost`}`;
};

const before = NOW - 1;
const after = NOW + 1;
const mine = '{"v":"mine"}';
const both = '{"v":"mine","deep":{"a":1}}';

describe.each([
  // sequential: the base is what is stored, clocks do not matter
  ['upsert', 'live', live, current, before, `applied, ${mine}, no loser`],
  ['patch', 'live', live, current, before, `applied, ${both}, no loser`],
  ['delete', 'live', live, current, before, 'applied, tombstone, no loser'],
  ['upsert', 'a tombstone', tombstone, { ...current, live: false }, before, `applied, ${mine}, no loser`],
  [
    'patch',
    'a tombstone',
    tombstone,
    { ...current, live: false },
    before,
    'skipped, unchanged, incoming lost',
  ],
  ['delete', 'a tombstone', tombstone, { ...current, live: false }, before, 'applied, unchanged, no loser'],
  // concurrent and later
  ['upsert', 'live', live, older, after, `applied, ${mine}, stored lost`],
  ['upsert', 'live', live, unknown, after, `applied, ${mine}, stored lost`],
  ['upsert', 'live', live, nothing, after, `applied, ${mine}, stored lost`],
  ['patch', 'live', live, older, after, `merged, ${both}, stored lost`],
  ['delete', 'live', live, older, after, 'applied, tombstone, stored lost'],
  ['upsert', 'a tombstone', tombstone, older, after, `applied, ${mine}, stored lost`],
  ['upsert', 'a tombstone', tombstone, nothing, after, `applied, ${mine}, stored lost`],
  ['patch', 'a tombstone', tombstone, older, after, 'skipped, unchanged, incoming lost'],
  ['delete', 'a tombstone', tombstone, older, after, 'applied, unchanged, no loser'],
  // concurrent and earlier
  ['upsert', 'live', live, older, before, 'skipped, unchanged, incoming lost'],
  ['upsert', 'live', live, unknown, before, 'skipped, unchanged, incoming lost'],
  ['patch', 'live', live, older, before, 'skipped, unchanged, incoming lost'],
  ['delete', 'live', live, older, before, 'skipped, unchanged, incoming lost'],
  ['upsert', 'a tombstone', tombstone, older, before, 'skipped, unchanged, incoming lost'],
  // by time alone
  ['upsert', 'live', live, unstated, after, `applied, ${mine}, no loser`],
  ['patch', 'live', live, unstated, after, `merged, ${both}, no loser`],
  ['delete', 'live', live, unstated, after, 'applied, tombstone, no loser'],
  ['upsert', 'live', live, unstated, before, 'skipped, unchanged, incoming lost'],
  // not there
  ['upsert', 'nothing', absent, nothing, after, `applied, ${mine}, no loser`],
  ['upsert', 'nothing', absent, unstated, after, `applied, ${mine}, no loser`],
  ['upsert', 'nothing', absent, oldTombstone, after, `applied, ${mine}, no loser`],
  ['upsert', 'nothing', absent, older, after, 'skipped, unchanged, incoming lost'],
  ['upsert', 'nothing', absent, unknown, after, 'skipped, unchanged, incoming lost'],
  ['patch', 'nothing', absent, nothing, after, 'skipped, unchanged, incoming lost'],
  ['patch', 'nothing', absent, unstated, after, 'skipped, unchanged, incoming lost'],
  ['delete', 'nothing', absent, older, after, 'applied, unchanged, no loser'],
] as const)('%s of %s', (type, _, state, base, time, expected) => {
  const age = base.kind === 'version' ? `version ${base.etag}` : base.kind;
  it(`made on ${age}, ${time > NOW ? 'later' : 'earlier'}: ${expected}`, () => {
    expect(summary(state, incoming(type, base, time))).toBe(expected);
  });
});

describe('After an earlier change of the same request', () => {
  it('a change follows what that one wrote, whatever its own base and time', () => {
    const earlier = { left: 'live', holds: true, content: null } as const;
    expect(summary(live, incoming('upsert', nothing, before), earlier)).toBe(`applied, ${mine}, no loser`);
    expect(
      summary(tombstone, incoming('upsert', older, before), { left: 'nothing', holds: true, content: null }),
    ).toBe(`applied, ${mine}, no loser`);
  });

  it('a change is concurrent again where another has written since', () => {
    expect(
      summary(live, incoming('upsert', nothing, before), { left: 'live', holds: false, content: null }),
    ).toBe('skipped, unchanged, incoming lost');
  });

  it('what that one left counts as the base where the document is gone', () => {
    expect(
      summary(absent, incoming('upsert', nothing, after), { left: 'live', holds: false, content: null }),
    ).toBe('skipped, unchanged, incoming lost');
    expect(
      summary(absent, incoming('upsert', older, after), { left: 'nothing', holds: true, content: null }),
    ).toBe(`applied, ${mine}, no loser`);
  });
});

describe('The stamp of a write', () => {
  it.each([
    ['the time of the edit, where that is later', live, after, after],
    ['one millisecond past the stored one, where the edit is older', live, before, NOW + 1],
    ['the time of the edit, where nothing is stored', absent, before, before],
  ] as const)('is %s', (_, state, time, expected) => {
    const base = state.kind === 'absent' ? nothing : current;
    expect(decide(state, incoming('upsert', base, time)).write?.stamp).toBe(expected);
  });
});

it('equal times are decided by the writer, then by the number', () => {
  const at = (writer: Incoming['writer']) =>
    decide(live, { ...incoming('upsert', older, NOW), writer }).outcome;
  expect(at({ userId: 'alice', deviceId: 'phone', seq: 9 })).toBe('skipped');
  expect(at({ userId: 'alice', deviceId: 'watch', seq: 1 })).toBe('applied');
  expect(at({ userId: 'alice', deviceId: 'tablet', seq: 4 })).toBe('skipped');
  expect(at({ userId: 'alice', deviceId: 'tablet', seq: 6 })).toBe('applied');
});

it('what is no document wins against nothing', () => {
  const broken: Held = { kind: 'live', etag: '"e1"', stamp: 0, writer: null, data: {} };
  expect(summary(broken, incoming('upsert', older, before))).toBe(`applied, ${mine}, stored lost`);
});

describe('A change without a number', () => {
  const WRITER = { userId: 'alice', deviceId: 'thin', seq: null };
  const stored: Held = { ...live, writer: WRITER, data: { a: 1, b: [2, { c: null }] } };
  const again: Incoming = {
    ...incoming('upsert', unstated, NOW),
    writer: WRITER,
    data: { b: [2, { c: null }], a: 1 },
  };

  it('is a repeat where it is what is stored', () => {
    expect(isRepeat(stored, again)).toBe(true);
    expect(
      isRepeat({ ...stored, kind: 'tombstone', data: null }, { ...again, type: 'delete', data: null }),
    ).toBe(true);
  });

  it('is a repeat where it is a patch whose fields are all there', () => {
    expect(isRepeat(stored, { ...again, type: 'patch', data: { a: 1, gone: null } })).toBe(true);
    expect(isRepeat(stored, { ...again, type: 'patch', data: { a: 2 } })).toBe(false);
  });

  it('makes a document its own, so that its repeat is known', () => {
    const { outcome, write } = decide(live, { ...again, type: 'patch', time: after });
    expect([outcome, write?.writer]).toEqual(['merged', WRITER]);
  });

  it.each([
    ['another content of the same millisecond', { data: { a: 1 } }],
    ['another time', { time: NOW + 1 }],
    ['another device', { writer: { ...WRITER, deviceId: 'other' } }],
    ['a base', { base: nothing }],
    ['a delete', { type: 'delete', data: null }],
  ] as const)('is none with %s', (_, fields) => {
    expect(isRepeat(stored, { ...again, ...fields })).toBe(false);
  });
});

describe('A patch of a field that is the server’s', () => {
  const strategy: Strategy = {
    name: 'field_level_merge',
    root: fieldRules({ '/v': { owner: 'server' } }),
  };
  const alone = { ...live, data: { v: 'theirs' } };

  it('is not stored as sent, and says so: otherwise the device would go on showing it', () => {
    expect(decide(alone, incoming('patch', current, NOW + 1), null, strategy)).toMatchObject({
      outcome: 'merged',
      write: { data: { v: 'theirs' } },
    });
  });

  it('beside another’s edit is skipped, with nothing lost', () => {
    expect(decide(alone, incoming('patch', older, NOW + 1), null, strategy)).toMatchObject({
      outcome: 'skipped',
      write: null,
      conflict: null,
    });
  });
});
