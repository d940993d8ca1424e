import { generateKeyPairSync, sign } from 'node:crypto';

/**
 * A self-made certificate for the loopback names, good for HTTPS in development. Node makes keys and signatures but
 * no certificates, so the few DER structures of X.509 version 3 (RFC 5280) are written here.
 */
export interface Certificate {
  /** PEM; clients that are to trust the emulator take it as their CA. */
  readonly certificate: string;
  readonly key: string;
}

const element = (tag: number, content: Buffer): Buffer => {
  const { length } = content;
  if (length < 0x80) return Buffer.concat([Buffer.from([tag, length]), content]);
  const bytes = length < 0x100 ? [0x81, length] : [0x82, length >> 8, length & 0xff];
  return Buffer.concat([Buffer.from([tag, ...bytes]), content]);
};

const sequence = (...items: Buffer[]): Buffer => element(0x30, Buffer.concat(items));
const set = (...items: Buffer[]): Buffer => element(0x31, Buffer.concat(items));
const explicit = (number: number, content: Buffer): Buffer => element(0xa0 + number, content);
const octets = (content: Buffer): Buffer => element(0x04, content);
const bits = (content: Buffer): Buffer => element(0x03, Buffer.concat([Buffer.from([0]), content]));
const boolean = (value: boolean): Buffer => element(0x01, Buffer.from([value ? 0xff : 0]));
const integer = (bytes: Buffer): Buffer => element(0x02, bytes);
const text = (value: string): Buffer => element(0x0c, Buffer.from(value, 'utf8'));

function identifier(dotted: string): Buffer {
  const [first = 0, second = 0, ...rest] = dotted.split('.').map(Number);
  const bytes = rest.flatMap((part) => {
    const groups = [part & 0x7f];
    for (let left = part >> 7; left > 0; left >>= 7) groups.unshift((left & 0x7f) | 0x80);
    return groups;
  });
  return element(0x06, Buffer.from([first * 40 + second, ...bytes]));
}

/** Two-digit years serve until 2049. */
const time = (date: Date): Buffer =>
  element(
    0x17,
    Buffer.from(
      date
        .toISOString()
        .replace(/^..|[-:T]|\..*$/g, '')
        .concat('Z'),
    ),
  );

const extension = (oid: string, critical: boolean, value: Buffer): Buffer =>
  critical
    ? sequence(identifier(oid), boolean(true), octets(value))
    : sequence(identifier(oid), octets(value));

const ecdsaWithSha256 = sequence(identifier('1.2.840.10045.4.3.2'));
const yearMs = 365 * 24 * 3600 * 1000;

/**
 * @param subject its name; a client that trusts two certificates tells them apart by it
 * @param host a name that it is good for, beside those of this machine
 */
export function makeCertificate(
  now: number,
  random: (bytes: number) => Buffer,
  subject = 'Tidemark Cosmos DB emulator',
  host?: string,
): Certificate {
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const name = sequence(set(sequence(identifier('2.5.4.3'), text(subject))));
  const serial = random(16);
  serial[0] = ((serial[0] ?? 0) & 0x7f) | 0x01;
  const names = sequence(
    element(0x82, Buffer.from('localhost')),
    ...(host === undefined ? [] : [element(0x82, Buffer.from(host))]),
    element(0x87, Buffer.from([127, 0, 0, 1])),
    element(0x87, Buffer.from([...Array.from({ length: 15 }, () => 0), 1])),
  );
  const extensions = sequence(
    extension('2.5.29.19', true, sequence(boolean(true))),
    extension('2.5.29.17', false, names),
    extension('2.5.29.37', false, sequence(identifier('1.3.6.1.5.5.7.3.1'))),
  );
  const body = sequence(
    explicit(0, integer(Buffer.from([2]))),
    integer(serial),
    ecdsaWithSha256,
    name,
    // A day of slack for clocks that are behind.
    sequence(time(new Date(now - yearMs / 365)), time(new Date(now + yearMs))),
    name,
    publicKey.export({ type: 'spki', format: 'der' }),
    explicit(3, extensions),
  );
  const certificate = sequence(body, ecdsaWithSha256, bits(sign('sha256', body, privateKey)));
  return {
    certificate: pem(certificate),
    key: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
  };
}

function pem(der: Buffer): string {
  const lines = der.toString('base64').replace(/.{64}/g, '$&\n');
  return `-----BEGIN CERTIFICATE-----\n${lines.trimEnd()}\n-----END CERTIFICATE-----\n`;
}
