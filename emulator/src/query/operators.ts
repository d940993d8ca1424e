import type { BinaryOperator, UnaryOperator } from './syntax.ts';
import { equal, order } from './values.ts';
import type { Value } from './values.ts';

type Unary = (value: Value) => Value;
type Binary = (left: Value, right: Value) => Value;

const ofNumber =
  (apply: (x: number) => number): Unary =>
  (value) =>
    typeof value === 'number' ? apply(value) : undefined;

const ofNumbers =
  (apply: (a: number, b: number) => number): Binary =>
  (left, right) =>
    typeof left === 'number' && typeof right === 'number' ? apply(left, right) : undefined;

const ordered =
  (holds: (order: number) => boolean): Binary =>
  (left, right) => {
    const difference = order(left, right);
    return difference === undefined ? undefined : holds(difference);
  };

const UNARY: Readonly<Record<UnaryOperator, Unary>> = {
  '-': ofNumber((x) => -x),
  '+': ofNumber((x) => x),
  '~': ofNumber((x) => ~x),
  NOT: (value) => (typeof value === 'boolean' ? !value : undefined),
};

/** Bitwise operators work on 32-bit integers, as JavaScript's do; all operators of numbers on numbers only. */
const BINARY: Readonly<Record<BinaryOperator, Binary>> = {
  '=': equal,
  '!=': (left, right) => {
    const same = equal(left, right);
    return same === undefined ? undefined : !same;
  },
  '<': ordered((difference) => difference < 0),
  '>': ordered((difference) => difference > 0),
  '<=': ordered((difference) => difference <= 0),
  '>=': ordered((difference) => difference >= 0),
  '+': ofNumbers((a, b) => a + b),
  '-': ofNumbers((a, b) => a - b),
  '*': ofNumbers((a, b) => a * b),
  '/': ofNumbers((a, b) => a / b),
  '%': ofNumbers((a, b) => a % b),
  '&': ofNumbers((a, b) => a & b),
  '|': ofNumbers((a, b) => a | b),
  '^': ofNumbers((a, b) => a ^ b),
  '<<': ofNumbers((a, b) => a << b),
  '>>': ofNumbers((a, b) => a >> b),
  '>>>': ofNumbers((a, b) => a >>> b),
  '||': (left, right) => (typeof left === 'string' && typeof right === 'string' ? left + right : undefined),
  /** The first that is defined; null is. */
  '??': (left, right) => (left === undefined ? right : left),
};

export const unaryOperator = (operator: UnaryOperator): Unary => UNARY[operator];
export const binaryOperator = (operator: BinaryOperator): Binary => BINARY[operator];
