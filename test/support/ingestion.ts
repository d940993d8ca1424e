import { randomBytes } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { makeCertificate } from '../../emulator/src/http/certificate.ts';
import { written } from './secret-watch.ts';

/** One item of telemetry, as the SDK sends it (the schema of Application Insights, version 2). */
export interface Envelope {
  readonly name: string;
  readonly tags: Readonly<Record<string, string>>;
  readonly sampleRate?: number;
  readonly data: {
    readonly baseType: string;
    readonly baseData: Readonly<Record<string, unknown>> & {
      readonly name?: string;
      readonly properties?: Readonly<Record<string, string>>;
      readonly metrics?: readonly {
        readonly name: string;
        readonly value: number;
        readonly count?: number;
        readonly min?: number;
        readonly max?: number;
      }[];
    };
  };
}

export interface Ingestion {
  /** What an app needs to send its telemetry here. The SDK speaks nothing but HTTPS. */
  readonly settings: Readonly<Record<string, string>>;
  readonly envelopes: readonly Envelope[];
  /** The Authorization header of each request. */
  readonly authorizations: readonly (string | undefined)[];
  /** Everything that was sent, as text. */
  readonly text: () => string;
  dispose(): Promise<void>;
}

/** An ingestion endpoint of Application Insights on this machine: it takes everything in and keeps it. */
export async function startIngestion(): Promise<Ingestion> {
  const envelopes: Envelope[] = [];
  const texts: string[] = [];
  const authorizations: (string | undefined)[] = [];
  const { certificate, key } = makeCertificate(Date.now(), randomBytes, 'Ingestion');
  const folder = await mkdtemp(join(tmpdir(), 'tidemark-ingestion-'));
  const ca = join(folder, 'ca.pem');
  await writeFile(ca, certificate);
  const server = createServer({ cert: certificate, key }, (request, response) => {
    authorizations.push(request.headers.authorization);
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const bytes = Buffer.concat(chunks);
      const text = (request.headers['content-encoding'] === 'gzip' ? gunzipSync(bytes) : bytes).toString();
      texts.push(text);
      written.publish(['telemetry', text]);
      const items = JSON.parse(text) as Envelope[];
      envelopes.push(...items);
      response.setHeader('content-type', 'application/json');
      response.end(JSON.stringify({ itemsReceived: items.length, itemsAccepted: items.length, errors: [] }));
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const url = `https://127.0.0.1:${(server.address() as AddressInfo).port}/`;
  return {
    settings: {
      APPLICATIONINSIGHTS_CONNECTION_STRING: `InstrumentationKey=00000000-0000-4000-8000-000000000000;IngestionEndpoint=${url};LiveEndpoint=${url}`,
      NODE_EXTRA_CA_CERTS: ca,
    },
    authorizations,
    envelopes,
    text: () => texts.join('\n'),
    async dispose() {
      await new Promise((resolve) => {
        server.close(resolve);
        server.closeAllConnections();
      });
      await rm(folder, { recursive: true, force: true });
    },
  };
}
