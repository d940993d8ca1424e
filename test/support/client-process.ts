import { writeSync } from 'node:fs';
import { nodeSqlite } from '../../client/src/drivers/node-sqlite.ts';
import { collection, createClient } from '../../client/src/index.ts';

/**
 * An app that edits and syncs as fast as it can until it is killed: `client-process.ts <database> <url> <user> <from>`. Prints
 * `<id> <number>` for each edit once it is stored; a number of 0 is a delete. With `drain` for a number it only syncs.
 */
const [path = '', url = '', userId = '', from = ''] = process.argv.slice(2);
const client = createClient({
  url,
  token: userId,
  userId,
  database: nodeSqlite(path),
  collections: { items: collection<{ id: string; n: number; text?: string }>() },
  sync: { maxBatchChanges: 7, retry: { attempts: 3, baseDelay: 5, maxDelay: 20 }, patience: 20_000 },
});
const items = client.store('items');
/** Waits until it is told: at most one edit is stored and not told when the kill comes. */
const tell = (line: string): number => writeSync(1, line);

if (from === 'drain') {
  const report = await client.sync();
  if (report.outcome !== 'synced') throw report.error ?? new Error(report.outcome);
  await client.close();
} else {
  void (async () => {
    for (;;) await client.sync();
  })();
  for (let n = Number(from); ; n += 1) {
    const id = `d${(n * 7) % 13}`;
    const known = await items.get(id);
    if (n % 11 === 0 && known !== null) {
      await items.delete(id);
      tell(`${id} 0 ${n}\n`);
      continue;
    }
    if (n % 3 === 0 && known !== null) await items.patch(id, { n });
    else await items.upsert({ id, n, text: 'x'.repeat(n % 50) });
    tell(`${id} ${n} ${n}\n`);
    // Lets requests and answers come between edits.
    if (n % 4 === 0) await new Promise((resolve) => setImmediate(resolve));
  }
}
