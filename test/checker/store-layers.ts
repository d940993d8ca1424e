import { Unavailable } from '../../shared/errors.ts';
import type { BatchResult, DocumentStore, ScopeStore, Write } from '../../shared/sync/store.ts';
import type { Fault } from './history.ts';
import type { Turns } from './turns.ts';

/** The gateway's process died: nobody gets an answer. */
export class Crash extends Error {}

/** Puts something around every call to a store. */
export function aroundCalls(
  store: DocumentStore,
  around: <T>(work: () => Promise<T>) => Promise<T>,
  batch: (scope: ScopeStore, writes: readonly Write[]) => Promise<BatchResult> = (scope, writes) =>
    scope.batch(writes),
): DocumentStore {
  return {
    incarnation: () => store.incarnation(),
    open: (...given) => {
      const scope = store.open(...given);
      return {
        get session() {
          return scope.session;
        },
        batch: (writes) => around(() => batch(scope, writes)),
        read: (ids) => around(() => scope.read(ids)),
        changes: (...asked) => around(() => scope.changes(...asked)),
      };
    },
  };
}

/** Calls wait for their turn. */
export const inTurn = (store: DocumentStore, turns: Turns): DocumentStore =>
  aroundCalls(store, (work) => turns.take(work));

/** How many batches a contended document loses; the gateway gives up before. */
const CONTENDED_BATCHES = 6;

/** The n-th call goes wrong; `contended`: from then on others write first, again and again. */
export function withFault(store: DocumentStore, fault: Fault, slow: () => void): DocumentStore {
  let calls = 0;
  let lost = 0;
  const strike = async <T>(work: () => Promise<T>): Promise<T> => {
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
      case 'contended':
        return work();
    }
  };
  const contended = (): boolean => {
    if (fault.kind !== 'contended' || calls < fault.at || lost >= CONTENDED_BATCHES) return false;
    lost += 1;
    return true;
  };
  return aroundCalls(store, strike, (scope, writes) =>
    contended() ? Promise.resolve({ kind: 'refused', culprit: 0 }) : scope.batch(writes),
  );
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
