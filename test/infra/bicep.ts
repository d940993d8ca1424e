/**
 * Reads what our Bicep files declare: resources and modules with their bodies. It knows what these files use of the
 * language and no more; bicep-check and the compiler know the rest.
 */
export type Value = string | number | boolean | null | Expression | Body | readonly Value[];

/** Anything that has to be computed, as it is written. */
export interface Expression {
  readonly expression: string;
}

export interface Body {
  readonly [name: string]: Value;
}

export interface Declaration {
  readonly kind: 'resource' | 'module';
  readonly symbol: string;
  /** `Microsoft.Storage/storageAccounts`, with its parents' types for a nested one; the file for a module. */
  readonly type: string;
  /** API version; that of the parent for a nested one. */
  readonly version: string;
  readonly isExisting: boolean;
  /** As it is written, or null. */
  readonly condition: string | null;
  readonly body: Body;
}

export function readBicep(source: string): Declaration[] {
  const text = withoutComments(source);
  const found: Declaration[] = [];
  const head = /^(resource|module) (\w+) '([^']+)' (existing )?= (if \((.*)\) )?/gm;
  for (let match = head.exec(text); match !== null; match = head.exec(text)) {
    const [, kind = '', symbol = '', name = '', existing, , condition = null] = match;
    const [type = '', version = ''] = kind === 'module' ? [name] : name.split('@');
    const reader = new Reader(text, match.index + match[0].length, type, version, found);
    const value = reader.value();
    // `[for each in list: { … }]`: the body of the loop says what there is.
    const body = (Array.isArray(value) ? (value as Value[])[0] : value) as Body;
    found.push({
      kind: kind as Declaration['kind'],
      symbol,
      type,
      version,
      isExisting: existing !== undefined,
      condition,
      body,
    });
  }
  return found;
}

const withoutComments = (source: string): string =>
  source
    .split('\n')
    .map((line) => (/^\s*\/\//.test(line) ? '' : line.replace(/ \/\/ .*$/, '')))
    .join('\n');

class Reader {
  #at: number;
  readonly #text: string;
  readonly #type: string;
  readonly #version: string;
  readonly #found: Declaration[];

  constructor(text: string, at: number, type: string, version: string, found: Declaration[]) {
    this.#text = text;
    this.#at = at;
    this.#type = type;
    this.#version = version;
    this.#found = found;
  }

  value(): Value {
    this.#skip(/[ \t]*/y);
    const next = this.#text[this.#at];
    if (next === '{') return this.#object();
    if (next === '[') return this.#array();
    return this.#expression();
  }

  #skip(pattern: RegExp): string {
    pattern.lastIndex = this.#at;
    const [text = ''] = pattern.exec(this.#text) ?? [];
    this.#at += text.length;
    return text;
  }

  #object(): Body {
    const body: Record<string, Value> = {};
    this.#at += 1;
    for (;;) {
      this.#skip(/[\s,]*/y);
      if (this.#skip(/\}/y) !== '') return body;
      const nested = this.#skip(/resource \w+ '[^']+' (existing )?= /y);
      if (nested !== '') {
        const [, symbol = '', name = '', existing] =
          /resource (\w+) '([^']+)' (existing )?/.exec(nested) ?? [];
        const type = `${this.#type}/${name}`;
        const at = this.#at;
        const reader = new Reader(this.#text, at, type, this.#version, this.#found);
        const child = reader.value() as Body;
        this.#at = reader.#at;
        this.#found.push({
          kind: 'resource',
          symbol,
          type,
          version: this.#version,
          isExisting: existing !== undefined,
          condition: null,
          body: child,
        });
        continue;
      }
      const spread = this.#skip(/\.\.\.\w+/y);
      if (spread !== '') {
        body[spread] = { expression: spread.slice(3) };
        continue;
      }
      const key = this.#skip(/'[^']*'|\w+/y);
      if (key === '' || this.#skip(/:/y) === '') throw this.#unread();
      body[key.replaceAll("'", '')] = this.value();
    }
  }

  #array(): Value[] {
    const items: Value[] = [];
    this.#at += 1;
    this.#skip(/\s*for [^\n]* in [^:\n]*:/y);
    for (;;) {
      this.#skip(/[\s,]*/y);
      if (this.#skip(/\]/y) !== '') return items;
      items.push(this.value());
    }
  }

  /** Up to the end of the line, a comma or a closing bracket that is not its own; `?` and `:` go on below. */
  #expression(): Value {
    const start = this.#at;
    let depth = 0;
    for (; this.#at < this.#text.length; this.#at += 1) {
      const char = this.#text[this.#at] ?? '';
      if (char === "'") {
        this.#skip(/'(\\.|[^'\\])*/y);
        continue;
      }
      if ('([{'.includes(char)) depth += 1;
      if (')]}'.includes(char)) {
        if (depth === 0) break;
        depth -= 1;
      }
      if (depth === 0 && (char === ',' || (char === '\n' && !/^\s*[?:] /.test(this.#text.slice(this.#at)))))
        break;
    }
    const text = this.#text.slice(start, this.#at).trim();
    if (text === '') throw this.#unread();
    const [, literal] = /^'((?:\\.|[^'\\$])*)'$/.exec(text) ?? [];
    if (literal !== undefined) return literal;
    if (/^-?\d+$/.test(text)) return Number(text);
    if (text === 'true' || text === 'false') return text === 'true';
    return text === 'null' ? null : { expression: text };
  }

  #unread(): Error {
    return new Error(`Cannot read: ${this.#text.slice(this.#at, this.#at + 60)}`);
  }
}
