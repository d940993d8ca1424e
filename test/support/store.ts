import type { DocumentStore, ScopeStore } from '../../shared/sync/store.ts';

/** A store that does some things in its own way, scope by scope; the rest it does as `store` does. */
export const mapScopes = (
  store: DocumentStore,
  map: (scope: ScopeStore, name: string) => Partial<Omit<ScopeStore, 'session'>>,
): DocumentStore => ({
  incarnation: () => store.incarnation(),
  open: (name, ...given) => {
    const scope = store.open(name, ...given);
    return {
      get session() {
        return scope.session;
      },
      batch: (writes) => scope.batch(writes),
      read: (ids) => scope.read(ids),
      changes: (...asked) => scope.changes(...asked),
      ...map(scope, name),
    };
  },
});

/** Puts something around every call to a store. */
export const aroundCalls = (
  store: DocumentStore,
  around: <T>(work: () => Promise<T>) => Promise<T>,
): DocumentStore =>
  mapScopes(store, (scope) => ({
    batch: (writes) => around(() => scope.batch(writes)),
    read: (ids) => around(() => scope.read(ids)),
    changes: (...asked) => around(() => scope.changes(...asked)),
  }));

/** The gateway's process died: nobody gets an answer. */
export class Crash extends Error {}

/** A store that takes the process down at its n-th call, before or after that is carried out. */
export function dying(store: DocumentStore, at: number, moment: 'before' | 'after') {
  let calls = 0;
  const wrapped = aroundCalls(store, async (work) => {
    calls += 1;
    const dies = calls === at;
    if (dies && moment === 'before') throw new Crash();
    const result = await work();
    if (dies) throw new Crash();
    return result;
  });
  return { store: wrapped, calls: () => calls };
}
