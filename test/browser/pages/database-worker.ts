import { serveWasmSqlite } from '../../../client/src/drivers/wasm-worker.ts';

/** The worker of an app, with a clock that the page can set back: `{ behind: milliseconds }`. */
const now = Date.now;
let behind = 0;
Date.now = () => now() - behind;
self.addEventListener('message', (event: MessageEvent<{ behind?: number }>) => {
  behind = event.data.behind ?? behind;
});

serveWasmSqlite(new URLSearchParams(self.location.search).get('name') ?? '');
