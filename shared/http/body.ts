import { constants, createBrotliDecompress, createGunzip, createZstdDecompress } from 'node:zlib';
import { pipeline, Readable } from 'node:stream';
import type { HttpRequest } from '@azure/functions';
import { RequestError } from '../errors.ts';
import { createJsonGauge } from './json-gauge.ts';

/** zstd: RFC 9659 bounds the window to 8 MB; without a bound a body of a few bytes takes 128 MB of memory. */
const DECODERS: Readonly<Record<string, () => NodeJS.ReadWriteStream>> = {
  gzip: () => createGunzip(),
  br: () => createBrotliDecompress(),
  zstd: () => createZstdDecompress({ params: { [constants.ZSTD_d_windowLogMax]: 23 } }),
};

export interface BodyLimits {
  /** Of the body, decompressed. */
  readonly maxBodyBytes: number;
  /** Objects, lists and properties in it. */
  readonly maxBodyNodes: number;
}

/** For requests that name a few things, beside the ones that bring documents. */
export const SMALL_BODY: BodyLimits = { maxBodyBytes: 16_384, maxBodyNodes: 500 };

/**
 * Reads a JSON body. Size and structure are counted while reading, after decompression, so neither a large body, nor a
 * small one that unpacks to a large one, nor one that is costly to parse is ever held.
 *
 * @throws RequestError
 */
export async function readJson(request: HttpRequest, limits: BodyLimits): Promise<unknown> {
  const type = request.headers.get('content-type');
  if (type !== null && !/^application\/(?:[a-z0-9.+-]+\+)?json\s*(?:;|$)/i.test(type)) {
    throw new RequestError('unsupported_media_type');
  }
  const text = await readText(request, limits);
  if (text.trim() === '') {
    // Azure Functions drops bodies that come without a length (azure-functions-nodejs-worker issue 524).
    const chunked = request.headers.get('transfer-encoding') !== null;
    throw new RequestError(
      'empty_body',
      chunked ? { detail: 'The body did not arrive: send it with a Content-Length, not in chunks.' } : {},
    );
  }
  try {
    return JSON.parse(text) as unknown;
  } catch (error) {
    throw new RequestError('invalid_json', { cause: error });
  }
}

async function readText(request: HttpRequest, limits: BodyLimits): Promise<string> {
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
  const countNodes = createJsonGauge();
  let bytes = 0;
  try {
    // `pipeline` listens for errors to the end: one that comes after the last read must not end the process.
    const decoded = decoder === undefined ? source : pipeline(source, decoder(), () => undefined);
    for await (const chunk of decoded) {
      bytes += (chunk as Buffer).length;
      if (bytes > limits.maxBodyBytes) {
        throw new RequestError('body_too_large', {
          detail: `The body may hold ${limits.maxBodyBytes} bytes, decompressed.`,
        });
      }
      if (countNodes(chunk as Buffer) > limits.maxBodyNodes) {
        throw new RequestError('body_too_complex', {
          detail: `The body may hold ${limits.maxBodyNodes} objects, lists and properties.`,
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
