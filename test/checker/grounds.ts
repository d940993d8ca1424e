import { sync, type SyncSettings } from '../../shared/sync/sync.ts';
import { parseSyncConfig } from '../../shared/sync/sync-config.ts';
import { identityOf } from '../support/gateway.ts';
import { createMemoryStore, type MemoryStore } from './memory-store.ts';
import type { Palette } from './history.ts';
import type { GatewayCall, Ground } from './world.ts';

export const START = Date.parse('2026-11-22T10:00:00.000Z');

export const CONFIG = parseSyncConfig({
  collections: { tasks: {}, notes: {}, visits: { scope: 'facility' } },
  sharedScopes: { facility: 'facilities' },
  // Poison is what is longer.
  limits: { maxDocumentBytes: 1024 },
});

/** Everything that can happen. */
export const PALETTE: Palette = {
  private: ['tasks', 'notes'],
  shared: ['visits'],
  maxSteps: 30,
  time: true,
  faults: true,
};

/** The gateway in this process. */
export const syncHere = ({ store, user, grants, body, settings, now }: GatewayCall) => {
  const all: SyncSettings = { config: CONFIG, interval: 300_000, ...settings };
  return sync(JSON.parse(JSON.stringify(body)), identityOf(user, grants), {
    store,
    settings: all,
    now,
    onMalformed: (scope, id) => {
      throw new Error(`${id} in ${scope} is no document`);
    },
  });
};

export interface MemoryGround extends Ground {
  readonly memory: MemoryStore;
}

/** A store in memory, of its own for each history. */
export function createMemoryGround(): MemoryGround {
  const clock = { now: START };
  const memory = createMemoryStore(() => clock.now);
  return {
    clock,
    memory,
    open: () => memory,
    items: (scope) => Promise.resolve(memory.items(scope)),
    sync: syncHere,
    config: CONFIG,
    tag: '',
    watched: true,
  };
}
