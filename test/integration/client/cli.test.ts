import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { build } from 'esbuild';
import { startStack, type Stack } from '../../../local/stack.ts';

/** The command line as a person runs it: its own process, against a real local stack. */

jest.setTimeout(120_000);

const CLIENT = join(process.cwd(), 'client');
const folder = mkdtempSync(join(tmpdir(), 'tidemark-cli-'));
/** Laid out as in the package. */
const PROGRAM = join(folder, 'package', 'bin', 'tidemark.js');
const place = (name: string) => join(folder, name);
let stack: Stack;
/** An address where nobody listens. */
let nowhere: string;
beforeAll(async () => {
  for (const file of ['package.json', 'bin/tidemark.js'])
    cpSync(join(CLIENT, file), place(`package/${file}`));
  await build({
    entryPoints: [join(CLIENT, 'src', 'cli', 'main.ts')],
    outdir: place('package/dist/cli'),
    bundle: true,
    platform: 'node',
    format: 'esm',
    logLevel: 'warning',
  });
  stack = await startStack({ quiet: true });
  const closed = await serve(() => undefined);
  nowhere = closed.url;
  end(closed.server);
  config('tidemark.json', {});
});
afterAll(async () => {
  await stack.dispose();
  rmSync(folder, { recursive: true, force: true });
});

/** A settings file for the stack; `alice` unless it says otherwise. */
function config(name: string, content: object): string {
  const usual = { url: stack.api, devUser: 'alice', devIssuer: stack.issuer };
  writeFileSync(place(name), JSON.stringify({ ...usual, ...content }));
  return place(name);
}

interface Ended {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}

interface RunOptions {
  readonly env?: Record<string, string>;
  readonly flags?: readonly string[];
  readonly stdin?: string;
  /** Called with all of stdout so far. */
  readonly onOutput?: (out: string, signal: (name: NodeJS.Signals) => void) => void;
}

async function tidemark(args: readonly string[], options: RunOptions = {}): Promise<Ended> {
  const { env = {}, flags = [], stdin, onOutput } = options;
  const child = spawn(process.execPath, [...flags, PROGRAM, ...args], {
    cwd: folder,
    env: { PATH: process.env['PATH'], ...env },
    stdio: [stdin === undefined ? 'ignore' : 'pipe', 'pipe', 'pipe'],
  });
  child.stdin?.end(stdin);
  let out = '';
  let err = '';
  child.stdout?.setEncoding('utf8').on('data', (text: string) => {
    out += text;
    onOutput?.(out, (name) => child.kill(name));
  });
  child.stderr?.setEncoding('utf8').on('data', (text: string) => (err += text));
  const [code] = (await once(child, 'close')) as [number | null];
  return { code, out, err };
}

const run = (line: string, options?: RunOptions) => tidemark(line.split(' '), options);

/** What `--json` shows, of a command that ends with this code. */
async function answer(line: string, code = 0, options?: RunOptions): Promise<Record<string, unknown>> {
  const ended = await run(`${line} --json`, options);
  if (ended.code !== code) throw new Error(`${line}: ${ended.code}\n${ended.out}${ended.err}`);
  const document = JSON.parse(ended.out) as Record<string, unknown>;
  expect(document).toMatchObject({ command: line.split(' ')[0], exitCode: code });
  return (document['result'] ?? document['error']) as Record<string, unknown>;
}

const NOTES = 'id,title,stars\r\n1,"Buy ""oat"" milk",3\r\n2,"two\r\nlines",\r\n007,Bond,true\r\n';
const DOCUMENTS = [
  { id: '007', title: 'Bond', stars: true },
  { id: '1', title: 'Buy "oat" milk', stars: 3 },
  { id: '2', title: 'two\r\nlines' },
];
const lines = (text: string): unknown[] =>
  text
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as unknown);

