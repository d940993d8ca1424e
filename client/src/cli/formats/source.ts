import { createReadStream } from 'node:fs';

/** One row of a file, with the line it begins in: what it holds, or why it cannot be read. */
export type SourceRow =
  { readonly line: number; readonly value: unknown } | { readonly line: number; readonly problem: string };

/** Reads a file piece by piece. */
export interface RowParser {
  push(text: string): SourceRow[];
  /** @throws FormatError where the file ends inside of something */
  end(): SourceRow[];
}

/** The file cannot be read on: what follows could be anything. */
export class FormatError extends Error {
  readonly line: number;

  constructor(line: number, message: string) {
    super(message);
    this.line = line;
  }
}

/** A row longer than this is a quote or bracket that was never closed. Characters. */
export const MAX_ROW = 8_000_000;

/**
 * The text of a file, without a byte order mark.
 *
 * @param encoding as the Encoding Standard names it
 * @throws FormatError where the bytes are not of that encoding: a wrong letter in a name is a loss, too
 */
export async function* readText(path: string, encoding: string, signal: AbortSignal): AsyncGenerator<string> {
  const decoder = new TextDecoder(encoding, { fatal: true });
  const decode = (bytes?: Uint8Array): string => {
    try {
      return bytes === undefined ? decoder.decode() : decoder.decode(bytes, { stream: true });
    } catch {
      throw new FormatError(
        line,
        `This is not ${encoding}. Say how the file is written, for example --encoding windows-1252.`,
      );
    }
  };
  let line = 1;
  for await (const bytes of createReadStream(path, { signal })) {
    const text = decode(bytes as Uint8Array);
    line += countLines(text);
    yield text;
  }
  yield decode();
}

export const countLines = (text: string): number => text.split('\n').length - 1;

/** The rows of a text that comes in pieces. */
export async function* readRows(text: AsyncIterable<string>, parser: RowParser): AsyncGenerator<SourceRow[]> {
  for await (const piece of text) yield parser.push(piece);
  yield parser.end();
}
