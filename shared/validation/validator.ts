import { Ajv2020, type ErrorObject, type ValidateFunction } from 'ajv/dist/2020.js';

/** Where a value breaks a schema: JSON Pointer and reason. */
export interface SchemaFault {
  readonly pointer: string;
  readonly reason: string;
}

const ajv = new Ajv2020({ strict: true, strictTypes: false, allErrors: false, ownProperties: true });

/**
 * Compiles a schema into a check that answers the first fault, or null.
 *
 * Ajv stops at the first fault: collecting all of them on hostile input costs time and memory.
 */
export function compileSchema(schema: object): (value: unknown) => SchemaFault | null {
  let validate: ValidateFunction | undefined;
  return (value) => {
    validate ??= ajv.compile(schema);
    if (validate(value)) return null;
    const [first] = validate.errors ?? [];
    return first === undefined ? { pointer: '', reason: 'is not valid' } : describe(first);
  };
}

function describe(error: ErrorObject): SchemaFault {
  const property: unknown = error.params['additionalProperty'] ?? error.params['missingProperty'];
  // A name comes from the caller, who may have made it as long as the body.
  const at = (pointer: string): string =>
    typeof property === 'string'
      ? `${pointer}/${property.slice(0, 100).replaceAll('~', '~0').replaceAll('/', '~1')}`
      : pointer;
  if (error.keyword === 'additionalProperties')
    return { pointer: at(error.instancePath), reason: 'is not known' };
  if (error.keyword === 'required') return { pointer: at(error.instancePath), reason: 'is required' };
  return { pointer: error.instancePath, reason: error.message ?? 'is not valid' };
}