describe('From a file on one device to another device', () => {
  it('takes an import, a sync on each, and an export', async () => {
    writeFileSync(place('notes.csv'), NOTES);
    const imported = await run('import notes.csv --collection items --database phone.db');
    expect(imported).toEqual({
      code: 0,
      out: 'Imported 3 documents into items.\n`tidemark sync` sends them.\n',
      err: '',
    });
    expect(await answer('pending --database phone.db')).toMatchObject({
      total: 3,
      edits: [{ address: { documentId: '1' }, type: 'upsert', sent: false }, {}, {}],
    });

    expect(await answer('sync --database phone.db')).toMatchObject({
      outcome: 'synced',
      pushed: 3,
      pulled: 0,
      skipped: 0,
      conflicts: 0,
      rejected: 0,
      setAside: 0,
      pending: 0,
      requests: 2,
      bytesSent: expect.any(Number),
      bytesReceived: expect.any(Number),
      duration: expect.any(Number),
      resync: [],
    });
    const fetched = await run('sync --database tablet.db --collection items');
    expect(fetched.out).toMatch(/^Synced: 0 sent, 3 fetched, 1 request, .*\n$/);
    expect(await answer('status --database tablet.db')).toMatchObject({
      userId: 'alice',
      pending: 0,
      documents: { items: 3 },
      users: [{ userId: 'alice', pending: 0 }],
      lastError: null,
    });

    const exported = await run('export --database tablet.db');
    expect(lines(exported.out)).toEqual(DOCUMENTS);
    for (const name of ['out.json', 'out.ndjson', 'out.csv']) {
      await answer(`export --database tablet.db --output ${name}`);
      // The very same documents are there already: nothing becomes an edit.
      expect(await answer(`import ${name} --collection items --database phone.db`)).toMatchObject({
        imported: 0,
        unchanged: 3,
      });
      expect(await answer(`import ${name} --collection items --database copy-of-${name}.db`)).toMatchObject({
        imported: 3,
      });
      expect(lines((await run(`export --database copy-of-${name}.db`)).out)).toEqual(DOCUMENTS);
    }
    expect(readFileSync(place('out.csv'), 'utf8')).toBe(
      'id,title,stars\r\n007,Bond,true\r\n1,"Buy ""oat"" milk",3\r\n2,"two\r\nlines",\r\n',
    );
  });

  it('does not lose a collection of the database that a command does not name', async () => {
    await answer('import notes.csv --collection items --database two.db');
    await answer('import notes.csv --collection cities --database two.db');
    expect(await answer('status --database two.db')).toMatchObject({
      pending: 6,
      documents: { items: 3, cities: 3 },
    });
  });
});

describe('A file with bad rows', () => {
  const ROWS =
    '{"id":"1"}\n{"id":2}\nnonsense\n[]\n{"id":"a/b"}\n{"title":"x"}\n{"id":"n","n":12345678901234567890}\n{"id":"8"}\n';

  it('is not imported, and each is told with its line', async () => {
    writeFileSync(place('bad.ndjson'), ROWS);
    const ended = await run('import bad.ndjson -c items --database bad.db');
    expect(ended.code).toBe(1);
    expect(ended.out).toBe('');
    expect(ended.err.match(/^bad\.ndjson:\d/gm)).toEqual(
      ['2', '3', '4', '5', '6', '7'].map((line) => `bad.ndjson:${line}`),
    );
    expect(ended.err).toContain('--skip-bad');
    expect(existsSync(place('bad.db'))).toBe(false);
  });

  it('is imported without them where that is wanted', async () => {
    expect(await answer('import bad.ndjson -c items --database bad.db --skip-bad', 1)).toMatchObject({
      rows: 8,
      imported: 2,
      badRows: 6,
      bad: [
        { line: 2, problem: 'Its `id` is not a text.' },
        { line: 3 },
        { line: 4 },
        { line: 5 },
        { line: 6 },
        { line: 7 },
      ],
    });
    expect(lines((await run('export --database bad.db')).out)).toEqual([{ id: '1' }, { id: '8' }]);
  });

  it('that cannot be read to its end is not imported at all', async () => {
    const stdin = '{"id":"1"}\n{"id":"2"';
    expect(
      await answer('import - --format json -c items --database cut.db --skip-bad', 7, { stdin }),
    ).toMatchObject({
      code: 'unreadable_file',
      message: expect.stringContaining('stdin:2'),
    });
    expect(existsSync(place('cut.db'))).toBe(false);
  });
});

it('imports 100,000 rows from stdin, and exports them, in less memory than they take', async () => {
  const rows = Array.from({ length: 100_000 }, (_, index) => `n${index},"${'x'.repeat(400)}"`);
  const stdin = `id,text\n${rows.join('\n')}\n`;
  expect(stdin.length).toBeGreaterThan(40_000_000);
  // The heap alone: what it holds at a time is a page, not the file.
  const flags = ['--max-old-space-size=32'];
  expect(await answer('import - --format csv -c items --database big.db', 0, { stdin, flags })).toMatchObject(
    {
      imported: 100_000,
    },
  );
  expect(await answer('export --database big.db --output big.json', 0, { flags })).toMatchObject({
    documents: 100_000,
  });
  expect(readdirSync(folder).filter((name) => name.includes('.part'))).toEqual([]);
  const documents = JSON.parse(readFileSync(place('big.json'), 'utf8')) as unknown[];
  expect(documents).toHaveLength(100_000);
});

