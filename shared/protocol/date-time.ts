const RFC3339 =
  /^\d{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12]\d|3[01])[Tt](?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d(?:\.\d{1,9})?(?:[Zz]|[+-]\d\d:\d\d)$/;

/**
 * RFC 3339 to milliseconds since the epoch; null where the text is no such date, 30 February included. Every change and
 * every stored document comes through here: it allocates nothing in the usual case.
 */
export function parseDateTime(text: string): number | null {
  if (!RFC3339.test(text) || !isInMonth(text)) return null;
  const time = Date.parse(text.toUpperCase());
  return Number.isNaN(time) ? null : time;
}

/** `Date.parse` takes 30 February for 2 March. */
function isInMonth(text: string): boolean {
  const day = Number(text.slice(8, 10));
  if (day <= 28) return true;
  const firstOfNext = Date.UTC(Number(text.slice(0, 4)), Number(text.slice(5, 7)), 1);
  return day <= new Date(firstOfNext - 86_400_000).getUTCDate();
}

/** Milliseconds since the epoch to the form that is stored and sent: UTC with milliseconds. */
export const formatDateTime = (milliseconds: number): string => new Date(milliseconds).toISOString();
