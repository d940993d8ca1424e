import { STRATEGIES } from '../../shared/conflict/index.ts';
import { createRules } from '../../shared/sync/rules.ts';
import { sync, type SyncSettings } from '../../shared/sync/sync.ts';
import { parseSyncConfig } from '../../shared/sync/sync-config.ts';
import { identityOf } from '../support/gateway.ts';
import { syncDirectly } from './direct.ts';
import { createMemoryStore, type MemoryStore } from './memory-store.ts';
import type { Palette } from './history.ts';
import type { GatewayCall, Ground } from './world.ts';

export const START = Date.parse('2026-11-22T10:00:00.000Z');

/** A collection for each strategy, private and shared. */
const collectionsOf = (kind: 'private' | 'shared') =>
  Object.fromEntries(
    STRATEGIES.map((strategy) => [
      `${kind}_${strategy}`,
      {
        strategy,
        ...(kind === 'shared' ? { scope: 'facility' } : {}),
        ...(strategy === 'field_level_merge' ? { fields: FIELD_RULES } : {}),
      },
    ]),
  );

const FIELD_RULES = { '/a': { owner: 'client' }, '/c': { owner: 'server' } };

export const CONFIG = parseSyncConfig({
  collections: { ...collectionsOf('private'), ...collectionsOf('shared') },
  sharedScopes: { facility: 'facilities' },
  // Poison is what is longer.
  limits: { maxDocumentBytes: 1024 },
});

/** Everything that can happen. The default strategy is in play as often as all others together. */
export const PALETTE: Palette = {
  private: [...STRATEGIES, ...STRATEGIES.map(() => 'last_write_wins')].map((name) => `private_${name}`),
  shared: [...STRATEGIES, ...STRATEGIES.map(() => 'last_write_wins')].map((name) => `shared_${name}`),
  maxSteps: 30,
  time: true,
  faults: true,
  direct: false,
};

/** Some devices go past the gateway. */
export const DIRECT_PALETTE: Palette = { ...PALETTE, private: ['private_last_write_wins'], direct: true };

const RULES = createRules(CONFIG, null);

/** The gateway in this process; or none, for a device that goes past it. */
export const syncHere = (call: GatewayCall) => {
  if (call.transport === 'direct') return syncDirectly(call);
  const { store, user, grants, body, settings, now } = call;
  const all: SyncSettings = { config: CONFIG, ...settings };
  return sync(JSON.parse(JSON.stringify(body)), identityOf(user, grants), {
    store,
    settings: all,
    rules: RULES,
    now,
    wait: () => 0,
    onMalformed: (scope, id) => {
      throw new Error(`${id} in ${scope} is no document`);
    },
  });
};

export interface MemoryGround extends Ground {
  readonly memory: MemoryStore;
  /** Scope and id of what a planted bug is about to remove. */
  readonly forget: [scope: string, id: string][];
}

/** A store in memory, of its own for each history. */
export function createMemoryGround(): MemoryGround {
  const clock = { now: START };
  const memory = createMemoryStore(() => clock.now);
  return {
    clock,
    memory,
    forget: [],
    open: () => memory,
    items: (scope) => Promise.resolve(memory.items(scope)),
    sync: syncHere,
    config: CONFIG,
    tag: '',
    watched: true,
  };
}
