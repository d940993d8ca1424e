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

/**
 * A pattern of LIKE: `%` any text, `_` any character, `[a-f]` and `[^a-f]` one of a set, and the escape character
 * before any of these for itself (documentation, "LIKE keyword").
 */
export function likePattern(pattern: string, escape: string | undefined): RegExp {
  return cached(`like/${escape ?? ''}/${pattern}`, () => {
    let source = '';
    let at = 0;
    while (at < pattern.length) {
      const char = pattern.charAt(at);
      if (char === escape && at + 1 < pattern.length) {
        source += literal(pattern.charAt(at + 1));
        at += 2;
      } else if (char === '%') {
        if (!source.endsWith('[^]*?')) source += '[^]*?';
        at++;
      } else if (char === '_') {
        source += '(?:[\\ud800-\\udbff][\\udc00-\\udfff]|[^])';
        at++;
      } else {
        const set = char === '[' ? /^\[(\^?)([^\]]+)\]/.exec(pattern.slice(at)) : null;
        source += set ? `[${set[1] ?? ''}${(set[2] ?? '').replace(/[\\[\]^]/g, '\\$&')}]` : literal(char);
        at += set ? set[0].length : 1;
      }
    }
    try {
      return new RegExp(`^${source}$`);
    } catch {
      throw new ArgumentError(`The pattern '${pattern.slice(0, 100)}' has a range that is out of order.`);
    }
  });
}

const literal = (char: string) => char.replace(/[\\^$.*+?()[\]{}|/-]/, '\\$&');

function cached(key: string, make: () => RegExp): RegExp {
  const known = cache.get(key);
  if (known) return known;
  const made = make();
  if (cache.size >= CACHED) cache.clear();
  cache.set(key, made);
  return made;
}
