import fc from 'fast-check';
import {
  fieldRules,
  keepGuarded,
  mergeDocuments,
  mergePatchInto,
  sameJson,
  uniformRule,
  type FieldRule,
  type FieldSetting,
  type JsonObject,
} from '../../../shared/conflict/index.ts';

const rules = (settings: Record<string, FieldSetting>, fallback?: 'client' | 'server' | 'newest') =>
  fieldRules(settings, fallback);
const STORED_FIRST = uniformRule('stored');
const INCOMING_FIRST = uniformRule('client');

const merge = (
  base: JsonObject | null,
  stored: JsonObject,
  incoming: JsonObject,
  rule: FieldRule = STORED_FIRST,
  newer = false,
) => mergeDocuments(incoming, { stored, base, rule, newer });

const nobody = { stored: false, incoming: false };

describe('Three ways', () => {
  it('what one side changed is taken, what it removed is removed', () => {
    const { data, lost } = merge(
      { a: 1, b: 1, c: 1, d: 1 },
      { a: 2, b: 1, c: 1, x: 1 },
      { a: 1, b: 2, d: 1, y: 1 },
    );
    expect(data).toEqual({ a: 2, b: 2, x: 1, y: 1 });
    expect(lost).toEqual(nobody);
  });

  it('what both changed alike is no conflict', () => {
    expect(merge({ a: 1, b: 1 }, { a: 2 }, { a: 2 })).toEqual({ data: { a: 2 }, lost: nobody });
  });

  it.each([
    ['what is stored', STORED_FIRST, 2, { stored: false, incoming: true }],
    ['what comes in', INCOMING_FIRST, 3, { stored: true, incoming: false }],
  ] as const)('what both changed differently goes to %s, where that has priority', (_, rule, a, lost) => {
    expect(merge({ a: 1 }, { a: 2 }, { a: 3 }, rule)).toEqual({ data: { a }, lost });
  });

  it('a field that one side removed and the other changed goes to the side with priority', () => {
    expect(merge({ a: 1 }, {}, { a: 3 }).data).toEqual({});
    expect(merge({ a: 1 }, {}, { a: 3 }, INCOMING_FIRST).data).toEqual({ a: 3 });
    expect(merge({ a: 1 }, { a: 2 }, {}, INCOMING_FIRST).data).toEqual({});
  });

  it('objects are merged member by member, also where both made them', () => {
    const base = { deep: { a: 1, b: 1 } };
    expect(
      merge(base, { deep: { a: 2, b: 1 }, own: { x: 1 } }, { deep: { a: 1, b: 2 }, own: { y: 1 } }),
    ).toEqual({
      data: { deep: { a: 2, b: 2 }, own: { x: 1, y: 1 } },
      lost: nobody,
    });
  });

  it('null is a value, and absent is none', () => {
    expect(merge({ a: 1, b: null }, { a: 1, b: null }, { a: null }).data).toEqual({ a: null });
  });

  it('an array is one value', () => {
    expect(merge({ a: [1] }, { a: [1, 2] }, { a: [1, 3] })).toEqual({
      data: { a: [1, 2] },
      lost: { stored: false, incoming: true },
    });
  });
});

describe('Two ways', () => {
  it('what only one side has stays', () => {
    expect(merge(null, { a: 1, b: { x: 1 } }, { c: 1, b: { y: 1 } })).toEqual({
      data: { a: 1, b: { x: 1, y: 1 }, c: 1 },
      lost: nobody,
    });
  });

  it('what differs goes to the side with priority', () => {
    expect(merge(null, { a: 1 }, { a: 2 }).data).toEqual({ a: 1 });
    expect(merge(null, { a: 1 }, { a: 2 }, INCOMING_FIRST).data).toEqual({ a: 2 });
  });
});

describe('Owners of fields', () => {
  const owners = rules({
    '/note': { owner: 'client' },
    '/address': { owner: 'client' },
    '/address/checked': { owner: 'server' },
  });
  const base = { note: 0, size: 0, address: { street: 0, checked: 0 } };
  const stored = { note: 1, size: 1, address: { street: 1, checked: 1 } };
  const incoming = { note: 2, size: 2, address: { street: 2, checked: 2 } };

  it('decide where both sides changed a field, the nearest pointer above it first', () => {
    expect(merge(base, stored, incoming, owners, false)).toEqual({
      data: { note: 2, size: 1, address: { street: 2, checked: 1 } },
      lost: { stored: true, incoming: true },
    });
    expect(merge(base, stored, incoming, owners, true).data).toMatchObject({ size: 2 });
  });

  it("what is the server's is never taken from a client, and no conflict", () => {
    const all = rules({}, 'server');
    expect(merge({ a: 1 }, { a: 1 }, { a: 2, b: 2 }, all)).toEqual({ data: { a: 1 }, lost: nobody });
    expect(merge(null, { a: 1 }, { a: 2, b: 2 }, all)).toEqual({ data: { a: 1 }, lost: nobody });
  });

  it('except where a pointer below says otherwise', () => {
    const mostly = rules({ '/free': { owner: 'newest' } }, 'server');
    expect(merge({}, { a: 1 }, { b: 2, free: 3 }, mostly).data).toEqual({ a: 1, free: 3 });
  });
});

