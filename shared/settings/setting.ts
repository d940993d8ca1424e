/**
 * One setting of the app as data: what it means, what it accepts, what is taken when it is not set. Reading, the
 * messages of a bad start and the table in docs/operations.md are all made from it.
 */
export interface Setting<T> {
  /** What it accepts, for people: `whole number from 600 to 86,400, in seconds`. */
  readonly accepts: string;
  /** One or two sentences for people. */
  readonly meaning: string;
  /** `secret` values may be keys: pages and templates have to keep them out of sight. */
  readonly isSecret: boolean;
  readonly need: Need;
  /** @returns undefined for a text that it does not accept */
  readonly parse: (text: string) => T | undefined;
}

/** Looks up another setting as it was given, its default when it was not, null without either. */
export type Given = (name: string) => string | null;

/** When a setting has to be set; an optional one that is not gives null. */
export type Need =
  | { readonly default: string }
  | { readonly example: string }
  | {
      readonly example: string;
      readonly requiredWhen: string;
      readonly isRequired: (given: Given) => boolean;
    }
  | { readonly optional: true };

/** What a setting with this need gives: null only where it may stay away. */
type Value<T, N extends Need> = N extends { readonly requiredWhen: string }
  ? T | null
  : N extends { readonly default: string } | { readonly example: string }
    ? T
    : T | null;

const setting = <T, N extends Need>(
  accepts: string,
  meaning: string,
  need: N,
  parse: (text: string) => T | undefined,
  isSecret = false,
): Setting<Value<T, N>> => ({
  accepts,
  meaning,
  isSecret,
  need,
  parse: parse as (text: string) => Value<T, N> | undefined,
});

/** Any text. */
export const text = <const N extends Need>(meaning: string, need: N) =>
  setting('text', meaning, need, (given) => given);

/** A text that nobody may see. */
export const secret = <const N extends Need>(meaning: string, need: N) =>
  setting('secret', meaning, need, (given) => given, true);

const LOOPBACK: ReadonlySet<string> = new Set(['127.0.0.1', 'localhost', '[::1]']);

/** Keys and tokens travel there: without TLS only on this machine. */
export function isSafeUrl(given: string): boolean {
  const { protocol, hostname } = URL.canParse(given) ? new URL(given) : { protocol: '', hostname: '' };
  return protocol === 'https:' || (protocol === 'http:' && LOOPBACK.has(hostname));
}

/** A text of a form of its own; `accepts` says which. */
export const parsed = <T, const N extends Need>(
  accepts: string,
  meaning: string,
  need: N,
  parse: (text: string) => T | undefined,
) => setting(accepts, meaning, need, parse);

/** Yes or no. */
export const flag = <const N extends Need>(meaning: string, need: N) =>
  setting('one of `true`, `false`', meaning, need, (given) =>
    given === 'true' ? true : given === 'false' ? false : undefined,
  );

/** An https URL. Keys and tokens travel there: without TLS only on this machine. It is passed on as it was written. */
export const url = <const N extends Need>(meaning: string, need: N) =>
  setting('https URL (http on this machine only)', meaning, need, (given) =>
    isSafeUrl(given) ? given : undefined,
  );

interface Range {
  readonly min: number;
  readonly max: number;
  /** `seconds`, `days`, `bytes`; '' for a count. */
  readonly unit: string;
}

/** A whole number. */
export const integer = <const N extends Need>(meaning: string, { min, max, unit }: Range, need: N) =>
  setting(
    `whole number from ${format(min)} to ${format(max)}${unit === '' ? '' : `, in ${unit}`}`,
    meaning,
    need,
    (given) => {
      const value = /^-?\d+$/.test(given) ? Number(given) : NaN;
      return value >= min && value <= max ? value : undefined;
    },
  );

/** One of a few words. */
export const choice = <const C extends string, const N extends Need>(
  meaning: string,
  choices: readonly C[],
  need: N,
) =>
  setting(`one of ${choices.map((each) => `\`${each}\``).join(', ')}`, meaning, need, (given) =>
    choices.find((each) => each === given),
  );

/** Words separated by commas or spaces; with `of`, only these. */
export const list = <const N extends Need>(meaning: string, of: readonly string[] | null, need: N) =>
  setting(
    `list, separated by commas or spaces${of === null ? '' : `, of ${of.map((each) => `\`${each}\``).join(', ')}`}`,
    meaning,
    need,
    (given): readonly string[] | undefined => {
      const words = given.split(/[ ,]+/);
      return words.every((word) => word !== '' && (of?.includes(word) ?? true)) ? words : undefined;
    },
  );

/** Origins of web pages: scheme, host and port, letter by letter as a browser sends them. No wildcard. */
export const origins = <const N extends Need>(meaning: string, need: N) =>
  setting(
    'list of origins such as `https://app.example.com`, separated by commas or spaces (http on this machine only)',
    meaning,
    need,
    (given): readonly string[] | undefined => {
      const words = given.split(/[ ,]+/);
      return words.every((word) => URL.canParse(word) && isOrigin(word, new URL(word))) ? words : undefined;
    },
  );

const isOrigin = (text: string, { origin, protocol, hostname }: URL): boolean =>
  text === origin &&
  !text.includes('*') &&
  (protocol === 'https:' || (protocol === 'http:' && LOOPBACK.has(hostname)));

const format = (value: number): string => value.toLocaleString('en-US');
