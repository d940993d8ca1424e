import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { DatabaseSync } from 'node:sqlite';
import { startGateway, type Gateway } from '../support/gateway.ts';
import { serveSync } from '../support/sync-server.ts';

/** More by hand: KILL_ROUNDS=300 npm test -- client-killed */
const ROUNDS = Number(process.env['KILL_ROUNDS'] ?? 6);

const USER = 'alice';
const folder = mkdtempSync(join(tmpdir(), 'tidemark-killed-'));
const path = join(folder, 'app.db');
let gateway: Gateway;
let server: Awaited<ReturnType<typeof serveSync>>;
beforeAll(async () => {
  gateway = await startGateway();
  server = await serveSync(gateway);
});
afterAll(async () => {
  await server.close();
  await gateway.dispose();
  rmSync(folder, { recursive: true, force: true });
});

const spawnApp = (from: string) =>
  spawn(
    process.execPath,
    [
      '--disable-warning=ExperimentalWarning',
      join('test', 'support', 'client-process.ts'),
      path,
      server.url,
      USER,
      from,
    ],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  );

/** Lets the app work for a while, kills it, and hears what it said was stored: document to number. */
async function work(
  from: number,
  milliseconds: number,
): Promise<{ last: Map<string, number>; next: number }> {
  const app = spawnApp(String(from));
  const last = new Map<string, number>();
  let next = from;
  const lines = createInterface({ input: app.stdout });
  lines.on('line', (line) => {
    const [id = '', value, n] = line.split(' ');
    last.set(id, Number(value));
    next = Number(n) + 1;
  });
  await once(lines, 'line');
  await new Promise((resolve) => setTimeout(resolve, milliseconds));
  const closed = once(lines, 'close');
  app.kill('SIGKILL');
  await closed;
  return { last, next };
}

interface Local {
  readonly rows: Map<string, { n: number }>;
  readonly problems: string[];
  readonly pending: number;
  readonly deviceId: unknown;
}

/** What the database holds, and what of it contradicts itself. */
function inspect(): Local {
  const database = new DatabaseSync(path);
  const problems: string[] = [];
  const [check] = database.prepare('PRAGMA integrity_check').all();
  if (check?.['integrity_check'] !== 'ok') problems.push(String(check?.['integrity_check']));
  const rows = new Map(
    database
      .prepare('SELECT ID, Content FROM items')
      .all()
      .map(({ ID, Content }) => [String(ID), JSON.parse(String(Content)) as { n: number }]),
  );
  const pending = database.prepare('SELECT * FROM PendingChanges_items').all();
  const seqs = new Set<unknown>();
  for (const { ID, Type, Change, Seq } of pending) {
    if (Type === null && Change === null) problems.push(`${String(ID)}: pending without an edit`);
    if ((Type === 'upsert' || Type === 'patch') && !rows.has(String(ID)))
      problems.push(`${String(ID)}: no row`);
    if (Type === 'delete' && rows.has(String(ID))) problems.push(`${String(ID)}: deleted and there`);
    if (Change !== null && seqs.has(Seq)) problems.push(`${String(ID)}: number drawn twice`);
    if (Change !== null) seqs.add(Seq);
  }
  const [user] = database.prepare('SELECT DeviceId FROM Tidemark_Users').all();
  database.close();
  return { rows, problems, pending: pending.length, deviceId: user?.['DeviceId'] };
}

it(
  'killed at any moment, the store is whole, no stored edit is lost, and nothing is sent twice in effect',
  async () => {
    let from = 1;
    let sentInFlight = 0;
    const devices = new Set<unknown>();
    for (let round = 0; round < ROUNDS; round += 1) {
      const { last, next } = await work(from, Math.random() * 120);
      // The edit behind the last one that was told may have been stored too: numbers are never used twice.
      from = next + 1;
      const local = inspect();
      expect(local.problems).toEqual([]);
      for (const [id, n] of last) {
        const stored = local.rows.get(id)?.n ?? 0;
        const untold = stored === next || (stored === 0 && next % 11 === 0);
        if (stored !== n && !untold) throw new Error(`${id}: ${n} was stored, ${stored} is there`);
      }
      devices.add(local.deviceId);
      if (local.pending > 0) sentInFlight += 1;
    }
    const drain = spawnApp('drain');
    expect(await once(drain, 'exit')).toEqual([0, null]);

    const { rows, pending, problems } = inspect();
    expect([pending, problems]).toEqual([0, []]);
    const stored = await gateway.items(`user:${USER}`);
    const live = new Map(
      stored
        .filter(({ id, deleted }) => String(id).startsWith('items:') && deleted === false)
        .map(({ documentId, data }) => [String(documentId), data]),
    );
    expect(rows).toEqual(live);
    // One device, so a conflict could only be with itself: an edit that was sent again as another one.
    expect(stored.filter(({ id }) => String(id).startsWith('~conflict'))).toEqual([]);
    expect(stored.filter(({ id }) => String(id).startsWith('~ledger'))).toHaveLength(1);
    expect(devices.size).toBe(1);
    // Otherwise the kills hit nothing that matters.
    expect(sentInFlight).toBeGreaterThan(0);
  },
  60_000 + ROUNDS * 5_000,
);
