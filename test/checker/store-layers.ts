import { Unavailable } from '../../shared/errors.ts';
import type { DocumentStore, ScopeStore, Write } from '../../shared/sync/store.ts';
import type { Fault } from './history.ts';
import type { Turns } from './turns.ts';

/** The gateway's process died: nobody gets an answer. */
export class Crash extends Error {}

/** Puts something around every call to a store. */
export function aroundCalls(
  store: DocumentStore,
  around: <T>(work: () => Promise<T>) => Promise<T>,
): DocumentStore {
  return {
    incarnation: () => store.incarnation(),
    open: (...given) => {
      const scope = store.open(...given);
      return {
        get session() {
          return scope.session;
        },
        batch: (writes) => around(() => scope.batch(writes)),
        read: (ids) => around(() => scope.read(ids)),
        changes: (...asked) => around(() => scope.changes(...asked)),
      };
    },
  };
}

/** Calls wait for their turn. */
export const inTurn = (store: DocumentStore, turns: Turns): DocumentStore =>
  aroundCalls(store, (work) => turns.take(work));

/** The n-th call goes wrong. */
export function withFault(store: DocumentStore, fault: Fault, slow: () => void): DocumentStore {
  let calls = 0;
  return aroundCalls(store, async (work) => {
    calls += 1;
    if (calls !== fault.at) return work();
    switch (fault.kind) {
      case 'crash before':
        throw new Crash();
      case 'crash after':
        await work();
        throw new Crash();
      case 'throttled':
        throw new Unavailable('Request rate is large.');
      case 'answer lost':
        await work();
        throw new Unavailable('The connection ended.');
      case 'doubled': {
        const first = await work();
        await work();
        return first;
      }
      case 'slow': {
        const result = await work();
        slow();
        return result;
      }
    }
  });
}

/** Which scopes are opened, and what is written to them. */
export function watched(
  store: DocumentStore,
  onOpen: (scope: string) => void,
  onWritten: (scope: string, writes: readonly Write[], etags: readonly string[]) => void,
): DocumentStore {
  return {
    incarnation: () => store.incarnation(),
    open: (name, ...given) => {
      onOpen(name);
      const scope: ScopeStore = store.open(name, ...given);
      return {
        get session() {
          return scope.session;
        },
        read: (ids) => scope.read(ids),
        changes: (...asked) => scope.changes(...asked),
        batch: async (writes) => {
          const result = await scope.batch(writes);
          if (result.kind === 'written') onWritten(name, writes, result.etags);
          return result;
        },
      };
    },
  };
}
