import { aggregate } from './aggregates.ts';
import type { Aggregate } from './aggregates.ts';
import { QueryError } from './errors.ts';
import type { Span } from './errors.ts';
import type { BuiltIn } from './functions/define.ts';
import { builtIn, isUnsupported } from './functions/index.ts';
import { children } from './parser.ts';
import { print } from './print.ts';
import type {
  BinaryOperator,
  Expression,
  OrderItem,
  Query,
  Select,
  Source,
  UnaryOperator,
} from './syntax.ts';
import { isTooDeep } from './values.ts';
import type { Json, Value } from './values.ts';

export interface QueryParameter {
  name: string;
  value: Json;
}

/**
 * An expression whose names mean something: identifiers are slots of a frame, parameters are constants, functions
 * are what will be called.
 */
export type Bound =
  | { kind: 'constant'; value: Value }
  | { kind: 'slot'; slot: number }
  | { kind: 'property'; object: Bound; name: string }
  | { kind: 'item'; object: Bound; index: Bound }
  | { kind: 'unary'; operator: UnaryOperator; operand: Bound }
  | { kind: 'binary'; operator: BinaryOperator; left: Bound; right: Bound }
  | { kind: 'logical'; operator: 'AND' | 'OR'; operands: Bound[] }
  | { kind: 'conditional'; condition: Bound; then: Bound; otherwise: Bound }
  | { kind: 'between'; not: boolean; value: Bound; low: Bound; high: Bound }
  | { kind: 'in'; not: boolean; value: Bound; list: Bound[] }
  | { kind: 'like'; not: boolean; value: Bound; pattern: Bound; escape: string | undefined; at: Span }
  | { kind: 'call'; name: string; function: BuiltIn; arguments: Bound[]; at: Span }
  | { kind: 'array'; items: Bound[] }
  | { kind: 'object'; properties: { name: string; value: Bound }[] }
  | { kind: 'subquery'; form: 'scalar' | 'exists' | 'array'; query: BoundQuery; at: Span };

/** Where one input set's rows come from; each row is put into the slot. */
export interface BoundSource {
  slot: number;
  /** Rows are the items of the arrays that the collection yields, not the arrays. */
  iterate: boolean;
  collection:
    | { kind: 'documents'; path: (string | number)[] }
    | { kind: 'value'; value: Bound }
    | { kind: 'query'; query: BoundQuery };
}

export interface BoundQuery {
  at: Span;
  sources: BoundSource[];
  where: Bound | undefined;
  /** Where rows are folded: one group per distinct key, or one for all rows where there are no keys. */
  grouping: Grouping | undefined;
  orderBy: { value: Bound; descending: boolean }[];
  /** What a row yields; undefined yields nothing. */
  project: Bound;
  distinct: boolean;
  top: number | undefined;
  offset: number;
  limit: number | undefined;
}

export interface Grouping {
  keys: { value: Bound; slot: number }[];
  aggregates: { aggregate: Aggregate; argument: Bound; slot: number }[];
}

export interface BoundPlan {
  query: BoundQuery;
  slots: number;
  /** How often the documents are read from the beginning; above 1 they must be kept. */
  documentScans: number;
}

/** The names of one query's input sets. While `grouped` is set, they may only be used inside of aggregates. */
interface Scope {
  names: Map<string, number>;
  parent: Scope | undefined;
  grouped: { grouping: Grouping; keys: Map<string, number> } | undefined;
}

/** Gives every name of a query its meaning, or throws for the first that has none. */
export function bind(query: Query, sql: string, parameters: readonly QueryParameter[]): BoundPlan {
  const binder = new Binder(sql, parameters);
  const bound = binder.query(query, undefined);
  return { query: bound, slots: binder.slots, documentScans: binder.documentScans };
}

class Binder {
  slots = 0;
  documentScans = 0;
  readonly #sql: string;
  readonly #parameters: Map<string, Json>;
  /** The whole property path around the identifier that is being bound, for messages. */
  #path: Expression | undefined;

  constructor(sql: string, parameters: readonly QueryParameter[]) {
    this.#sql = sql;
    this.#parameters = new Map(parameters.map(({ name, value }) => [name, value]));
  }

