import { arrayFunctions } from './arrays.ts';
import { conditionalFunctions } from './conditional.ts';
import { dateFunctions } from './dates.ts';
import type { BuiltIn } from './define.ts';
import { itemFunctions } from './items.ts';
import { mathFunctions } from './math.ts';
import { stringFunctions } from './strings.ts';
import { typeFunctions } from './types.ts';

const all = new Map<string, BuiltIn>(
  [
    arrayFunctions,
    conditionalFunctions,
    dateFunctions,
    itemFunctions,
    mathFunctions,
    stringFunctions,
    typeFunctions,
  ].flatMap((functions) => Object.entries(functions)),
);

/** Functions of the service that this engine knows of and does not have. */
const UNSUPPORTED = /^(ST_\w+|VECTORDISTANCE|FULLTEXT\w+|RRF|FIRST|LAST|ALL|UNIX\w+)$/;

/** A built-in function by name, in any case. */
export const builtIn = (name: string): BuiltIn | undefined => all.get(name.toUpperCase());

export const isUnsupported = (name: string): boolean => UNSUPPORTED.test(name.toUpperCase());
