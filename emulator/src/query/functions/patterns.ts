import { ArgumentError } from './define.ts';

const cache = new Map<string, RegExp>();
const CACHED = 100;

/**
 * A pattern of REGEXMATCH. The service's dialect is PCRE with the modifiers m, s, i and x; JavaScript's is near
 * enough for what the documentation shows, and a pattern that JavaScript cannot read is an error, not a guess.
 */
export function compilePattern(pattern: string, modifiers: string): RegExp {
  if (!/^[msix]*$/.test(modifiers)) {
    throw new ArgumentError(`RegexMatch has the modifiers m, s, i and x, not '${modifiers}'.`);
  }
  const source = modifiers.includes('x') ? withoutLayout(pattern) : pattern;
  const flags = ['m', 's', 'i'].filter((flag) => modifiers.includes(flag)).join('');
  return cached(`${flags}/${source}`, () => {
    try {
      return new RegExp(source, flags);
    } catch {
      throw new ArgumentError(`The pattern '${pattern.slice(0, 100)}' is not a valid regular expression.`);
    }
  });
}

/** The modifier x: white space and comments outside character classes mean nothing. */
function withoutLayout(pattern: string): string {
  return pattern.replace(
    /(\\[^]|\[(?:\\[^]|[^\]\\])*\])|\s+|#[^\n]*/g,
    (_, kept: string | undefined) => kept ?? '',
  );
}

function cached(key: string, make: () => RegExp): RegExp {
  const known = cache.get(key);
  if (known) return known;
  const made = make();
  if (cache.size >= CACHED) cache.clear();
  cache.set(key, made);
  return made;
}
