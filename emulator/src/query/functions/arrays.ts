import { compareValues, isObject, keyOf, propertyOf, sameValue, setProperty } from '../values.ts';
import type { Json, JsonObject, Value } from '../values.ts';
import { MANY, define, isInteger, isNumber, isString } from './define.ts';
import type { BuiltIn, BuiltIns } from './define.ts';

/** More than any array holds. */
const MAX_ITEMS = 2 ** 32;

const isArray = (value: Value): value is Json[] => Array.isArray(value);

/** Whether a value is equal to what is searched, apart from properties of objects that are not searched for. */
function resembles(value: Value, searched: Value): boolean {
  if (Array.isArray(value) && Array.isArray(searched)) {
    return value.length === searched.length && value.every((item, i) => resembles(item, searched[i]));
  }
  if (!isObject(value) || !isObject(searched)) return value !== undefined && sameValue(value, searched);
  return Object.keys(searched).every((name) =>
    resembles(propertyOf(value, name), propertyOf(searched, name)),
  );
}

function containsMany(how: 'some' | 'every'): BuiltIn {
  return define(2, MANY, ([items, ...searched]) => {
    if (!isArray(items)) return undefined;
    return searched[how]((value) => value !== undefined && items.some((item) => sameValue(item, value)));
  });
}

/** `f(array, array)` over sets: equal items count once, in the order of their first appearance. */
function ofSets(call: (a: Map<string, Json>, b: Map<string, Json>) => Value): BuiltIn {
  return define(2, 2, ([a, b]) => (isArray(a) && isArray(b) ? call(toSet(a), toSet(b)) : undefined));
}

function toSet(items: Json[]): Map<string, Json> {
  const set = new Map<string, Json>();
  for (const item of items) {
    const key = keyOf(item);
    if (!set.has(key)) set.set(key, item);
  }
  return set;
}

const keep = (set: Map<string, Json>, test: (key: string) => boolean) =>
  [...set].filter(([key]) => test(key)).map(([, item]) => item);

/** `f(array)` of numbers only. */
function ofNumberArray(call: (numbers: number[]) => Value): BuiltIn {
  return define(1, 1, ([items]) => (isArray(items) && items.every(isNumber) ? call(items) : undefined));
}

const sum = (numbers: number[]) => numbers.reduce((total, number) => total + number, 0);

function extreme(sign: 1 | -1): BuiltIn {
  return define(1, 1, ([items]) => {
    if (!isArray(items) || items.some((item) => typeof item === 'object' && item !== null)) return undefined;
    let best: Value;
    for (const item of items) if (best === undefined || sign * compareValues(item, best) > 0) best = item;
    return best;
  });
}

export const arrayFunctions: BuiltIns = {
  ARRAY_CONCAT: define(2, MANY, (args) => (args.every(isArray) ? args.flat(1) : undefined)),
  ARRAY_CONTAINS: define(2, 3, ([items, searched, partial = false]) => {
    if (!isArray(items) || searched === undefined || typeof partial !== 'boolean') return undefined;
    return items.some((item) => (partial ? resembles(item, searched) : sameValue(item, searched)));
  }),
  ARRAY_CONTAINS_ANY: containsMany('some'),
  ARRAY_CONTAINS_ALL: containsMany('every'),
  ARRAY_LENGTH: define(1, 1, ([items]) => (isArray(items) ? items.length : undefined)),
  /** A negative start counts from the end. */
  ARRAY_SLICE: define(2, 3, (args) => {
    const [items, start, length = MAX_ITEMS] = args;
    if (!isArray(items) || !isInteger(start) || !isInteger(length)) return undefined;
    const from = start < 0 ? Math.max(0, items.length + start) : start;
    return length <= 0 ? [] : items.slice(from, from + length);
  }),
  ARRAY_SUM: ofNumberArray((numbers) => sum(numbers)),
  ARRAY_AVG: ofNumberArray((numbers) => (numbers.length === 0 ? undefined : sum(numbers) / numbers.length)),
  ARRAY_MEDIAN: ofNumberArray((numbers) => {
    const sorted = numbers.toSorted((a, b) => a - b);
    const high = sorted[Math.floor(sorted.length / 2)];
    const low = sorted[Math.ceil(sorted.length / 2) - 1];
    return low === undefined || high === undefined ? undefined : (low + high) / 2;
  }),
  ARRAY_MAX: extreme(1),
  ARRAY_MIN: extreme(-1),
  /** The items are counted from 1. */
  CHOOSE: define(2, MANY, ([index, ...items]) =>
    isNumber(index) ? items[Math.trunc(index) - 1] : undefined,
  ),
  OBJECTTOARRAY: define(1, 3, ([object, keyName = 'k', valueName = 'v']) => {
    if (!isObject(object) || !isString(keyName) || !isString(valueName)) return undefined;
    return Object.keys(object).map((name) => {
      const pair: JsonObject = {};
      setProperty(pair, keyName, name);
      setProperty(pair, valueName, propertyOf(object, name));
      return pair;
    });
  }),
  SETINTERSECT: ofSets((a, b) => keep(a, (key) => b.has(key))),
  SETUNION: ofSets((a, b) => [...a.values(), ...keep(b, (key) => !a.has(key))]),
  SETDIFFERENCE: ofSets((a, b) => keep(a, (key) => !b.has(key))),
  SETEQUAL: ofSets((a, b) => a.size === b.size && [...a.keys()].every((key) => b.has(key))),
};