it('keeps rejected edits to be corrected, sent again or dropped', async () => {
  const settings = config('clinic.json', {
    devClaims: { facilities: ['12'] },
    collections: { visits: { scope: 'facility' } },
  });
  const command = (line: string, code?: number) =>
    answer(`${line} --config ${settings} --database clinic.db`, code);
  const wrong = (id: string) => JSON.stringify({ id, from: '10:00', to: '09:00' });
  writeFileSync(place('visits.ndjson'), ['a', 'b'].map(wrong).join('\n'));
  await command('import visits.ndjson -c visits --scope facility:12');
  // The example rule of this repository: a visit does not end before it starts.
  expect(await command('sync', 1)).toMatchObject({ outcome: 'synced', rejected: 2, pushed: 0 });

  const { rejected } = (await command('rejected')) as {
    rejected: { changeId: string; address: { documentId: string } }[];
  };
  expect(rejected).toMatchObject([
    {
      address: { scope: 'facility:12', documentId: 'a' },
      error: { code: 'rule_violation', pointer: '/data/to' },
      content: { to: '09:00' },
    },
    { address: { documentId: 'b' } },
  ]);
  const [first = { changeId: '' }, second = { changeId: '' }] = rejected;
  writeFileSync(place('corrected.json'), '{"id":"a","from":"10:00","to":"11:00"}');
  await command(`rejected edit ${first.changeId} --file corrected.json`);
  await command(`rejected retry ${second.changeId}`);
  expect(await command('sync', 1)).toMatchObject({ pushed: 1, rejected: 1 });
  await command('rejected drop --all');
  expect(await command('rejected')).toEqual({ rejected: [], setAside: [] });
  expect(await command('sync')).toMatchObject({ outcome: 'synced', pending: 0 });
  expect(lines((await run(`export -c visits --config ${settings} --database clinic.db`)).out)).toEqual([
    { id: 'a', from: '10:00', to: '11:00' },
  ]);
  expect(await command('rejected retry nothing', 2)).toMatchObject({
    message: expect.stringContaining('no rejected edit'),
  });
});

it('shows both sides of a conflict', async () => {
  const write = (device: string, title: string) =>
    answer(`import - --format ndjson -c items --database ${device}.db --user alice`, 0, {
      stdin: JSON.stringify({ id: 'met', title }),
    });
  await write('one', 'first of all');
  await answer('sync --database one.db');
  await answer('sync --database other.db -c items');
  await write('one', 'of the one');
  await write('other', 'of the other');
  await answer('sync --database other.db');
  const one = new DatabaseSync(place('one.db'));
  one.exec(`UPDATE PendingChanges_items SET LastModified = '2026-01-01T00:00:00.000Z'`);
  one.close();
  // Made long before: the later edit wins.
  expect(await answer('sync --database one.db')).toMatchObject({ conflicts: 1, skipped: 1 });
  expect(await answer('conflicts --limit 1 --database one.db')).toMatchObject({
    conflicts: [
      {
        address: { documentId: 'met' },
        outcome: 'skipped',
        mine: { title: 'of the one' },
        theirs: { title: 'of the other' },
      },
    ],
  });
  const { out } = await run('conflicts --database one.db');
  expect(out).toContain('items/met: the other stays');
});

describe('watch', () => {
  it('prints what changes as it comes, and ends by Ctrl-C with the database closed', async () => {
    await answer('sync --database watched.db -c items');
    let written: Promise<unknown> | undefined;
    let asked = false;
    const ended = await run('watch --json --every 0.3 --database watched.db', {
      onOutput: (out, signal) => {
        if (out.includes('"synced"')) {
          written ??= answer('import - --format ndjson -c items --database writer.db', 0, {
            stdin: '{"id":"seen","title":"Hello, tide"}',
          }).then(() => answer('sync --database writer.db'));
        }
        if (out.includes('"seen"') && !asked) {
          asked = true;
          signal('SIGINT');
        }
      },
    });
    await written;
    expect(ended.code).toBe(130);
    const events = lines(ended.out) as Record<string, unknown>[];
    expect(events.filter(({ event }) => event === 'change')).toEqual([
      {
        event: 'change',
        at: expect.any(String),
        collection: 'items',
        scope: 'user:alice',
        documentId: 'seen',
        content: { id: 'seen', title: 'Hello, tide' },
      },
    ]);
    expect(events[0]).toMatchObject({ event: 'synced', outcome: 'synced', error: null });
    expect(events.at(-1)).toEqual({ event: 'end', at: expect.any(String), exitCode: 130 });
    // SQLite removes its log when the last one closes the database.
    expect(readdirSync(folder).filter((name) => name.startsWith('watched.db-'))).toEqual([]);
  });

  it('does not wait where waiting is no use', async () => {
    const { code, out } = await run('watch --json --database watched.db', {
      env: { TIDEMARK_TOKEN: 'nonsense' },
    });
    expect(code).toBe(4);
    expect(lines(out).at(-1)).toMatchObject({ event: 'end', exitCode: 4, error: { code: 'invalid_token' } });
  });
});

