import { connect } from 'node:net';
import { brotliDecompressSync, gunzipSync, zstdDecompressSync } from 'node:zlib';

/** A request byte by byte, also one that no HTTP client would send. */
export interface RawRequest {
  readonly method: string;
  readonly target: string;
  readonly headers: readonly (readonly [string, string])[];
  /** Null: none, and no Content-Length. */
  readonly body: Uint8Array | null;
  /** Instead of the length of the body. Null: no Content-Length. */
  readonly contentLength?: string | null;
}

export interface RawAnswer {
  readonly status: number;
  readonly headers: Headers;
  /** Unpacked. */
  readonly text: string;
}

const DECODERS: Readonly<Record<string, (content: Buffer) => Buffer>> = {
  gzip: gunzipSync,
  br: brotliDecompressSync,
  zstd: zstdDecompressSync,
};

/** Bytes of a request. Header texts are Latin-1, as on the wire. */
export function toBytes({ method, target, headers, body, contentLength }: RawRequest): Buffer {
  const length = contentLength === undefined ? body && String(body.length) : contentLength;
  const lines = [
    `${method} ${target} HTTP/1.1`,
    ...headers.map(([name, value]) => `${name}: ${value}`),
    ...(length === null ? [] : [`Content-Length: ${length}`]),
    'Connection: close',
    '',
    '',
  ];
  return Buffer.concat([Buffer.from(lines.join('\r\n'), 'latin1'), body ?? Buffer.alloc(0)]);
}

/**
 * Sends bytes on a connection of their own and reads until the other side closes.
 *
 * @returns null where it closes without an answer, or has not after so many milliseconds
 */
export async function sendRaw(
  api: string,
  bytes: Uint8Array,
  milliseconds: number,
): Promise<RawAnswer | null> {
  const { hostname, port } = new URL(api);
  const socket = connect({ host: hostname, port: Number(port), allowHalfOpen: true });
  const chunks: Buffer[] = [];
  socket.on('data', (chunk: Buffer) => chunks.push(chunk));
  // The other side may close while it is still being written to.
  socket.on('error', () => undefined);
  const closed = new Promise((resolve) => socket.once('close', resolve));
  const timer = setTimeout(() => socket.destroy(), milliseconds);
  // The writing half stays open: to Node's server a client that has ended is one that has left.
  socket.write(bytes);
  socket.on('end', () => socket.destroy());
  await closed;
  clearTimeout(timer);
  return parse(Buffer.concat(chunks));
}

function parse(bytes: Buffer): RawAnswer | null {
  const end = bytes.indexOf('\r\n\r\n');
  if (end === -1) return null;
  const [first = '', ...lines] = bytes.subarray(0, end).toString('latin1').split('\r\n');
  const status = Number(/^HTTP\/1\.1 (\d{3}) /.exec(first)?.[1]);
  if (Number.isNaN(status)) throw new Error(`This is no answer: ${first}`);
  // 100 Continue: the answer comes behind it.
  if (status === 100) return parse(bytes.subarray(end + 4));
  const headers = new Headers(
    lines.map((line): [string, string] => {
      const colon = line.indexOf(':');
      return [line.slice(0, colon), line.slice(colon + 1).trim()];
    }),
  );
  const rest = bytes.subarray(end + 4);
  const content = headers.get('transfer-encoding') === 'chunked' ? joinChunks(rest) : rest;
  const decode = DECODERS[headers.get('content-encoding') ?? ''] ?? ((plain: Buffer) => plain);
  return { status, headers, text: content.length === 0 ? '' : decode(content).toString() };
}

function joinChunks(bytes: Buffer): Buffer {
  const end = bytes.indexOf('\r\n');
  const size = Number.parseInt(bytes.subarray(0, end).toString('latin1'), 16);
  if (!(size > 0)) return Buffer.alloc(0);
  const first = bytes.subarray(end + 2, end + 2 + size);
  return Buffer.concat([first, joinChunks(bytes.subarray(end + 2 + size + 2))]);
}
