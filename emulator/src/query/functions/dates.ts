import { ArgumentError, define, isFiniteNumber, isInteger, isString, ofStrings } from './define.ts';
import type { BuiltIns } from './define.ts';
import type { Value } from '../values.ts';

/**
 * Dates are ISO 8601 texts in UTC with seven digits after the second. A tick is 100 ns since 1970, counted in
 * BigInt here because the ticks of our time do not fit a double.
 */
const TICKS_PER_MS = 10_000n;
const FORMAT = /^(\d{4})-(\d\d)-(\d\d)(?:[T ](\d\d):(\d\d)(?::(\d\d)(?:\.(\d{1,7}))?)?(Z|[+-]\d\d:\d\d)?)?$/;

/** Units of fixed length, in ticks. A nanosecond is a hundredth of a tick. */
const UNITS = {
  day: 86_400_000n * TICKS_PER_MS,
  hour: 3_600_000n * TICKS_PER_MS,
  minute: 60_000n * TICKS_PER_MS,
  second: 1_000n * TICKS_PER_MS,
  millisecond: TICKS_PER_MS,
  microsecond: 10n,
} as const;

type Part = 'year' | 'month' | 'nanosecond' | keyof typeof UNITS;

const PARTS: Readonly<Record<string, Part>> = {
  year: 'year',
  yyyy: 'year',
  yy: 'year',
  y: 'year',
  month: 'month',
  mm: 'month',
  m: 'month',
  day: 'day',
  dd: 'day',
  d: 'day',
  hour: 'hour',
  hh: 'hour',
  minute: 'minute',
  mi: 'minute',
  n: 'minute',
  second: 'second',
  ss: 'second',
  s: 'second',
  millisecond: 'millisecond',
  ms: 'millisecond',
  microsecond: 'microsecond',
  mcs: 'microsecond',
  nanosecond: 'nanosecond',
  ns: 'nanosecond',
};

const toPart = (value: Value): Part | undefined =>
  isString(value) && Object.hasOwn(PARTS, value.toLowerCase()) ? PARTS[value.toLowerCase()] : undefined;

function parseTicks(value: Value): bigint | undefined {
  const match = isString(value) ? FORMAT.exec(value) : null;
  if (!match) return undefined;
  const [year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0] = match
    .slice(1, 7)
    .map((x) => Number(x || 0));
  const ticks = fromParts(year, month, day, hour, minute, second, Number((match[7] ?? '').padEnd(7, '0')));
  const zone = match[8] ?? 'Z';
  if (ticks === undefined || zone === 'Z') return ticks;
  const offset = BigInt(Number(zone.slice(1, 3)) * 60 + Number(zone.slice(4, 6))) * UNITS.minute;
  return zone.startsWith('+') ? ticks - offset : ticks + offset;
}

function fromParts(
  year: number,
  month: number,
  day: number,
  hour: number,
  minute: number,
  second: number,
  fraction: number,
): bigint | undefined {
  if (year < 1 || year > 9999 || hour > 23 || minute > 59 || second > 59 || fraction > 9_999_999)
    return undefined;
  if (Math.min(hour, minute, second, fraction) < 0) return undefined;
  const date = new Date(0);
  date.setUTCFullYear(year, month - 1, day);
  date.setUTCHours(hour, minute, second);
  if (date.getUTCMonth() !== month - 1 || date.getUTCDate() !== day) return undefined;
  return BigInt(date.getTime()) * TICKS_PER_MS + BigInt(fraction);
}

const EARLIEST = fromParts(1, 1, 1, 0, 0, 0, 0) ?? 0n;
const LATEST = fromParts(9999, 12, 31, 23, 59, 59, 9_999_999) ?? 0n;

function format(ticks: bigint): Value {
  if (ticks < EARLIEST || ticks > LATEST) return undefined;
  const iso = toDate(ticks).toISOString();
  const fraction = String(ticks - floorDiv(ticks, UNITS.second) * UNITS.second).padStart(7, '0');
  return `${iso.slice(0, 19)}.${fraction}Z`;
}

const toDate = (ticks: bigint) => new Date(Number(floorDiv(ticks, TICKS_PER_MS)));

const floorDiv = (a: bigint, b: bigint) => a / b - (a % b !== 0n && a < 0n !== b < 0n ? 1n : 0n);

/** Months since year 0: the scale on which years and months are counted. */
function monthsOf(ticks: bigint): number {
  const date = toDate(ticks);
  return date.getUTCFullYear() * 12 + date.getUTCMonth();
}

