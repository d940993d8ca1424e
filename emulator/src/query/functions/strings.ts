import { isObject, isTooDeep } from '../values.ts';
import type { Json, Value } from '../values.ts';
import { ArgumentError, MANY, define, isInteger, isNumber, isString, ofStrings } from './define.ts';
import type { BuiltIn, BuiltIns } from './define.ts';
import { compilePattern } from './patterns.ts';

/** Longest string that REPLICATE makes (its documented limit). */
const MAX_REPLICATED = 10_000;

/** `f(text, part [, ignoreCase])` */
function search(matches: (text: string, part: string) => boolean): BuiltIn {
  return define(2, 3, ([text, part, ignoreCase = false]) => {
    if (!isString(text) || !isString(part) || typeof ignoreCase !== 'boolean') return undefined;
    return ignoreCase ? matches(fold(text), fold(part)) : matches(text, part);
  });
}

const fold = (text: string) => text.toLowerCase();

/** `f(text, part1, part2, …)` */
function searchMany(how: 'some' | 'every', ignoreCase: boolean): BuiltIn {
  return define(2, MANY, ([text, ...parts]) => {
    if (!isString(text) || !parts.every(isString)) return undefined;
    const within = ignoreCase ? fold(text) : text;
    return parts[how]((part) => within.includes(ignoreCase ? fold(part) : part));
  });
}

/** `f(text [, characters])`; without characters, white space. */
function trim(atStart: boolean, atEnd: boolean): BuiltIn {
  return define(1, 2, ([text, characters]) => {
    if (!isString(text)) return undefined;
    if (characters !== undefined && !isString(characters)) return undefined;
    const trimmed = (char: string) =>
      characters === undefined ? char.trim() === '' : characters.includes(char);
    let start = 0;
    let end = text.length;
    while (atStart && start < end && trimmed(text.charAt(start))) start++;
    while (atEnd && end > start && trimmed(text.charAt(end - 1))) end--;
    return text.slice(start, end);
  });
}

/** `StringToX`: JSON of one type, with white space around it. Anything else is undefined. */
function parseAs(accepts: (value: Json) => boolean): BuiltIn {
  return ofStrings(1, (text) => {
    let value: Json;
    try {
      value = JSON.parse(text) as Json;
    } catch {
      return undefined;
    }
    return accepts(value) && !isTooDeep(value) ? value : undefined;
  });
}

export const stringFunctions: BuiltIns = {
  CONCAT: define(2, MANY, (args) => (args.every(isString) ? args.join('') : undefined)),
  CONTAINS: search((text, part) => text.includes(part)),
  STARTSWITH: search((text, part) => text.startsWith(part)),
  ENDSWITH: search((text, part) => text.endsWith(part)),
  STRINGEQUALS: search((text, part) => text === part),
  CONTAINS_ANY_CS: searchMany('some', false),
  CONTAINS_ANY_CI: searchMany('some', true),
  CONTAINS_ALL_CS: searchMany('every', false),
  CONTAINS_ALL_CI: searchMany('every', true),
  INDEX_OF: define(2, 3, ([text, part, from = 0]) => {
    if (!isString(text) || !isString(part) || !isNumber(from)) return undefined;
    return text.indexOf(part, Math.trunc(from));
  }),
  LASTINDEXOF: define(2, 3, ([text, part, from = Infinity]) => {
    if (!isString(text) || !isString(part) || !isNumber(from)) return undefined;
    return text.lastIndexOf(part, Math.trunc(from));
  }),
  LEFT: define(2, 2, ([text, count]) =>
    isString(text) && isInteger(count) ? text.slice(0, Math.max(0, count)) : undefined,
  ),
  RIGHT: define(2, 2, ([text, count]) =>
    isString(text) && isInteger(count) ? (count <= 0 ? '' : text.slice(-count)) : undefined,
  ),
  LENGTH: ofStrings(1, (text) => text.length),
  LOWER: ofStrings(1, (text) => text.toLowerCase()),
  UPPER: ofStrings(1, (text) => text.toUpperCase()),
  LTRIM: trim(true, false),
  RTRIM: trim(false, true),
  TRIM: trim(true, true),
  REPLACE: ofStrings(3, (text, from, to) => (from === '' ? undefined : text.split(from).join(to))),
  REPLICATE: define(2, 2, ([text, count]): Value => {
    if (!isString(text) || !isNumber(count) || count < 0) return undefined;
    const times = Math.trunc(count);
    return text.length * times > MAX_REPLICATED ? undefined : text.repeat(text === '' ? 0 : times);
  }),
  REVERSE: ofStrings(1, (text) => Array.from(text).reverse().join('')),
  /** From before the beginning there is nothing. */
  SUBSTRING: define(3, 3, ([text, start, length]) => {
    if (!isString(text) || !isInteger(start) || !isInteger(length)) return undefined;
    return start < 0 || length <= 0 ? '' : text.slice(start, start + length);
  }),
  REGEXMATCH: define(2, 3, ([text, pattern, modifiers = '']) => {
    if (!isString(text) || !isString(pattern) || !isString(modifiers)) return undefined;
    return compilePattern(pattern, modifiers).test(text);
  }),
  TOSTRING: define(1, 1, ([value]) => {
    if (value === undefined) return undefined;
    if (isNumber(value)) return String(value);
    return isString(value) ? value : JSON.stringify(value);
  }),
  STRINGTOARRAY: parseAs(Array.isArray),
  STRINGTOBOOLEAN: parseAs((value) => typeof value === 'boolean'),
  STRINGTONULL: parseAs((value) => value === null),
  STRINGTONUMBER: parseAs((value) => typeof value === 'number' && Number.isFinite(value)),
  STRINGTOOBJECT: parseAs(isObject),
  STRINGJOIN: define(2, 2, ([items, separator]) =>
    Array.isArray(items) && items.every(isString) && isString(separator) ? items.join(separator) : undefined,
  ),
  STRINGSPLIT: ofStrings(2, (text, separator) => {
    if (separator === '') throw new ArgumentError('StringSplit takes a delimiter that is not empty.');
    return text.split(separator);
  }),
};
