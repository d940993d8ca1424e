import type { Accumulator } from './aggregates.ts';
import type { Bound, BoundPlan, BoundQuery, BoundSource, Grouping } from './bind.ts';
import { QueryError } from './errors.ts';
import type { Span } from './errors.ts';
import { ArgumentError } from './functions/define.ts';
import type { FunctionContext } from './functions/define.ts';
import { likePattern } from './functions/like.ts';
import { binaryOperator, unaryOperator } from './operators.ts';
import { compareValues, keyOf, order, propertyOf, sameValue, setProperty, storable } from './values.ts';
import type { Json, JsonObject, Value } from './values.ts';

/** What expressions are evaluated in: one frame per run, whose slots hold the current row of each input set. */
interface Frame {
  slots: Value[];
  documents: Iterable<JsonObject>;
  context: FunctionContext;
}

type Evaluate = (frame: Frame) => Value;
type Rows = (frame: Frame) => Iterable<Json>;
/** Sets the slots to each row in turn. */
type Scan = (frame: Frame) => Iterable<Frame>;

/** Turns a bound query into closures, once; the result runs over any documents, as often as wanted. */
export function compile(
  plan: BoundPlan,
): (documents: Iterable<JsonObject>, now: () => number) => Iterable<Json> {
  const rows = compileQuery(plan.query);
  return (documents, now) => {
    const source = plan.documentScans > 1 ? [...documents] : documents;
    const slots = new Array<Value>(plan.slots).fill(undefined);
    return bounded(rows({ slots, documents: source, context: { now, started: now() } }), plan.query.at);
  };
}

/** Texts and arrays that a query makes can outgrow what the runtime holds; that is the query's fault, not ours. */
function* bounded(rows: Iterable<Json>, at: Span): Iterable<Json> {
  try {
    yield* rows;
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    throw new QueryError('SC2000', 'The query makes a value that is too large.', at);
  }
}

// Queries

function compileQuery(query: BoundQuery): Rows {
  const scan = compileScan(query);
  const select = evaluator(query.project);
  const project: Evaluate = (frame) => storable(select(frame));
  let rows: Rows;
  if (query.grouping) rows = grouped(query.grouping, scan, project);
  else if (query.orderBy.length > 0) rows = sorted(query.orderBy, scan, project);
  else rows = projected(scan, project);
  if (query.distinct) rows = distinct(rows);
  const end = query.top ?? (query.limit === undefined ? Infinity : query.offset + query.limit);
  return query.offset > 0 || end < Infinity ? sliced(rows, query.offset, end) : rows;
}

function projected(scan: Scan, project: Evaluate): Rows {
  return function* (frame) {
    for (const row of scan(frame)) {
      const value = project(row);
      if (value !== undefined) yield value;
    }
  };
}

/**
 * Undefined sort values come first and are not left out (documentation, "ORDER BY"). Ties keep the order in which the
 * documents come, so documents that SQLite has sorted already stay as they are.
 */
function sorted(orderBy: BoundQuery['orderBy'], scan: Scan, project: Evaluate): Rows {
  const keys = orderBy.map(({ value }) => evaluator(value));
  const signs = orderBy.map(({ descending }) => (descending ? -1 : 1));
  return function* (frame) {
    const rows: { keys: Value[]; value: Json }[] = [];
    for (const row of scan(frame)) {
      const value = project(row);
      if (value !== undefined) rows.push({ keys: keys.map((key) => key(row)), value });
    }
    rows.sort((a, b) => {
      for (const [i, sign] of signs.entries()) {
        const difference = compareValues(a.keys[i], b.keys[i]);
        if (difference !== 0) return sign * difference;
      }
      return 0;
    });
    for (const { value } of rows) yield value;
  };
}

interface Group {
  keys: Value[];
  accumulators: Accumulator[];
}