/** A server of our own, for what the service does not do. */
async function serve(listener: RequestListener): Promise<{ url: string; server: Server }> {
  const server = createServer(listener).listen(0, '127.0.0.1');
  await once(server, 'listening');
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, server };
}

function end(server: Server): void {
  server.closeAllConnections();
  server.close();
}

it('ends a sync by Ctrl-C at once; the edits wait for the next', async () => {
  await answer('import notes.csv -c items --database ended.db');
  const asked: string[] = [];
  const child: { signal?: (name: NodeJS.Signals) => void } = {};
  const { url, server } = await serve((request) => {
    // Without an answer.
    asked.push(request.url ?? '');
    child.signal?.('SIGINT');
  });
  const program = spawn(
    process.execPath,
    [PROGRAM, 'sync', '--json', '--database', 'ended.db', '--url', `${url}/api`],
    {
      cwd: folder,
      stdio: ['ignore', 'pipe', 'inherit'],
    },
  );
  child.signal = (name) => program.kill(name);
  let out = '';
  program.stdout.setEncoding('utf8').on('data', (text: string) => (out += text));
  expect(await once(program, 'close')).toEqual([130, null]);
  expect(asked).toEqual(['/api/sync']);
  expect(JSON.parse(out)).toMatchObject({ exitCode: 130, result: { outcome: 'aborted', pending: 3 } });
  end(server);
  expect(readdirSync(folder).filter((name) => name.startsWith('ended.db-'))).toEqual([]);
  expect(await answer('sync --database ended.db')).toMatchObject({ outcome: 'synced', pushed: 3 });
});

describe('The exit code', () => {
  it('tells what kind of thing went wrong, and something is said to it', async () => {
    const expected: [string, number][] = [
      ['', 2],
      ['nonsense', 2],
      ['sync extra', 2],
      ['sync --token x', 2],
      ['sync --database new.db', 2],
      ['export --json', 2],
      ['status --database none.db', 7],
      ['status --database notes.csv', 7],
      ['import none.csv -c items', 7],
      [`sync -c items --database off.db --url ${nowhere}/api`, 3],
      ['--help', 0],
      ['--version', 0],
      ['doctor --help', 0],
    ];
    const ended: [string, number | null, string][] = [];
    for (const [line] of expected) {
      const { code, out, err } = await tidemark(line.split(' ').filter((word) => word !== ''));
      ended.push([line, code, out + err]);
    }
    expect(ended).toEqual(
      expected.map(([line, code]) => [line, code, expect.stringMatching(/\S/) as string]),
    );
  });

  it('tells a token that is not accepted and an address that is not the service apart', async () => {
    const [refused, stranger] = await Promise.all([
      answer('sync -c items --database refused.db', 4, {
        env: { TIDEMARK_TOKEN: 'nonsense', TIDEMARK_USER: 'alice' },
      }),
      answer(`sync -c items --database stranger.db --url ${stack.issuer}`, 5),
    ]);
    expect([refused, stranger]).toMatchObject([{ outcome: 'failed' }, { outcome: 'failed' }]);
  });

  it('tells that another process syncs the same database', async () => {
    let asked: () => void = () => undefined;
    const syncing = new Promise<void>((resolve) => (asked = resolve));
    const { url, server } = await serve(() => asked());
    const other = spawn(
      process.execPath,
      [PROGRAM, 'sync', '-c', 'items', '--database', 'busy.db', '--url', `${url}/api`],
      { cwd: folder, stdio: 'ignore' },
    );
    const ended = once(other, 'close');
    await syncing;
    expect(await answer('sync --database busy.db', 6)).toMatchObject({ outcome: 'busy' });
    other.kill('SIGINT');
    expect(await ended).toEqual([130, null]);
    end(server);
  });
});

