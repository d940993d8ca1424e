import fc from 'fast-check';
import { CsvParser, formatCsvHeader, formatCsvRow } from '../../client/src/cli/formats/csv.ts';
import { JsonParser, NdjsonParser } from '../../client/src/cli/formats/json.ts';
import type { RowParser } from '../../client/src/cli/formats/source.ts';

/** Texts that look like something else, among others. */
const text = fc.oneof(
  fc.string({ unit: 'binary' }),
  fc.string(),
  fc.constantFrom(
    '',
    '5',
    '-0',
    '007',
    'true',
    'null',
    '"',
    '""',
    '"5"',
    '"\\"5\\""',
    '{}',
    '[1',
    '\r\n',
    ' ',
    ',',
    ';',
    '1e400',
    '\ud800',
  ),
  fc.json(),
  fc.double().map(String),
);
const value = fc.oneof(
  text,
  fc.jsonValue(),
  fc.double({ noNaN: true, noDefaultInfinity: true }),
  fc.maxSafeInteger(),
);
/** As JSON keeps it: there is no -0. */
const plain = <T>(given: T): T => JSON.parse(JSON.stringify(given)) as T;
const documents = fc.array(
  fc
    .tuple(
      fc.string({ minLength: 1 }),
      fc.dictionary(
        fc.string({ minLength: 1, unit: 'grapheme' }).filter((name) => name !== '__proto__'),
        value,
        { maxKeys: 6 },
      ),
    )
    .map(([id, members]) => plain({ ...members, id })),
  { maxLength: 8 },
);

/** Reads a text that is cut into pieces somewhere. */
function readBack(parser: RowParser, whole: string, cuts: readonly number[]): unknown[] {
  const places = [0, ...cuts.map((cut) => cut % (whole.length + 1)).sort((a, b) => a - b), whole.length];
  const rows = places.slice(1).flatMap((end, index) => parser.push(whole.slice(places[index], end)));
  return [...rows, ...parser.end()].map((row) => ('value' in row ? row.value : row));
}

const cuts = fc.array(fc.nat(), { maxLength: 4 });
const runs = { numRuns: 500 };

it('CSV gives back the documents that were written to it, whatever they hold', () => {
  fc.assert(
    fc.property(documents, cuts, fc.constantFrom(',', ';', '\t'), (given, places, delimiter) => {
      const columns = [...new Set(['id', ...given.flatMap((document) => Object.keys(document))])];
      const whole =
        formatCsvHeader(columns, delimiter) +
        given.map((document) => formatCsvRow(document, columns, delimiter, 'id')).join('');
      const parser = new CsvParser({ delimiter, key: 'id', columns: new Map() });
      expect(readBack(parser, whole, places)).toEqual(given);
    }),
    runs,
  );
});

it.each([
  [
    'NDJSON',
    () => new NdjsonParser(),
    (given: object[]) => given.map((each) => `${JSON.stringify(each)}\n`).join(''),
  ],
  ['A JSON array', () => new JsonParser(), (given: object[]) => JSON.stringify(given)],
  [
    'A JSON array over many lines',
    () => new JsonParser(),
    (given: object[]) => JSON.stringify(given, null, 2),
  ],
])('%s gives back the documents that were written to it', (_, make, write) => {
  fc.assert(
    fc.property(documents, cuts, (given, places) => {
      expect(readBack(make(), write(given), places)).toEqual(given);
    }),
    runs,
  );
});
