import { parseConstraint } from './route-constraints.ts';
import type { Constraint } from './route-constraints.ts';

/**
 * Route templates of HTTP functions, as ASP.NET Core understands them (the Functions host hands them to it as they
 * are): `items`, `items/{id}`, `items/{id?}`, `files/{*path}`, `v{version:int}/x`, `report/{name}.{ext}`.
 *
 * A template that Azure would refuse at start is refused here at start too.
 */

/** One template that has been read. */
export interface Route {
  readonly template: string;
  /** Values of the parameters by name, or undefined where the path is another one's. */
  match(segments: readonly string[]): Record<string, string> | undefined;
  /** Orders routes: the smaller one is the more specific one. */
  readonly precedence: string;
}

interface Parameter {
  readonly name: string;
  readonly constraints: readonly Constraint[];
  readonly optional: boolean;
  readonly catchAll: boolean;
  readonly fallback: string | undefined;
}

type Part = string | Parameter;

interface Segment {
  readonly parts: readonly Part[];
  readonly parameters: readonly Parameter[];
  readonly pattern: RegExp;
}

/**
 * Reads a template.
 *
 * @param template without the route prefix, or with it.
 * @throws Error naming the template and what is wrong with it.
 */
export function parseRoute(template: string): Route {
  const fail = (why: string): never => {
    throw new Error(`The route "${template}" ${why}.`);
  };
  if (/^[/~]/.test(template)) fail('begins with "/" or "~"; leave it out');
  const texts = splitOutsideBraces(template.replace(/\/$/, ''), '/', fail).filter(
    (text, _, all) => text !== '' || (all.length > 1 && fail('has two slashes in a row')),
  );
  const segments = texts.map((text) => parseSegment(text, fail));
  const parameters = segments.flatMap((segment) => segment.parameters);
  const names = parameters.map(({ name }) => name.toLowerCase());
  const twice = names.find((name, index) => names.indexOf(name) !== index);
  if (twice !== undefined) fail(`uses the parameter "${twice}" twice`);
  if (segments.slice(0, -1).some((segment) => segment.parameters.some(({ catchAll }) => catchAll))) {
    fail('has something behind its catch-all parameter');
  }
  return {
    template,
    precedence: segments.map(rank).join('') + '0',
    match: (path) => matchSegments(segments, path),
  };
}

