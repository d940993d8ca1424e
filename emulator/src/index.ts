import { createHmac, randomBytes, X509Certificate } from 'node:crypto';
import type { AddressInfo } from 'node:net';
import { BearerVerifier } from './auth/bearer.ts';
import type { IdentityOptions } from './auth/bearer.ts';
import { secrets } from './auth/secrets.ts';
import { FaultPlan } from './http/faults.ts';
import type { FaultControl } from './http/faults.ts';
import { RequestLog } from './http/request-log.ts';
import type { RequestLogView } from './http/request-log.ts';
import { makeCertificate } from './http/certificate.ts';
import type { Certificate } from './http/certificate.ts';
import { Throughput } from './http/throughput.ts';
import type { ThroughputControl, ThroughputLimits } from './http/throughput.ts';
import { createCosmosServer } from './http/server.ts';
import { Catalog } from './resources/catalog.ts';
import { SqliteStore } from './storage/sqlite-store.ts';
import { History } from './storage/lagging-replica.ts';
import type { ReplicaControl } from './storage/lagging-replica.ts';
import { Sweeper } from './storage/sweeper.ts';
import type { Store } from './storage/store.ts';
import { Cursors } from './documents/cursors.ts';
import { conditionHolds } from './documents/query.ts';

export type { IdentityOptions, Role, RoleAssignment } from './auth/bearer.ts';
export type { Fault, FaultAction, FaultControl } from './http/faults.ts';
export type { RequestLogView, RequestRecord } from './http/request-log.ts';
export { serviceMetadataLimit } from './http/throughput.ts';
export type { ThroughputControl, ThroughputLimits } from './http/throughput.ts';
export type { ReplicaControl } from './storage/lagging-replica.ts';
export type { Operation, Resource } from './http/route.ts';

export interface EmulatorOptions {
  /** 0 or absent: a free port. */
  port?: number;
  /** Default 127.0.0.1. Anything but a loopback address needs allowRemote too. */
  host?: string;
  /** True: other machines may reach the emulator, where host lets them. */
  allowRemote?: boolean;
  /** Path of the SQLite file; absent: everything is in memory and gone with the process. */
  data?: string;
  /** Master key in base64; absent: a random one, kept in the data file. */
  key?: string;
  /** Milliseconds since the epoch. Everything that tells time uses it: expiry, time to live, _ts, date skew. */
  now?: () => number;
  /** full (default): an acknowledged write is on disk. normal: it survives a crash of the process, not of the machine. */
  durability?: 'full' | 'normal';
  /** Physical partitions of a new container; default 1. */
  partitions?: number;
  /** Issuer of Microsoft Entra tokens and the data-plane roles of their holders; absent: no such token is taken. */
  identity?: IdentityOptions;
  /** True: keys and resource tokens are refused, as on an account with disableLocalAuth. */
  disableLocalAuth?: boolean;
  /** True: HTTPS with a self-made certificate, which is kept in the data file. */
  https?: boolean;
  /** Throughput limits; absent: none. */
  limits?: ThroughputLimits;
}

export interface Emulator {
  /** http://127.0.0.1:PORT/ */
  readonly endpoint: string;
  /** The primary master key in base64, as it is now. */
  readonly key: string;
  /** The secondary master key in base64, as it is now. */
  readonly secondaryKey: string;
  /**
   * Makes a new key; the old one opens nothing from now on. With the primary key every resource token ends.
   *
   * @returns the new key in base64
   */
  regenerateKey(which: 'primary' | 'secondary'): string;
  /** A key that reads and never writes. */
  readonly readOnlyKey: string;
  /** With https: the certificate as PEM, for clients to take as their CA. */
  readonly certificate?: string;
  /** The last requests, oldest first. */
  readonly requests: RequestLogView;
  readonly faults: FaultControl;
  /** Throughput limits, changed while running; requests over them answer 429. */
  readonly limits: ThroughputControl;
  /** Replicas that lag: what a read without a session token may meet. */
  readonly replicas: ReplicaControl;
  /** Splits a physical partition of a container in two, the first one unless an id is given. */
  split(database: string, container: string, rangeId?: string): void;
  /** Ends every connection and closes the store; leaves no handle open. */
  dispose(): Promise<void>;
}

/** How often a few thousand documents are looked at for expired ones. */
const sweepEveryMs = 5_000;

const loopback: ReadonlySet<string> = new Set(['127.0.0.1', '::1', 'localhost']);

