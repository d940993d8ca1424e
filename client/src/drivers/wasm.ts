import type { DatabaseOpener } from '../sql/database.ts';
import { portDatabase, type Port } from './port.ts';

/**
 * SQLite compiled to WebAssembly, its file in the browser's private file system (OPFS), in a worker: no page waits for the
 * disk. The worker is a file of your own with two lines:
 *
 * ```ts
 * import { serveWasmSqlite } from '@tidemark/client/wasm-worker';
 * serveWasmSqlite('notes');
 * ```
 *
 * @param worker `new Worker(new URL('./database-worker.js', import.meta.url), { type: 'module' })`
 * @param name of the database, as in the worker
 */
export const wasmSqlite = (worker: Port, name: string): DatabaseOpener => portDatabase(worker, name);

export { portDatabase, serveDatabase, type Port, type Tabs } from './port.ts';