/** The path of a URL as segments, decoded; `%2F` stays, as ASP.NET Core leaves it, and so do broken escapes. */
export function splitPath(pathname: string): string[] {
  const path = pathname.replace(/^\//, '').replace(/\/$/, '');
  return path === '' ? [] : path.split('/').map(decodeSegment);
}

function decodeSegment(segment: string): string {
  try {
    return segment
      .split(/(%2f)/i)
      .map((text, index) => (index % 2 === 1 ? text : decodeURIComponent(text)))
      .join('');
  } catch {
    return segment;
  }
}

/** Literals before constrained parameters before free ones before catch-alls. */
function rank({ parts, parameters }: Segment): string {
  if (parameters.length === 0) return '1';
  if (parameters.some(({ catchAll }) => catchAll)) return '5';
  if (parts.length > 1) return '2';
  return parameters.some(({ constraints }) => constraints.length > 0) ? '3' : '4';
}

function matchSegments(
  segments: readonly Segment[],
  path: readonly string[],
): Record<string, string> | undefined {
  const values: [string, string][] = [];
  let at = 0;
  for (const segment of segments) {
    const only = segment.parts.length === 1 ? segment.parameters[0] : undefined;
    if (only?.catchAll) {
      const rest = path.slice(at).join('/') || only.fallback;
      at = path.length;
      if (rest === undefined) continue;
      if (!satisfies(only, rest)) return undefined;
      values.push([only.name, rest]);
    } else if (at < path.length) {
      const found = matchSegment(segment, path[at] ?? '');
      if (found === undefined) return undefined;
      values.push(...found);
      at += 1;
    } else {
      if (only?.fallback !== undefined) values.push([only.name, only.fallback]);
      else if (!only?.optional) return undefined;
    }
  }
  return at === path.length ? Object.fromEntries(values) : undefined;
}

function matchSegment({ parameters, pattern }: Segment, text: string): [string, string][] | undefined {
  const groups = pattern.exec(text)?.slice(1);
  if (groups === undefined) return undefined;
  const values = parameters.map((parameter, index) => ({ parameter, value: groups[index] ?? '' }));
  if (!values.every(({ parameter, value }) => satisfies(parameter, value))) return undefined;
  return values.map(({ parameter, value }) => [parameter.name, value]);
}

function satisfies(parameter: Parameter, value: string): boolean {
  return parameter.constraints.every((holds) => holds(value));
}

function escapeRegExp(text: string): string {
  return text.replace(/[\\^$.*+?()[\]{}|/]/g, '\\$&');
}

type Fail = (why: string) => never;

/** Splits at a character that is not inside `{...}` or `(...)`; a doubled brace is text. */
function splitOutsideBraces(text: string, separator: string, fail: Fail): string[] {
  const parts = [''];
  let depth = 0;
  for (let index = 0; index < text.length; index += 1) {
    const character = text.charAt(index);
    const doubled = '{}'.includes(character) && text.charAt(index + 1) === character;
    if (doubled) index += 1;
    else if ('{('.includes(character)) depth += 1;
    else if ('})'.includes(character)) depth -= 1;
    if (depth === 0 && character === separator) parts.push('');
    else parts.push((parts.pop() ?? '') + (doubled ? character + character : character));
  }
  if (depth !== 0) fail('has a brace without its partner');
  return parts;
}

function parseSegment(text: string, fail: Fail): Segment {
  const parts: Part[] = [];
  let literal = '';
  for (let index = 0; index < text.length; index += 1) {
    const character = text.charAt(index);
    if ('{}'.includes(character) && text.charAt(index + 1) === character) {
      literal += character;
      index += 1;
    } else if (character === '{') {
      if (literal !== '') parts.push(literal);
      literal = '';
      const end = closingBrace(text, index);
      if (typeof parts.at(-1) === 'object') fail('has two parameters without anything between them');
      parts.push(parseParameter(text.slice(index + 1, end), fail));
      index = end;
    } else {
      literal += character;
    }
  }
  if (literal !== '') parts.push(literal);
  const parameters = parts.filter((part) => typeof part !== 'string');
  if (parts.length > 1 && parameters.some(({ optional, catchAll }) => optional || catchAll)) {
    fail('has an optional or catch-all parameter that is not a segment of its own');
  }
  const pattern = parts.map((part) => (typeof part === 'string' ? escapeRegExp(part) : '(.+)')).join('');
  return { parts, parameters, pattern: new RegExp(`^${pattern}$`, 'isu') };
}

function closingBrace(text: string, from: number): number {
  let index = from + 1;
  while (index < text.length && (text.charAt(index) !== '}' || text.charAt(index + 1) === '}')) {
    index += text.charAt(index) === '}' ? 2 : 1;
  }
  return index;
}

function parseParameter(text: string, fail: Fail): Parameter {
  const [head = '', ...rest] = splitOutsideBraces(text, ':', fail);
  const last = rest.pop() ?? head;
  const isAlone = last === head && rest.length === 0;
  const optional = last.endsWith('?');
  const [beforeDefault = '', ...defaults] = last.replace(/\?$/, '').split('=');
  const name = (isAlone ? beforeDefault : head).replace(/^\*{1,2}/, '');
  if (!/^[^/{}?*=:]+$/.test(name)) fail(`has a parameter without a proper name: {${text}}`);
  const constraints = isAlone ? [] : [...rest, beforeDefault];
  return {
    name,
    optional,
    catchAll: head.startsWith('*'),
    fallback: defaults.length > 0 ? defaults.join('=') : undefined,
    constraints: constraints.map(
      (text) => parseConstraint(text) ?? fail(`has a constraint nobody knows: "${text}"`),
    ),
  };
}
