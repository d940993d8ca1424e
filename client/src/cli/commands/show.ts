import type { Address } from '../../core/row-store.ts';
import { usage } from '../exit-codes.ts';
import type { Typed } from '../options.ts';
import { duration } from '../terminal.ts';

/** `items/42`, with the scope where it is a shared one. */
export const nameOf = ({ scope, collection, documentId }: Address): string =>
  `${collection}/${documentId}${scope.startsWith('user:') ? '' : ` (${scope})`}`;

/** A document on one line. */
export const oneLine = (content: unknown): string => (content === null ? 'deleted' : JSON.stringify(content));

/** `3 min ago`; times are of this machine's clock. */
export function ago(time: string | null, now: number): string {
  if (time === null) return 'never';
  return `${duration(Math.max(0, now - Date.parse(time)))} ago`;
}

/** `--limit`, 100 unless given. */
export function limitOf(typed: Typed): number {
  const text = typed.text('limit') ?? '100';
  if (!/^[1-9]\d{0,6}$/.test(text)) throw usage(`--limit takes a whole number, not "${text}".`);
  return Number(text);
}