  query(query: Query, parent: Scope | undefined): BoundQuery {
    const scope: Scope = { names: new Map(), parent, grouped: undefined };
    const sources = query.from.map((source) => this.#source(source, scope));
    const where = query.where && this.#expression(query.where, scope);
    const offset = this.#count(query.offset) ?? 0;
    const limit = this.#count(query.limit);
    const top = this.#count(query.top);
    if (top !== undefined && limit !== undefined) {
      throw new QueryError('SC2000', 'TOP and OFFSET LIMIT cannot be used in one query.', query);
    }
    const sorted = this.#orderBy(query, scope, parent === undefined);
    const selected = selectedExpressions(query.select);
    if (query.groupBy.length > 0 || selected.some(containsAggregate)) {
      if (query.groupBy.length > 0 && sorted.length > 0) {
        throw new QueryError('SC2000', 'ORDER BY is not supported together with GROUP BY.', query);
      }
      scope.grouped = this.#grouped(query.groupBy, scope);
    }
    const grouping = scope.grouped?.grouping;
    // Aggregates without GROUP BY yield one row, so the service lets ORDER BY stand there and mean nothing.
    const orderBy = grouping ? [] : sorted;
    const project = this.#select(query, scope, sources);
    const { distinct } = query;
    return { at: query, sources, where, grouping, orderBy, project, distinct, top, offset, limit };
  }

  // Clauses

  #source(source: Source, scope: Scope): BoundSource {
    const { collection, iterate } = source;
    const bound = this.#collection(collection, scope);
    const name =
      source.alias?.text ??
      (collection.kind === 'path' ? (collection.path.findLast(isString) ?? collection.root.text) : undefined);
    const slot = this.slots++;
    if (name !== undefined) {
      if (scope.names.has(name)) {
        throw new QueryError('SC2000', `The input alias '${name}' is specified more than once.`, source);
      }
      scope.names.set(name, slot);
    }
    return { slot, iterate, collection: bound };
  }

