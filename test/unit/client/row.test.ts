import {
  EMPTY_ROW,
  answer,
  discard,
  draw,
  edit,
  receive,
  release,
  type Row,
} from '../../../client/src/row.ts';
import type { ChangeResult, RemoteDocument } from '../../../shared/protocol/index.ts';

const ADDRESS = { scope: 'user:alice', collection: 'items', documentId: '1' };
const AT = '2026-11-22T10:00:00.000Z';
const remote = (version: string | null, data: object | null): RemoteDocument => ({
  ...ADDRESS,
  version,
  lastModified: AT,
  deleted: data === null,
  userId: 'alice',
  deviceId: 'tablet',
  data: data as Record<string, unknown> | null,
});
const clean: Row = receive(EMPTY_ROW, remote('v1', { n: 1 }));
const sent = (row: Row, seq = 1): Row => draw(row, ADDRESS, { seq, changeId: `c${seq}` })!;
const result = (fields: Partial<ChangeResult>): ChangeResult => ({
  changeId: 'c1',
  status: 'applied',
  version: 'v2',
  ...fields,
});

it('a new edit is made on what was there', () => {
  expect(edit(clean, { n: 2 }, AT).dirty).toMatchObject({
    type: 'upsert',
    baseVersion: 'v1',
    base: { n: 1 },
  });
  expect(edit(EMPTY_ROW, { n: 2 }, AT).dirty).toMatchObject({ baseVersion: null, base: null });
});

it('edits that were not sent become one, on the base of the first', () => {
  expect(edit(edit(clean, { n: 2 }, AT), null, AT).dirty).toMatchObject({
    type: 'delete',
    baseVersion: 'v1',
    base: { n: 1 },
  });
});

it('an edit made while its document is in flight waits', () => {
  const row = edit(sent(edit(clean, { n: 2 }, AT)), { n: 3 }, AT);
  expect(row.inFlight).toMatchObject({ seq: 1, data: { n: 2 } });
  expect(draw(row, ADDRESS, { seq: 2, changeId: 'c2' })).toBeNull();
});

it('applied: the next edit is made on it', () => {
  const row = answer(edit(sent(edit(clean, { n: 2 }, AT)), { n: 3 }, AT), result({}));
  expect(row).toMatchObject({ data: { n: 3 }, inFlight: null, dirty: { baseVersion: 'v2' } });
});

it.each(['merged', 'skipped', 'rejected'] as const)(
  '%s with nothing behind: the row becomes what is stored',
  (status) => {
    const row = answer(
      sent(edit(clean, { n: 2 }, AT)),
      result({ status, document: remote('v5', { n: 'theirs' }) }),
    );
    expect(row).toEqual({
      data: { n: 'theirs' },
      base: 'v5',
      dirty: null,
      inFlight: null,
      whole: null,
      shadow: null,
    });
  },
);

it.each([
  ['merged', 'upsert', 'live'],
  ['skipped', 'delete', null],
  ['rejected', 'upsert', 'v1'],
] as const)('%s %s with an edit behind: that one is made on %j', (status, type, base) => {
  const inFlight = sent(edit(clean, type === 'delete' ? null : { n: 2 }, AT));
  const row = answer(
    edit(inFlight, { n: 3 }, AT),
    result({ status, document: remote('v5', { n: 'theirs' }) }),
  );
  expect(row).toMatchObject({ data: { n: 3 }, dirty: { baseVersion: base } });
});

it('failed: the change is drawn anew, on its old base', () => {
  const row = answer(sent(edit(clean, { n: 2 }, AT)), result({ status: 'failed' }));
  expect(row).toMatchObject({ data: { n: 2 }, inFlight: null, dirty: { data: { n: 2 }, baseVersion: 'v1' } });
  expect(sent(row, 7).inFlight).toMatchObject({ seq: 7, baseVersion: 'v1' });
});

it('what others write does not touch a pending edit, nor its base', () => {
  const row = receive(edit(clean, { n: 2 }, AT), remote('v9', { n: 'theirs' }));
  expect(row).toMatchObject({ data: { n: 2 }, dirty: { baseVersion: 'v1' }, shadow: { version: 'v9' } });
  expect(sent(row).inFlight).toMatchObject({ baseVersion: 'v1' });
});

it('a released change keeps the edits made since', () => {
  const row = release(edit(sent(edit(clean, { n: 2 }, AT)), { n: 3 }, AT));
  expect(row.dirty).toMatchObject({ data: { n: 3 }, baseVersion: 'v1', base: { n: 1 } });
});

