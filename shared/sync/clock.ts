const RFC3339 = /^(\d{4})-(\d\d)-(\d\d)[Tt](\d\d):(\d\d):(\d\d)(\.\d{1,9})?([Zz]|[+-]\d\d:\d\d)$/;

/** RFC 3339 to milliseconds since the epoch; null where the text is no such date, 30 February included. */
export function parseDateTime(text: string): number | null {
  const match = RFC3339.exec(text);
  if (match === null) return null;
  const [, year, month, day, hour, minute, second] = match.map(Number) as [number, ...number[]];
  const calendar = new Date(Date.UTC(year ?? 0, (month ?? 0) - 1, day));
  if (
    calendar.getUTCMonth() !== (month ?? 0) - 1 ||
    (hour ?? 24) > 23 ||
    (minute ?? 60) > 59 ||
    (second ?? 60) > 59
  ) {
    return null;
  }
  const time = Date.parse(text.toUpperCase());
  return Number.isNaN(time) ? null : time;
}

/** Milliseconds since the epoch to the form that is stored and sent: UTC with milliseconds. */
export const formatDateTime = (milliseconds: number): string => new Date(milliseconds).toISOString();

/**
 * Bounds the time of a change. The difference of the two clocks is taken out where the client told its own time, so a
 * constant error cancels; then nobody writes in the future, nor before 1970.
 *
 * @param lastModified when the user made the edit, by the client's clock, in ms
 * @param clientTime the client's clock when it sent the request, in ms; null where it did not say
 * @param now the gateway's clock, in ms
 */
export const correctTime = (lastModified: number, clientTime: number | null, now: number): number =>
  Math.max(0, Math.min(lastModified + (clientTime === null ? 0 : now - clientTime), now));
