import type { PartitionKeyDefinition } from '../partition/partition-key.ts';
import type { RangeRow } from '../storage/store.ts';

/**
 * Physical partitions share out the line from '' to 'FF'. Hashes of version 2 have their two top bits cleared, those
 * of version 1 begin with the marker of a number (05C1) and the bits of a 32-bit hash: the cuts are made where keys
 * really fall, so that each partition gets its part.
 */
export function firstRanges(count: number, key: PartitionKeyDefinition): RangeRow[] {
  const cut = (index: number): string => {
    if (index === 0) return '';
    if (index === count) return 'FF';
    return key.version === 2 ? cutVersion2(index / count) : cutVersion1(index / count);
  };
  return Array.from({ length: count }, (_, index) => ({
    id: String(index),
    min: cut(index),
    max: cut(index + 1),
    lsn: 0,
    parents: [],
  }));
}

const hex = (value: bigint, digits: number): string => value.toString(16).toUpperCase().padStart(digits, '0');

function cutVersion2(part: number): string {
  const top = Math.floor(part * 0x40000000);
  return hex(BigInt(top), 8).padEnd(32, '0');
}

/** The first bytes of the order-preserving form of a 32-bit number: sign and exponent, then the mantissa. */
function cutVersion1(part: number): string {
  const view = new DataView(new ArrayBuffer(8));
  view.setFloat64(0, part * 0x100000000);
  const raw = view.getBigUint64(0) ^ 0x8000000000000000n;
  return `05${hex(raw >> 56n, 2)}${hex((((raw >> 49n) & 0x7fn) << 1n) | 1n, 2)}`;
}

/** The middle between two places on the line. */
function middle(min: string, max: string, key: PartitionKeyDefinition): string {
  const digits = 16;
  const low = key.version === 2 ? '' : '05C1';
  const high = key.version === 2 ? '40' : '05C2';
  const number = (text: string): bigint => BigInt(`0x${text.slice(0, digits).padEnd(digits, '0')}`);
  const from = number(min < low ? low : min);
  const to = number(max > high ? high : max);
  return hex((from + to) / 2n, digits);
}

/** Children start where their parent stands: whatever was read of it stays read. */
export function splitInTwo(parent: RangeRow, firstId: number, key: PartitionKeyDefinition): RangeRow[] {
  const cut = middle(parent.min, parent.max, key);
  const parents = [...parent.parents, parent.id];
  const { min, max, lsn } = parent;
  return [
    { id: String(firstId), min, max: cut, lsn, parents },
    { id: String(firstId + 1), min: cut, max, lsn, parents },
  ];
}