  #collection(collection: Source['collection'], scope: Scope): BoundSource['collection'] {
    if (collection.kind === 'query') return { kind: 'query', query: this.query(collection.query, scope) };
    const { root, path } = collection;
    if (find(root.text, scope) === undefined && !hasNames(scope)) {
      // The first name of a query is the container, whatever it is called.
      this.documentScans++;
      return { kind: 'documents', path };
    }
    let value = this.#identifier(
      { kind: 'identifier', name: root.text, start: root.start, end: root.end },
      scope,
    );
    for (const key of path) {
      value =
        typeof key === 'string'
          ? { kind: 'property', object: value, name: key }
          : { kind: 'item', object: value, index: { kind: 'constant', value: key } };
    }
    return { kind: 'value', value };
  }

  /** The service sorts by document paths only, and only by those of the container itself. */
  #orderBy(query: Query, scope: Scope, outermost: boolean): BoundQuery['orderBy'] {
    return query.orderBy.map(({ value, descending }: OrderItem) => {
      const root = pathRoot(value);
      const name = root?.kind === 'identifier' ? root.name : undefined;
      const bound = this.#expression(value, scope);
      if (name === undefined || root === value) {
        throw new QueryError(
          'SC2206',
          'Unsupported ORDER BY clause. ORDER BY item expression could not be mapped to a document path.',
          value,
        );
      }
      if (outermost && query.from.length > 1 && find(name, scope) !== [...scope.names.values()][0]) {
        throw new QueryError('SC2206', 'Order-by over correlated collections is not supported.', value);
      }
      return { value: bound, descending };
    });
  }

  #grouped(groupBy: readonly Expression[], scope: Scope): NonNullable<Scope['grouped']> {
    const grouping: Grouping = { keys: [], aggregates: [] };
    const keys = new Map<string, number>();
    for (const expression of groupBy) {
      const slot = this.slots++;
      grouping.keys.push({ value: this.#expression(expression, scope), slot });
      keys.set(print(expression, this.#sql), slot);
    }
    return { grouping, keys };
  }

  #select(query: Query, scope: Scope, sources: readonly BoundSource[]): Bound {
    const { select } = query;
    switch (select.kind) {
      case 'star': {
        const slot = sources[0]?.slot;
        if (sources.length === 0) {
          throw new QueryError('SC2040', "'SELECT *' is not valid if FROM clause is omitted.", select);
        }
        if (sources.length !== 1 || slot === undefined) {
          throw new QueryError('SC2040', "'SELECT *' is only valid with a single input set.", select);
        }
        if (scope.grouped) {
          throw new QueryError('SC2102', "'SELECT *' is not valid together with GROUP BY.", select);
        }
        return { kind: 'slot', slot };
      }
      case 'value':
        return this.#expression(select.value, scope);
      case 'list': {
        const names = selectNames(select);
        const properties = select.items.map(({ value }, i) => ({
          name: names[i] ?? '',
          value: this.#expression(value, scope),
        }));
        return this.#object(properties, select);
      }
    }
  }

  #count(expression: Expression | undefined): number | undefined {
    if (!expression) return undefined;
    const bound = this.#expression(expression, { names: new Map(), parent: undefined, grouped: undefined });
    const value = bound.kind === 'constant' ? bound.value : undefined;
    if (typeof value === 'number' && Number.isInteger(value) && value >= 0 && value <= 2_147_483_647)
      return value;
    throw new QueryError('SC2000', 'TOP, OFFSET and LIMIT take an integer from 0 to 2147483647.', expression);
  }

  // Expressions

  #expression(expression: Expression, scope: Scope): Bound {
    const key = scope.grouped && expression.kind !== 'literal' ? print(expression, this.#sql) : undefined;
    const slot = key === undefined ? undefined : scope.grouped?.keys.get(key);
    if (slot !== undefined) return { kind: 'slot', slot };
    if (expression.kind !== 'member' && expression.kind !== 'index') return this.#operator(expression, scope);
    const outer = this.#path;
    this.#path ??= expression;
    const bound = this.#access(expression, scope);
    this.#path = outer;
    return bound;
  }

  #access(expression: Expression & { kind: 'member' | 'index' }, scope: Scope): Bound {
    const object = this.#expression(expression.object, scope);
    if (expression.kind === 'member') return { kind: 'property', object, name: expression.name };
    const index = this.#expression(expression.index, scope);
    return index.kind === 'constant' && typeof index.value === 'string'
      ? { kind: 'property', object, name: index.value }
      : { kind: 'item', object, index };
  }

  #operator(expression: Exclude<Expression, { kind: 'member' | 'index' }>, scope: Scope): Bound {
    const inner = (child: Expression) => this.#expression(child, scope);
    switch (expression.kind) {
      case 'literal':
        return { kind: 'constant', value: expression.value };
      case 'placeholder':
        return { kind: 'constant', value: true };
      case 'parameter':
        return { kind: 'constant', value: this.#parameter(expression) };
      case 'identifier':
        return this.#identifier(expression, scope);
      case 'unary': {
        const operand = inner(expression.operand);
        return expression.operator === '-' && operand.kind === 'constant' && typeof operand.value === 'number'
          ? { kind: 'constant', value: -operand.value }
          : { kind: 'unary', operator: expression.operator, operand };
      }
      case 'binary': {
        const { operator } = expression;
        return { kind: 'binary', operator, left: inner(expression.left), right: inner(expression.right) };
      }
      case 'logical':
        return { kind: 'logical', operator: expression.operator, operands: expression.operands.map(inner) };
      case 'conditional':
        return {
          kind: 'conditional',
          condition: inner(expression.condition),
          then: inner(expression.then),
          otherwise: inner(expression.otherwise),
        };
      case 'between': {
        const { not, value, low, high } = expression;
        return { kind: 'between', not, value: inner(value), low: inner(low), high: inner(high) };
      }
      case 'in':
        return {
          kind: 'in',
          not: expression.not,
          value: inner(expression.value),
          list: expression.list.map(inner),
        };
      case 'like': {
        const { not, escape, value, pattern } = expression;
        return { kind: 'like', not, escape, value: inner(value), pattern: inner(pattern), at: expression };
      }
      case 'call':
        return this.#call(expression, scope);
      case 'array':
        return { kind: 'array', items: expression.items.map(inner) };
      case 'object':
        return this.#object(
          expression.properties.map(({ name, value }) => ({ name, value: inner(value) })),
          expression,
        );
      case 'subquery': {
        const path = this.#path;
        this.#path = undefined;
        const query = this.query(expression.query, scope);
        this.#path = path;
        return { kind: 'subquery', form: expression.form, query, at: expression };
      }
    }
  }

  #object(properties: { name: string; value: Bound }[], at: Span): Bound {
    const names = new Set<string>();
    for (const { name } of properties) {
      if (names.has(name)) {
        throw new QueryError('SC2000', `The property name '${name}' is specified more than once.`, at);
      }
      names.add(name);
    }
    return { kind: 'object', properties };
  }

  #parameter(expression: Expression & { kind: 'parameter' }): Json {
    const value = this.#parameters.get(expression.name);
    if (value === undefined) {
      throw new QueryError('SC2000', `The parameter '${expression.name}' has no value.`, expression);
    }
    if (isTooDeep(value)) {
      throw new QueryError('SC2000', `The value of '${expression.name}' nests too deep.`, expression);
    }
    return value;
  }

  #identifier(expression: Expression & { kind: 'identifier' }, scope: Scope): Bound {
    for (let at: Scope | undefined = scope; at; at = at.parent) {
      const slot = at.names.get(expression.name);
      if (slot === undefined) continue;
      if (at.grouped) {
        const path = this.#path ?? expression;
        const message =
          `Property reference '${print(path, this.#sql)}' is invalid in the select list because it is not ` +
          'contained in either an aggregate function or the GROUP BY clause.';
        throw new QueryError('SC2102', message, path);
      }
      return { kind: 'slot', slot };
    }
    const number = NUMBERS.get(expression.name);
    if (number !== undefined) return { kind: 'constant', value: number };
    throw new QueryError('SC2001', `Identifier '${expression.name}' could not be resolved.`, expression);
  }

  #call(expression: Expression & { kind: 'call' }, scope: Scope): Bound {
    const { name } = expression;
    if (expression.udf) {
      throw new QueryError(
        'UNSUPPORTED',
        `User-defined functions are not supported (udf.${name.text}).`,
        expression,
      );
    }
    const folded = aggregate(name.text);
    if (folded) return this.#aggregate(expression, folded, scope);
    const found = builtIn(name.text);
    if (!found) {
      throw isUnsupported(name.text)
        ? new QueryError('UNSUPPORTED', `The function '${name.text}' is not supported.`, name)
        : new QueryError('SC2005', `'${name.text}' is not a recognized built-in function name.`, name);
    }
    const count = expression.arguments.length;
    if (count < found.minimum || count > found.maximum) {
      const expected =
        found.minimum === found.maximum ? `${found.minimum}` : `${found.minimum} to ${found.maximum}`;
      throw new QueryError(
        'SC2000',
        `The ${name.text.toUpperCase()} function requires ${expected} argument(s).`,
        expression,
      );
    }
    const list = expression.arguments.map((argument) => this.#expression(argument, scope));
    return { kind: 'call', name: name.text.toUpperCase(), function: found, arguments: list, at: expression };
  }

  #aggregate(expression: Expression & { kind: 'call' }, folded: Aggregate, scope: Scope): Bound {
    const { grouped } = scope;
    const argument = expression.arguments[0];
    if (!grouped) {
      const message = `The aggregate ${folded.name} can be used in the select list only, and not inside of another.`;
      throw new QueryError('SC2000', message, expression);
    }
    if (!argument || expression.arguments.length > 1) {
      throw new QueryError('SC2000', `The ${folded.name} function requires 1 argument(s).`, expression);
    }
    scope.grouped = undefined;
    const bound = this.#expression(argument, scope);
    scope.grouped = grouped;
    const slot = this.slots++;
    grouped.grouping.aggregates.push({ aggregate: folded, argument: bound, slot });
    return { kind: 'slot', slot };
  }
}

