import { Unavailable } from '../../shared/errors.ts';
import type { DocumentStore, Write } from '../../shared/sync/store.ts';
import { aroundCalls, Crash, mapScopes } from '../support/store.ts';
import type { Fault } from './history.ts';
import type { Turns } from './turns.ts';

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
  const contested = mapScopes(store, (scope) => ({
    batch: (writes) => (contended() ? Promise.resolve({ kind: 'refused', culprit: 0 }) : scope.batch(writes)),
  }));
  return aroundCalls(contested, strike);
}

/** Which scopes are opened, and what is written to them. */
export function watched(
  store: DocumentStore,
  onOpen: (scope: string) => void,
  onWritten: (scope: string, writes: readonly Write[], etags: readonly string[]) => void,
): DocumentStore {
  const seen = mapScopes(store, (scope, name) => ({
    batch: async (writes) => {
      const result = await scope.batch(writes);
      if (result.kind === 'written') onWritten(name, writes, result.etags);
      return result;
    },
  }));
  return {
    ...seen,
    open: (name, ...given) => {
      onOpen(name);
      return seen.open(name, ...given);
    },
  };
}
