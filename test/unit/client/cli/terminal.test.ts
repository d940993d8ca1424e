import { Readable } from 'node:stream';
import { duration, renderBar, Terminal, withoutControls } from '../../../../client/src/cli/terminal.ts';

function screen({ isTTY = false, columns = 60, env = {}, json = false } = {}) {
  const written = { out: '', err: '' };
  let now = 0;
  const output = (name: 'out' | 'err') => ({
    isTTY,
    columns,
    write: (text: string) => {
      written[name] += text;
      return true;
    },
    once: () => undefined,
  });
  const io = {
    stdout: output('out'),
    stderr: output('err'),
    stdin: Readable.from([]),
    env,
    cwd: '/',
    fetch,
    now: () => now,
    signal: new AbortController().signal,
  };
  return {
    terminal: new Terminal(io, { json, quiet: false }),
    written,
    pass: (milliseconds: number) => (now += milliseconds),
  };
}

it('draws a bar no wider than the terminal', () => {
  const progress = { label: 'Sending', done: 990, total: 10_000, note: '990 sent, 0 fetched, 1 request' };
  expect(renderBar(progress, 120)).toBe(
    'Sending  ██░░░░░░░░░░░░░░░░░░░░░░  990 of 10,000 (9 %), 990 sent, 0 fetched, 1 request',
  );
  expect(renderBar(progress, 40)).toHaveLength(39);
  expect(renderBar({ ...progress, done: 20_000 }, 120)).toContain(
    `${'█'.repeat(24)}  20,000 of 20,000 (100 %)`,
  );
  expect(renderBar({ label: 'Fetching', done: 5, total: null }, 120)).toBe('Fetching  5');
});

it('draws over its bar on a terminal, and takes it away before a result', () => {
  const { terminal, written, pass } = screen({ isTTY: true });
  pass(100);
  terminal.progress({ label: 'Sending', done: 1, total: 2 });
  terminal.progress({ label: 'Sending', done: 2, total: 2 });
  terminal.say('Synced.');
  expect(written.err).toBe('\rSending  ████████████░░░░░░░░░░░░  1 of 2 (50 %)\x1b[K\r\x1b[K');
  expect(written.out).toBe('Synced.\n');
});

it('draws a bar on a terminal that does not know its width', () => {
  const { terminal, written, pass } = screen({ isTTY: true, columns: 0 });
  pass(100);
  terminal.progress({ label: 'Sending', done: 1, total: 2 });
  expect(written.err).toContain('1 of 2 (50 %)');
});

it('writes a line a second in a pipe, without anything that a terminal obeys', () => {
  const { terminal, written, pass } = screen();
  for (let done = 0; done < 30; done += 1) {
    pass(100);
    terminal.progress({ label: 'Sending', done, total: 30 });
  }
  terminal.say(terminal.good('Synced.'));
  expect(written.err).toBe('Sending: 9 of 30\nSending: 19 of 30\nSending: 29 of 30\n');
  expect(written.out).toBe('Synced.\n');
});

it('has colours on a terminal, unless NO_COLOR says no', () => {
  expect(screen({ isTTY: true }).terminal.bad('x')).toBe('\x1b[31mx\x1b[39m');
  expect(screen({ isTTY: true, env: { NO_COLOR: '1' } }).terminal.bad('x')).toBe('x');
});

it('shows no token, and nothing that steers a terminal', () => {
  const { terminal, written } = screen({ isTTY: true });
  terminal.hide('eyJ.secret.x');
  terminal.say('It was eyJ.secret.x: \x1b]0;title\x07\u202e\x9b2J');
  terminal.remark('eyJ.secret.x');
  terminal.sayJson({ error: 'eyJ.secret.x' });
  expect(written.out).toBe('It was [token]: \\u001b]0;title\\u0007\\u202e\\u009b2J\n{"error":"[token]"}\n');
  expect(written.err).toBe('[token]\n');
  expect(withoutControls('\x1b[31mred\x1b[39m\n')).toBe('\x1b[31mred\x1b[39m\n');
});

it('says how long in words that fit', () => {
  expect([950, 3_400, 90_000, 600_000, 10_800_000, 400_000_000].map(duration)).toEqual([
    '950 ms',
    '3.4 s',
    '90.0 s',
    '10 min',
    '3 h',
    '5 days',
  ]);
});