describe('Arrays as sets', () => {
  const tags = rules({ '/tags': { array: 'set' } });
  const lines = rules({ '/lines': { array: { key: 'id' } }, '/lines/*/price': { owner: 'client' } });

  it('of values: what either side added stays, what either side removed goes', () => {
    expect(
      merge({ tags: ['a', 'b', 'c'] }, { tags: ['b', 'c', 'x'] }, { tags: ['a', 'c', 'y'] }, tags),
    ).toEqual({
      data: { tags: ['c', 'x', 'y'] },
      lost: nobody,
    });
  });

  it('of objects by key: each is merged by itself', () => {
    const merged = merge(
      { lines: [{ id: 1, price: 1, n: 1 }, { id: 2 }] },
      { lines: [{ id: 1, price: 2, n: 2 }, { id: 2 }, { id: 3 }] },
      { lines: [{ id: 4 }, { id: 1, price: 3, n: 1 }] },
      lines,
    );
    expect(merged.data).toEqual({ lines: [{ id: 1, price: 3, n: 2 }, { id: 3 }, { id: 4 }] });
    expect(merged.lost).toEqual({ stored: true, incoming: false });
  });

  it.each([
    ['an element without the key', [{ id: 1 }, { n: 1 }]],
    ['two elements with one key', [{ id: 1 }, { id: 1, n: 1 }]],
    ['an element that is no object', [1, { id: 1 }]],
  ])('with %s are one value', (_, stored) => {
    expect(merge({ lines: [] }, { lines: stored }, { lines: [{ id: 9 }] }, lines).data).toEqual({
      lines: stored,
    });
  });

  it('tell 1 from "1", and know an object whatever the order of its members', () => {
    expect(merge(null, { tags: [1, { a: 1, b: 2 }] }, { tags: ['1', { b: 2, a: 1 }] }, tags).data).toEqual({
      tags: [1, { a: 1, b: 2 }, '1'],
    });
  });
});

describe('A patch', () => {
  const patch = (
    base: JsonObject | null,
    stored: JsonObject,
    wanted: JsonObject,
    rule: FieldRule = STORED_FIRST,
  ) => mergePatchInto(wanted, { stored, base, rule, newer: false });

  it('touches what it names, where the other side did not', () => {
    expect(patch({ a: 1, b: 1 }, { a: 1, b: 1, c: 2 }, { a: 5, b: null })).toEqual({
      data: { a: 5, c: 2 },
      lost: nobody,
    });
  });

  it('goes into objects, and makes them where there are none', () => {
    expect(patch({}, { o: { x: 1 }, s: 'text' }, { o: { y: 2 }, p: { q: { r: null, t: 1 } } }).data).toEqual({
      o: { x: 1, y: 2 },
      s: 'text',
      p: { q: { t: 1 } },
    });
  });

  it('loses a field that the other side changed too, where what is stored has priority', () => {
    expect(patch({ a: 1 }, { a: 2 }, { a: 3, n: 1 })).toEqual({
      data: { a: 2, n: 1 },
      lost: { stored: false, incoming: true },
    });
    expect(patch({ a: 1 }, { a: 2 }, { a: null }).data).toEqual({ a: 2 });
    expect(patch({ a: 1 }, { a: 2 }, { a: null }, INCOMING_FIRST).data).toEqual({});
  });

  it('of an array whose elements are known keeps what either side added and removed', () => {
    const rule = rules({ '/tags': { array: 'set' }, '/lines': { array: { key: 'id' } } });
    expect(patch({ tags: ['a', 'b'] }, { tags: ['a', 'b', 'c'] }, { tags: ['b', 'd'] }, rule)).toEqual({
      data: { tags: ['b', 'c', 'd'] },
      lost: nobody,
    });
    expect(patch({}, { tags: ['a'] }, { tags: ['b'] }, rule).data).toEqual({ tags: ['a', 'b'] });
    expect(
      patch(
        { lines: [{ id: 1, n: 1, m: 1 }] },
        { lines: [{ id: 1, n: 2, m: 1 }] },
        { lines: [{ id: 1, n: 1, m: 2 }, { id: 2 }] },
        rule,
      ),
    ).toEqual({ data: { lines: [{ id: 1, n: 2, m: 2 }, { id: 2 }] }, lost: nobody });
  });
});

