#!/usr/bin/env node
import { parseArgs } from 'node:util';
import { serviceMetadataLimit, startEmulator } from './index.ts';
import type { EmulatorOptions, IdentityOptions, RoleAssignment } from './index.ts';

const help = `Usage: cosmos-emulator [options]

An Azure Cosmos DB (NoSQL) emulator that checks keys and resource tokens. Development and tests only.

  --port <n>              port to listen on (default: a free one)
  --host <address>        address to bind (default 127.0.0.1)
  --allow-remote          needed as well where --host is no loopback address
  --data <file>           SQLite file to keep everything in (default: memory)
  --key <base64>          master key (default: the one in the data file, or a random one)
  --durability <level>    full (default): acknowledged writes are on disk; normal: faster, safe against process crashes
  --partitions <n>        physical partitions of a new container (default 1)
  --ru-limit <n>          request units per second and physical partition; more answers 429 (default: no limit)
  --metadata-limit <n>    request units per second for metadata (the service has ${serviceMetadataLimit}; default: no limit)
  --disable-local-auth    refuse keys and resource tokens
  --issuer <url>          take Microsoft Entra tokens of this issuer
  --audience <name>       only those for this audience
  --role <principal>:<reader|contributor>[:<database>[/<container>]]
                          what a holder of such a token may do, and where (default everywhere); may be repeated
  --https                 HTTPS with a self-made certificate, printed so that clients can trust it
  --json                  print one JSON line {"endpoint","key"} when ready
  --help                  this text
`;

const options = {
  port: { type: 'string' },
  host: { type: 'string' },
  data: { type: 'string' },
  key: { type: 'string' },
  durability: { type: 'string' },
  partitions: { type: 'string' },
  'ru-limit': { type: 'string' },
  'metadata-limit': { type: 'string' },
  'allow-remote': { type: 'boolean' },
  'disable-local-auth': { type: 'boolean' },
  issuer: { type: 'string' },
  audience: { type: 'string' },
  role: { type: 'string', multiple: true },
  https: { type: 'boolean' },
  json: { type: 'boolean' },
  help: { type: 'boolean' },
} as const;

type Values = ReturnType<typeof parseArgs<{ options: typeof options }>>['values'];

function number(values: Values, name: 'port' | 'partitions' | 'ru-limit' | 'metadata-limit', least: number) {
  const text = values[name];
  if (text === undefined) return undefined;
  const value = Number(text);
  if (!Number.isInteger(value) || value < least)
    throw new Error(`--${name} needs a whole number from ${least}, not '${text}'.`);
  return value;
}

function identityOf({ issuer, audience, role = [] }: Values): IdentityOptions | undefined {
  if (issuer === undefined) {
    if (audience === undefined && role.length === 0) return undefined;
    throw new Error('--audience and --role need an --issuer.');
  }
  return { issuer, ...(audience === undefined ? {} : { audience }), assignments: role.map(assignmentOf) };
}

function assignmentOf(text: string): RoleAssignment {
  const [, principal, role, database, container] =
    /^([^:]+):(reader|contributor)(?::([^/]+)(?:\/([^/]+))?)?$/.exec(text) ?? [];
  if (principal === undefined || (role !== 'reader' && role !== 'contributor'))
    throw new Error(
      `--role is principal:reader or principal:contributor, with :database or :database/container, not '${text}'.`,
    );
  const scope = [
    ...(database === undefined ? [] : ['dbs', database]),
    ...(container === undefined ? [] : ['colls', container]),
  ];
  return { principal, role, scope: `/${scope.join('/')}` };
}

function toOptions(values: Values): EmulatorOptions {
  const { host, data, key, durability } = values;
  if (durability !== undefined && durability !== 'full' && durability !== 'normal')
    throw new Error(`--durability is full or normal, not '${durability}'.`);
  const port = number(values, 'port', 0);
  const partitions = number(values, 'partitions', 1);
  const identity = identityOf(values);
  return {
    ...(port === undefined ? {} : { port }),
    ...(host === undefined ? {} : { host }),
    ...(data === undefined ? {} : { data }),
    ...(key === undefined ? {} : { key }),
    ...(durability === undefined ? {} : { durability }),
    ...(partitions === undefined ? {} : { partitions }),
    ...(identity === undefined ? {} : { identity }),
    allowRemote: values['allow-remote'] === true,
    disableLocalAuth: values['disable-local-auth'] === true,
    https: values.https === true,
    limits: {
      partition: number(values, 'ru-limit', 1) ?? null,
      metadata: number(values, 'metadata-limit', 1) ?? null,
    },
  };
}

/** The emulator is no place for real data: it refuses to run where Azure runs things. */
function refuseAzure(environment: NodeJS.ProcessEnv): void {
  for (const name of ['WEBSITE_INSTANCE_ID', 'WEBSITE_SITE_NAME', 'CONTAINER_APP_NAME'])
    if (environment[name] !== undefined)
      throw new Error(`The emulator does not run in Azure (${name} is set).`);
}

async function main(): Promise<void> {
  const { values } = parseArgs({ options });
  if (values.help === true) {
    process.stdout.write(help);
    return;
  }
  refuseAzure(process.env);
  const emulator = await startEmulator(toOptions(values));
  const { endpoint, key, certificate } = emulator;
  process.stdout.write(
    values.json === true
      ? `${JSON.stringify({ endpoint, key, ...(certificate === undefined ? {} : { certificate }) })}\n`
      : `Cosmos DB emulator at ${endpoint}\nExplorer: ${endpoint}_explorer\nKey: ${key}\nConnection string: AccountEndpoint=${endpoint};AccountKey=${key};\n${certificate ?? ''}`,
  );
  const stop = (): void => {
    void emulator.dispose().then(() => process.exit(0));
  };
  process.once('SIGTERM', stop);
  process.once('SIGINT', stop);
}

main().catch((error: unknown) => {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\nTry --help.\n`);
  process.exitCode = 1;
});
