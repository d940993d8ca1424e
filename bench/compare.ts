import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { nodeSqlite } from '../client/src/drivers/node-sqlite.ts';
import { collection, createClient } from '../client/src/index.ts';
import { seconds, type Content, type Contender } from './compare/contender.ts';
import { startPouch } from './compare/pouchdb.ts';
import { startRxdb } from './compare/rxdb.ts';
import { contentOf, median, round2 } from './gateway.ts';
import { startMeasuredStack } from './measured-stack.ts';

const RECORDS = 10_000;
const ROUNDS = 3;

/** Where the others are, with a lock file of their own: who does not compare does not install them. */
const PACKAGES = join(import.meta.dirname, 'compare');
export const areOthersInstalled = (): boolean => existsSync(join(PACKAGES, 'node_modules', 'rxdb'));
export function installOthers(): void {
  if (areOthersInstalled()) return;
  console.log('Installs PouchDB and RxDB in bench/compare …');
  execFileSync('npm', ['ci', '--ignore-scripts', '--no-audit', '--no-fund'], {
    cwd: PACKAGES,
    stdio: 'ignore',
    shell: process.platform === 'win32',
  });
}

/** The SDK on SQLite on disk, the built app and the emulator, a process each, signed tokens checked. */
async function startTidemark(folder: string): Promise<Contender> {
  const stack = await startMeasuredStack();
  return {
    round: async (documents, place) => {
      const token = await stack.issuer.token({ sub: place });
      const device = (name: string) =>
        createClient({
          url: stack.api,
          token,
          userId: place,
          database: nodeSqlite(join(folder, `${name}-${place}.db`)),
          collections: { items: collection<Content & { id: string }>() },
        });
      const [phone, tablet] = [device('phone'), device('tablet')];
      await phone.store('items').upsertBulk(documents.map(({ id, data }) => ({ id, ...data })));
      const sync = async (client: typeof phone): Promise<void> => {
        const { outcome, error } = await client.sync();
        if (outcome !== 'synced') throw error ?? new Error(outcome);
      };
      const push = await seconds(() => sync(phone));
      const pull = await seconds(() => sync(tablet));
      const [found] = await tablet.store('items').sql('SELECT COUNT(*) AS n FROM items');
      if (found?.['n'] !== documents.length || (await phone.pending()).length > 0)
        throw new Error('Not all documents arrived.');
      await Promise.all([phone.close(), tablet.close()]);
      return { push, pull };
    },
    dispose: stack.dispose,
  };
}

/**
 * 10,000 documents from one device to another through a server, over HTTP: Tidemark, PouchDB and RxDB, turn by turn. Every
 * server has every write on disk before it answers.
 */
export async function benchCompare(): Promise<Record<string, number>> {
  const folder = await mkdtemp(join(tmpdir(), 'tidemark-compare-'));
  const contenders = {
    own: await startTidemark(folder),
    PouchDB: await startPouch(folder),
    RxDB: await startRxdb(folder),
  };
  type Name = keyof typeof contenders;
  const names = Object.keys(contenders) as Name[];
  const documents = Array.from({ length: RECORDS }, (_, index) => ({
    id: `n${index}`,
    data: contentOf(index),
  }));
  const rounds: Record<Name, { push: number; pull: number }>[] = [];
  try {
    for (let round = -1; round < ROUNDS; round += 1) {
      const times = {} as (typeof rounds)[number];
      for (const name of names) {
        times[name] = await contenders[name].round(documents, `r${round + 1}`);
        if (process.env['BENCH_VERBOSE'] !== undefined) console.log(round, name, times[name]);
      }
      if (round >= 0) rounds.push(times); // the first one warms up
    }
  } finally {
    for (const name of names) await contenders[name].dispose();
    await rm(folder, { recursive: true, force: true });
  }
  const figures = (['push', 'pull'] as const).flatMap((way): [string, number][] => [
    [`${way} of 10,000, seconds`, median(rounds.map(({ own }) => own[way]))],
    ...(['PouchDB', 'RxDB'] as const).map((name): [string, number] => [
      `${way} of 10,000, times as fast as ${name}`,
      median(rounds.map((times) => times[name][way] / times.own[way])),
    ]),
  ]);
  return Object.fromEntries(figures.map(([name, value]) => [name, round2(value)]));
}
