import type { ChangeErrorCode } from '../protocol/index.ts';
import { changeError, type Prepared } from './prepare.ts';

/**
 * Checks what the changes of a transaction need to be taken in together: one scope, one after the other, all of them
 * with a number or none, and nothing wrong with any of them. Where that does not hold, all of them are refused.
 *
 * @param changes all changes of the request, in its order
 * @returns the same changes, with those of such a transaction refused
 */
export function checkTransactions(changes: readonly Prepared[]): Prepared[] {
  const groups = new Map<string, Prepared[]>();
  const last = new Map<string, string | null>();
  const split = new Set<string>();
  for (const change of changes) {
    const { transaction, scope, position } = change;
    const stream = `${scope} ${position === null ? 'unnumbered' : 'numbered'}`;
    if (transaction !== null) {
      const group = groups.get(transaction);
      if (group !== undefined && last.get(stream) !== transaction) split.add(transaction);
      groups.set(transaction, [...(group ?? []), change]);
    }
    last.set(stream, transaction);
  }

  const refused = new Map<Prepared, Prepared>();
  for (const [transaction, group] of groups) {
    const culprit = group.find(({ rejection }) => rejection !== null);
    const code: ChangeErrorCode | null = split.has(transaction)
      ? 'transaction_split'
      : culprit !== undefined
        ? 'transaction_rejected'
        : null;
    if (code === null) continue;
    const named = code === 'transaction_rejected' ? (culprit?.changeId ?? null) : null;
    const error = { ...changeError(code, '/transaction'), ...(named === null ? {} : { culprit: named }) };
    for (const change of group) {
      if (change.rejection !== null) continue;
      const { index, scope, changeId, position, address } = change;
      refused.set(change, { index, scope, changeId, position, transaction, address, rejection: error });
    }
  }
  return changes.map((change) => refused.get(change) ?? change);
}