/** The 31st of a month plus one month is the last day of the next. */
function addMonths(ticks: bigint, months: number): bigint | undefined {
  const start = toDate(ticks);
  const total = monthsOf(ticks) + months;
  const year = Math.floor(total / 12);
  const month = total - year * 12;
  if (year < 1 || year > 9999) return undefined;
  const lastDay = new Date(Date.UTC(2000, month + 1, 0));
  lastDay.setUTCFullYear(year, month + 1, 0);
  const moved = new Date(start);
  moved.setUTCFullYear(year, month, Math.min(start.getUTCDate(), lastDay.getUTCDate()));
  return ticks + BigInt(moved.getTime() - start.getTime()) * TICKS_PER_MS;
}

function add(part: Part, count: number, ticks: bigint): bigint | undefined {
  if (part === 'year' || part === 'month') return addMonths(ticks, part === 'year' ? count * 12 : count);
  if (part === 'nanosecond') return ticks + floorDiv(BigInt(count), 100n);
  return ticks + BigInt(count) * UNITS[part];
}

/** How many boundaries of the unit lie between two times. */
function difference(part: Part, from: bigint, to: bigint): number {
  if (part === 'year') return Math.floor(monthsOf(to) / 12) - Math.floor(monthsOf(from) / 12);
  if (part === 'month') return monthsOf(to) - monthsOf(from);
  if (part === 'nanosecond') return Number((to - from) * 100n);
  return Number(floorDiv(to, UNITS[part]) - floorDiv(from, UNITS[part]));
}

function partOf(part: Part, ticks: bigint): number {
  const date = toDate(ticks);
  const fraction = Number(ticks - floorDiv(ticks, UNITS.second) * UNITS.second);
  switch (part) {
    case 'year':
      return date.getUTCFullYear();
    case 'month':
      return date.getUTCMonth() + 1;
    case 'day':
      return date.getUTCDate();
    case 'hour':
      return date.getUTCHours();
    case 'minute':
      return date.getUTCMinutes();
    case 'second':
      return date.getUTCSeconds();
    case 'millisecond':
      return Math.floor(fraction / 10_000);
    case 'microsecond':
      return Math.floor(fraction / 10);
    case 'nanosecond':
      return fraction * 100;
  }
}

/** The start of the bin of `size` units, counted from an origin, in which a time lies. */
function bin(ticks: bigint, part: Part, size: number, origin: bigint): bigint | undefined {
  if (part === 'year' || part === 'month') {
    const months = part === 'year' ? size * 12 : size;
    const count = Math.floor((monthsOf(ticks) - monthsOf(origin)) / months);
    const start = addMonths(origin, count * months);
    return start !== undefined && start > ticks ? addMonths(origin, (count - 1) * months) : start;
  }
  const unit = part === 'nanosecond' ? BigInt(size) / 100n : BigInt(size) * UNITS[part];
  return unit <= 0n ? undefined : origin + floorDiv(ticks - origin, unit) * unit;
}

const onPart = (part: Part) =>
  ofStrings(1, (text) => {
    const ticks = parseTicks(text);
    return ticks === undefined ? undefined : partOf(part, ticks);
  });

/** What DATETIMEFORMAT writes for a run of one letter; letters that are not here stand for themselves. */
const SPECIFIERS: Readonly<
  Record<string, readonly [longest: number, write: (ticks: bigint, length: number) => string]>
> = {
  y: [
    4,
    (ticks, length) => digits(length === 2 ? partOf('year', ticks) % 100 : partOf('year', ticks), length),
  ],
  M: [2, (ticks, length) => digits(partOf('month', ticks), length)],
  d: [2, (ticks, length) => digits(partOf('day', ticks), length)],
  H: [2, (ticks, length) => digits(partOf('hour', ticks), length)],
  h: [2, (ticks, length) => digits(((partOf('hour', ticks) + 11) % 12) + 1, length)],
  m: [2, (ticks, length) => digits(partOf('minute', ticks), length)],
  s: [2, (ticks, length) => digits(partOf('second', ticks), length)],
  f: [7, (ticks, length) => fractionOf(ticks).slice(0, length)],
  /** As f, without the zeros at the end. */
  F: [7, (ticks, length) => fractionOf(ticks).slice(0, length).replace(/0+$/, '')],
};

const digits = (value: number, length: number) => String(value).padStart(length, '0');
const fractionOf = (ticks: bigint) => digits(partOf('nanosecond', ticks) / 100, 7);

