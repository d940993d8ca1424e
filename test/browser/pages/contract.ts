import { wasmSqlite, type Port } from '../../../client/src/drivers/wasm.ts';
import type { ScopeToken } from '../../../shared/protocol/index.ts';
import { storeContract, type Place } from '../../support/store-contract.ts';
import { syncContract, type SyncWorld } from '../../support/sync-contract.ts';
import { collect } from './cases.ts';
import { expect } from './expect.ts';

/** The suites of the stores and the transports, on sqlite-wasm in this page. */

/** What the test outside of the browser does for this page. */
declare global {
  interface Window {
    mint(user: string): Promise<ScopeToken>;
    items(user: string): Promise<Record<string, unknown>[]>;
    remove(user: string, id: string): Promise<void>;
    runCase(name: string): Promise<void>;
  }
}

const workers: Worker[] = [];
function start(name: string): Worker {
  const worker = new Worker(`/database-worker.js?name=${name}`, { type: 'module' });
  workers.push(worker);
  return worker;
}

const newName = (): string => `contract-${crypto.randomUUID()}`;

function newPlace(): Place {
  const name = newName();
  return {
    driver: () => wasmSqlite(start(name), name),
    exec: (sql) =>
      new Promise((resolve, reject) => {
        const worker = new Worker('/file-worker.js', { type: 'module' });
        workers.push(worker);
        worker.addEventListener('message', ({ data }: MessageEvent<string | null>) => {
          if (data === null) resolve();
          else reject(new Error(data));
        });
        worker.postMessage({ name, sql });
      }),
  };
}

/** A worker whose clock is that of its device. */
function withClock(worker: Worker, now: () => number): Port {
  return {
    postMessage: (message) => {
      worker.postMessage({ behind: Date.now() - now() });
      worker.postMessage(message);
    },
    addEventListener: (type, listener) => worker.addEventListener(type, listener),
  };
}

const world: SyncWorld = {
  url: () => `${location.origin}/gateway`,
  newUser: () => `b-${crypto.randomUUID()}`,
  database: (now) => {
    const name = newName();
    return wasmSqlite(withClock(start(name), now), name);
  },
  mint: async (user) => ({ ...(await window.mint(user)), endpoint: `${location.origin}/cosmos/` }),
  items: (user) => window.items(user),
  remove: (user, id) => window.remove(user, id),
};

Object.assign(globalThis, { expect });
const cases = [...collect(() => storeContract(newPlace)), ...collect(() => syncContract(world))];

window.runCase = async (name) => {
  const found = cases.find((each) => each.name === name);
  if (found === undefined) throw new Error(`There is no test \`${name}\`.`);
  try {
    await found.run();
  } finally {
    for (const worker of workers.splice(0)) worker.terminate();
  }
};
