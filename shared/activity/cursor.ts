/**
 * Where a list goes on. Records are listed from the newest to the oldest; those of one millisecond have no order, so a
 * cursor names the ones of its millisecond that were listed already. It goes on correctly while records are added: new
 * ones come before it.
 */
export interface Cursor {
  /** The `at` of the last record that was listed. */
  readonly at: string;
  /** Ids of the records with that very `at` that were listed. */
  readonly seen: readonly string[];
}

/** More records of one millisecond than a log can have that anyone reads. */
const MAX_SEEN = 1000;

export const formatCursor = ({ at, seen }: Cursor): string =>
  Buffer.from(JSON.stringify([at, ...seen])).toString('base64url');

/** Null for a text that `formatCursor` did not write. */
export function parseCursor(text: string): Cursor | null {
  let content: unknown;
  try {
    content = JSON.parse(Buffer.from(text, 'base64url').toString('utf8'));
  } catch {
    return null;
  }
  if (!Array.isArray(content) || content.length < 2 || content.length > MAX_SEEN + 1) return null;
  const [at, ...seen] = content as unknown[];
  if (typeof at !== 'string' || !seen.every((id) => typeof id === 'string')) return null;
  return { at, seen };
}

/**
 * The cursor behind a page.
 *
 * @param previous the cursor that the page was asked with
 * @param page what was listed, newest first; not empty
 */
export function nextCursor(
  previous: Cursor | null,
  page: readonly { readonly id: string; readonly at: string }[],
): Cursor | null {
  const last = page.at(-1);
  if (last === undefined) return previous;
  const before = previous?.at === last.at ? previous.seen : [];
  return { at: last.at, seen: [...before, ...page.filter(({ at }) => at === last.at).map(({ id }) => id)] };
}
