import { useMemo, useSyncExternalStore } from 'react';
import { observe, type Observed } from './store/observe.ts';
import type { DocumentStore, Query } from './store/document-store.ts';

/**
 * The result of a query, kept up to date while the component is there.
 *
 * ```tsx
 * const notes = client.store('notes');
 * const Notes = () => useQuery(notes, { orderBy: 'title' }).documents.map((note) => <Note key={note.id} note={note} />);
 * ```
 *
 * @param store keep it between renders: make it outside of the component, or with `useMemo`
 */
export function useQuery<T extends object>(store: DocumentStore<T>, query: Query<T> = {}): Observed<T> {
  // A query is written anew in each render; it is another one only when it says something else.
  const text = JSON.stringify(query);
  const observed = useMemo(() => observe(store, JSON.parse(text) as Query<T>), [store, text]);
  return useSyncExternalStore(observed.subscribe, observed.current, observed.current);
}
