/** Whether a parameter's value may stand where it stands. */
export type Constraint = (value: string) => boolean;

const GUID = /^[{(]?[0-9a-f]{8}-?([0-9a-f]{4}-?){3}[0-9a-f]{12}[)}]?$/i;
const DECIMAL = /^[+-]?(\d+\.?\d*|\.\d+)$/;
const isInteger = (value: string, limit: bigint) =>
  /^[+-]?\d+$/.test(value) &&
  BigInt(value.replace(/^\+/, '')) >= -limit &&
  BigInt(value.replace(/^\+/, '')) < limit;

/** The constraints of ASP.NET Core's routing that mean something outside .NET; values are given to the app as text. */
const CONSTRAINTS: Record<string, (value: string, first: string, second: string | undefined) => boolean> = {
  int: (value) => isInteger(value, 2n ** 31n),
  long: (value) => isInteger(value, 2n ** 63n),
  bool: (value) => /^(true|false)$/i.test(value),
  alpha: (value) => /^[a-z]*$/i.test(value),
  guid: (value) => GUID.test(value),
  decimal: (value) => DECIMAL.test(value),
  double: (value) => DECIMAL.test(value) || /^[+-]?\d+(\.\d+)?e[+-]?\d+$/i.test(value),
  float: (value) => DECIMAL.test(value) || /^[+-]?\d+(\.\d+)?e[+-]?\d+$/i.test(value),
  datetime: (value) => !Number.isNaN(Date.parse(value)),
  required: (value) => value !== '',
  min: (value, least) => /^[+-]?\d+$/.test(value) && Number(value) >= Number(least),
  max: (value, most) => /^[+-]?\d+$/.test(value) && Number(value) <= Number(most),
  range: (value, least, most) =>
    /^[+-]?\d+$/.test(value) && Number(value) >= Number(least) && Number(value) <= Number(most),
  minlength: (value, least) => value.length >= Number(least),
  maxlength: (value, most) => value.length <= Number(most),
  length: (value, least, most = least) => value.length >= Number(least) && value.length <= Number(most),
};

/**
 * Reads one constraint: `int`, `range(1,10)`, `regex(^[a-z]{{2}}$)` (braces are doubled in templates).
 *
 * @returns undefined for a constraint that does not exist.
 */
export function parseConstraint(text: string): Constraint | undefined {
  const [, name = '', inside = ''] = /^([a-z]+)(?:\((.*)\))?$/is.exec(text) ?? [];
  if (name === 'regex') {
    const pattern = new RegExp(inside.replaceAll('{{', '{').replaceAll('}}', '}'), 'i');
    return (value) => pattern.test(value);
  }
  const holds = Object.hasOwn(CONSTRAINTS, name) ? CONSTRAINTS[name] : undefined;
  if (holds === undefined) return undefined;
  const [first = '', second] = inside.split(',').map((each) => each.trim());
  return (value) => holds(value, first, second);
}
