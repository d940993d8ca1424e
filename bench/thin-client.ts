import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createReadStream, createWriteStream } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { createInterface } from 'node:readline';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { startMeasuredStack } from './measured-stack.ts';

/**
 * Pushes and pulls documents with the thin clients of examples/, and reports time and the gateway's memory:
 * `npm run ts -- bench/thin-client.ts [documents]` (default 100,000). Needs curl and python3.
 */

const DOCUMENTS = Number(process.argv[2] ?? 100_000);
const examples = resolve(import.meta.dirname, '..', 'examples', 'thin-client');
const folder = await mkdtemp(join(tmpdir(), 'tidemark-thin-bench-'));
const source = join(folder, 'documents');
const out = createWriteStream(source);
for (let index = 0; index < DOCUMENTS; index += 1) {
  const content = { title: `Record ${index}`, note: 'x'.repeat(100 + (index % 100)), n: index };
  if (!out.write(`"n${index}"\t${JSON.stringify(content)}\n`)) await once(out, 'drain');
}
out.end();
await once(out, 'finish');

const stack = await startMeasuredStack();
try {
  for (const [program, client] of [
    ['sh', 'tide.sh'],
    ['python3', 'tide.py'],
  ] as const) {
    const run = async (state: string, command: string, file: string): Promise<void> => {
      const token = await stack.issuer.token({ sub: client });
      const before = await stack.memory();
      const started = performance.now();
      const child = spawn(program, [join(examples, client), command, file], {
        env: { ...process.env, API: stack.api, TOKEN: token, STATE: join(folder, `${client}-${state}`) },
        stdio: ['ignore', 'ignore', 'pipe'],
      });
      let said = '';
      child.stderr.on('data', (text: Buffer) => (said = `${said}${text.toString()}`.slice(-500)));
      const [code] = (await once(child, 'close')) as [number | null];
      if (code !== 0) throw new Error(`${client} ${command}: ${said}`);
      const seconds = (performance.now() - started) / 1000;
      const after = await stack.memory();
      console.log(
        `${client} ${command}: ${seconds.toFixed(1)} s, ${Math.round(DOCUMENTS / seconds)} documents a second; ` +
          `gateway process ${before.now} MB before, ${after.now} MB after, ${after.peak} MB at most so far`,
      );
    };
    await run('phone', 'push', source);
    const pulled = join(folder, `${client}-pulled`);
    await run('tablet', 'pull', pulled);
    const [sent, got] = await Promise.all([digest(source), digest(pulled)]);
    if (sent !== got) throw new Error(`${client} did not pull what was pushed.`);
    console.log(`${client}: all ${DOCUMENTS} documents are the same on both sides`);
  }
} finally {
  await stack.dispose();
  await rm(folder, { recursive: true, force: true });
}

/** The lines of a file, in any order. */
async function digest(path: string): Promise<string> {
  const lines: string[] = [];
  for await (const line of createInterface({ input: createReadStream(path) })) lines.push(line);
  return lines.sort().join('\n');
}
