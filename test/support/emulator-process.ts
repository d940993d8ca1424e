import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { join } from 'node:path';
import { secrets } from '../../emulator/src/auth/secrets.ts';

/** The emulator as a process of its own, so that it can be killed. */
export interface EmulatorProcess {
  readonly endpoint: string;
  readonly key: string;
  /** SIGKILL: no goodbye, nothing flushed. */
  readonly kill: () => Promise<void>;
}

export async function spawnEmulator(data: string, port = 0): Promise<EmulatorProcess> {
  const child: ChildProcess = spawn(
    process.execPath,
    [
      '--disable-warning=ExperimentalWarning',
      join('emulator', 'src', 'cli.ts'),
      '--data',
      data,
      '--port',
      String(port),
      '--json',
    ],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  );
  const { stdout } = child;
  if (stdout === null) throw new Error('The emulator has no output.');
  const lines = createInterface({ input: stdout });
  const [line] = (await once(lines, 'line')) as [string];
  lines.close();
  const { endpoint, key } = JSON.parse(line) as { endpoint: string; key: string };
  secrets.publish(key);
  return {
    endpoint,
    key,
    kill: async () => {
      if (child.exitCode !== null || child.signalCode !== null) return;
      const gone = once(child, 'exit');
      child.kill('SIGKILL');
      await gone;
    },
  };
}
