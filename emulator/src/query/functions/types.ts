import { isObject } from '../values.ts';
import type { Value } from '../values.ts';
import { define } from './define.ts';
import type { BuiltIns } from './define.ts';

const test = (is: (value: Value) => boolean) => define(1, 1, ([value]) => is(value));

/** Type-checking functions: true or false for every argument, undefined included. */
export const typeFunctions: BuiltIns = {
  IS_ARRAY: test(Array.isArray),
  IS_BOOL: test((value) => typeof value === 'boolean'),
  IS_DEFINED: test((value) => value !== undefined),
  IS_FINITE_NUMBER: test((value) => typeof value === 'number' && Number.isFinite(value)),
  IS_INTEGER: test((value) => typeof value === 'number' && Number.isInteger(value)),
  IS_NULL: test((value) => value === null),
  IS_NUMBER: test((value) => typeof value === 'number'),
  IS_OBJECT: test(isObject),
  IS_PRIMITIVE: test((value) => value !== undefined && (value === null || typeof value !== 'object')),
  IS_STRING: test((value) => typeof value === 'string'),
};
