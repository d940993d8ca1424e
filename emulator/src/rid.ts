/**
 * Resource ids as Cosmos DB builds them: bytes in base64 with '-' for '/'. A database has 4 bytes, a container
 * 8 (the database's, then its own with the top bit set), a user 8, what is in a container or a user 16. The SDK's
 * session store checks that a container's id decodes to 8 bytes.
 */
const encode = (bytes: Buffer): string => bytes.toString('base64').replaceAll('/', '-');
const decode = (rid: string): Buffer => Buffer.from(rid.replaceAll('-', '/'), 'base64');

export function databaseRid(random: (bytes: number) => Buffer): string {
  return encode(random(4));
}

export function containerRid(database: string, random: (bytes: number) => Buffer): string {
  const own = random(4);
  own[0] = (own[0] ?? 0) | 0x80;
  return encode(Buffer.concat([decode(database), own]));
}

export function userRid(database: string, random: (bytes: number) => Buffer): string {
  const own = random(4);
  own[0] = (own[0] ?? 0) & 0x7f;
  return encode(Buffer.concat([decode(database), own]));
}

export function offerRid(random: (bytes: number) => Buffer): string {
  return encode(random(3));
}

/** Children carry a counter, least significant byte first; the top half-byte tells what they are. */
const kinds = { document: 0x00, permission: 0x00, range: 0x50 } as const;

export function childRid(parent: string, kind: keyof typeof kinds, number: number): string {
  const own = Buffer.alloc(8);
  own.writeUIntLE(number, 0, 6);
  own[7] = kinds[kind];
  return encode(Buffer.concat([decode(parent), own]));
}

/** The counter inside a child's id, or undefined where the text is no such id. */
export function childNumber(rid: string): number | undefined {
  const bytes = decode(rid);
  return bytes.length === 16 ? bytes.readUIntLE(8, 6) : undefined;
}
