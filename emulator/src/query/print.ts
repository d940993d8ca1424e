import type { Expression, Source } from './syntax.ts';
import { FILTER_PLACEHOLDER, RESERVED } from './tokens.ts';
import type { Json } from './values.ts';

/**
 * Writes a tree as query text again, for the rewritten queries of a query plan. Operands that are not simple get
 * parentheses, so the text parses to the same tree. Subqueries are copied from the original text. What means the same
 * is mostly written the same (`c.x` and `c["x"]`, `upper(x)` and `UPPER(x)`): GROUP BY finds its expressions by text.
 */
export function print(expression: Expression, sql: string): string {
  const inner = (child: Expression) => print(child, sql);
  const list = (items: readonly Expression[]) => items.map(inner).join(', ');
  const not = (negated: boolean) => (negated ? 'NOT ' : '');
  switch (expression.kind) {
    case 'literal':
      return printLiteral(expression.value);
    case 'parameter':
    case 'identifier':
      return expression.name;
    case 'placeholder':
      return FILTER_PLACEHOLDER;
    case 'member':
      return inner(expression.object) + printProperty(expression.name);
    case 'index': {
      const { object, index } = expression;
      const name = index.kind === 'literal' && typeof index.value === 'string' ? index.value : undefined;
      return inner(object) + (name === undefined ? `[${inner(index)}]` : printProperty(name));
    }
    case 'unary':
      return `(${expression.operator} ${inner(expression.operand)})`;
    case 'binary':
      return `(${inner(expression.left)} ${expression.operator} ${inner(expression.right)})`;
    case 'logical':
      return `(${expression.operands.map(inner).join(` ${expression.operator} `)})`;
    case 'conditional':
      return `(${inner(expression.condition)} ? ${inner(expression.then)} : ${inner(expression.otherwise)})`;
    case 'between':
      return `(${inner(expression.value)} ${not(expression.not)}BETWEEN ${inner(expression.low)} AND ${inner(expression.high)})`;
    case 'in':
      return `(${inner(expression.value)} ${not(expression.not)}IN (${list(expression.list)}))`;
    case 'like': {
      const escape = expression.escape === undefined ? '' : ` ESCAPE ${printLiteral(expression.escape)}`;
      return `(${inner(expression.value)} ${not(expression.not)}LIKE ${inner(expression.pattern)}${escape})`;
    }
    case 'call':
      return `${expression.udf ? `udf.${expression.name.text}` : expression.name.text.toUpperCase()}(${list(expression.arguments)})`;
    case 'array':
      return `[${list(expression.items)}]`;
    case 'object': {
      const properties = expression.properties.map(
        ({ name, value }) => `${JSON.stringify(name)}: ${inner(value)}`,
      );
      return `{${properties.join(', ')}}`;
    }
    case 'subquery': {
      const word = expression.form === 'scalar' ? '' : expression.form.toUpperCase();
      return `${word}(${sql.slice(expression.query.start, expression.query.end)})`;
    }
  }
}

export function printLiteral(value: Json | undefined): string {
  return value === undefined ? 'undefined' : JSON.stringify(value);
}

const printProperty = (name: string) =>
  /^[A-Za-z_]\w*$/.test(name) && !RESERVED.has(name.toUpperCase()) ? `.${name}` : `[${JSON.stringify(name)}]`;

/** The FROM clause, copied from the original text. */
export function printFrom(from: readonly Source[], sql: string): string {
  const first = from[0];
  const last = from.at(-1);
  return first && last ? `FROM ${sql.slice(first.start, last.end)}` : '';
}
