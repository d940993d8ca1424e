import type { Transport } from './history.ts';
import type { Address } from '../../client/src/index.ts';
import type { JsonObject } from '../../shared/conflict/index.ts';
import type { Change, Outcome, SyncRequest, SyncResponse } from '../../shared/protocol/index.ts';

/**
 * What the checker knows and the product does not: which edit is whose, what its author had before the eyes, what
 * became of it. Every edit writes its own name into the field it sets, so an edit can be followed through every copy.
 */

/** One act of a user. */
export interface Edit {
  /** What it writes: `e7`. */
  readonly name: string;
  readonly key: string;
  /** True time, in milliseconds since the epoch. */
  readonly at: number;
  /** How often the clock of its machine had stepped. */
  readonly clockSteps: number;
  /** Changes that brought it into the store. */
  readonly takenBy: Set<string>;
  /** Was the client's store copied while the edit waited there? Then it waits twice. */
  copied: boolean;
  end: 'taken in' | 'rejected' | 'set aside' | 'gone with its store' | null;
}

/** Edits of one document that wait to be drawn into one change. */
export interface Draft {
  readonly edits: readonly Edit[];
  /** Names of edits that the author had before the eyes. */
  readonly seen: ReadonlySet<string>;
  /** Was there no document when the first of the edits was made? */
  readonly sawNothing: boolean;
  /** What the user sees after the last of them. */
  readonly content: JsonObject | null;
}

/** A change that was sent. */
export interface Drawn extends Draft {
  readonly change: Change;
  /** What the ledger says became of it. */
  outcome: Outcome | null;
}

/** A request in the network. */
export interface Message {
  readonly number: number;
  readonly device: number;
  readonly user: string;
  readonly request: SyncRequest;
  readonly transport: Transport;
  /** When it left, and how often the clock of its machine had stepped then. */
  readonly clockSteps: number;
  /** The answers that gateways gave, in their order. */
  readonly answers: SyncResponse[];
  /** Was a change refused because of its scope? No ledger tells of that. */
  forbidden: boolean;
}

export const keyOf = ({ scope, collection, documentId }: Address): string =>
  `${scope}/${collection}/${documentId}`;

/** Text that no gateway accepts: longer than a document may be. */
export const POISON = '!'.repeat(2_000);

const nameIn = (value: unknown): string[] =>
  typeof value === 'string' && /^e\d+!*$/.test(value) ? [value.replace(/!+$/, '')] : [];

/** The names of the edits whose writing a content holds. */
export const namesIn = (content: unknown): Set<string> =>
  new Set(typeof content === 'object' && content !== null ? Object.values(content).flatMap(nameIn) : []);

export const isPoison = (content: unknown): boolean =>
  typeof content === 'object' && content !== null && JSON.stringify(content).includes(POISON);

/** A change that was certainly not taken in waits again, with the edits made since. */
export const mergeDrafts = (first: Draft, second: Draft | undefined): Draft => ({
  edits: [...first.edits, ...(second?.edits ?? [])],
  seen: new Set([...first.seen, ...(second?.seen ?? [])]),
  sawNothing: first.sawNothing,
  content: second === undefined ? first.content : second.content,
});
