import { murmur128, murmur32 } from './murmur.ts';
import type { KeyValue, PartitionKeyDefinition } from './partition-key.ts';

/**
 * The effective partition key: where a partition key lies on the line from '' to 'FF' that physical partitions share
 * out. The SDKs compute the same text to route bulk operations, so it has to be theirs bit for bit.
 */
export function effectiveKey(values: readonly KeyValue[], definition: PartitionKeyDefinition): string {
  if (definition.kind === 'MultiHash') return values.map((value) => version2([value])).join('');
  return definition.version === 2 ? version2(values) : version1(values[0]);
}

const prefixes = { none: 0x00, null: 0x01, false: 0x02, true: 0x03, number: 0x05, string: 0x08 } as const;

function scalarPrefix(value: Exclude<KeyValue, string | number> | undefined): number {
  if (value === null) return prefixes.null;
  if (typeof value === 'boolean') return value ? prefixes.true : prefixes.false;
  return prefixes.none;
}

function bytesToHash(value: KeyValue | undefined, stringEnd: number): Buffer {
  if (typeof value === 'string')
    return Buffer.concat([
      Buffer.from([prefixes.string]),
      Buffer.from(value, 'utf8'),
      Buffer.from([stringEnd]),
    ]);
  if (typeof value === 'number') {
    const bytes = Buffer.alloc(9);
    bytes[0] = prefixes.number;
    bytes.writeDoubleLE(value, 1);
    return bytes;
  }
  return Buffer.from([scalarPrefix(value)]);
}

function version2(values: readonly KeyValue[]): string {
  const [first, second] = murmur128(Buffer.concat(values.map((value) => bytesToHash(value, 0xff))));
  const bytes = Buffer.alloc(16);
  // The second half goes first, and the two top bits are cleared to leave room above.
  bytes.writeBigUInt64BE(second, 0);
  bytes.writeBigUInt64BE(first, 8);
  bytes[0] = (bytes[0] ?? 0) & 0x3f;
  return bytes.toString('hex').toUpperCase();
}

/** Only the first hundred characters of a string take part in version 1. */
const version1Characters = 100;

function version1(value: KeyValue | undefined): string {
  const cut = typeof value === 'string' ? value.slice(0, version1Characters) : value;
  const hash = murmur32(bytesToHash(cut, 0x00));
  return Buffer.concat([orderedNumber(hash), orderedValue(cut)])
    .toString('hex')
    .toUpperCase();
}

function orderedValue(value: KeyValue | undefined): Buffer {
  if (typeof value === 'number') return orderedNumber(value);
  if (typeof value === 'string') return orderedString(value);
  return Buffer.from([scalarPrefix(value)]);
}

/** Numbers so that their bytes sort as they do: eight bits, then seven at a time with a continuation bit. */
function orderedNumber(value: number): Buffer {
  const view = new DataView(new ArrayBuffer(8));
  view.setFloat64(0, value);
  const raw = view.getBigUint64(0);
  const top = 0x8000000000000000n;
  const mask = 0xffffffffffffffffn;
  let payload = raw < top ? raw ^ top : (~raw + 1n) & mask;
  const bytes: number[] = [prefixes.number, Number(payload >> 56n)];
  payload = (payload << 8n) & mask;
  let pending = 0;
  let first = true;
  do {
    if (!first) bytes.push(pending);
    first = false;
    pending = Number((payload >> 56n) | 1n);
    payload = (payload << 7n) & mask;
  } while (payload !== 0n);
  const last = pending & 0xfe;
  if (last !== 0) bytes.push(last);
  return Buffer.from(bytes);
}

function orderedString(value: string): Buffer {
  const bytes = Buffer.from(value, 'utf8');
  const short = value.length <= version1Characters;
  const kept = short ? bytes : bytes.subarray(0, version1Characters + 1);
  const shifted = Buffer.from(kept.map((byte) => (byte < 0xff ? byte + 1 : byte)));
  return Buffer.concat([Buffer.from([prefixes.string]), shifted, short ? Buffer.from([0]) : Buffer.alloc(0)]);
}