/** Starts the emulator. Resolves when it takes requests. */
export async function startEmulator(options: EmulatorOptions = {}): Promise<Emulator> {
  const host = options.host ?? '127.0.0.1';
  if (!loopback.has(host) && options.allowRemote !== true)
    throw new Error(
      `The emulator binds loopback addresses only, and ${host} is none. To let other machines in, say so twice: --allow-remote (allowRemote: true) as well.`,
    );
  const now = options.now ?? Date.now;
  const store = new SqliteStore(options.data ?? ':memory:', options.durability ?? 'full');
  try {
    const masterKey = Buffer.from(keyOf(store, 'masterKey', options.key), 'base64');
    const catalog = new Catalog({ store, now, random: randomBytes, partitions: options.partitions ?? 1 });
    const log = new RequestLog();
    const faults = new FaultPlan();
    const history = new History();
    const throughput = new Throughput(options.limits ?? {}, now);
    const verifier = options.identity && new BearerVerifier(options.identity);
    const certificate = options.https === true ? certificateOf(store, now()) : undefined;
    let endpoint = '';
    const keys = {
      master: masterKey,
      secondary: Buffer.from(keyOf(store, 'secondaryKey'), 'base64'),
      readOnly: createHmac('sha512', masterKey).update('read-only key').digest(),
      localAuthDisabled: options.disableLocalAuth ?? false,
    };
    secrets.publish(keys.readOnly.toString('base64'));
    const services = {
      store,
      catalog,
      now,
      keys,
      throughput,
      log,
      assignments: options.identity?.assignments ?? [],
      history,
      cursors: new Cursors(),
      holds: conditionHolds,
      endpoint: () => endpoint,
    };
    const server = createCosmosServer({ services, log, faults, verifier }, certificate);
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(options.port ?? 0, host, resolve);
    });
    const stopSweeping = new Sweeper(store, now).start(sweepEveryMs);
    const { port } = server.address() as AddressInfo;
    endpoint = `${certificate === undefined ? 'http' : 'https'}://${nameOf(host)}:${port}/`;
    return {
      endpoint,
      get key() {
        return keys.master.toString('base64');
      },
      get secondaryKey() {
        return keys.secondary.toString('base64');
      },
      regenerateKey: (which) => {
        const key = randomBytes(64);
        store.transaction(() =>
          store.saveSetting(which === 'primary' ? 'masterKey' : 'secondaryKey', key.toString('base64')),
        );
        keys[which === 'primary' ? 'master' : 'secondary'] = key;
        secrets.publish(key.toString('base64'));
        return key.toString('base64');
      },
      readOnlyKey: keys.readOnly.toString('base64'),
      ...(certificate === undefined ? {} : { certificate: certificate.certificate }),
      requests: log,
      faults,
      limits: throughput,
      replicas: history,
      split: (database, name, rangeId) => {
        const container = catalog.container(database, name);
        if (container === undefined) throw new Error(`There is no container ${name} in ${database}.`);
        catalog.splitRange(container, rangeId ?? container.ranges[0]?.id ?? '');
      },
      dispose: () =>
        new Promise((resolve, reject) => {
          stopSweeping();
          server.close((error) => {
            store.close();
            if (error === undefined) resolve();
            else reject(error);
          });
          server.closeAllConnections();
        }),
    };
  } catch (error) {
    store.close();
    throw error;
  }
}

/** How clients on this machine reach a server that listens there. */
function nameOf(host: string): string {
  if (host === '0.0.0.0') return '127.0.0.1';
  if (host === '::') return '[::1]';
  return host.includes(':') ? `[${host}]` : host;
}

/** The certificate kept from the last start while it is good for another month, or a new one. */
function certificateOf(store: Store, now: number): Certificate {
  const [certificate, key] = [store.setting('certificate'), store.setting('certificateKey')];
  if (certificate !== undefined && key !== undefined) {
    const { validTo } = new X509Certificate(certificate);
    if (Date.parse(validTo) - now > 30 * 24 * 3600 * 1000) return { certificate, key };
  }
  const made = makeCertificate(now, randomBytes);
  store.transaction(() => {
    store.saveSetting('certificate', made.certificate);
    store.saveSetting('certificateKey', made.key);
  });
  return made;
}

/** The key given, the one kept from the last start, or a new one; kept for the next start. */
function keyOf(store: Store, name: 'masterKey' | 'secondaryKey', given?: string): string {
  const key = given ?? store.setting(name) ?? randomBytes(64).toString('base64');
  if (Buffer.from(key, 'base64').length < 16)
    throw new Error('The master key is base64 of at least 16 bytes.');
  store.transaction(() => store.saveSetting(name, key));
  secrets.publish(key);
  return key;
}
