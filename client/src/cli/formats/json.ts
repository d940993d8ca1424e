import { parseJson } from './json-text.ts';
import { FormatError, MAX_ROW, type RowParser, type SourceRow } from './source.ts';

/** One value in a line. */
export class NdjsonParser implements RowParser {
  #rest = '';
  #line = 1;

  push(text: string): SourceRow[] {
    const lines = (this.#rest + text).split('\n');
    this.#rest = lines.pop() ?? '';
    if (this.#rest.length > MAX_ROW)
      throw new FormatError(this.#line, 'The line is too long for a document.');
    return lines.flatMap((line) => this.#read(line));
  }

  end(): SourceRow[] {
    const last = this.#rest;
    this.#rest = '';
    return this.#read(last);
  }

  #read(text: string): SourceRow[] {
    const line = this.#line;
    this.#line += 1;
    return text.trim() === '' ? [] : [toRow(line, text)];
  }
}

const SPACE = /\s/;

/**
 * The elements of a JSON array, or values one after the other, without keeping more than one of them.
 *
 * ```
 *   first ──[──► value ──…──► after value ──,──► value
 *     └──{──► value of a sequence …        └──]──► over
 * ```
 */
export class JsonParser implements RowParser {
  #line = 1;
  #state: 'first' | 'value' | 'inside' | 'after' | 'over' = 'first';
  #isArray = false;
  /** Was the last thing a comma? Then a value has to follow. */
  #comma = false;
  #text = '';
  #startLine = 1;
  #depth = 0;
  #inString = false;
  #escaped = false;

  push(text: string): SourceRow[] {
    const rows: SourceRow[] = [];
    let from = 0;
    for (let index = 0; index < text.length; index += 1) {
      const character = text[index] ?? '';
      if (this.#state === 'inside') {
        const end = this.#isEnd(character);
        if (end !== null) {
          rows.push(toRow(this.#startLine, this.#text + text.slice(from, index + end)));
          this.#text = '';
          this.#state = this.#isArray ? 'after' : 'value';
          // Where the end belongs to what follows, it is looked at once more.
          if (end === 0) {
            index -= 1;
            continue;
          }
        }
      } else if (!SPACE.test(character)) {
        if (this.#begins(character)) {
          from = index;
          // A scalar of one character may end with the next.
          this.#isEnd(character);
        }
      }
      if (character === '\n') this.#line += 1;
    }
    if (this.#state === 'inside') {
      this.#text += text.slice(from);
      if (this.#text.length > MAX_ROW)
        throw new FormatError(this.#startLine, 'The value is too long for a document.');
    }
    return rows;
  }

  end(): SourceRow[] {
    if (this.#state === 'inside' && this.#depth === 0 && !this.#inString && !this.#isArray) {
      return [toRow(this.#startLine, this.#text)];
    }
    if (this.#state === 'inside')
      throw new FormatError(this.#startLine, 'The file ends inside of this value.');
    if (this.#isArray && this.#state !== 'over')
      throw new FormatError(this.#line, 'The file ends inside of its array.');
    return [];
  }

  /** Between values. @returns whether a value begins with this character */
  #begins(character: string): boolean {
    const misplaced = (): never => {
      throw new FormatError(this.#line, `\`${character}\` is not expected here.`);
    };
    if (this.#state === 'first' && character === '[') {
      this.#isArray = true;
      this.#state = 'value';
      return false;
    }
    if (this.#state === 'over') return misplaced();
    if (this.#isArray && character === ']') {
      if (this.#comma) misplaced();
      this.#state = 'over';
      return false;
    }
    if (this.#state === 'after') {
      if (character !== ',') misplaced();
      this.#comma = true;
      this.#state = 'value';
      return false;
    }
    if (character === ',' || character === ']' || character === '}') misplaced();
    this.#comma = false;
    this.#state = 'inside';
    this.#startLine = this.#line;
    this.#depth = 0;
    this.#inString = false;
    this.#escaped = false;
    return true;
  }

  /** @returns null: the value goes on; 1: it ends with this character; 0: before it */
  #isEnd(character: string): 0 | 1 | null {
    if (this.#inString) {
      if (this.#escaped) this.#escaped = false;
      else if (character === '\\') this.#escaped = true;
      else if (character === '"') {
        this.#inString = false;
        if (this.#depth === 0) return 1;
      }
      return null;
    }
    if (character === '"') this.#inString = true;
    else if (character === '{' || character === '[') this.#depth += 1;
    else if (character === '}' || character === ']') {
      if (this.#depth === 0) return 0;
      this.#depth -= 1;
      if (this.#depth === 0) return 1;
    } else if (this.#depth === 0 && (character === ',' || SPACE.test(character))) return 0;
    return null;
  }
}

function toRow(line: number, text: string): SourceRow {
  try {
    return { line, value: parseJson(text) };
  } catch (error) {
    return { line, problem: error instanceof Error ? error.message : String(error) };
  }
}
