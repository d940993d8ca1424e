import type { DocumentStore, Query } from './document-store.ts';

export interface Observed<T> {
  readonly documents: readonly T[];
  /** Nothing was read yet. */
  readonly loading: boolean;
}

/** A query as a value that changes, for frameworks: the same object until the result is another one. */
export function observe<T extends object>(
  store: DocumentStore<T>,
  query: Query<T>,
): { readonly subscribe: (listener: () => void) => () => void; readonly current: () => Observed<T> } {
  let observed: Observed<T> = { documents: [], loading: true };
  return {
    subscribe: (listener) =>
      store.watch(query, (documents) => {
        observed = { documents, loading: false };
        listener();
      }),
    current: () => observed,
  };
}
