import formats from 'ajv-formats';
import { Ajv2020, type ErrorObject, type ValidateFunction } from 'ajv/dist/2020.js';

/** Where a value breaks a schema: JSON Pointer and reason. */
export interface SchemaFault {
  readonly pointer: string;
  readonly reason: string;
  /** Keyword of the schema that it breaks. */
  readonly rule: string;
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
    return first === undefined ? { pointer: '', reason: 'is not valid', rule: 'schema' } : describe(first);
  };
}

const forDocuments = new Ajv2020({ strict: false, allErrors: false, ownProperties: true });
formats.default(forDocuments);

/**
 * Compiles the JSON Schema of an application's documents. Unlike the service's own it may hold keywords that nobody
 * knows here; `format` is checked.
 *
 * @throws Error where it is no JSON Schema
 */
export function compileDocumentSchema(schema: object): (value: unknown) => SchemaFault | null {
  const validate = forDocuments.compile(schema);
  return (value) => {
    if (validate(value)) return null;
    const [first] = validate.errors ?? [];
    return first === undefined ? { pointer: '', reason: 'is not valid', rule: 'schema' } : describe(first);
  };
}

function describe(error: ErrorObject): SchemaFault {
  const property: unknown =
    error.params['additionalProperty'] ??
    error.params['unevaluatedProperty'] ??
    error.params['missingProperty'];
  // A name comes from the caller, who may have made it as long as the body.
  const at = (pointer: string): string =>
    typeof property === 'string'
      ? `${pointer}/${property.slice(0, 100).replaceAll('~', '~0').replaceAll('/', '~1')}`
      : pointer;
  const rule = error.keyword;
  if (rule === 'additionalProperties' || rule === 'unevaluatedProperties')
    return { pointer: at(error.instancePath), reason: 'is not known', rule };
  if (rule === 'required') return { pointer: at(error.instancePath), reason: 'is required', rule };
  return { pointer: error.instancePath, reason: error.message ?? 'is not valid', rule };
}
