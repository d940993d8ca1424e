import init from '@sqlite.org/sqlite-wasm';

/** Runs statements on a database's file while no client has it open: `{ name, sql }`; answers what went wrong, or null. */
self.addEventListener('message', (event: MessageEvent<{ name: string; sql: string }>) => {
  run(event.data).then(
    () => self.postMessage(null),
    (error: unknown) => self.postMessage(String(error)),
  );
});

async function run({ name, sql }: { name: string; sql: string }): Promise<void> {
  const sqlite3 = await init();
  const pool = await sqlite3.installOpfsSAHPoolVfs({ name: `tidemark-${name}`, initialCapacity: 3 });
  const database = new pool.OpfsSAHPoolDb(`/${name}.db`);
  database.exec(sql);
  database.close();
  pool.pauseVfs();
}
