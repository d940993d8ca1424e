import type { HttpRequest } from '@azure/functions';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import { readJson } from '../../shared/http/body.ts';

/** A request as the Functions library hands it over: headers and a stream. */
const requestOf = (body: Uint8Array | string | null, headers: Record<string, string> = {}): HttpRequest =>
  new Request('http://localhost/', {
    method: 'POST',
    body: body as string | null,
    headers: {
      'content-type': 'application/json',
      ...headers,
    },
  }) as unknown as HttpRequest;
const read = (body: Uint8Array | string | null, headers?: Record<string, string>) =>
  readJson(requestOf(body, headers), { maxBodyBytes: 100, maxBodyNodes: 15 });

describe('A JSON body', () => {
  it('is read, with or without a byte order mark', async () => {
    expect(await read('{"a":1}')).toEqual({ a: 1 });
    expect(await read('\ufeff{"a":1}')).toEqual({ a: 1 });
  });

  it('may be exactly as long as the limit, and no byte longer', async () => {
    const text = `"${'x'.repeat(98)}"`;
    expect(await read(text)).toHaveLength(98);
    await expect(read(`${text} `)).rejects.toMatchObject({ code: 'body_too_large' });
  });

  it('is measured in bytes, not in characters', async () => {
    await expect(read(`"${'\u20ac'.repeat(40)}"`)).rejects.toMatchObject({ code: 'body_too_large' });
  });

  it('is measured unpacked', async () => {
    const packed = gzipSync(JSON.stringify('x'.repeat(1_000)));
    expect(packed.length).toBeLessThan(100);
    await expect(read(packed, { 'content-encoding': 'gzip' })).rejects.toMatchObject({
      code: 'body_too_large',
    });
  });

  it('is refused when its zstd window takes more than 8 MB', async () => {
    // RFC 8878, section 3.1.1.1.2: a window descriptor of 0x88 asks for 128 MB.
    const frame = Buffer.from('28b52ffd0088190000223122', 'hex');
    await expect(read(frame, { 'content-encoding': 'zstd' })).rejects.toMatchObject({ code: 'invalid_json' });
    expect(await read(zstdCompressSync('"1"'), { 'content-encoding': 'zstd' })).toBe('1');
  });

  it.each([
    ['objects', '{},'],
    ['lists', '[],'],
  ])('may hold so many %s, and no more', async (_name, one) => {
    const some = (count: number) => `[${one.repeat(count).slice(0, -1)}]`;
    expect(await read(some(14))).toHaveLength(14);
    await expect(read(some(15))).rejects.toMatchObject({ code: 'body_too_complex' });
  });

  it('may hold so many properties, and no more', async () => {
    const some = (count: number) => `{${Array.from({ length: count }, (_, n) => `"${n}":0`).join()}}`;
    expect(Object.keys((await read(some(14))) as object)).toHaveLength(14);
    await expect(read(some(15))).rejects.toMatchObject({ code: 'body_too_complex' });
  });

  it('may be nested so deep, and no deeper', async () => {
    const nested = (levels: number) => '['.repeat(levels) + ']'.repeat(levels);
    expect(await read(nested(15))).toHaveLength(1);
    await expect(read(nested(16))).rejects.toMatchObject({ code: 'body_too_complex' });
  });

  it('is refused for its structure before it is whole, and unpacked', async () => {
    const packed = gzipSync('['.repeat(99));
    await expect(read(packed, { 'content-encoding': 'gzip' })).rejects.toMatchObject({
      code: 'body_too_complex',
    });
  });

  it.each([null, '', ' \n'])('is missing when it is %j', async (body) => {
    await expect(read(body)).rejects.toMatchObject({ code: 'empty_body' });
  });

  it('that is cut off in its packing leaves no error behind that would end the process', async () => {
    const packed = gzipSync(JSON.stringify({ a: 'x'.repeat(50) }));
    for (let length = 1; length < packed.length; length += 1) {
      await expect(read(packed.subarray(0, length), { 'content-encoding': 'gzip' })).rejects.toMatchObject({
        name: 'RequestError',
      });
    }
  });

  it('of an encoding that is not known is told which ones are', async () => {
    await expect(read('{}', { 'content-encoding': 'deflate' })).rejects.toMatchObject({
      code: 'unsupported_encoding',
      headers: { 'accept-encoding': 'gzip, br, zstd' },
    });
  });
});
