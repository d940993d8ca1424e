import { parseArgs } from 'node:util';

/** What `npm start` was asked to do. */
export interface StartOptions {
  readonly help: boolean;
  /** Free ports and a temporary folder instead of fixed ones. */
  readonly ephemeral: boolean;
  /** One line of JSON instead of a page for people. */
  readonly json: boolean;
  readonly quiet: boolean;
  /** 0: a free one. */
  readonly ports: Readonly<Record<PortName, number>>;
}

export type PortName = 'api' | 'cosmos' | 'issuer';

/** The flag that changes a port, for messages too. */
export const PORT_FLAGS: Readonly<Record<PortName, string>> = {
  api: '--port',
  cosmos: '--cosmos-port',
  issuer: '--issuer-port',
};

const DEFAULT_PORTS: Readonly<Record<PortName, number>> = { api: 7071, cosmos: 8081, issuer: 7072 };

export const HELP = `Runs Tidemark on this machine: the function app, a Cosmos DB emulator and an identity issuer.

Usage: npm start -- [options]

  --port <n>          port of the API (default ${DEFAULT_PORTS.api}; 0 takes a free one)
  --cosmos-port <n>   port of the Cosmos DB emulator (default ${DEFAULT_PORTS.cosmos})
  --issuer-port <n>   port of the identity issuer (default ${DEFAULT_PORTS.issuer})
  --ephemeral         free ports and a temporary folder; nothing is left behind
  --json              print one line of JSON when ready: {"api","issuer","cosmosEndpoint","cosmosKey"}
  --quiet             log errors only
  --help              this text

Data is kept in .local/. Ctrl-C ends everything.
`;

/** A command line that makes no sense; its message goes to the person who wrote it. */
export class UsageError extends Error {}

/** @throws UsageError */
export function readStartOptions(args: readonly string[]): StartOptions {
  const values = parse(args);
  const ports = (Object.keys(PORT_FLAGS) as PortName[]).map((name) => {
    const given = values[PORT_FLAGS[name].slice(2) as 'port' | 'cosmos-port' | 'issuer-port'];
    const fallback = values.ephemeral ? 0 : DEFAULT_PORTS[name];
    return [name, given === undefined ? fallback : readPort(PORT_FLAGS[name], given)] as const;
  });
  const { help, ephemeral, json, quiet } = values;
  return { help, ephemeral, json, quiet, ports: Object.fromEntries(ports) as Record<PortName, number> };
}

function parse(args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      options: {
        port: { type: 'string' },
        'cosmos-port': { type: 'string' },
        'issuer-port': { type: 'string' },
        ephemeral: { type: 'boolean', default: false },
        json: { type: 'boolean', default: false },
        quiet: { type: 'boolean', default: false },
        help: { type: 'boolean', default: false },
      },
    }).values;
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error));
  }
}

function readPort(flag: string, text: string): number {
  const port = Number(text);
  if (/^\d+$/.test(text) && port <= 65_535) return port;
  throw new UsageError(`${flag} takes a number from 0 to 65535, not "${text}".`);
}
