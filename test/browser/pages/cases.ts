/** A test by its full name. */
export interface Case {
  readonly name: string;
  readonly run: () => Promise<void>;
}

type Body = () => void | Promise<void>;
type Globals = Record<string, unknown>;

/**
 * Takes the tests of a suite that was written for Jest, without Jest: `describe`, `describe.each`, `it`, `afterEach`. So the
 * same suite runs in a page, and the test runner outside of it knows its tests by name.
 */
export function collect(suite: () => void): Case[] {
  const cases: Case[] = [];
  let path: string[] = [];
  let after: Body[] = [];
  const describe = (name: string, define: () => void): void => {
    const [outerPath, outerAfter] = [path, after];
    [path, after] = [[...path, name], [...after]];
    define();
    [path, after] = [outerPath, outerAfter];
  };
  const own: Globals = {
    describe: Object.assign(describe, {
      each: (rows: readonly (readonly string[])[]) => (name: string, define: (...row: string[]) => void) => {
        for (const row of rows) {
          const words = [...row];
          describe(
            name.replace(/%s/g, () => words.shift() ?? ''),
            () => define(...row),
          );
        }
      },
    }),
    it: (name: string, body: Body) => {
      const ending = after;
      cases.push({
        name: [...path, name].join(' '),
        run: async () => {
          try {
            await body();
          } finally {
            for (const end of ending) await end();
          }
        },
      });
    },
    afterEach: (body: Body) => after.push(body),
  };
  const globals = globalThis as unknown as Globals;
  const before = Object.fromEntries(Object.keys(own).map((name) => [name, globals[name]]));
  Object.assign(globals, own);
  try {
    suite();
  } finally {
    Object.assign(globals, before);
  }
  return cases;
}