/** Names that mean numbers, where no input set has them (documentation, ToString). */
const NUMBERS: ReadonlyMap<string, number> = new Map([
  ['NaN', NaN],
  ['Infinity', Infinity],
]);

const isString = (value: unknown): value is string => typeof value === 'string';

function find(name: string, scope: Scope): number | undefined {
  for (let at: Scope | undefined = scope; at; at = at.parent) {
    const slot = at.names.get(name);
    if (slot !== undefined) return slot;
  }
  return undefined;
}

function hasNames(scope: Scope): boolean {
  for (let at: Scope | undefined = scope; at; at = at.parent) if (at.names.size > 0) return true;
  return false;
}

/** The innermost object of a chain of property accesses. */
function pathRoot(expression: Expression): Expression | undefined {
  let at = expression;
  while (at.kind === 'member' || at.kind === 'index') {
    if (at.kind === 'index' && at.index.kind !== 'literal' && at.index.kind !== 'parameter') return undefined;
    at = at.object;
  }
  return at;
}

/** The expressions of a SELECT clause. */
export const selectedExpressions = (select: Select): Expression[] =>
  select.kind === 'star'
    ? []
    : select.kind === 'value'
      ? [select.value]
      : select.items.map(({ value }) => value);

/** Whether an aggregate is called; those inside of subqueries belong to the subqueries. */
export function containsAggregate(expression: Expression): boolean {
  if (expression.kind === 'call' && !expression.udf && aggregate(expression.name.text)) return true;
  return children(expression).some(containsAggregate);
}

/**
 * The property names of a select list: the alias, else the last name of a property path, else `$1`, `$2`, …
 * counted over the items that have neither.
 */
export function selectNames(select: Select & { kind: 'list' }): string[] {
  let unnamed = 0;
  return select.items.map(({ value, alias }) => {
    if (alias) return alias.text;
    if (value.kind === 'identifier' || value.kind === 'member') return value.name;
    if (value.kind === 'index' && value.index.kind === 'literal' && typeof value.index.value === 'string') {
      return value.index.value;
    }
    return `$${++unnamed}`;
  });
}
