/**
 * MurmurHash3, the two variants Cosmos DB places partition keys with: 32 bit (definitions of version 1) and
 * 128 bit for 64-bit machines (version 2 and hierarchical keys). Seed 0, as in the SDKs.
 */
const mask64 = 0xffffffffffffffffn;
const rotate32 = (value: number, bits: number): number => (value << bits) | (value >>> (32 - bits));
const rotate64 = (value: bigint, bits: bigint): bigint =>
  ((value << bits) | (value >> (64n - bits))) & mask64;

export function murmur32(bytes: Uint8Array): number {
  const c1 = 0xcc9e2d51;
  const c2 = 0x1b873593;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const blocks = bytes.length - (bytes.length % 4);
  const mix = (block: number): number => Math.imul(rotate32(Math.imul(block, c1), 15), c2);
  let hash = 0;
  for (let at = 0; at < blocks; at += 4) {
    hash = rotate32(hash ^ mix(view.getUint32(at, true)), 13);
    hash = (Math.imul(hash, 5) + 0xe6546b64) | 0;
  }
  let tail = 0;
  for (let at = bytes.length - 1; at >= blocks; at--) tail = (tail << 8) | (bytes[at] ?? 0);
  if (blocks < bytes.length) hash ^= mix(tail);
  hash ^= bytes.length;
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}

function finish64(value: bigint): bigint {
  let hash = value ^ (value >> 33n);
  hash = (hash * 0xff51afd7ed558ccdn) & mask64;
  hash ^= hash >> 33n;
  hash = (hash * 0xc4ceb9fe1a85ec53n) & mask64;
  return hash ^ (hash >> 33n);
}

/** The two halves, high one first. */
export function murmur128(bytes: Uint8Array): [bigint, bigint] {
  const c1 = 0x87c37b91114253d5n;
  const c2 = 0x4cf5ad432745937fn;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const blocks = bytes.length - (bytes.length % 16);
  const mix1 = (block: bigint): bigint => (rotate64((block * c1) & mask64, 31n) * c2) & mask64;
  const mix2 = (block: bigint): bigint => (rotate64((block * c2) & mask64, 33n) * c1) & mask64;
  let first = 0n;
  let second = 0n;
  for (let at = 0; at < blocks; at += 16) {
    first = (rotate64(first ^ mix1(view.getBigUint64(at, true)), 27n) + second) & mask64;
    first = (first * 5n + 0x52dce729n) & mask64;
    second = (rotate64(second ^ mix2(view.getBigUint64(at + 8, true)), 31n) + first) & mask64;
    second = (second * 5n + 0x38495ab5n) & mask64;
  }
  let low = 0n;
  let high = 0n;
  for (let at = bytes.length - 1; at >= blocks; at--) {
    const byte = BigInt(bytes[at] ?? 0);
    if (at - blocks >= 8) high = (high << 8n) | byte;
    else low = (low << 8n) | byte;
  }
  second ^= mix2(high);
  first ^= mix1(low);
  const length = BigInt(bytes.length);
  first ^= length;
  second ^= length;
  first = (first + second) & mask64;
  second = (second + first) & mask64;
  first = finish64(first);
  second = finish64(second);
  first = (first + second) & mask64;
  second = (second + first) & mask64;
  return [first, second];
}
