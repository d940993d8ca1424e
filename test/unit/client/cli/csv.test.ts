import {
  CsvParser,
  formatCsvRow,
  readPlain,
  type ColumnType,
} from '../../../../client/src/cli/formats/csv.ts';
import type { SourceRow } from '../../../../client/src/cli/formats/source.ts';

const parse = (text: string, options: { delimiter?: string; columns?: Record<string, ColumnType> } = {}) => {
  const { delimiter = ',', columns = {} } = options;
  const all = (chunks: readonly string[]): SourceRow[] => {
    const parser = new CsvParser({ delimiter, key: 'id', columns: new Map(Object.entries(columns)) });
    return [...chunks.flatMap((chunk) => parser.push(chunk)), ...parser.end()];
  };
  const rows = all([text]);
  // However the text is cut into pieces.
  expect(all(text.split(''))).toEqual(rows);
  return rows;
};
const values = (text: string, options?: Parameters<typeof parse>[1]) =>
  parse(text, options).map((row) => ('value' in row ? row.value : row.problem));

it.each([
  ['CRLF', 'id,a\r\n1,x\r\n2,y\r\n'],
  ['LF', 'id,a\n1,x\n2,y\n'],
  ['CR', 'id,a\r1,x\r2,y\r'],
  ['no end of the last line', 'id,a\n1,x\n2,y'],
  ['blank lines', '\n\nid,a\n\n1,x\n\r\n2,y\n\n'],
])('reads rows that end with %s', (_, text) => {
  expect(values(text)).toEqual([
    { id: '1', a: 'x' },
    { id: '2', a: 'y' },
  ]);
});

it('reads quotes, doubled quotes, delimiters and line ends within quotes, and keeps spaces', () => {
  expect(values('id,a,b\n1,"say ""hi"", ok","two\r\nlines"\n2, x ,""""\n')).toEqual([
    { id: '1', a: 'say "hi", ok', b: 'two\r\nlines' },
    { id: '2', a: ' x ', b: '"' },
  ]);
});

it('takes an empty cell for no member, and an empty cell in quotes for an empty text', () => {
  expect(values('id,a,b\n1,,""\n')).toEqual([{ id: '1', b: '' }]);
});

it('names the line in which a bad row begins, and reads on behind it', () => {
  expect(parse('id,a\n1,"x\ny"\n2,x,y\n3,x"y\n4,"x"y\r\n5,"\r\n"\r\n6\r\n7,ok')).toEqual([
    { line: 2, value: { id: '1', a: 'x\ny' } },
    { line: 4, problem: 'The row has 3 cells, and the header 2.' },
    { line: 5, problem: 'There is a quote in a cell that does not begin with one.' },
    { line: 6, problem: 'There is text behind a closing quote.' },
    { line: 7, value: { id: '5', a: '\r\n' } },
    { line: 9, problem: 'The row has 1 cells, and the header 2.' },
    { line: 10, value: { id: '7', a: 'ok' } },
  ]);
});

it.each([
  ['', 1, 'empty'],
  ['id,a,a\n', 1, 'Two columns are named `a`'],
  ['id,,b\n', 1, 'has no name'],
  ['name,b\n1,2\n', 1, '--key'],
  ['id,a\n1,x\n2,"never\nclosed\n', 3, 'never closed'],
])('refuses %j as a whole, with its line', (text, line, words) => {
  expect(() => parse(text)).toThrow(
    expect.objectContaining({ line, message: expect.stringContaining(words) }),
  );
});

it('reads values without a type only where nothing is lost', () => {
  for (const [text, value] of [
    ['5', 5],
    ['-0.25', -0.25],
    ['true', true],
    ['null', null],
    ['{"a":[1]}', { a: [1] }],
    ['"5"', '5'],
  ] as const) {
    expect(readPlain(text)).toEqual(value);
  }
  for (const text of [
    '007',
    '1.50',
    '+49 30',
    '1e5',
    '0x10',
    'True',
    'NaN',
    '-0',
    '12345678901234567890',
    '"quoted"',
    '"',
    '{a}',
    '[',
    ' 5',
  ]) {
    expect(readPlain(text)).toBe(text);
  }
});

it('gives columns the types that they are said to have, ids are text in any case', () => {
  const columns = { zip: 'text', size: 'number', done: 'boolean', tags: 'json' } as const;
  expect(values('id,zip,size,done,tags\n5,10115,1.50,TRUE,[1]\n6,,,,\n', { columns })).toEqual([
    { id: '5', zip: '10115', size: 1.5, done: true, tags: [1] },
    { id: '6' },
  ]);
  expect(
    values('id,size,done\n1,many,true\n2,9007199254740993,true\n3,1,maybe\n', {
      columns: { size: 'number', done: 'boolean' },
    }),
  ).toEqual([
    '`size`: "many" is not a number that can be kept.',
    '`size`: "9007199254740993" is not a number that can be kept.',
    '`done`: "maybe" is neither true nor false.',
  ]);
  expect(values('id,a,b\n1,5,5\n', { columns: { '*': 'text', b: 'auto' } })).toEqual([
    { id: '1', a: '5', b: 5 },
  ]);
  expect(() => parse('id\n', { columns: { nothing: 'text' } })).toThrow('--column');
});

it('reads another delimiter', () => {
  expect(values('id;a\n1;x,y\n', { delimiter: ';' })).toEqual([{ id: '1', a: 'x,y' }]);
  expect(formatCsvRow({ id: '1', a: 'x;y,z' }, ['id', 'a', 'b'], ';', 'id')).toBe('1;"x;y,z";\r\n');
});