/** Without GROUP BY there is one group, and it is there even where no row is. */
function grouped(grouping: Grouping, scan: Scan, project: Evaluate): Rows {
  const keys = grouping.keys.map(({ value }) => evaluator(value));
  const inputs = grouping.aggregates.map(({ argument }) => evaluator(argument));
  const newGroup = (values: Value[]): Group => ({
    keys: values,
    accumulators: grouping.aggregates.map(({ aggregate }) => aggregate.create()),
  });
  return function* (frame) {
    const groups = new Map<string, Group>();
    if (keys.length === 0) groups.set('', newGroup([]));
    for (const row of scan(frame)) {
      const values = keys.map((key) => key(row));
      const id = values.map(keyOf).join();
      let group = groups.get(id);
      if (!group) groups.set(id, (group = newGroup(values)));
      for (const [i, input] of inputs.entries()) group.accumulators[i]?.add(input(row));
    }
    for (const group of groups.values()) {
      for (const [i, { slot }] of grouping.keys.entries()) frame.slots[slot] = group.keys[i];
      for (const [i, { slot }] of grouping.aggregates.entries())
        frame.slots[slot] = group.accumulators[i]?.result();
      const value = project(frame);
      if (value !== undefined) yield value;
    }
  };
}

function distinct(rows: Rows): Rows {
  return function* (frame) {
    const seen = new Set<string>();
    for (const row of rows(frame)) {
      const key = keyOf(row);
      if (seen.has(key)) continue;
      seen.add(key);
      yield row;
    }
  };
}

function sliced(rows: Rows, start: number, end: number): Rows {
  return function* (frame) {
    if (end <= start) return;
    let position = 0;
    for (const row of rows(frame)) {
      if (position++ >= start) yield row;
      if (position >= end) return;
    }
  };
}

// Input sets

/** A query without FROM has one row. */
function compileScan({ sources, where }: BoundQuery): Scan {
  const filter = where && evaluator(where);
  const levels = sources.map((source) => ({ slot: source.slot, values: compileSource(source) }));
  function* join(frame: Frame, at: number): Iterable<Frame> {
    const level = levels[at];
    if (!level) {
      if (!filter || filter(frame) === true) yield frame;
      return;
    }
    const last = at === levels.length - 1;
    for (const value of level.values(frame)) {
      frame.slots[level.slot] = value;
      if (!last) yield* join(frame, at + 1);
      else if (!filter || filter(frame) === true) yield frame;
    }
  }
  return (frame) => join(frame, 0);
}

function compileSource({ collection, iterate }: BoundSource): (frame: Frame) => Iterable<Value> {
  const values = compileCollection(collection);
  return function* (frame) {
    for (const value of values(frame)) {
      if (!iterate) {
        if (value !== undefined) yield value;
      } else if (Array.isArray(value)) yield* value;
    }
  };
}

function compileCollection(collection: BoundSource['collection']): (frame: Frame) => Iterable<Value> {
  switch (collection.kind) {
    case 'documents': {
      const { path } = collection;
      if (path.length === 0) return (frame) => frame.documents;
      return function* (frame) {
        for (const document of frame.documents) yield path.reduce<Value>(access, document);
      };
    }
    case 'value': {
      const value = evaluator(collection.value);
      return (frame) => [value(frame)];
    }
    case 'query':
      return compileQuery(collection.query);
  }
}

// Expressions

function access(object: Value, key: Value): Value {
  if (typeof key === 'string') return propertyOf(object, key);
  return Array.isArray(object) && typeof key === 'number' ? object[key] : undefined;
}

