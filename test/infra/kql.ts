import type { Envelope } from '../support/ingestion.ts';

export type Row = Readonly<Record<string, unknown>>;

/** Rows of a table of the workspace, as Application Insights makes them of what it is sent. */
export type Tables = Readonly<Record<string, readonly Row[]>>;

/** https://learn.microsoft.com/azure/azure-monitor/app/data-model-complete: what becomes of each item. */
export function toTables(envelopes: readonly Envelope[]): Tables {
  const tables = { AppMetrics: [] as Row[], AppEvents: [] as Row[], AppDependencies: [] as Row[] };
  for (const { tags, data } of envelopes) {
    const { baseType, baseData } = data;
    const common = {
      TimeGenerated: 0,
      OperationId: tags['ai.operation.id'],
      Properties: baseData.properties ?? {},
    };
    if (baseType === 'EventData') tables.AppEvents.push({ ...common, Name: baseData.name });
    if (baseType === 'RemoteDependencyData') {
      tables.AppDependencies.push({
        ...common,
        Name: baseData.name,
        DependencyType: baseData['type'],
        DurationMs: baseData['duration'],
        Success: baseData['success'],
        Target: baseData['target'],
      });
    }
    if (baseType !== 'MetricData') continue;
    for (const { name, value, count = 1, min = value, max = value } of baseData.metrics ?? []) {
      tables.AppMetrics.push({ ...common, Name: name, Sum: value, ItemCount: count, Min: min, Max: max });
    }
  }
  return tables;
}

/** The same telemetry from so many times the traffic. */
export const times = (tables: Tables, factor: number): Tables =>
  Object.fromEntries(
    Object.entries(tables).map(([name, rows]) => [
      name,
      rows.flatMap((row) => Array.from({ length: factor }, () => row)),
    ]),
  );

/**
 * Runs a query, for as much of the language as ours use.
 *
 * @throws Error where it asks for a table, a column or a property that is not there, or compares what cannot be compared:
 * Kusto would refuse the first, and answer the others with nothing, for ever
 */
export function run(query: string, tables: Tables): Row[] {
  const [table = '', ...steps] = query
    .replace(/^\/\/.*$/gm, '')
    .trim()
    .split(/\s*\n\| /);
  const rows = tables[table];
  if (rows === undefined) throw new Error(`There is no table ${table}.`);
  return steps.reduce<Row[]>((at, step) => apply(step, at), [...rows]);
}

/** Which columns the rows of a step have, and which properties the bags in them; null: no rows, so nobody knows. */
type Shape = ReadonlyMap<string, ReadonlySet<string>> | null;

function shapeOf(rows: readonly Row[]): Shape {
  if (rows.length === 0) return null;
  const shape = new Map<string, Set<string>>();
  for (const row of new Set(rows)) {
    for (const [name, value] of Object.entries(row)) {
      const properties = shape.get(name) ?? new Set<string>();
      shape.set(name, properties);
      if (typeof value === 'object' && value !== null)
        for (const property of Object.keys(value)) properties.add(property);
    }
  }
  return shape;
}

function apply(step: string, rows: Row[]): Row[] {
  const shape = shapeOf(rows);
  const [, operator = '', rest = ''] = /^(\w+(?: by)?) ([^]*)$/.exec(step) ?? [];
  const parser = new Parser(rest);
  switch (operator) {
    case 'where': {
      const condition = parser.expression();
      parser.end();
      return rows.filter((row) => isTrue(new Evaluation(shape, [row]).value(condition)));
    }
    case 'extend':
    case 'project': {
      const columns = parser.columns();
      parser.end();
      return rows.map((row) => ({
        ...(operator === 'extend' ? row : {}),
        ...valuesOf(columns, new Evaluation(shape, [row])),
      }));
    }
    case 'summarize': {
      const columns = parser.columns();
      const keys = parser.take('by') ? parser.columns() : [];
      parser.end();
      return groupsOf(rows, shape, keys).map(([key, group]) => ({
        ...key,
        ...valuesOf(columns, new Evaluation(shape, group)),
      }));
    }
    case 'order by': {
      // The order matters to people only; that its columns are there matters here.
      for (const { node } of parser.ordering()) rows.map((row) => new Evaluation(shape, [row]).value(node));
      parser.end();
      return rows;
    }
    case 'top': {
      const [, count = '', by = ''] = /^(\d+) by (.*)$/.exec(rest) ?? [];
      const [{ node } = { node: null }] = new Parser(by).ordering();
      if (node === null) throw new Error(`What is the order of: ${step}`);
      const value = (row: Row) => Number(new Evaluation(shape, [row]).value(node));
      return [...rows].sort((a, b) => value(b) - value(a)).slice(0, Number(count));
    }
    default:
      throw new Error(`The operator of this step is not known here: ${step}`);
  }
}

