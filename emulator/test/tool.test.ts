import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { startEmulator } from '../src/index.ts';
import { send, sendSigned } from './raw-request.ts';

const cli = join(__dirname, '..', 'src', 'cli.ts');

interface Outcome {
  readonly code: number | null;
  readonly errors: string;
  readonly line: string;
}

/** Runs the tool until its first line, or its end; lets work see it run. */
async function withTool(args: string[], work?: (endpoint: string) => Promise<void>): Promise<Outcome> {
  const child = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', cli, '--json', ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let errors = '';
  child.stderr.on('data', (chunk: Buffer) => (errors += chunk.toString()));
  const code = new Promise<number | null>((resolve) => child.once('close', resolve));
  const line = await Promise.race([
    new Promise<string>((resolve) => child.stdout.once('data', (chunk: Buffer) => resolve(chunk.toString()))),
    code.then(() => ''),
  ]);
  try {
    if (line !== '') await work?.((JSON.parse(line) as { endpoint: string }).endpoint);
  } finally {
    child.kill('SIGTERM');
  }
  return { code: await code, errors, line };
}

describe('the tool', () => {
  it('takes identity options and closes to keys', async () => {
    const { code } = await withTool(
      ['--issuer', 'http://127.0.0.1:9', '--role', 'me:reader:db/items', '--disable-local-auth'],
      async (endpoint) => {
        const answer = await fetch(endpoint, {
          headers: { authorization: 'type%3Dmaster%26ver%3D1.0%26sig%3Dx' },
        });
        expect(answer.status).toBe(401);
        expect(await answer.text()).toMatch(/local authorization|disabled/i);
      },
    );
    expect(code).toBe(0);
  });

  it.each([
    [['--role', 'me:reader'], /need an --issuer/],
    [['--issuer', 'http://127.0.0.1:9', '--role', 'me:owner'], /--role is/],
    [['--host', '0.0.0.0'], /loopback.*--allow-remote/],
    [['--port', 'x'], /--port/],
  ])('refuses %j', async (args, message) => {
    const { code, errors, line } = await withTool(args);
    expect([code, line]).toEqual([1, '']);
    expect(errors).toMatch(message);
  });
});

describe('other machines', () => {
  it('are let in when that was said twice', async () => {
    await expect(startEmulator({ host: '0.0.0.0' })).rejects.toThrow(/allowRemote/);
    const emulator = await startEmulator({ host: '0.0.0.0', allowRemote: true });
    try {
      expect(new URL(emulator.endpoint).hostname).toBe('127.0.0.1');
      expect((await sendSigned(emulator, { method: 'GET', path: 'dbs' })).status).toBe(200);
      expect((await send(emulator, { method: 'GET', path: 'dbs' }, undefined)).status).toBe(401);
    } finally {
      await emulator.dispose();
    }
  });

  it('are told the address they came by', async () => {
    const emulator = await startEmulator();
    try {
      const { port } = new URL(emulator.endpoint);
      const named = { ...emulator, endpoint: `http://localhost:${port}/` };
      const account = await sendSigned(named, { method: 'GET', path: '' });
      expect(account.text).toContain(`"databaseAccountEndpoint":"http://localhost:${port}/"`);
    } finally {
      await emulator.dispose();
    }
  });
});
