import type { Span } from './errors.ts';
import type { Json } from './values.ts';

/** The tree the parser makes: what was written, with its place in the text, and no meaning yet. */
export interface Name extends Span {
  text: string;
}

export type UnaryOperator = '-' | '+' | '~' | 'NOT';
export type ComparisonOperator = '=' | '!=' | '<' | '>' | '<=' | '>=';
export type BinaryOperator =
  ComparisonOperator | '+' | '-' | '*' | '/' | '%' | '&' | '|' | '^' | '<<' | '>>' | '>>>' | '||' | '??';

export type Expression = Span &
  (
    | { kind: 'literal'; value: Json | undefined }
    | { kind: 'parameter'; name: string }
    /** Stands for a filter that a client may put in; true by itself. */
    | { kind: 'placeholder' }
    | { kind: 'identifier'; name: string }
    | { kind: 'member'; object: Expression; name: string }
    | { kind: 'index'; object: Expression; index: Expression }
    | { kind: 'unary'; operator: UnaryOperator; operand: Expression }
    | { kind: 'binary'; operator: BinaryOperator; left: Expression; right: Expression }
    /** As many operands as were written, so that a thousand ORs do not nest a thousand deep. */
    | { kind: 'logical'; operator: 'AND' | 'OR'; operands: Expression[] }
    | { kind: 'conditional'; condition: Expression; then: Expression; otherwise: Expression }
    | { kind: 'between'; not: boolean; value: Expression; low: Expression; high: Expression }
    | { kind: 'in'; not: boolean; value: Expression; list: Expression[] }
    | { kind: 'like'; not: boolean; value: Expression; pattern: Expression; escape: string | undefined }
    | { kind: 'call'; udf: boolean; name: Name; arguments: Expression[] }
    | { kind: 'array'; items: Expression[] }
    | { kind: 'object'; properties: { name: string; value: Expression }[] }
    | { kind: 'subquery'; form: 'scalar' | 'exists' | 'array'; query: Query }
  );

export type Select =
  | (Span & { kind: 'star' })
  | (Span & { kind: 'value'; value: Expression })
  | (Span & { kind: 'list'; items: SelectItem[] });

export interface SelectItem {
  value: Expression;
  alias: Name | undefined;
}

/** `[alias IN] collection [AS alias]`; `iterate` is the form with IN, which yields an array's items. */
export interface Source extends Span {
  iterate: boolean;
  alias: Name | undefined;
  collection: { kind: 'path'; root: Name; path: (string | number)[] } | { kind: 'query'; query: Query };
}

export interface OrderItem {
  value: Expression;
  descending: boolean;
}

export interface Query extends Span {
  distinct: boolean;
  top: Expression | undefined;
  select: Select;
  from: Source[];
  where: Expression | undefined;
  groupBy: Expression[];
  orderBy: OrderItem[];
  offset: Expression | undefined;
  limit: Expression | undefined;
}
