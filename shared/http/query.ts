import type { HttpRequest } from '@azure/functions';
import { RequestError } from '../errors.ts';

/**
 * The parameters of a request's query as an object, to be checked by a schema. A parameter that comes twice is refused:
 * which one counts would be a guess.
 *
 * @param numbers names of the parameters that are numbers
 * @param lists names of the parameters that are lists, separated by commas
 * @throws RequestError
 */
export function readQuery(
  request: Pick<HttpRequest, 'query'>,
  numbers: readonly string[] = [],
  lists: readonly string[] = [],
): Record<string, unknown> {
  const parameters = new Map<string, unknown>();
  for (const [name, value] of request.query) {
    if (parameters.has(name)) {
      throw new RequestError('invalid_request', {
        detail: `The parameter \`${name.slice(0, 100)}\` comes twice.`,
      });
    }
    const isNumber = numbers.includes(name) && /^-?\d{1,15}$/.test(value);
    parameters.set(name, isNumber ? Number(value) : lists.includes(name) ? value.split(',') : value);
  }
  return Object.fromEntries(parameters);
}
