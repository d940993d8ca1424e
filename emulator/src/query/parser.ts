import { QueryError } from './errors.ts';
import type { Span } from './errors.ts';
import type {
  BinaryOperator,
  Expression,
  Name,
  OrderItem,
  Query,
  Select,
  SelectItem,
  Source,
} from './syntax.ts';
import { RESERVED, syntaxError, tokenize } from './tokens.ts';
import type { Token } from './tokens.ts';

/** Trees deeper than this are refused, so that nothing that walks a tree can run out of stack. */
export const MAX_DEPTH = 200;

/** The documented limit is 10 joins in a query (Azure Cosmos DB service quotas). */
export const MAX_JOINS = 10;

/** Reads a query into a tree. Throws `SC1001` with the place of the first token that does not fit. */
export function parse(sql: string): Query {
  return new Parser(sql).parse();
}

/**
 * How tightly binary operators bind, loosest first. Below all of these come `??`, `?:`, OR, AND, NOT, and the
 * predicates IN, BETWEEN and LIKE.
 */
const PRECEDENCE: Readonly<Record<string, number>> = {
  '=': 1,
  '!=': 1,
  '<>': 1,
  '<': 2,
  '>': 2,
  '<=': 2,
  '>=': 2,
  '|': 3,
  '^': 4,
  '&': 5,
  '<<': 6,
  '>>': 6,
  '>>>': 6,
  '||': 7,
  '+': 8,
  '-': 8,
  '*': 9,
  '/': 9,
  '%': 9,
};

const TIGHTER_THAN_COMPARISON = 3;

class Parser {
  readonly #sql: string;
  readonly #tokens: Token[];
  readonly #depths = new WeakMap<Expression, number>();
  readonly #queryDepths = new WeakMap<Query, number>();
  #at = 0;
  #nesting = 0;
  #deepest = 0;

  constructor(sql: string) {
    this.#sql = sql;
    this.#tokens = tokenize(sql);
  }

