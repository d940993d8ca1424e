import { serveWasmSqlite } from '@tidemark/client/wasm-worker';

serveWasmSqlite('notes');