it('shows no token, wherever it comes from and whatever goes wrong', async () => {
  const token = await stack.issuerHandle.token({ sub: 'alice' });
  const expired = await stack.issuerHandle.token({ sub: 'alice', lifetime: -60 });
  writeFileSync(place('token'), `${token}\n`);
  chmodSync(place('token'), 0o600);
  const settings = place('plain.json');
  writeFileSync(settings, JSON.stringify({ url: stack.api }));
  const said = await Promise.all([
    run(`sync -c items --database t1.db --config ${settings} --json`, { env: { TIDEMARK_TOKEN: token } }),
    run(`doctor --config ${settings}`, { env: { TIDEMARK_TOKEN: expired } }),
    run(`sync -c items --database t2.db --config ${settings} --token-file token`),
    tidemark([
      'sync',
      '-c',
      'items',
      '--database',
      't3.db',
      '--config',
      settings,
      '--token-command',
      'cat token',
    ]),
    tidemark([
      'sync',
      '-c',
      'items',
      '--database',
      't4.db',
      '--config',
      settings,
      '--token-command',
      'cat token; exit 3',
    ]),
    run(`sync -c ${token.slice(0, 60)}.${token} --database t5.db --config ${settings}`, {
      env: { TIDEMARK_TOKEN: token },
    }),
  ]);
  expect(said.map(({ code }) => code)).toEqual([0, 4, 0, 0, 4, 2]);
  const all = said.map(({ out, err }) => out + err).join('');
  for (const secret of [token, expired]) expect(all).not.toContain(secret.split('.')[2]);
});

describe('doctor', () => {
  type Found = { checks: { name: string; state: string; found: string; remedy: string | null }[] };
  const doctor = async (line: string, code: number, options?: RunOptions) => {
    const { checks } = (await answer(`doctor ${line}`.trim(), code, options)) as unknown as Found;
    return Object.fromEntries(checks.map((check) => [check.name, check]));
  };

  it('finds nothing wrong with a local stack, and asks whether it is ready as an administrator', async () => {
    await answer('sync -c items --database well.db');
    const found = await doctor('--database well.db --dev-user alice --dev-claim roles=["admin"]', 0);
    expect(Object.entries(found).map(([name, { state }]) => [name, state])).toEqual([
      ['settings', 'ok'],
      ['service', 'ok'],
      ['clock', 'ok'],
      ['token', 'ok'],
      ['access', 'ok'],
      ['ready', 'ok'],
      ['database', 'ok'],
    ]);
    expect((await doctor('--database well.db', 0))['ready']).toMatchObject({ state: 'skipped' });
  });

  it('knows where the service is not, and where it is', async () => {
    const [off, root] = await Promise.all([
      doctor(`--url ${nowhere}/api`, 3),
      doctor(`--url ${stack.api.replace('/api', '')}`, 5),
    ]);
    expect(off['service']).toMatchObject({ state: 'failed', found: expect.stringContaining('ECONNREFUSED') });
    expect(root['service']?.remedy).toContain(`${stack.api}: use that address`);
  });

  it('measures the clock', async () => {
    const { url, server } = await serve((_, response) => {
      const date = new Date(Date.now() + 600_000).toUTCString();
      response.writeHead(200, { date, 'content-type': 'application/json' }).end('{"status":"ok"}');
    });
    const { clock } = await doctor(`--url ${url}/api`, 0).catch(() => doctor(`--url ${url}/api`, 5));
    end(server);
    expect(clock).toMatchObject({ state: 'warning', found: 'It is 10 min behind that of the service.' });
  });

  it('says what the service has against a token', async () => {
    const [none, other, user] = await Promise.all([
      (async () => {
        const settings = place('bare.json');
        writeFileSync(settings, JSON.stringify({ url: stack.api }));
        return doctor(`--config ${settings}`, 4);
      })(),
      doctor('--dev-user alice --dev-claim aud=api://other', 4),
      doctor('--dev-user bob --user alice', 4),
    ]);
    expect(none['token']).toMatchObject({
      state: 'failed',
      remedy: expect.stringContaining('TIDEMARK_TOKEN'),
    });
    expect(other['access']).toMatchObject({
      state: 'failed',
      remedy: expect.stringContaining('AUTH_AUDIENCE'),
    });
    expect(user['access']?.found).toContain('user_mismatch');
  });

  it('notices a damaged database, edits that wait for long, and rejected ones', async () => {
    await answer('import notes.csv -c items --database old.db');
    const old = new DatabaseSync(place('old.db'));
    old.exec('UPDATE PendingChanges_items SET Position = Position - 3 * 86400 * 1000000');
    old.close();
    const waits = await answer('doctor --database old.db');
    expect(JSON.stringify(waits)).toContain('3 edits wait, the oldest for 3 days');

    const bytes = readFileSync(place('old.db'));
    bytes.fill(0xff, 4096, 12_288);
    writeFileSync(place('broken.db'), bytes);
    expect((await doctor('--database broken.db', 7))['database']).toMatchObject({ state: 'failed' });
  });
});