  parse(): Query {
    const query = this.#query();
    if (this.#peek().kind !== 'end') throw this.#unexpected();
    return query;
  }

  // Clauses

  #query(): Query {
    return this.#nested(() => {
      const deepestOutside = this.#deepest;
      this.#deepest = 0;
      const { start } = this.#expectWord('SELECT');
      const distinct = this.#takeWord('DISTINCT');
      const top = this.#takeWord('TOP') ? this.#count() : undefined;
      const select = this.#select();
      const from = this.#takeWord('FROM') ? this.#from() : [];
      const where = this.#takeWord('WHERE') ? this.#expression() : undefined;
      const groupBy = this.#takeWords('GROUP', 'BY') ? this.#list(() => this.#expression()) : [];
      const orderBy = this.#takeWords('ORDER', 'BY') ? this.#orderBy() : [];
      let offset: Expression | undefined;
      let limit: Expression | undefined;
      if (this.#takeWord('OFFSET')) {
        offset = this.#count();
        this.#expectWord('LIMIT');
        limit = this.#count();
      }
      const end = this.#lastEnd();
      const query = { start, end, distinct, top, select, from, where, groupBy, orderBy, offset, limit };
      this.#queryDepths.set(query, this.#deepest);
      this.#deepest = Math.max(deepestOutside, this.#deepest);
      return query;
    });
  }

  #count(): Expression {
    const token = this.#peek();
    if (token.kind !== 'number' && token.kind !== 'parameter') throw this.#unexpected();
    return this.#primary();
  }

  #select(): Select {
    const { start } = this.#peek();
    if (this.#takeSymbol('*')) return { kind: 'star', start, end: this.#lastEnd() };
    if (this.#takeWord('VALUE')) {
      return { kind: 'value', value: this.#expression(), start, end: this.#lastEnd() };
    }
    const items = this.#list((): SelectItem => {
      const value = this.#expression();
      if (this.#takeWord('AS')) return { value, alias: this.#name() };
      return { value, alias: this.#isAlias() ? this.#name() : undefined };
    });
    return { kind: 'list', items, start, end: this.#lastEnd() };
  }

  #from(): Source[] {
    const sources = [this.#source()];
    while (this.#takeWord('JOIN')) {
      if (sources.length > MAX_JOINS) {
        throw new QueryError('SC2000', `A query may hold at most ${MAX_JOINS} joins.`, this.#peek());
      }
      sources.push(this.#source());
    }
    return sources;
  }

  #source(): Source {
    const { start } = this.#peek();
    if (this.#peek(1).kind === 'name' && this.#isWord('IN', 1)) {
      const alias = this.#name();
      this.#expectWord('IN');
      return { iterate: true, alias, collection: this.#collection(), start, end: this.#lastEnd() };
    }
    const collection = this.#collection();
    const alias = this.#takeWord('AS') || this.#isAlias() ? this.#name() : undefined;
    return { iterate: false, alias, collection, start, end: this.#lastEnd() };
  }

  #collection(): Source['collection'] {
    if (this.#takeSymbol('(')) {
      const query = this.#query();
      this.#expectSymbol(')');
      return { kind: 'query', query };
    }
    const root = this.#name();
    const path: (string | number)[] = [];
    for (;;) {
      if (this.#takeSymbol('.')) {
        path.push(this.#name().text);
      } else if (this.#takeSymbol('[')) {
        const key = this.#next();
        if (key.kind !== 'string' && key.kind !== 'number') throw this.#unexpected(key);
        path.push(key.value);
        this.#expectSymbol(']');
      } else {
        return { kind: 'path', root, path };
      }
    }
  }

  #orderBy(): OrderItem[] {
    if (this.#isWord('RANK') && this.#peek(1).kind === 'name') {
      throw new QueryError(
        'UNSUPPORTED',
        'ORDER BY RANK (full text and hybrid search) is not supported.',
        this.#peek(),
      );
    }
    return this.#list(() => {
      const value = this.#expression();
      const descending = this.#takeWord('DESC');
      if (!descending) this.#takeWord('ASC');
      return { value, descending };
    });
  }

  /** An alias may be left out, and OFFSET is no reserved word. */
  #isAlias(): boolean {
    const token = this.#peek();
    if (token.kind !== 'name' || RESERVED.has(token.upper)) return false;
    const after = this.#peek(1).kind;
    return !(token.upper === 'OFFSET' && (after === 'number' || after === 'parameter'));
  }

  #name(): Name {
    const token = this.#next();
    if (token.kind !== 'name' || RESERVED.has(token.upper)) throw this.#unexpected(token);
    return { text: token.text, start: token.start, end: token.end };
  }

  // Expressions, loosest first

  #expression(): Expression {
    return this.#nested(() => {
      const condition = this.#coalesce();
      if (!this.#takeSymbol('?')) return condition;
      const then = this.#expression();
      this.#expectSymbol(':');
      const otherwise = this.#expression();
      return this.#made({ kind: 'conditional', condition, then, otherwise, ...around(condition, otherwise) });
    });
  }

  #coalesce(): Expression {
    const left = this.#logical('OR');
    if (!this.#takeSymbol('??')) return left;
    const right = this.#nested(() => this.#coalesce());
    return this.#made({ kind: 'binary', operator: '??', left, right, ...around(left, right) });
  }

  #logical(operator: 'AND' | 'OR'): Expression {
    const operand = operator === 'OR' ? () => this.#logical('AND') : () => this.#not();
    const first = operand();
    if (!this.#isWord(operator)) return first;
    const operands = [first];
    while (this.#takeWord(operator)) operands.push(operand());
    return this.#made({ kind: 'logical', operator, operands, start: first.start, end: this.#lastEnd() });
  }

  #not(): Expression {
    const { start } = this.#peek();
    if (!this.#takeWord('NOT')) return this.#predicate();
    const operand = this.#nested(() => this.#not());
    return this.#made({ kind: 'unary', operator: 'NOT', operand, start, end: operand.end });
  }

  #predicate(): Expression {
    let value = this.#binary(1);
    for (;;) {
      const not = this.#isWord('NOT');
      const word = this.#peek(not ? 1 : 0);
      const keyword = word.kind === 'name' ? word.upper : '';
      if (keyword !== 'IN' && keyword !== 'BETWEEN' && keyword !== 'LIKE') return value;
      this.#at += not ? 2 : 1;
      value = this.#made(this.#predicateOn(value, not, keyword));
    }
  }

  #predicateOn(value: Expression, not: boolean, keyword: 'IN' | 'BETWEEN' | 'LIKE'): Expression {
    const { start } = value;
    switch (keyword) {
      case 'IN': {
        this.#expectSymbol('(');
        const list = this.#list(() => this.#expression());
        this.#expectSymbol(')');
        return { kind: 'in', not, value, list, start, end: this.#lastEnd() };
      }
      case 'BETWEEN': {
        const low = this.#binary(TIGHTER_THAN_COMPARISON);
        this.#expectWord('AND');
        const high = this.#binary(TIGHTER_THAN_COMPARISON);
        return { kind: 'between', not, value, low, high, start, end: high.end };
      }
      case 'LIKE': {
        const pattern = this.#binary(TIGHTER_THAN_COMPARISON);
        const escape = this.#takeWord('ESCAPE') ? this.#escape() : undefined;
        return { kind: 'like', not, value, pattern, escape, start, end: this.#lastEnd() };
      }
    }
  }

  #escape(): string {
    const token = this.#next();
    if (token.kind !== 'string') throw this.#unexpected(token);
    if (token.value.length !== 1) {
      throw new QueryError('SC2000', 'ESCAPE takes a string of one character.', token);
    }
    return token.value;
  }

  #binary(loosest: number): Expression {
    let left = this.#unary();
    for (;;) {
      const token = this.#peek();
      const precedence = token.kind === 'symbol' ? (PRECEDENCE[token.text] ?? 0) : 0;
      if (precedence < loosest || precedence === 0) return left;
      this.#at++;
      const right = this.#nested(() => this.#binary(precedence + 1));
      const operator = (token.text === '<>' ? '!=' : token.text) as BinaryOperator;
      left = this.#made({ kind: 'binary', operator, left, right, ...around(left, right) });
    }
  }

  #unary(): Expression {
    const token = this.#peek();
    if (token.kind === 'symbol' && (token.text === '-' || token.text === '+' || token.text === '~')) {
      this.#at++;
      const operand = this.#nested(() => this.#unary());
      return this.#made({
        kind: 'unary',
        operator: token.text,
        operand,
        start: token.start,
        end: operand.end,
      });
    }
    return this.#postfix();
  }

  #postfix(): Expression {
    let object = this.#primary();
    for (;;) {
      if (this.#takeSymbol('.')) {
        const name = this.#name();
        object = this.#made({ kind: 'member', object, name: name.text, ...around(object, name) });
      } else if (this.#takeSymbol('[')) {
        const index = this.#expression();
        this.#expectSymbol(']');
        object = this.#made({ kind: 'index', object, index, start: object.start, end: this.#lastEnd() });
      } else {
        return object;
      }
    }
  }

  #primary(): Expression {
    const token = this.#next();
    const { start, end } = token;
    switch (token.kind) {
      case 'number':
      case 'string':
        return { kind: 'literal', value: token.value, start, end };
      case 'parameter':
        return { kind: 'parameter', name: token.text, start, end };
      case 'placeholder':
        return { kind: 'placeholder', start, end };
      case 'name':
        return this.#word(token);
      case 'symbol':
        if (token.text === '(') return this.#parenthesized(start);
        if (token.text === '[') {
          const items = this.#isSymbol(']') ? [] : this.#list(() => this.#expression());
          this.#expectSymbol(']');
          return this.#made({ kind: 'array', items, start, end: this.#lastEnd() });
        }
        if (token.text === '{') return this.#object(start);
        throw this.#unexpected(token);
      case 'end':
        throw this.#unexpected(token);
    }
  }

  #parenthesized(start: number): Expression {
    if (this.#isWord('SELECT')) {
      const query = this.#query();
      this.#expectSymbol(')');
      return this.#made({ kind: 'subquery', form: 'scalar', query, start, end: this.#lastEnd() });
    }
    const inner = this.#expression();
    this.#expectSymbol(')');
    return inner;
  }

  #object(start: number): Expression {
    const property = () => {
      const key = this.#next();
      if (key.kind !== 'string' && key.kind !== 'name') throw this.#unexpected(key);
      this.#expectSymbol(':');
      return { name: key.kind === 'string' ? key.value : key.text, value: this.#expression() };
    };
    const properties = this.#isSymbol('}') ? [] : this.#list(property);
    this.#expectSymbol('}');
    return this.#made({ kind: 'object', properties, start, end: this.#lastEnd() });
  }

  #word(token: Token & { kind: 'name' }): Expression {
    const { start, end, upper } = token;
    switch (upper) {
      case 'TRUE':
      case 'FALSE':
        return { kind: 'literal', value: upper === 'TRUE', start, end };
      case 'NULL':
        return { kind: 'literal', value: null, start, end };
      case 'UNDEFINED':
        return { kind: 'literal', value: undefined, start, end };
      case 'EXISTS':
      case 'ARRAY': {
        this.#expectSymbol('(');
        const query = this.#query();
        this.#expectSymbol(')');
        const form = upper === 'ARRAY' ? 'array' : 'exists';
        return this.#made({ kind: 'subquery', form, query, start, end: this.#lastEnd() });
      }
      case 'ALL':
      case 'FIRST':
      case 'LAST':
        if (this.#isSymbol('(') && this.#isWord('SELECT', 1))
          throw new QueryError('UNSUPPORTED', `${upper} of a subquery is not supported.`, token);
        break;
      case 'UDF': {
        this.#expectSymbol('.');
        return this.#call(this.#name(), true, start);
      }
    }
    if (RESERVED.has(upper)) throw this.#unexpected(token);
    if (this.#isSymbol('(')) return this.#call({ text: token.text, start, end }, false, start);
    return { kind: 'identifier', name: token.text, start, end };
  }

  #call(name: Name, udf: boolean, start: number): Expression {
    this.#expectSymbol('(');
    const list = this.#isSymbol(')') ? [] : this.#list(() => this.#expression());
    this.#expectSymbol(')');
    return this.#made({ kind: 'call', udf, name, arguments: list, start, end: this.#lastEnd() });
  }

  // Tokens

  #list<T>(item: () => T): T[] {
    const items = [item()];
    while (this.#takeSymbol(',')) items.push(item());
    return items;
  }

  #peek(ahead = 0): Token {
    const token = this.#tokens[Math.min(this.#at + ahead, this.#tokens.length - 1)];
    if (!token) throw new Error('a token list always ends with its end token');
    return token;
  }

  #next(): Token {
    const token = this.#peek();
    if (token.kind !== 'end') this.#at++;
    return token;
  }

  #lastEnd(): number {
    return this.#tokens[this.#at - 1]?.end ?? 0;
  }

  #isWord(word: string, ahead = 0): boolean {
    const token = this.#peek(ahead);
    return token.kind === 'name' && token.upper === word;
  }

  #takeWord(word: string): boolean {
    if (!this.#isWord(word)) return false;
    this.#at++;
    return true;
  }

  #takeWords(first: string, second: string): boolean {
    if (!this.#takeWord(first)) return false;
    this.#expectWord(second);
    return true;
  }

  #expectWord(word: string): Token {
    if (!this.#isWord(word)) throw this.#unexpected();
    return this.#next();
  }

  #isSymbol(symbol: string): boolean {
    const token = this.#peek();
    return token.kind === 'symbol' && token.text === symbol;
  }

  #takeSymbol(symbol: string): boolean {
    if (!this.#isSymbol(symbol)) return false;
    this.#at++;
    return true;
  }

  #expectSymbol(symbol: string): void {
    if (!this.#takeSymbol(symbol)) throw this.#unexpected();
  }

  #unexpected(token = this.#peek()): QueryError {
    return syntaxError(this.#sql, token.start, token.end);
  }

  // Depth

  /** Bounds the parser's own recursion. */
  #nested<T>(parse: () => T): T {
    if (++this.#nesting > MAX_DEPTH) throw tooDeep(this.#peek());
    const result = parse();
    this.#nesting--;
    return result;
  }

  /** Bounds the depth of the tree, which grows without recursion in chains such as `1 + 1 + 1 + …`. */
  #made(expression: Expression): Expression {
    let depth = expression.kind === 'subquery' ? (this.#queryDepths.get(expression.query) ?? 0) : 0;
    for (const child of children(expression)) depth = Math.max(depth, this.#depths.get(child) ?? 0);
    if (depth >= MAX_DEPTH) throw tooDeep(expression);
    this.#depths.set(expression, depth + 1);
    this.#deepest = Math.max(this.#deepest, depth + 1);
    return expression;
  }
}

const around = (first: Span, last: Span): Span => ({ start: first.start, end: last.end });

const tooDeep = (at: Span) =>
  new QueryError('SC1001', `The query nests deeper than ${MAX_DEPTH} levels.`, at);

/** The direct operands of an expression. Subqueries are not among them: they are scopes of their own. */
export function children(expression: Expression): readonly Expression[] {
  switch (expression.kind) {
    case 'literal':
    case 'parameter':
    case 'placeholder':
    case 'identifier':
    case 'subquery':
      return [];
    case 'member':
      return [expression.object];
    case 'index':
      return [expression.object, expression.index];
    case 'unary':
      return [expression.operand];
    case 'binary':
      return [expression.left, expression.right];
    case 'logical':
      return expression.operands;
    case 'conditional':
      return [expression.condition, expression.then, expression.otherwise];
    case 'between':
      return [expression.value, expression.low, expression.high];
    case 'in':
      return [expression.value, ...expression.list];
    case 'like':
      return [expression.value, expression.pattern];
    case 'call':
      return expression.arguments;
    case 'array':
      return expression.items;
    case 'object':
      return expression.properties.map((property) => property.value);
  }
}
