import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startStack, type Stack } from '../../local/stack.ts';
import { Database } from '../support/api.ts';

/**
 * The thin clients of examples/, run as a person runs them. They need programs that this project does not: where those
 * are missing their tests are skipped, and their names say what is needed.
 */

jest.setTimeout(120_000);

const CLIENTS = [
  {
    name: 'tide.sh',
    program: 'sh',
    needs: 'curl and the tools of POSIX',
    probe: 'command -v curl awk sed od tail',
  },
  {
    name: 'tide.py',
    program: 'python3',
    needs: 'Python 3.8 with sqlite3',
    probe: `python3 -c 'import sqlite3, sys; sys.exit(sys.version_info < (3, 8) or sqlite3.sqlite_version_info < (3, 24))'`,
  },
] as const;

let stack: Stack;
let database: Database;
const folder = mkdtempSync(join(tmpdir(), 'tidemark-thin-'));
beforeAll(async () => {
  stack = await startStack({ quiet: true });
  database = new Database(stack);
});
afterAll(async () => {
  database.dispose();
  await stack.dispose();
  rmSync(folder, { recursive: true, force: true });
});

const DOCUMENTS = 300;
const BATCH = 60;

/** Contents with everything that a reader of JSON can stumble over. */
const contentOf = (index: number) => ({
  title: `Record ${index} \\"x\\" \\ {[,:]}`,
  hasMore: [true, null, -index, 0.5],
  checkpoints: { 'user:alice': 'no checkpoint' },
  empty: [{}, [], ''],
});
const lineOf = (id: string, content: object | null): string =>
  `${JSON.stringify(id)}\t${content === null ? '-' : JSON.stringify(content)}`;
const write = (path: string, lines: readonly string[]): void => writeFileSync(path, `${lines.join('\n')}\n`);
const read = (path: string): string[] => readFileSync(path, 'utf8').trimEnd().split('\n').sort();

describe.each(CLIENTS)('$name', ({ name, program, needs, probe }) => {
  const test = spawnSync('sh', ['-c', probe]).status === 0 ? it : it.skip;
  const place = (file: string) => join(folder, `${name}-${file}`);
  const user = `user-of-${name}`;

  /** Runs the client; `until` kills it the moment its progress says so. */
  async function run(state: string, command: 'push' | 'pull', file: string, until?: string): Promise<string> {
    const token = await stack.issuerHandle.token({ sub: user });
    const child = spawn(program, [join('examples', 'thin-client', name), command, file], {
      env: {
        ...process.env,
        API: stack.api,
        TOKEN: token,
        STATE: place(state),
        BATCH: String(BATCH),
      },
      stdio: ['ignore', 'ignore', 'pipe'],
      detached: true,
    });
    let progress = '';
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      progress += text;
      if (until !== undefined && progress.includes(until) && child.pid !== undefined)
        process.kill(-child.pid, 'SIGKILL');
    });
    const [code, signal] = (await once(child, 'close')) as [number | null, string | null];
    if (until === undefined && code !== 0)
      throw new Error(`${name} ${command}: ${code} ${signal}\n${progress}`);
    if (until !== undefined) expect(signal).toBe('SIGKILL');
    return progress;
  }

  const stored = async () => {
    const items = [...(await database.snapshot()).values()].filter(({ scope }) => scope === `user:${user}`);
    return items.map(({ id }) => id);
  };

  test(`pushes in batches, goes on where it was killed, and takes nothing in twice (needs ${needs})`, async () => {
    const documents = Array.from({ length: DOCUMENTS }, (_, index) => lineOf(`n${index}`, contentOf(index)));
    write(place('documents'), documents);
    await run('phone', 'push', place('documents'), `sent ${BATCH}`);
    expect((await stored()).length).toBeLessThan(DOCUMENTS);
    await run('phone', 'push', place('documents'), `sent ${2 * BATCH}`);
    await run('phone', 'push', place('documents'));

    await run('tablet', 'pull', place('pulled'));
    expect(read(place('pulled'))).toEqual(documents.toSorted());
    const ids = await stored();
    expect(ids.filter((id) => id.startsWith('items:'))).toHaveLength(DOCUMENTS);
    // A change taken in twice would have met itself.
    expect(ids.filter((id) => id.startsWith('~conflict'))).toEqual([]);
    expect(ids.filter((id) => id.startsWith('~ledger'))).toHaveLength(1);
  });

  test(`carries edits and deletes over to another store; one wrong document blocks nothing (needs ${needs})`, async () => {
    const edited = read(place('pulled')).filter(
      (line) => !line.startsWith('"n1"') && !line.startsWith('"n2"'),
    );
    write(place('edited'), [
      lineOf('a/b', { wrong: 'id' }),
      ...edited,
      lineOf('n1', null),
      lineOf('n2', { title: 'Two' }),
    ]);
    const said = await run('tablet', 'push', place('edited'));
    expect(said).toMatch(/a\/b.*invalid_id/);
    await run('phone', 'pull', place('after'));
    expect(read(place('after'))).toEqual([...edited, lineOf('n2', { title: 'Two' })].sort());
    expect((await stored()).filter((id) => id.startsWith('~conflict'))).toEqual([]);
  });

  test(`a conflict leaves both stores with the same document (needs ${needs})`, async () => {
    write(place('mine'), [lineOf('n3', { title: 'of the tablet' })]);
    write(place('theirs'), [lineOf('n3', { title: 'of the phone' })]);
    await run('tablet', 'push', place('mine'));
    await run('phone', 'push', place('theirs'));
    await run('phone', 'pull', place('phone-holds'));
    await run('tablet', 'pull', place('tablet-holds'));
    expect(read(place('phone-holds'))).toEqual(read(place('tablet-holds')));
    expect((await stored()).filter((id) => id.startsWith('~conflict'))).toHaveLength(1);
  });
});