const isTrue = (value: unknown): boolean => value === true;

const valuesOf = (columns: readonly Column[], evaluation: Evaluation): Row =>
  Object.fromEntries(columns.map(({ name, node }) => [name, evaluation.value(node)]));

/** Without keys there is one group, also of no rows. */
function groupsOf(rows: readonly Row[], shape: Shape, keys: readonly Column[]): [Row, Row[]][] {
  if (keys.length === 0) return [[{}, [...rows]]];
  const groups = new Map<string, [Row, Row[]]>();
  for (const row of rows) {
    const key = valuesOf(keys, new Evaluation(shape, [row]));
    const text = JSON.stringify(key);
    const group = groups.get(text) ?? [key, []];
    groups.set(text, group);
    group[1].push(row);
  }
  return [...groups.values()];
}

interface Column {
  readonly name: string;
  readonly node: Node;
}

type Node =
  | { readonly kind: 'literal'; readonly value: string | number }
  | { readonly kind: 'column'; readonly name: string }
  | { readonly kind: 'property'; readonly of: string; readonly name: string }
  | { readonly kind: 'call'; readonly name: string; readonly given: readonly Node[] }
  | { readonly kind: 'binary'; readonly operator: string; readonly left: Node; readonly right: Node }
  | { readonly kind: 'in'; readonly left: Node; readonly list: readonly Node[] };

const TOKEN = /\s*("[^"]*"|\d+(?:\.\d+)?[smhd]?(?!\w)|[A-Za-z_]\w*|==|!=|>=|<=|[-+*/<>()[\],.=])/y;
const SPANS: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3600, d: 86_400 };
/** From the loosest to the tightest. */
const LEVELS = [['or'], ['and'], ['==', '!=', '>', '>=', '<', '<='], ['+', '-'], ['*', '/']] as const;

class Parser {
  readonly #tokens: string[] = [];
  #at = 0;

  constructor(text: string) {
    TOKEN.lastIndex = 0;
    let end = 0;
    for (let match = TOKEN.exec(text); match !== null; match = TOKEN.exec(text)) {
      this.#tokens.push(match[1] ?? '');
      end = TOKEN.lastIndex;
    }
    if (text.slice(end).trim() !== '') throw new Error(`Cannot read: ${text.slice(end)}`);
  }

