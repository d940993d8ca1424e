import { equals, iterableEquality, subsetEquality } from '@jest/expect-utils';

/** Whether a matcher of Jest holds. */
const MATCHERS: Readonly<Record<string, (received: unknown, expected: unknown) => boolean>> = {
  toBe: Object.is,
  toBeNull: (received) => received === null,
  toBeGreaterThan: (received, expected) => (received as number) > (expected as number),
  toContain: (received, expected) => (received as string | unknown[]).includes(expected as string),
  toEqual: (received, expected) => equals(received, expected, [iterableEquality]),
  toHaveLength: (received, expected) => (received as unknown[]).length === expected,
  toMatchObject: (received, expected) => equals(received, expected, [iterableEquality, subsetEquality]),
  toThrow: (received, expected) =>
    received instanceof Error && (expected === undefined || received.message.includes(expected as string)),
};

type Check = (expected?: unknown) => unknown;
type Checks = Record<string, Check>;

const checksOf = (read: (check: (received: unknown) => void) => unknown, positive = true): Checks =>
  Object.fromEntries(
    Object.entries(MATCHERS).map(([name, holds]): [string, Check] => [
      name,
      (expected) =>
        read((received) => {
          if (holds(received, expected) === positive) return;
          const told = [received, expected].map((value) => JSON.stringify(value));
          throw new Error(`expected ${told[0]} ${positive ? '' : 'not '}${name} ${told[1]}`);
        }),
    ]),
  );

/** What the contract suites use of Jest's `expect`, which needs Node.js itself; its notion of equality does not. */
export const expect = (received: unknown) => ({
  ...checksOf((check) => check(received)),
  not: checksOf((check) => check(received), false),
  rejects: checksOf(async (check) => {
    const reason = await Promise.resolve(received).then(
      () => {
        throw new Error('expected a rejection');
      },
      (error: unknown) => error,
    );
    check(reason);
  }),
});
