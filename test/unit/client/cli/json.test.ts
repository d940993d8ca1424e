import { JsonParser, NdjsonParser } from '../../../../client/src/cli/formats/json.ts';
import { readText, type RowParser, type SourceRow } from '../../../../client/src/cli/formats/source.ts';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const parseWith = (make: () => RowParser) => (text: string) => {
  const all = (chunks: readonly string[]): SourceRow[] => {
    const parser = make();
    return [...chunks.flatMap((chunk) => parser.push(chunk)), ...parser.end()];
  };
  const rows = all([text]);
  // However the text is cut into pieces.
  expect(all(text.split(''))).toEqual(rows);
  return rows;
};
const json = parseWith(() => new JsonParser());
const ndjson = parseWith(() => new NdjsonParser());

it('reads the elements of an array, with the line each begins in', () => {
  expect(json(' [\n{"a":"]}\\",[{"},\n\n {"b":[[],{}]}, 5 ,"x",\ntrue]\n')).toEqual([
    { line: 2, value: { a: ']}",[{' } },
    { line: 4, value: { b: [[], {}] } },
    { line: 4, value: 5 },
    { line: 4, value: 'x' },
    { line: 5, value: true },
  ]);
  expect(json('[]')).toEqual([]);
  expect(json('')).toEqual([]);
});

it('reads one object, or several one after the other', () => {
  expect(json('{"a":1}')).toEqual([{ line: 1, value: { a: 1 } }]);
  expect(json('{"a":\n1}{"a":2}\n 3')).toEqual([
    { line: 1, value: { a: 1 } },
    { line: 2, value: { a: 2 } },
    { line: 3, value: 3 },
  ]);
});

it('reports an element that is no JSON, and reads on behind it', () => {
  expect(json('[{"a":},\n{"b":1}]')).toEqual([
    { line: 1, problem: expect.stringContaining('no JSON') },
    { line: 2, value: { b: 1 } },
  ]);
});

it.each([
  ['[{"a":1}\n{"b":1}]', 2],
  ['[1,]', 1],
  ['[,1]', 1],
  ['[1] 2', 1],
  ['[1,\n2', 2],
  ['[\n{"a":"x', 2],
  ['}', 1],
])('refuses %j as a whole, with its line', (text, line) => {
  expect(() => json(text)).toThrow(expect.objectContaining({ line }));
});

it('reads a value in each line, however lines end', () => {
  expect(ndjson('{"a":1}\r\n\n{"a":2\n{"a":3}')).toEqual([
    { line: 1, value: { a: 1 } },
    { line: 3, problem: expect.stringContaining('no JSON') },
    { line: 4, value: { a: 3 } },
  ]);
});

it('refuses numbers that would become others', () => {
  expect(
    ndjson(
      '{"n":12345678901234567890}\n{"n":1e999}\n{"n":1e100,"m":9007199254740992,"s":"12345678901234567890"}',
    ),
  ).toEqual([
    { line: 1, problem: expect.stringContaining('12345678901234567890') },
    { line: 2, problem: expect.stringContaining('1e999') },
    { line: 3, value: { n: 1e100, m: 9007199254740992, s: '12345678901234567890' } },
  ]);
});

describe('the text of a file', () => {
  const folder = mkdtempSync(join(tmpdir(), 'tidemark-text-'));
  afterAll(() => rmSync(folder, { recursive: true, force: true }));
  const read = async (bytes: Buffer, encoding: string): Promise<string> => {
    const path = join(folder, 'file');
    writeFileSync(path, bytes);
    let text = '';
    for await (const piece of readText(path, encoding, new AbortController().signal)) text += piece;
    return text;
  };

  it('comes without a byte order mark, in the encoding that was said', async () => {
    expect(await read(Buffer.from('\ufeffid,ä'), 'utf-8')).toBe('id,ä');
    expect(await read(Buffer.from('\ufeffid,ä', 'utf16le'), 'utf-16le')).toBe('id,ä');
    expect(await read(Buffer.from([0x69, 0xe4, 0x80]), 'windows-1252')).toBe('iä€');
  });

  it('is refused where it is not of that encoding, with the way out', async () => {
    await expect(read(Buffer.from([0x69, 0xe4, 0x80]), 'utf-8')).rejects.toThrow('--encoding windows-1252');
    // A letter that is cut off at the end.
    await expect(read(Buffer.from('aä').subarray(0, 2), 'utf-8')).rejects.toThrow('--encoding');
  });
});
