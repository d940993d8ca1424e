import { createHash } from 'node:crypto';
import { isJsonObject } from '../conflict/index.ts';
import type { Outcome, StreamPosition } from '../protocol/index.ts';
import { SYSTEM_PREFIX } from './stored.ts';

/**
 * The ledger of one writer in one scope: the last change taken in, and what became of the last ones, a letter each,
 * to be read from the end. It is written in the same transactional batch as the documents it speaks of, so whether a
 * change was taken in is never a guess.
 */
export interface Ledger extends StreamPosition {
  readonly outcomes: string;
}

/**
 * Ledgers belong to a user and a device, so nobody can speak for another's device. The hash keeps the id short and
 * free of characters that ids may not hold.
 */
export const ledgerId = (userId: string, deviceId: string): string =>
  `${SYSTEM_PREFIX}ledger:${createHash('sha256').update(userId).digest('base64url').slice(0, 16)}.${deviceId}`;

const LETTERS: Record<Outcome, string> = {
  applied: 'a',
  merged: 'm',
  skipped: 's',
  rejected: 'r',
  failed: 'f',
};
const OUTCOME_OF = new Map(Object.entries(LETTERS).map(([outcome, letter]) => [letter, outcome as Outcome]));

export const letter = (outcome: Outcome): string => LETTERS[outcome];

/** The outcome written `fromEnd` places before the last letter; null where the ledger does not reach back so far. */
export const outcomeAt = (ledger: Ledger, fromEnd: number): Outcome | null =>
  OUTCOME_OF.get(ledger.outcomes.at(-1 - fromEnd) ?? '') ?? null;

export function parseLedger(item: unknown): Ledger | null {
  if (!isJsonObject(item)) return null;
  const { seq, changeId, outcomes } = item;
  if (typeof seq !== 'number' || typeof changeId !== 'string' || typeof outcomes !== 'string') return null;
  return { seq, changeId, outcomes };
}

export const samePosition = (a: StreamPosition | null, b: StreamPosition | null): boolean =>
  a === null || b === null ? a === b : a.seq === b.seq && a.changeId === b.changeId;
