import { MAX_DEPTH, inspectContent } from '../../../shared/sync/inspect.ts';

const nested = (levels: number): unknown => {
  let value: unknown = {};
  for (let level = 0; level < levels; level += 1) value = level % 2 === 0 ? [value] : { a: value };
  return value;
};

it.each([
  ['plain content', { a: [1, 'x', null, { b: true }] }, null],
  ['the deepest nesting allowed', nested(MAX_DEPTH), null],
  ['one level more', nested(MAX_DEPTH + 1), 'too_deep'],
  ['100,000 levels', nested(100_000), 'too_deep'],
  ['`__proto__`', JSON.parse('{"a":[{"__proto__":{"x":1}}]}'), 'forbidden_key'],
  ['`constructor`, which is a word like any other', { constructor: 'Ferrari' }, null],
  ['a number no float holds', JSON.parse('{"a":1e400}'), 'number_out_of_range'],
])('%s', (_, content, code) => {
  expect(inspectContent(content)?.code ?? null).toBe(code);
});

it('points at the fault, escaped as JSON Pointer asks', () => {
  expect(inspectContent(JSON.parse('{"a/b":[0,{"~":{"__proto__":1}}]}'))?.pointer).toBe(
    '/a~1b/1/~0/__proto__',
  );
});
