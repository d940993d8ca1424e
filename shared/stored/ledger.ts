import { isJsonObject } from '../conflict/json.ts';
import type { Outcome, StreamPosition } from '../protocol/sync.ts';
import { SYSTEM_PREFIX, type Item } from './document.ts';

/**
 * The ledger of one writer in one scope: the last change taken in, and what became of the last ones, a letter each,
 * to be read from the end. It is written in the same transactional batch as the documents it speaks of, so whether a
 * change was taken in is never a guess.
 */
export interface Ledger extends StreamPosition {
  readonly outcomes: string;
}

/** More outcomes than any request holds changes: older ones are never asked for. */
const MAX_LETTERS = 10_000;

/**
 * Ledgers belong to a user and a device, so nobody can speak for another's device. The hash keeps the id short and
 * free of characters that ids may not hold.
 *
 * @param userHash SHA-256 of the user id in UTF-8: Node and browsers compute it differently
 */
export function ledgerId(userHash: Uint8Array, deviceId: string): string {
  const name = btoa(String.fromCharCode(...userHash.subarray(0, 12)));
  return `${SYSTEM_PREFIX}ledger:${name.replaceAll('+', '-').replaceAll('/', '_')}.${deviceId}`;
}

/** @param outcomes a letter for each change, the last one of `position` */
export const newLedger = (
  id: string,
  scope: string,
  { seq, changeId }: StreamPosition,
  outcomes: string,
): Item & Ledger & { readonly ttl: number } => ({ id, scope, seq, changeId, outcomes, ttl: -1 });

const LETTERS: Record<Outcome, string> = {
  applied: 'a',
  merged: 'm',
  skipped: 's',
  rejected: 'r',
  failed: 'f',
};
const OUTCOME_OF = new Map(Object.entries(LETTERS).map(([outcome, letter]) => [letter, outcome as Outcome]));

/** The letters of a ledger after some more changes. */
export const appendOutcomes = (letters: string, outcomes: readonly Outcome[]): string =>
  (letters + outcomes.map((outcome) => LETTERS[outcome]).join('')).slice(-MAX_LETTERS);

/** The outcome written `fromEnd` places before the last letter; null where the ledger does not reach back so far. */
export const outcomeAt = (ledger: Ledger, fromEnd: number): Outcome | null =>
  OUTCOME_OF.get(ledger.outcomes.at(-1 - fromEnd) ?? '') ?? null;

export function parseLedger(item: unknown): Ledger | null {
  if (!isJsonObject(item)) return null;
  const { seq, changeId, outcomes } = item;
  if (typeof seq !== 'number' || typeof changeId !== 'string' || typeof outcomes !== 'string') return null;
  return { seq, changeId, outcomes };
}

/** Is a ledger, or a change, at this place? A change without a number is at none. */
export const samePosition = (
  a: Partial<StreamPosition> | null,
  b: Partial<StreamPosition> | null,
): boolean => (a === null || b === null ? a === b : a.seq === b.seq && a.changeId === b.changeId);
