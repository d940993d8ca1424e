import { createServer } from 'node:net';
import type { Server } from 'node:net';

/** A fixed port that another program holds. */
export class PortInUseError extends Error {
  readonly port: number;

  constructor(port: number, cause?: unknown) {
    super(`Port ${port} is in use by another program.`, { cause });
    this.name = 'PortInUseError';
    this.port = port;
  }
}

/**
 * Starts listening and answers the port, which the system chooses when 0 is asked for.
 *
 * @throws PortInUseError when another program holds the port.
 */
export async function listen(server: Server, port: number, host: string): Promise<number> {
  await new Promise<void>((resolve, reject) => {
    const refused = (error: NodeJS.ErrnoException) =>
      reject(error.code === 'EADDRINUSE' ? new PortInUseError(port, error) : error);
    server.once('error', refused);
    server.listen({ port, host }, () => {
      server.off('error', refused);
      resolve();
    });
  });
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('The server has no port.');
  return address.port;
}

/**
 * Finds out early that a port is taken, before anything else is started.
 *
 * @throws PortInUseError
 */
export async function requireFreePort(port: number, host = '127.0.0.1'): Promise<void> {
  const probe = createServer();
  await listen(probe, port, host);
  await new Promise<void>((resolve) => probe.close(() => resolve()));
}
