import { createRequire } from 'node:module';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';

/**
 * A CouchDB-compatible server on LevelDB: express-pouchdb, in a process of its own. Every write reaches the disk before it
 * is answered (`sync` of LevelDB), as in the emulator beside which it is measured; PouchDB by itself leaves that to the
 * operating system.
 *
 * Argument: the folder for data. Prints the address.
 */
const [, , data = ''] = process.argv;
const load = createRequire(import.meta.url);

type Batch = (operations: unknown, options: object, done: unknown) => unknown;
interface Level {
  _batch: Batch;
  _put: (key: unknown, value: unknown, options: object, done: unknown) => unknown;
}
const leveldown = load('leveldown') as (path: string) => Level;
const durable = (path: string): Level => {
  const level = leveldown(path);
  const batch = level._batch.bind(level);
  const put = level._put.bind(level);
  level._batch = (operations, options, done) => batch(operations, { ...options, sync: true }, done);
  level._put = (key, value, options, done) => put(key, value, { ...options, sync: true }, done);
  return level;
};

interface PouchStatic {
  plugin(plugin: unknown): PouchStatic;
  defaults(options: object): PouchStatic;
}
const named = (name: string): unknown => {
  const module = load(name) as { default?: unknown };
  return module.default ?? module;
};
const PouchDB = (named('pouchdb-core') as PouchStatic)
  .plugin(named('pouchdb-adapter-leveldb'))
  .plugin(named('pouchdb-mapreduce'))
  .plugin(named('pouchdb-replication'))
  .defaults({
    prefix: `${data}/`,
    adapter: 'leveldb',
    db: Object.assign(durable, { destroy: () => undefined }),
  });

const express = load('express') as () => { use(handler: unknown): void };
const serve = load('express-pouchdb') as (pouch: PouchStatic, options: object) => unknown;
const app = express();
app.use(serve(PouchDB, { mode: 'minimumForPouchDB', inMemoryConfig: true, logPath: join(data, 'log.txt') }));
const server = createServer(app as never);
server.listen(0, '127.0.0.1', () => {
  console.log(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
});
