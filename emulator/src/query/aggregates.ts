import { compareValues, keyOf } from './values.ts';
import type { Json, Value } from './values.ts';

/** Gathers the values of one aggregate over one group. */
export interface Accumulator {
  add(value: Value): void;
  result(): Value;
}

/** An aggregate function and the name that query plans give it. */
export interface Aggregate {
  name: string;
  planName: 'Count' | 'CountIf' | 'Sum' | 'Average' | 'Min' | 'Max' | 'MakeList' | 'MakeSet';
  create(): Accumulator;
}

/**
 * Undefined values are left out by every aggregate. SUM and AVG are undefined as soon as one value is not a
 * number, MIN and MAX as soon as one is an array or an object (documentation, "aggregate functions").
 */
class Sum implements Accumulator {
  #sum = 0;
  #count = 0;
  #valid = true;
  readonly #average: boolean;

  constructor(average: boolean) {
    this.#average = average;
  }

  add(value: Value): void {
    if (value === undefined) return;
    if (typeof value === 'number') this.#sum += value;
    else this.#valid = false;
    this.#count++;
  }

  result(): Value {
    if (!this.#valid) return undefined;
    if (!this.#average) return this.#sum;
    return this.#count === 0 ? undefined : this.#sum / this.#count;
  }
}

class Count implements Accumulator {
  #count = 0;
  readonly #counts: (value: Value) => boolean;

  constructor(counts: (value: Value) => boolean) {
    this.#counts = counts;
  }

  add(value: Value): void {
    if (this.#counts(value)) this.#count++;
  }

  result(): Value {
    return this.#count;
  }
}

class Extreme implements Accumulator {
  #best: Value;
  #valid = true;
  readonly #sign: 1 | -1;

  constructor(sign: 1 | -1) {
    this.#sign = sign;
  }

  add(value: Value): void {
    if (value === undefined) return;
    if (typeof value === 'object' && value !== null) this.#valid = false;
    else if (this.#best === undefined || this.#sign * compareValues(value, this.#best) > 0)
      this.#best = value;
  }

  result(): Value {
    return this.#valid ? this.#best : undefined;
  }
}

class Collect implements Accumulator {
  readonly #items: Json[] = [];
  readonly #seen = new Set<string>();
  readonly #distinct: boolean;

  constructor(distinct: boolean) {
    this.#distinct = distinct;
  }

  add(value: Value): void {
    if (value === undefined) return;
    if (this.#distinct) {
      const key = keyOf(value);
      if (this.#seen.has(key)) return;
      this.#seen.add(key);
    }
    this.#items.push(value);
  }

  result(): Value {
    return [...this.#items];
  }
}

const ALL: readonly Aggregate[] = [
  { name: 'COUNT', planName: 'Count', create: () => new Count((value) => value !== undefined) },
  { name: 'COUNTIF', planName: 'CountIf', create: () => new Count((value) => value === true) },
  { name: 'SUM', planName: 'Sum', create: () => new Sum(false) },
  { name: 'AVG', planName: 'Average', create: () => new Sum(true) },
  { name: 'MIN', planName: 'Min', create: () => new Extreme(-1) },
  { name: 'MAX', planName: 'Max', create: () => new Extreme(1) },
  { name: 'MAKELIST', planName: 'MakeList', create: () => new Collect(false) },
  { name: 'MAKESET', planName: 'MakeSet', create: () => new Collect(true) },
];

/** An aggregate by name, in any case. */
export function aggregate(name: string): Aggregate | undefined {
  const upper = name.toUpperCase();
  return ALL.find((candidate) => candidate.name === upper);
}
