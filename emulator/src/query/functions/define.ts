import type { Value } from '../values.ts';

/** What a built-in function may know beside its arguments. */
export interface FunctionContext {
  /** Milliseconds since 1970, now. */
  now: () => number;
  /** The same, taken once when the query started: the `Static` functions. */
  readonly started: number;
}

/**
 * A built-in function. Where an argument has a type that the function has no meaning for, the result is
 * undefined, never an error: that is the rule for all of Cosmos DB's functions.
 */
export interface BuiltIn {
  minimum: number;
  maximum: number;
  call: (args: readonly Value[], context: FunctionContext) => Value;
}

export type BuiltIns = Readonly<Record<string, BuiltIn>>;

/** Thrown by a function whose argument is an error for the whole query, such as a malformed pattern. */
export class ArgumentError extends Error {}

export const MANY = 10_000;

export function define(minimum: number, maximum: number, call: BuiltIn['call']): BuiltIn {
  return { minimum, maximum, call };
}

/** A function of strings, all required. */
export function ofStrings(count: 1 | 2 | 3, call: (a: string, b: string, c: string) => Value): BuiltIn {
  return define(count, count, (args) => {
    const [a, b = '', c = ''] = args;
    if (!args.every((arg) => typeof arg === 'string')) return undefined;
    return typeof a === 'string' && typeof b === 'string' && typeof c === 'string'
      ? call(a, b, c)
      : undefined;
  });
}

/** A function of numbers, all required. */
export function ofNumbers(count: 0 | 1 | 2, call: (a: number, b: number) => Value): BuiltIn {
  return define(count, count, (args) => {
    const [a = 0, b = 0] = args;
    if (!args.every((arg) => typeof arg === 'number')) return undefined;
    return typeof a === 'number' && typeof b === 'number' ? call(a, b) : undefined;
  });
}

export const isString = (value: Value): value is string => typeof value === 'string';
export const isNumber = (value: Value): value is number => typeof value === 'number';
export const isFiniteNumber = (value: Value): value is number =>
  typeof value === 'number' && Number.isFinite(value);
export const isInteger = (value: Value): value is number =>
  typeof value === 'number' && Number.isInteger(value);