function evaluator(bound: Bound): Evaluate {
  switch (bound.kind) {
    case 'constant': {
      const { value } = bound;
      return () => value;
    }
    case 'slot': {
      const { slot } = bound;
      return (frame) => frame.slots[slot];
    }
    case 'property': {
      const object = evaluator(bound.object);
      const { name } = bound;
      return (frame) => propertyOf(object(frame), name);
    }
    case 'item': {
      const object = evaluator(bound.object);
      const index = evaluator(bound.index);
      return (frame) => access(object(frame), index(frame));
    }
    case 'unary': {
      const operand = evaluator(bound.operand);
      const apply = unaryOperator(bound.operator);
      return (frame) => apply(operand(frame));
    }
    case 'binary': {
      const left = evaluator(bound.left);
      const right = evaluator(bound.right);
      const apply = binaryOperator(bound.operator);
      return (frame) => apply(left(frame), right(frame));
    }
    case 'logical':
      return logical(bound.operands.map(evaluator), bound.operator === 'OR');
    case 'conditional': {
      const condition = evaluator(bound.condition);
      const then = evaluator(bound.then);
      const otherwise = evaluator(bound.otherwise);
      return (frame) => (condition(frame) === true ? then(frame) : otherwise(frame));
    }
    case 'between': {
      const value = evaluator(bound.value);
      const low = evaluator(bound.low);
      const high = evaluator(bound.high);
      return negated(bound.not, (frame) => between(value(frame), low(frame), high(frame)));
    }
    case 'in':
      return negated(bound.not, membership(evaluator(bound.value), bound.list));
    case 'like': {
      const value = evaluator(bound.value);
      const pattern = evaluator(bound.pattern);
      const { escape, at } = bound;
      return negated(
        bound.not,
        located(at, (frame) => {
          const text = value(frame);
          const like = pattern(frame);
          if (typeof text !== 'string' || typeof like !== 'string') return undefined;
          return likePattern(like, escape)(text);
        }),
      );
    }
    case 'call': {
      const list = bound.arguments.map(evaluator);
      return located(bound.at, (frame) =>
        bound.function.call(
          list.map((argument) => argument(frame)),
          frame.context,
        ),
      );
    }
    case 'array': {
      const items = bound.items.map(evaluator);
      return (frame) => items.map((item) => storable(item(frame))).filter((item) => item !== undefined);
    }
    case 'object': {
      const properties = bound.properties.map(({ name, value }) => ({ name, value: evaluator(value) }));
      return (frame) => {
        const object: JsonObject = {};
        for (const { name, value } of properties) setProperty(object, name, value(frame));
        return object;
      };
    }
    case 'subquery':
      return subquery(compileQuery(bound.query), bound.form, bound.at);
  }
}

function subquery(rows: Rows, form: 'scalar' | 'exists' | 'array', at: Span): Evaluate {
  switch (form) {
    case 'array':
      return (frame) => [...rows(frame)];
    case 'exists':
      return (frame) => {
        const first = rows(frame)[Symbol.iterator]();
        const found = first.next().done !== true;
        first.return?.();
        return found;
      };
    case 'scalar':
      return (frame) => {
        let result: Value;
        for (const row of rows(frame)) {
          if (result !== undefined) {
            throw new QueryError('SC2000', 'The cardinality of a scalar subquery cannot exceed one.', at);
          }
          result = row;
        }
        return result;
      };
  }
}

/** Three-valued: one decisive operand decides, whatever the others are; else all must be booleans. */
function logical(operands: readonly Evaluate[], decisive: boolean): Evaluate {
  return (frame) => {
    let known = true;
    for (const operand of operands) {
      const value = operand(frame);
      if (value === decisive) return decisive;
      if (typeof value !== 'boolean') known = false;
    }
    return known ? !decisive : undefined;
  };
}

function negated(not: boolean, evaluate: Evaluate): Evaluate {
  if (!not) return evaluate;
  return (frame) => {
    const value = evaluate(frame);
    return typeof value === 'boolean' ? !value : undefined;
  };
}

/** `low <= value AND value <= high`, three-valued. */
function between(value: Value, low: Value, high: Value): boolean | undefined {
  const above = order(value, low);
  const below = order(value, high);
  if ((above !== undefined && above < 0) || (below !== undefined && below > 0)) return false;
  return above === undefined || below === undefined ? undefined : true;
}

/**
 * Undefined where the value is, else whether the list has it: undefined items in it do not matter (so the interpreter
 * with which Microsoft checks the service's answers). Constants are looked up, not compared one by one.
 */
function membership(value: Evaluate, list: readonly Bound[]): Evaluate {
  const constants = new Set<string>();
  const others: Evaluate[] = [];
  for (const item of list) {
    if (item.kind === 'constant' && item.value !== undefined) constants.add(keyOf(item.value));
    else others.push(evaluator(item));
  }
  return (frame) => {
    const searched = value(frame);
    if (searched === undefined) return undefined;
    if (constants.has(keyOf(searched))) return true;
    return others.some((other) => sameValue(searched, other(frame)));
  };
}

/** Gives an error of a function its place in the query. */
function located(at: Span, evaluate: Evaluate): Evaluate {
  return (frame) => {
    try {
      return evaluate(frame);
    } catch (error) {
      throw error instanceof ArgumentError ? new QueryError('SC2000', error.message, at) : error;
    }
  };
}
