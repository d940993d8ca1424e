import fc from 'fast-check';
import { createJsonGauge } from '../../shared/http/json-gauge.ts';

/** Objects, lists and properties in a value. */
function nodesOf(value: unknown): number {
  if (typeof value !== 'object' || value === null) return 0;
  const inside = Object.values(value).reduce<number>((sum, item) => sum + nodesOf(item), 1);
  return Array.isArray(value) ? inside : inside + Object.keys(value).length;
}

it('counts the objects, lists and properties of any JSON text, wherever it is cut in chunks', () => {
  fc.assert(
    fc.property(
      fc.json({
        maxDepth: 5,
        stringUnit: fc.constantFrom('"', '\\', '{', '[', ':', 'a', '\u20ac', '\u{1f30a}'),
      }),
      fc.array(fc.nat(40), { maxLength: 10 }),
      (text, sizes) => {
        const bytes = Buffer.from(text);
        const count = createJsonGauge();
        let at = 0;
        for (const size of sizes) count(bytes.subarray(at, (at += size)));
        expect(count(bytes.subarray(at))).toBe(nodesOf(JSON.parse(text)));
      },
    ),
    { numRuns: 500 },
  );
});
