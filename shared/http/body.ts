import { createBrotliDecompress, createGunzip, createZstdDecompress } from 'node:zlib';
import { Readable } from 'node:stream';
import type { HttpRequest } from '@azure/functions';
import { RequestError } from '../errors.ts';

const DECODERS: Readonly<Record<string, () => NodeJS.ReadWriteStream>> = {
  gzip: createGunzip,
  br: createBrotliDecompress,
  zstd: createZstdDecompress,
};

/**
 * Reads a JSON body. Size is counted while reading, after decompression, so neither a large body nor a small one that
 * unpacks to a large one is ever held.
 *
 * @param maxBytes of the body, decompressed
 * @throws RequestError
 */
export async function readJson(request: HttpRequest, maxBytes: number): Promise<unknown> {
  const type = request.headers.get('content-type');
  if (type !== null && !/^application\/(?:[a-z0-9.+-]+\+)?json\s*(?:;|$)/i.test(type)) {
    throw new RequestError('unsupported_media_type');
  }
  const text = await readText(request, maxBytes);
  if (text.trim() === '') throw new RequestError('empty_body');
  try {
    return JSON.parse(text) as unknown;
  } catch (error) {
    throw new RequestError('invalid_json', { cause: error });
  }
}

async function readText(request: HttpRequest, maxBytes: number): Promise<string> {
  const encoding = (request.headers.get('content-encoding') ?? 'identity').trim().toLowerCase();
  const decoder = Object.hasOwn(DECODERS, encoding) ? DECODERS[encoding] : undefined;
  if (encoding !== 'identity' && decoder === undefined) {
    throw new RequestError('unsupported_encoding', {
      headers: { 'accept-encoding': Object.keys(DECODERS).join(', ') },
    });
  }
  if (request.body === null) return '';
  const source = Readable.from(request.body as AsyncIterable<Uint8Array>);
  const chunks: Buffer[] = [];
  let bytes = 0;
  try {
    for await (const chunk of decoder === undefined
      ? source
      : source.compose<NodeJS.ReadableStream>(decoder())) {
      bytes += (chunk as Buffer).length;
      if (bytes > maxBytes) {
        throw new RequestError('body_too_large', {
          detail: `The body may hold ${maxBytes} bytes, decompressed.`,
        });
      }
      chunks.push(chunk as Buffer);
    }
    return new TextDecoder('utf-8', { fatal: true }).decode(Buffer.concat(chunks));
  } catch (error) {
    if (error instanceof RequestError) throw error;
    // Not the encoding it claims to be, cut off, or not UTF-8.
    throw new RequestError('invalid_json', { cause: error });
  } finally {
    source.destroy();
  }
}
