/**
 * `npm run notes`: the whole product on this machine, with examples/notes-web as its app. Data is kept in .local/; Ctrl-C
 * ends everything.
 */
import { resolve } from 'node:path';
import { buildApp as buildNotes, serveApp } from '../examples/notes-web/server.ts';
import { buildApp } from '../scripts/build-app.ts';
import { startStack } from './stack.ts';

const ROOT = resolve(import.meta.dirname, '..');
const NOTES = resolve(ROOT, 'examples/notes-web/src');
const CLIENT = resolve(ROOT, 'client/src');

await buildApp(ROOT);
const notes = await serveApp(
  await buildNotes(NOTES, {
    '@tidemark/client/wasm-worker': resolve(CLIENT, 'drivers/wasm-worker.ts'),
    '@tidemark/client/wasm': resolve(CLIENT, 'drivers/wasm.ts'),
    '@tidemark/client': resolve(CLIENT, 'index.ts'),
  }),
  7073,
);
const stack = await startStack({
  root: ROOT,
  dataDir: resolve(ROOT, '.local'),
  quiet: true,
  ports: { api: 7071, cosmos: 8081, issuer: 7072 },
  settings: { CORS_ALLOWED_ORIGINS: notes.url },
});
notes.config = { api: stack.api, issuer: stack.issuer };
process.stdout.write(`Notes: ${notes.url}\n`);

const end = (): void => void Promise.all([notes.close(), stack.dispose()]).then(() => process.exit(0));
process.once('SIGINT', end).once('SIGTERM', end);
