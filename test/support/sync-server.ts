import { once } from 'node:events';
import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { gunzipSync } from 'node:zlib';
import type { Gateway } from './gateway.ts';

/** The sync domain behind HTTP, without the function host: the bearer token is the user's name. */
export async function serveSync(gateway: Gateway): Promise<{ url: string; close: () => Promise<void> }> {
  const server = createServer((request, response) => {
    const user = request.headers.authorization?.replace('Bearer ', '') ?? '';
    read(request)
      .then((body) => gateway.sync(user, body))
      .then(
        (answer) => {
          response.setHeader('content-type', 'application/json');
          response.end(JSON.stringify(answer));
        },
        (error: unknown) => {
          response.statusCode = 503;
          response.setHeader('content-type', 'application/problem+json');
          response.end(JSON.stringify({ code: 'unavailable', title: String(error) }));
        },
      );
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    close: async () => {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}

async function read(request: IncomingMessage): Promise<object> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  const bytes = Buffer.concat(chunks);
  const text = request.headers['content-encoding'] === 'gzip' ? gunzipSync(bytes) : bytes;
  return JSON.parse(text.toString()) as object;
}
