import { define } from './define.ts';
import type { BuiltIns } from './define.ts';

export const conditionalFunctions: BuiltIns = {
  /** Anything but true, of whatever type, takes the second branch. */
  IIF: define(3, 3, ([condition, then, otherwise]) => (condition === true ? then : otherwise)),
};
