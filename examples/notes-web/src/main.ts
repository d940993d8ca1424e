import { byId } from './dom.ts';
import { showConflicts, showRejected } from './attention.ts';
import { NoteEditor } from './note-editor.ts';
import { showList } from './note-list.ts';
import type { Config } from './config.ts';
import { openNotes, type Note, type NotesClient } from './notes.ts';
import { currentUser, keepUser } from './sign-in.ts';
import { describeStatus } from './status.ts';

const config = (await (await fetch('/config.json')).json()) as Config;
let client: NotesClient | null = null;

for (const button of document.querySelectorAll<HTMLButtonElement>('#sign-in button')) {
  button.addEventListener('click', () => void enter(button.value));
}
byId('leave').addEventListener('click', () => {
  keepUser(null);
  show(null);
  byId('sign-in').querySelector('button')?.focus();
});
if ('serviceWorker' in navigator) void navigator.serviceWorker.register('/service-worker.js');
const user = currentUser();
if (user === null) show(null);
else await enter(user);

/** Shows the notes of a user. The notes and edits of the one before stay on the device, out of sight. */
async function enter(userId: string): Promise<void> {
  keepUser(userId);
  if (client === null) {
    client = openNotes(config, userId);
    showNotes(client);
    // Asks the browser not to clear the notes when the disk is full.
    void navigator.storage.persist();
  } else {
    await client.updateUserId(userId);
  }
  show(userId);
}

function show(userId: string | null): void {
  byId('sign-in').hidden = userId !== null;
  byId('app').hidden = userId === null;
  byId('user').textContent = userId ?? '';
}

function showNotes(open: NotesClient): void {
  const store = open.store('items');
  const search = byId('search') as HTMLInputElement;
  const editor = new NoteEditor(store);
  let notes: Note[] = [];

  const render = (): void => {
    const words = search.value.trim().toLowerCase();
    const found = notes.filter(({ title, text }) => `${title} ${text}`.toLowerCase().includes(words));
    showList(found, editor.openId, words !== '', (id) => {
      editor.open(notes.find((note) => note.id === id) ?? null);
      render();
    });
  };
  const renderAttention = async (): Promise<void> => {
    showConflicts(open, await open.conflicts());
    showRejected(open, await open.rejected());
  };

  store.watch({ orderBy: [['edited', 'desc']] }, (found) => {
    notes = found;
    editor.update(notes);
    render();
  });
  open.on('status', (status) => {
    const label = describeStatus(status);
    const shown = byId('status');
    shown.dataset['state'] = status.state;
    if (shown.textContent !== label) shown.textContent = label;
    void renderAttention();
  });
  search.addEventListener('input', render);
  editor.onClose = render;
  byId('new').addEventListener('click', () => {
    const note = { id: crypto.randomUUID(), title: '', text: '', edited: new Date().toISOString() };
    void store.upsert(note).then(() => editor.open(note));
  });
  byId('sync').addEventListener('click', () => void open.sync({ force: true }));
}
