import { parseRoute, splitPath } from './routes.ts';
import type { Route } from './routes.ts';
import type { RegisteredFunction } from './types.ts';

/** A function with an HTTP trigger. */
export interface HttpFunction {
  readonly registered: RegisteredFunction;
  readonly name: string;
  /** Name of the trigger's binding, by which the library finds its input. */
  readonly trigger: string;
  readonly methods: readonly string[];
  readonly authLevel: string;
  readonly route: Route;
}

/**
 * Reads the trigger of a function.
 *
 * @returns undefined for a function that something else than HTTP triggers.
 * @throws Error for a route that the Functions host does not take
 */
export function readHttpFunction(registered: RegisteredFunction, prefix: string): HttpFunction | undefined {
  const { name, bindings } = registered.metadata;
  const found = Object.entries(bindings).find(([, { type }]) => type?.toLowerCase() === 'httptrigger');
  if (found === undefined) return undefined;
  const [trigger, { route, methods, authLevel }] = found;
  const template = typeof route === 'string' && route !== '' ? route : name;
  // The Functions host keeps these for itself, whatever the prefix, and does not load a function that has one.
  if (/^\/?(?:admin|runtime)/i.test(template)) {
    throw new Error(
      `The route "${template}" of ${name} conflicts with one or more built in routes of the Functions host.`,
    );
  }
  return {
    registered,
    name,
    trigger,
    methods: Array.isArray(methods) ? methods.map((method) => String(method).toUpperCase()) : [],
    authLevel: typeof authLevel === 'string' ? authLevel.toLowerCase() : 'anonymous',
    route: parseRoute(prefix === '' ? template : `${prefix}/${template}`),
  };
}

/** The kind of trigger of a function, for the log: `timerTrigger`. */
export function triggerType({ metadata }: RegisteredFunction): string {
  const types = Object.values(metadata.bindings).map(({ type }) => type ?? '');
  return types.find((type) => /trigger$/i.test(type)) ?? 'unknown trigger';
}

export interface Match {
  readonly target: HttpFunction;
  readonly params: Readonly<Record<string, string>>;
  /** Other functions that would also take this request. */
  readonly rivals: readonly HttpFunction[];
}

/** The function for a request: of those that fit, the one with the most specific route. */
export function findFunction(
  functions: readonly HttpFunction[],
  method: string,
  pathname: string,
): Match | undefined {
  const segments = splitPath(pathname);
  const [first, ...rest] = functions
    .filter(({ methods }) => methods.length === 0 || methods.includes(method))
    .flatMap((target) => {
      const params = target.route.match(segments);
      return params === undefined ? [] : [{ target, params }];
    })
    .sort((a, b) => (a.target.route.precedence < b.target.route.precedence ? -1 : 1));
  return first && { ...first, rivals: rest.map(({ target }) => target) };
}
