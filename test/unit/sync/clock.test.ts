import { formatDateTime, parseDateTime } from '../../../shared/protocol/index.ts';
import { correctTime } from '../../../shared/sync/clock.ts';

describe('A date', () => {
  it.each([
    ['2026-11-21T10:00:00.000Z', '2026-11-21T10:00:00.000Z'],
    ['2026-11-21T10:00:00Z', '2026-11-21T10:00:00.000Z'],
    ['2026-11-21t10:00:00.5z', '2026-11-21T10:00:00.500Z'],
    ['2026-11-21T10:00:00.123456789Z', '2026-11-21T10:00:00.123Z'],
    ['2026-11-21T12:00:00+02:00', '2026-11-21T10:00:00.000Z'],
    ['2024-02-29T00:00:00Z', '2024-02-29T00:00:00.000Z'],
  ])('%s is %s', (text, expected) => {
    expect(formatDateTime(parseDateTime(text)!)).toBe(expected);
  });

  it.each([
    '',
    'now',
    '2026-11-21',
    '2026-11-21T10:00:00',
    '2026-02-30T00:00:00Z',
    '2026-02-29T00:00:00Z',
    '2026-13-01T00:00:00Z',
    '2026-00-10T00:00:00Z',
    '2026-01-00T00:00:00Z',
    '2026-01-01T24:00:00Z',
    '2026-01-01T23:60:00Z',
    '2026-01-01T23:59:60Z',
    '2026-01-01T00:00:00+99:99',
    '+012026-01-01T00:00:00Z',
    '2026-11-21 10:00:00Z',
  ])('%j is none', (text) => {
    expect(parseDateTime(text)).toBeNull();
  });
});

describe('The time of a change', () => {
  const now = Date.parse('2026-11-22T10:00:00Z');
  const hour = 3_600_000;

  it.each([
    ['a right clock', now - 10, now, now - 10],
    ['a clock an hour behind', now - hour - 10, now - hour, now - 10],
    ['a clock a year ahead', now + 365 * 24 * hour - 10, now + 365 * 24 * hour, now - 10],
    ['a clock that was set back since the edit: nobody writes in the future', now + hour, now - hour, now],
    ['no clock told', now - hour, null, now - hour],
    ['no clock told, and the edit in the future', now + hour, null, now],
    ['an edit before 1970', -hour, now, 0],
  ])('with %s', (_, lastModified, clientTime, expected) => {
    expect(correctTime(lastModified, clientTime, now)).toBe(expected);
  });
});
