import type { ChildProcess } from 'node:child_process';
import { channel, subscribe, unsubscribe } from 'node:diagnostics_channel';
import type { ClientRequest, IncomingMessage } from 'node:http';
import type { Readable } from 'node:stream';
import { secrets as emulatorSecrets } from '../../emulator/src/auth/secrets.ts';
import { ACTIVITY } from '../../shared/cosmos/containers.ts';
import { createSecretSearch } from './secret-search.ts';

/** What the app told somebody by another way than its log, for example telemetry: published as `[where, text]`. */
export const written = channel('tidemark.test.written');

/** Hears every key and token that is used in this process or sent from it, and everything that the app writes meanwhile. */
export interface SecretWatch {
  /** Takes in a key or token that goes another way than those that are heard of by themselves. */
  secret(text: string): void;
  /** Takes in what was written. */
  wrote(where: string, text: string): void;
  readonly secrets: ReadonlySet<string>;
  /** Where, of what was written, a secret shows. */
  leaks(): string[];
  stop(): void;
}

/** The processes whose output is the app's log. Others print a key or a token because that is what they are for. */
const isApp = ({ spawnargs }: ChildProcess): boolean =>
  spawnargs.some((each) => each.endsWith('host-main.ts'));

/**
 * Starts to listen. Secrets are heard of where they are made or sent: keys and resource tokens by every emulator of this
 * process, and everything that stands in an `Authorization` header of a request that this process sends or gets. What is
 * written comes from the app's processes (their log), from this process (stdout, stderr), from what the app writes into
 * the audit and the operation log, and from `written`. All of it is kept in memory until the end.
 */
export function startSecretWatch(): SecretWatch {
  const secrets = new Set<string>();
  const texts = new Map<string, string[]>();
  const undo: (() => void)[] = [];

  const secret = (text: string): void => void secrets.add(text);
  const wrote = (where: string, text: string): void => {
    const all = texts.get(where);
    if (all === undefined) texts.set(where, [text]);
    else all.push(text);
  };
  const on = (name: string, listen: (message: unknown) => void): void => {
    subscribe(name, listen);
    undo.push(() => unsubscribe(name, listen));
  };
  const authorization = (header: unknown): void => {
    if (typeof header === 'string') secret(decoded(header.replace(/^(?:bearer|basic) +/i, '')));
  };

  on(String(emulatorSecrets.name), (made) => secret(String(made)));
  on(String(written.name), (message) => wrote(...(message as [string, string])));
  // fetch, then node:http and node:https.
  on('undici:request:create', (message) => {
    const { headers } = (message as { request: { headers: readonly unknown[] } }).request;
    authorization(headers[headers.findIndex((each) => String(each).toLowerCase() === 'authorization') + 1]);
  });
  on('http.client.request.start', (message) =>
    authorization((message as { request: ClientRequest }).request.getHeader('authorization')),
  );
  on('http.server.request.start', (message) => {
    const { request } = message as { request: IncomingMessage };
    authorization(request.headers.authorization);
    const isLog = request.method === 'POST' && request.url?.endsWith(`/colls/${ACTIVITY}/docs`) === true;
    if (isLog) tap(request, (text) => wrote('audit or operation log', text));
  });
  on('child_process', (message) => {
    const { process: child } = message as { process: ChildProcess };
    // Its pipes are there a moment later, and nothing has come through them then.
    process.nextTick(() => {
      if (!isApp(child)) return;
      for (const pipe of [child.stdout, child.stderr]) {
        if (pipe !== null) tap(pipe, (text) => wrote('log of the app', text));
      }
    });
  });

  for (const stream of [process.stdout, process.stderr]) {
    const write = stream.write.bind(stream);
    const watching = ((chunk: unknown, ...rest: []) => {
      wrote('output of the tests', String(chunk));
      return write(chunk as string, ...rest);
    }) as typeof stream.write;
    stream.write = watching;
    undo.push(() => {
      if (stream.write === watching) stream.write = write;
    });
  }

  return {
    secret,
    wrote,
    secrets,
    leaks: () => {
      if (texts.size === 0) return [];
      const search = createSecretSearch(secrets);
      // Joined, because a pipe may cut anywhere.
      return [...texts].flatMap(([where, parts]) =>
        search(parts.join('')).map((leak) => `${where}: ${leak}`),
      );
    },
    stop: () => {
      for (const each of undo.splice(0)) each();
    },
  };
}

/** Hears what comes through a stream without making it flow. */
function tap(stream: Readable, hear: (text: string) => void): void {
  const push = stream.push.bind(stream);
  stream.push = (chunk: unknown, encoding?: BufferEncoding) => {
    if (typeof chunk === 'string' || chunk instanceof Uint8Array)
      hear(Buffer.from(chunk as string).toString());
    return push(chunk, encoding);
  };
}

/** Cosmos DB's are percent-encoded; what is not is as it is. */
function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