  take(token: string): boolean {
    if (this.#tokens[this.#at] !== token) return false;
    this.#at += 1;
    return true;
  }

  end(): void {
    if (this.#at < this.#tokens.length)
      throw new Error(`Not expected: ${this.#tokens.slice(this.#at).join(' ')}`);
  }

  columns(): Column[] {
    const columns: Column[] = [];
    do {
      const [name = '', equals] = this.#tokens.slice(this.#at, this.#at + 2);
      if (equals === '=') this.#at += 2;
      const node = this.expression();
      // `by bin(TimeGenerated, 5m)` keeps the name.
      const [first] = node.kind === 'call' && equals !== '=' ? node.given : [];
      columns.push({ name: first?.kind === 'column' ? first.name : name, node });
    } while (this.take(','));
    return columns;
  }

  ordering(): { readonly node: Node }[] {
    const nodes: { node: Node }[] = [];
    do {
      nodes.push({ node: this.expression() });
      if (!this.take('asc')) this.take('desc');
    } while (this.take(','));
    return nodes;
  }

  expression(level = 0): Node {
    const operators = LEVELS[level];
    if (operators === undefined) return this.#primary();
    let left = this.expression(level + 1);
    if (level === 2 && this.take('in')) return { kind: 'in', left, list: this.#list() };
    for (;;) {
      const operator = operators.find((each) => this.take(each));
      if (operator === undefined) return left;
      left = { kind: 'binary', operator, left, right: this.expression(level + 1) };
    }
  }

  #list(): Node[] {
    if (!this.take('(')) throw new Error('A list begins with a bracket.');
    const items: Node[] = [];
    while (!this.take(')')) {
      items.push(this.expression());
      this.take(',');
    }
    return items;
  }

  #primary(): Node {
    const token = this.#tokens[this.#at++] ?? '';
    if (token.startsWith('"')) return { kind: 'literal', value: token.slice(1, -1) };
    const [, number, unit = 's'] = /^([\d.]+)([smhd]?)$/.exec(token) ?? [];
    if (number !== undefined) return { kind: 'literal', value: Number(number) * (SPANS[unit] ?? 1) };
    if (token === '(') {
      const inner = this.expression();
      if (!this.take(')')) throw new Error('A bracket is not closed.');
      return inner;
    }
    if (this.#tokens[this.#at] === '(') return { kind: 'call', name: token, given: this.#list() };
    if (this.take('.')) return { kind: 'property', of: token, name: this.#tokens[this.#at++] ?? '' };
    if (this.take('[')) {
      const name = (this.#tokens[this.#at++] ?? '').slice(1, -1);
      if (!this.take(']')) throw new Error('A bracket is not closed.');
      return { kind: 'property', of: token, name };
    }
    return { kind: 'column', name: token };
  }
}

/** One row, or for the functions that add up, a group of rows. */
class Evaluation {
  readonly #shape: Shape;
  readonly #group: readonly Row[];

  constructor(shape: Shape, group: readonly Row[]) {
    this.#shape = shape;
    this.#group = group;
  }

  value(node: Node): unknown {
    switch (node.kind) {
      case 'literal':
        return node.value;
      case 'column':
        return this.#column(node.name);
      case 'property': {
        this.#column(node.of);
        if (this.#shape !== null && this.#shape.get(node.of)?.has(node.name) !== true)
          throw new Error(`There is no property ${node.of}.${node.name}.`);
        return (this.#group[0]?.[node.of] as Row | undefined)?.[node.name] ?? null;
      }
      case 'in': {
        const left = this.value(node.left);
        return node.list.some((each) => compare('==', left, this.value(each)));
      }
      case 'binary':
        return this.#binary(node.operator, node.left, node.right);
      case 'call':
        return this.#call(node.name, node.given);
    }
  }

  #column(name: string): unknown {
    if (this.#shape !== null && !this.#shape.has(name)) throw new Error(`There is no column ${name}.`);
    return this.#group[0]?.[name] ?? null;
  }

  #binary(operator: string, left: Node, right: Node): unknown {
    const a = this.value(left);
    const b = this.value(right);
    if (operator === 'and') return a === true && b === true;
    if (operator === 'or') return a === true || b === true;
    if ('+-*/'.includes(operator)) return calculate(operator, numeric(a), numeric(b));
    return compare(operator, a, b);
  }

  #call(name: string, given: readonly Node[]): unknown {
    const [first, second] = given;
    const each = (node: Node | undefined): unknown[] =>
      node === undefined ? [] : this.#group.map((row) => new Evaluation(this.#shape, [row]).value(node));
    const one = (node: Node | undefined): unknown => (node === undefined ? null : this.value(node));
    const numbers = each(first).filter((value) => value !== null);
    switch (name) {
      case 'count':
        return this.#group.length;
      case 'sum':
        return numbers.reduce<number>((total, value) => total + numeric(value), 0);
      case 'sumif': {
        const wanted = each(second);
        return each(first).reduce<number>(
          (total, value, index) => total + (wanted[index] === true ? numeric(value) : 0),
          0,
        );
      }
      case 'max':
        return numbers.length === 0 ? null : Math.max(...numbers.map(numeric));
      case 'percentile': {
        const sorted = numbers.map(numeric).sort((a, b) => a - b);
        const rank = Math.ceil((numeric(one(second)) / 100) * sorted.length);
        return sorted[Math.max(0, rank - 1)] ?? null;
      }
      case 'tostring':
        return one(first) === null ? '' : String(one(first));
      case 'toint':
      case 'tolong':
      case 'todouble': {
        const value = one(first);
        return value === null || value === '' || Number.isNaN(Number(value)) ? null : Number(value);
      }
      case 'bin':
        return Math.floor(numeric(one(first)) / numeric(one(second))) * numeric(one(second));
      case 'iff':
        return one(first) === true ? one(second) : one(given[2]);
      case 'strcat':
        return given.map((node) => String(one(node) as string | number)).join('');
      default:
        throw new Error(`The function ${name} is not known here.`);
    }
  }
}

function numeric(value: unknown): number {
  if (typeof value !== 'number') throw new Error(`${JSON.stringify(value)} is no number.`);
  return value;
}

function calculate(operator: string, a: number, b: number): number {
  if (operator === '+') return a + b;
  if (operator === '-') return a - b;
  return operator === '*' ? a * b : a / b;
}

/** Nothing compares with what is not there. */
function compare(operator: string, a: unknown, b: unknown): boolean {
  if (a === null || b === null) return false;
  if (typeof a !== typeof b) throw new Error(`${JSON.stringify(a)} and ${JSON.stringify(b)} do not compare.`);
  if (operator === '==') return a === b;
  if (operator === '!=') return a !== b;
  const [x, y] = [numeric(a), numeric(b)];
  if (operator === '>') return x > y;
  if (operator === '>=') return x >= y;
  return operator === '<' ? x < y : x <= y;
}