describe('rejected before the gateway looked at the document', () => {
  const refused: ChangeResult = { changeId: 'c1', status: 'rejected' };

  it('the row goes back to what the edit was made on', () => {
    expect(answer(sent(edit(clean, { n: 2 }, AT)), refused)).toEqual(clean);
    expect(answer(sent(edit(EMPTY_ROW, { n: 2 }, AT)), refused)).toEqual(EMPTY_ROW);
  });

  it('or to what has arrived meanwhile', () => {
    const row = receive(sent(edit(clean, { n: 2 }, AT)), remote('v9', { n: 'theirs' }));
    expect(answer(row, refused)).toEqual({ ...clean, data: { n: 'theirs' }, base: 'v9' });
  });

  it('an edit behind it keeps the base they share', () => {
    const row = answer(edit(sent(edit(clean, { n: 2 }, AT)), { n: 3 }, AT), refused);
    expect(row).toMatchObject({
      data: { n: 3 },
      dirty: { data: { n: 3 }, baseVersion: 'v1', base: { n: 1 } },
    });
  });
});

describe('answered without the document, because the answer was full', () => {
  const full = result({ status: 'skipped', version: null });

  it('the row shows what has arrived already, or waits for the delta', () => {
    const row = sent(edit(clean, { n: 2 }, AT));
    expect(answer(receive(row, remote('v9', { n: 'theirs' })), full)).toMatchObject({
      data: { n: 'theirs' },
      base: 'v9',
    });
    expect(answer(row, full)).toMatchObject({ data: { n: 2 }, base: 'live', inFlight: null });
    expect(receive(answer(row, full), remote('v9', { n: 'theirs' }))).toMatchObject({
      data: { n: 'theirs' },
      base: 'v9',
    });
  });

  it('the next edit claims no version it has not seen', () => {
    const repeat = result({ status: 'duplicate', outcome: 'applied', version: null });
    const row = answer(edit(sent(edit(clean, { n: 2 }, AT)), { n: 3 }, AT), repeat);
    expect(row.dirty).toMatchObject({ data: { n: 3 }, baseVersion: 'live' });
  });

  it('a delete that left nothing behind is as it was sent', () => {
    expect(answer(sent(edit(clean, null, AT)), result({ version: null }))).toMatchObject({
      data: null,
      base: null,
    });
  });
});

describe('a patch', () => {
  const two: Row = receive(EMPTY_ROW, remote('v1', { n: 1, deep: { a: 1, b: 2 }, gone: true }));
  const patched = edit(two, { n: 2, deep: { a: 1, b: 3 } }, AT, 'patch');

  it('says only what differs, with the old values', () => {
    expect(sent(patched).inFlight).toMatchObject({
      type: 'patch',
      data: { n: 2, deep: { b: 3 }, gone: null },
      base: { n: 1, deep: { b: 2 }, gone: true },
    });
  });

  it('is a whole upsert where the base is nothing, or an upsert is folded into it', () => {
    expect(sent(edit(EMPTY_ROW, { n: 2 }, AT, 'patch')).inFlight?.type).toBe('upsert');
    expect(sent(edit(edit(two, { n: 2 }, AT), { n: 3 }, AT, 'patch')).inFlight?.type).toBe('upsert');
  });

  it('is a whole upsert where a member is to hold null: a merge patch would remove it', () => {
    expect(sent(edit(two, { n: null }, AT, 'patch')).inFlight).toMatchObject({
      type: 'upsert',
      data: { n: null },
    });
  });

  it('taken back, the row has its whole contents again', () => {
    const again = release(sent(patched));
    expect(again).toEqual({ ...patched, shadow: null });
    expect(answer(sent(patched), { changeId: 'c1', status: 'rejected' })).toEqual(two);
    expect(sent(again, 2).inFlight).toMatchObject({ seq: 2, type: 'patch' });
  });

  it('behind an upsert that failed, is an upsert', () => {
    const upserted = sent(edit(two, { n: 5 }, AT));
    expect(release(edit(upserted, { n: 6 }, AT, 'patch')).dirty).toMatchObject({ type: 'upsert' });
  });
});

it('what was merged is not forgotten when the edit behind it is withdrawn: no delta brings it', () => {
  const first = edit(sent(edit(clean, { n: 2 }, AT)), { n: 3 }, AT);
  const merged = answer(first, result({ status: 'merged', document: remote('v5', { n: 'both' }) }));
  const withdrawn = answer(sent(merged, 2), { changeId: 'c2', status: 'rejected' });
  expect(withdrawn).toMatchObject({ data: { n: 'both' }, base: 'v5', dirty: null });
  expect(discard(merged)).toMatchObject({ data: { n: 'both' }, base: 'v5', dirty: null });
});

it('a patch behind a rejected edit is sent whole: what was refused is in it', () => {
  const behind = edit(sent(edit(EMPTY_ROW, { bad: true }, AT)), { bad: true, b: 2 }, AT, 'patch');
  const document = remote('v2', { b: 1 });
  expect(answer(behind, { changeId: 'c1', status: 'rejected', document })).toMatchObject({
    data: { bad: true, b: 2 },
    dirty: { type: 'upsert', baseVersion: null, base: null, data: { bad: true, b: 2 } },
    shadow: document,
  });
});
