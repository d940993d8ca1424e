import { CachedTokenProvider, collection, createClient, type ExpiringToken } from '@tidemark/client';
import { wasmSqlite } from '@tidemark/client/wasm';
import type { Config } from './config.ts';
import { signIn } from './sign-in.ts';

/** A note, as the user sees it and as the service keeps it. */
export interface Note {
  id: string;
  title: string;
  text: string;
  /** When it was last edited, for the order of the list. */
  edited: string;
}

/** Opens the notes of a user on this device. Works without a network; `start()` keeps them in sync from then on. */
export function openNotes({ api, issuer }: Config, userId: string) {
  const worker = new Worker('/database-worker.js', { type: 'module' });
  const client = createClient({
    url: api,
    userId,
    token: new CachedTokenProvider({ getToken: (): Promise<ExpiringToken> => signIn(issuer, client.userId) }),
    database: wasmSqlite(worker, 'notes'),
    collections: { items: collection<Note>() },
  });
  client.start();
  return client;
}

export type NotesClient = ReturnType<typeof openNotes>;