describe('Fields of the server in what a client sends', () => {
  const guarded = rules({ '/status': { owner: 'server' }, '/o/by': { owner: 'server' } });

  it.each([
    ['a changed one stays', { status: 'x', a: 1 }, { status: 'ok' }, { status: 'ok', a: 1 }],
    ['a removed one stays', { a: 1 }, { status: 'ok' }, { a: 1, status: 'ok' }],
    ['a new one is dropped', { status: 'x' }, null, {}],
    [
      'one inside an object stays',
      { o: { a: 1, by: 'me' } },
      { o: { by: 'you', b: 1 } },
      { o: { a: 1, by: 'you' } },
    ],
    ['one inside a removed object stays', {}, { o: { by: 'you', b: 1 } }, { o: { by: 'you' } }],
    ['one inside what became a text stays', { o: 'text' }, { o: { by: 'you' } }, { o: { by: 'you' } }],
    ["a text where none is guarded is the client's", { o: 'text' }, { o: 7 }, { o: 'text' }],
  ] as const)('%s', (_, sent, stored, kept) => {
    expect(keepGuarded({ ...sent }, stored as JsonObject | null, guarded)).toEqual(kept);
  });
});

describe('Any merge', () => {
  const content = fc.dictionary(
    fc.constantFrom('a', 'b', 'c'),
    fc.oneof(
      fc.integer({ min: 0, max: 2 }),
      fc.dictionary(fc.constantFrom('x', 'y'), fc.integer({ min: 0, max: 1 })),
      fc.array(fc.integer({ min: 0, max: 2 }), { maxLength: 2 }),
    ),
  ) as fc.Arbitrary<JsonObject>;
  const rule = fc.constantFrom(
    STORED_FIRST,
    INCOMING_FIRST,
    rules({ '/a': { owner: 'client' }, '/b': { array: 'set' }, '/c/x': { owner: 'client' } }),
  );

  it('of one changed side is that side', () => {
    fc.assert(
      fc.property(content, content, rule, fc.boolean(), (base, edited, any, newer) => {
        expect(merge(base, base, edited, any, newer)).toEqual({ data: edited, lost: nobody });
        expect(merge(base, edited, base, any, newer)).toEqual({ data: edited, lost: nobody });
      }),
    );
  });

  it('repeated with what it made changes nothing', () => {
    fc.assert(
      fc.property(content, content, content, rule, (base, stored, incoming, any) => {
        const { data } = merge(base, stored, incoming, any);
        expect(merge(null, data, data, any)).toEqual({ data, lost: nobody });
      }),
    );
  });

  it('that loses nothing is the same from either side', () => {
    fc.assert(
      fc.property(content, content, content, (base, ours, theirs) => {
        const one = merge(base, ours, theirs);
        const other = merge(base, theirs, ours);
        if (one.lost.incoming || other.lost.incoming) return;
        expect(sameJson(one.data, other.data)).toBe(true);
      }),
    );
  });

  it('says that a side lost exactly where giving it priority would have made something else', () => {
    fc.assert(
      fc.property(content, content, content, (base, stored, incoming) => {
        const ours = merge(base, stored, incoming, STORED_FIRST);
        const theirs = merge(base, stored, incoming, INCOMING_FIRST);
        expect(ours.lost.incoming).toBe(!sameJson(ours.data, theirs.data));
        expect(theirs.lost.stored).toBe(ours.lost.incoming);
      }),
    );
  });

  it('of a patch that only changes is that of the document it makes', () => {
    fc.assert(
      fc.property(content, content, rule, (stored, edited, any) => {
        const changed = { ...stored, ...edited };
        const wanted = mergePatchInto(edited, { stored, base: null, rule: INCOMING_FIRST, newer: true }).data;
        const { data } = mergePatchInto(edited, { stored, base: stored, rule: any, newer: true });
        expect(data).toEqual(wanted);
        expect(Object.keys(data).sort()).toEqual(Object.keys(changed).sort());
      }),
    );
  });
});
