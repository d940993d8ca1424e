/** Who wrote: the user, the device, and the number the change drew there (null where the client counts none). */
export interface Writer {
  readonly userId: string;
  readonly deviceId: string;
  readonly seq: number | null;
}

/** A write's place in the order of last-write-wins. */
export interface Stamped {
  /** Milliseconds since the epoch: corrected for the client's clock, or the stamp of what is stored. */
  readonly time: number;
  readonly writer: Writer;
}

/** Device id of a document that a merge made: it is nobody's own words. Clients cannot take it. */
export const GATEWAY_DEVICE = 'gateway';

const compareText = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);

/**
 * The total order of writes: time, then user, device and number, so that two gateways that meet the same two writes
 * choose the same winner. Text is compared by code unit, never by locale.
 *
 * @returns negative when `a` comes before `b`, positive when after, 0 for one and the same write
 */
export const compareWrites = (a: Stamped, b: Stamped): number =>
  a.time - b.time ||
  compareText(a.writer.userId, b.writer.userId) ||
  compareText(a.writer.deviceId, b.writer.deviceId) ||
  (a.writer.seq ?? 0) - (b.writer.seq ?? 0);
