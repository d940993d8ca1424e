import { StrictMode, useState } from 'react';
import { createRoot } from 'react-dom/client';
import { collection, createClient } from '../../../client/src/index.ts';
import { wasmSqlite } from '../../../client/src/drivers/wasm.ts';
import { useQuery } from '../../../client/src/react.ts';

/** The hook in a real app of React, in its strict mode: every component is mounted, unmounted and mounted again. */
declare global {
  interface Window {
    readonly hook: typeof hook;
  }
}

const name = `react-${crypto.randomUUID()}`;
const client = createClient({
  url: `${location.origin}/nowhere`,
  token: 'none',
  userId: 'alice',
  database: wasmSqlite(new Worker(`/database-worker.js?name=${name}`, { type: 'module' }), name),
  collections: { items: collection<{ id: string; title: string; done: boolean }>() },
});
const store = client.store('items');
const hook = { store, renders: 0, watchers: 0 };
const watch = store.watch.bind(store);
store.watch = (query, listener) => {
  hook.watchers += 1;
  const end = watch(query, listener);
  return () => {
    hook.watchers -= 1;
    end();
  };
};

function Titles({ id, done }: { id: string; done: boolean }) {
  hook.renders += 1;
  const { documents, loading } = useQuery(store, { where: { done }, orderBy: 'title' });
  return <p id={id}>{loading ? 'loading' : documents.map(({ title }) => title).join(' ')}</p>;
}

function App() {
  const [shown, setShown] = useState(true);
  const [done, setDone] = useState(false);
  const [, setTick] = useState(0);
  return (
    <>
      <button onClick={() => setShown(!shown)}>toggle</button>
      <button onClick={() => setDone(!done)}>other query</button>
      <button onClick={() => setTick((tick) => tick + 1)}>render</button>
      {shown && <Titles id="one" done={done} />}
      {shown && <Titles id="two" done={done} />}
    </>
  );
}

Object.assign(window, { hook });
const root = document.getElementById('root');
if (root === null) throw new Error('The page has no root.');
createRoot(root).render(
  <StrictMode>
    <App />
  </StrictMode>,
);
