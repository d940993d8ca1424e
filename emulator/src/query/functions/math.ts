import { define, isInteger, isNumber, ofNumbers } from './define.ts';
import type { BuiltIn, BuiltIns } from './define.ts';

const unary = (call: (x: number) => number): BuiltIn => ofNumbers(1, (x) => call(x));

/** Half away from zero, as C rounds, not towards the larger as JavaScript does. */
const roundAway = (x: number) => Math.sign(x) * Math.round(Math.abs(x));

function roundTo(x: number, digits: number): number {
  if (digits === 0) return roundAway(x);
  const [mantissa = '0', exponent = '0'] = Math.abs(x).toExponential().split('e');
  const shifted = Math.round(Number(`${mantissa}e${Number(exponent) + digits}`));
  const [back = '0', backExponent = '0'] = shifted.toExponential().split('e');
  return Math.sign(x) * Number(`${back}e${Number(backExponent) - digits}`);
}

/** The Int functions work on 64-bit integers and wrap; anything that is not a whole number is undefined. */
function ofIntegers(count: 1 | 2, call: (a: bigint, b: bigint) => bigint | undefined): BuiltIn {
  return define(count, count, ([a, b = 0]) => {
    if (!isInteger(a) || !isInteger(b)) return undefined;
    const result = call(BigInt(a), BigInt(b));
    return result === undefined ? undefined : Number(BigInt.asIntN(64, result));
  });
}

/** The distance of a shift counts modulo 64. */
const distance = (by: bigint) => BigInt.asUintN(6, by);

export const mathFunctions: BuiltIns = {
  ABS: unary(Math.abs),
  ACOS: unary(Math.acos),
  ASIN: unary(Math.asin),
  ATAN: unary(Math.atan),
  ATN2: ofNumbers(2, (y, x) => Math.atan2(y, x)),
  CEILING: unary(Math.ceil),
  COS: unary(Math.cos),
  COT: unary((x) => 1 / Math.tan(x)),
  DEGREES: unary((x) => (x * 180) / Math.PI),
  EXP: unary(Math.exp),
  FLOOR: unary(Math.floor),
  LOG: define(1, 2, ([x, base]) => {
    if (!isNumber(x)) return undefined;
    if (base === undefined) return Math.log(x);
    return isNumber(base) ? Math.log(x) / Math.log(base) : undefined;
  }),
  LOG10: unary(Math.log10),
  NUMBERBIN: define(1, 2, ([x, size = 1]) => {
    if (!isNumber(x) || !isNumber(size) || size === 0) return undefined;
    return Math.floor(x / size) * size;
  }),
  PI: ofNumbers(0, () => Math.PI),
  POWER: ofNumbers(2, (x, y) => Math.pow(x, y)),
  RADIANS: unary((x) => (x * Math.PI) / 180),
  RAND: ofNumbers(0, () => Math.random()),
  ROUND: define(1, 2, ([x, digits = 0]) =>
    isNumber(x) && isInteger(digits) && Math.abs(digits) <= 300 ? roundTo(x, digits) : undefined,
  ),
  SIGN: unary(Math.sign),
  SIN: unary(Math.sin),
  SQRT: unary(Math.sqrt),
  SQUARE: unary((x) => x * x),
  TAN: unary(Math.tan),
  TRUNC: unary(Math.trunc),
  INTADD: ofIntegers(2, (a, b) => a + b),
  INTSUB: ofIntegers(2, (a, b) => a - b),
  INTMUL: ofIntegers(2, (a, b) => a * b),
  INTDIV: ofIntegers(2, (a, b) => (b === 0n ? undefined : a / b)),
  INTMOD: ofIntegers(2, (a, b) => (b === 0n ? undefined : a % b)),
  INTBITAND: ofIntegers(2, (a, b) => a & b),
  INTBITOR: ofIntegers(2, (a, b) => a | b),
  INTBITXOR: ofIntegers(2, (a, b) => a ^ b),
  INTBITNOT: ofIntegers(1, (a) => ~a),
  INTBITLEFTSHIFT: ofIntegers(2, (a, b) => a << distance(b)),
  INTBITRIGHTSHIFT: ofIntegers(2, (a, b) => BigInt.asIntN(64, a) >> distance(b)),
};