function formatBy(pattern: string, ticks: bigint): string {
  return pattern.replace(/\\([^])|([a-zA-Z])\2*/g, (run: string, escaped?: string, letter?: string) => {
    if (escaped !== undefined) return escaped;
    const specifier =
      letter !== undefined && Object.hasOwn(SPECIFIERS, letter) ? SPECIFIERS[letter] : undefined;
    if (!specifier) return run;
    const [longest, write] = specifier;
    if (run.length > longest)
      throw new ArgumentError(`The format '${run}' of DateTimeFormat is not supported.`);
    return write(ticks, run.length);
  });
}

const milliseconds = (ms: number) => BigInt(Math.trunc(ms)) * TICKS_PER_MS;

export const dateFunctions: BuiltIns = {
  DATETIMEADD: define(3, 3, ([unit, count, time]) => {
    const part = toPart(unit);
    const ticks = parseTicks(time);
    if (part === undefined || ticks === undefined || !isInteger(count)) return undefined;
    const moved = add(part, count, ticks);
    return moved === undefined ? undefined : format(moved);
  }),
  DATETIMEBIN: define(2, 4, ([time, unit, size = 1, origin = '1970-01-01']) => {
    const part = toPart(unit);
    const ticks = parseTicks(time);
    const start = parseTicks(origin);
    if (part === undefined || ticks === undefined || start === undefined) return undefined;
    if (!isInteger(size) || size <= 0) return undefined;
    const result = bin(ticks, part, size, start);
    return result === undefined ? undefined : format(result);
  }),
  DATETIMEDIFF: define(3, 3, ([unit, from, to]) => {
    const part = toPart(unit);
    const start = parseTicks(from);
    const end = parseTicks(to);
    return part === undefined || start === undefined || end === undefined
      ? undefined
      : difference(part, start, end);
  }),
  DATETIMEFORMAT: define(2, 2, ([time, pattern]) => {
    const ticks = parseTicks(time);
    return ticks === undefined || !isString(pattern) ? undefined : formatBy(pattern, ticks);
  }),
  DATETIMEFROMPARTS: define(3, 7, (args) => {
    const [year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0, fraction = 0] =
      args.filter(isInteger);
    if (!args.every(isInteger)) return undefined;
    const ticks = fromParts(year, month, day, hour, minute, second, fraction);
    return ticks === undefined ? undefined : format(ticks);
  }),
  DATETIMEPART: define(2, 2, ([unit, time]) => {
    const part = toPart(unit);
    const ticks = parseTicks(time);
    return part === undefined || ticks === undefined ? undefined : partOf(part, ticks);
  }),
  DATETIMETOTICKS: ofStrings(1, (text) => {
    const ticks = parseTicks(text);
    return ticks === undefined ? undefined : Number(ticks);
  }),
  DATETIMETOTIMESTAMP: ofStrings(1, (text) => {
    const ticks = parseTicks(text);
    return ticks === undefined ? undefined : Number(floorDiv(ticks, TICKS_PER_MS));
  }),
  TICKSTODATETIME: define(1, 1, ([ticks]) =>
    isFiniteNumber(ticks) ? format(BigInt(Math.trunc(ticks))) : undefined,
  ),
  TIMESTAMPTODATETIME: define(1, 1, ([ms]) => (isFiniteNumber(ms) ? format(milliseconds(ms)) : undefined)),
  AGO: define(2, 2, ([unit, count], { now }) => {
    const part = toPart(unit);
    if (part === undefined || !isInteger(count)) return undefined;
    const moved = add(part, -count, milliseconds(now()));
    return moved === undefined ? undefined : format(moved);
  }),
  NOW: define(0, 0, (_, { now }) => format(milliseconds(now()))),
  GETCURRENTDATETIME: define(0, 0, (_, { now }) => format(milliseconds(now()))),
  GETCURRENTDATETIMESTATIC: define(0, 0, (_, { started }) => format(milliseconds(started))),
  GETCURRENTTICKS: define(0, 0, (_, { now }) => Number(milliseconds(now()))),
  GETCURRENTTICKSSTATIC: define(0, 0, (_, { started }) => Number(milliseconds(started))),
  GETCURRENTTIMESTAMP: define(0, 0, (_, { now }) => Math.trunc(now())),
  GETCURRENTTIMESTAMPSTATIC: define(0, 0, (_, { started }) => Math.trunc(started)),
  YEAR: onPart('year'),
  MONTH: onPart('month'),
  DAY: onPart('day'),
};
