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
