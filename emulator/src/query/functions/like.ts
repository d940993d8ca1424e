import { ArgumentError } from './define.ts';

/** Whether a text is like the pattern it was made from. */
export type Like = (text: string) => boolean;

/** One step takes one character, or with `many` any number of them. */
type Step = { many: true } | { many: false; literal: string | undefined; takes: (char: string) => boolean };

const cache = new Map<string, Like>();
const CACHED = 100;

/**
 * A pattern of LIKE: `%` any text, `_` any character, `[a-f]` and `[^a-f]` one of a set, and the escape character
 * before any of these for itself (documentation, "LIKE keyword"). Not a regular expression, because patterns with
 * many `%` would take one a time that grows with a power of the text's length.
 */
export function likePattern(pattern: string, escape: string | undefined): Like {
  const key = `${escape ?? ''}/${pattern}`;
  const known = cache.get(key);
  if (known) return known;
  const steps = readSteps(pattern, escape);
  const texts = literalParts(steps);
  const like: Like = texts ? (text) => holdsInOrder(text, texts) : (text) => walk(Array.from(text), steps);
  if (cache.size >= CACHED) cache.clear();
  cache.set(key, like);
  return like;
}

function readSteps(pattern: string, escape: string | undefined): Step[] {
  const steps: Step[] = [];
  const chars = Array.from(pattern);
  for (let at = 0; at < chars.length; at++) {
    const char = chars[at] ?? '';
    const next = chars[at + 1];
    const end = char === '[' ? chars.indexOf(']', chars[at + 1] === '^' ? at + 3 : at + 2) : -1;
    if (char === escape && next !== undefined) {
      steps.push(one(next));
      at++;
    } else if (char === '%') {
      steps.push({ many: true });
    } else if (char === '_') {
      steps.push({ many: false, literal: undefined, takes: () => true });
    } else if (end > 0) {
      steps.push({ many: false, literal: undefined, takes: oneOf(chars.slice(at + 1, end)) });
      at = end;
    } else {
      steps.push(one(char));
    }
  }
  return steps;
}

const one = (literal: string): Step => ({ many: false, literal, takes: (char) => char === literal });

/** A set between brackets: characters, and ranges of them, all of it turned round by `^`. */
function oneOf(set: readonly string[]): (char: string) => boolean {
  const inside = set[0] !== '^';
  const members = inside ? set : set.slice(1);
  const ranges: [low: number, high: number][] = [];
  for (let at = 0; at < members.length; at++) {
    const low = members[at]?.codePointAt(0) ?? 0;
    const isRange = members[at + 1] === '-' && at + 2 < members.length;
    const high = isRange ? (members[at + 2]?.codePointAt(0) ?? 0) : low;
    if (high < low) throw new ArgumentError(`The set '[${set.join('')}]' has a range that is out of order.`);
    ranges.push([low, high]);
    if (isRange) at += 2;
  }
  return (char) => {
    const point = char.codePointAt(0) ?? 0;
    return ranges.some(([low, high]) => low <= point && point <= high) === inside;
  };
}

/** The texts between the `%`s, where there is nothing else. */
function literalParts(steps: readonly Step[]): string[] | undefined {
  const parts = [''];
  for (const step of steps) {
    if (step.many) parts.push('');
    else if (step.literal === undefined) return undefined;
    else parts.push(`${parts.pop() ?? ''}${step.literal}`);
  }
  return parts;
}

/** The first part begins the text, the last ends it, and the others come between in order. */
function holdsInOrder(text: string, parts: readonly string[]): boolean {
  const first = parts[0] ?? '';
  const last = parts.at(-1) ?? '';
  if (parts.length === 1) return text === first;
  if (!text.startsWith(first) || !text.endsWith(last) || text.length < first.length + last.length)
    return false;
  const end = text.length - last.length;
  let at = first.length;
  for (const part of parts.slice(1, -1)) {
    const found = text.indexOf(part, at);
    if (found < 0 || found + part.length > end) return false;
    at = found + part.length;
  }
  return true;
}

/** Where a step fails, only the last `%` need take one character more. */
function walk(chars: readonly string[], steps: readonly Step[]): boolean {
  let at = 0;
  let step = 0;
  let lastMany = -1;
  let taken = 0;
  while (at < chars.length) {
    const current = steps[step];
    if (current?.many) {
      lastMany = step++;
      taken = at;
    } else if (current?.takes(chars[at] ?? '')) {
      at++;
      step++;
    } else if (lastMany >= 0) {
      step = lastMany + 1;
      at = ++taken;
    } else {
      return false;
    }
  }
  while (steps[step]?.many) step++;
  return step === steps.length;
}
