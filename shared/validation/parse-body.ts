import type { Static, TSchema } from 'typebox';
import { RequestError } from '../errors.ts';
import { compileSchema } from './validator.ts';

/**
 * Makes a check of a whole body out of its schema.
 *
 * @throws RequestError `invalid_request` with the first fault
 */
export function parseBody<T extends TSchema>(schema: T): (body: unknown) => Static<T> {
  const check = compileSchema(schema);
  return (body) => {
    const fault = check(body);
    if (fault === null) return body as Static<T>;
    throw new RequestError('invalid_request', {
      ...(fault.pointer === '' ? {} : { pointer: fault.pointer }),
      detail: `\`${fault.pointer || '/'}\` ${fault.reason}.`,
    });
  };
}
