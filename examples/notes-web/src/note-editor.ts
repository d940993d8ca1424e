import type { DocumentStore } from '@tidemark/client';
import { byId } from './dom.ts';
import type { Note } from './notes.ts';

/** Milliseconds without a key after which what was typed is stored. */
const PAUSE = 300;

/** The form that shows one note, and stores what is typed into it. */
export class NoteEditor {
  onClose: () => void = () => undefined;
  readonly #store: DocumentStore<Note>;
  readonly #form = byId('editor') as HTMLFormElement;
  readonly #title = byId('title') as HTMLInputElement;
  readonly #text = byId('text') as HTMLTextAreaElement;
  #note: Note | null = null;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(store: DocumentStore<Note>) {
    this.#store = store;
    this.#form.addEventListener('input', () => {
      clearTimeout(this.#timer);
      this.#timer = setTimeout(() => void this.#save(), PAUSE);
    });
    this.#form.addEventListener('submit', (event) => {
      event.preventDefault();
      this.#close();
    });
    byId('delete').addEventListener('click', () => {
      const { id } = this.#note ?? {};
      this.#note = null;
      this.#close();
      if (id !== undefined) void this.#store.delete(id);
    });
    // A tab that is left may not come back.
    addEventListener('pagehide', () => void this.#save());
  }

  get openId(): string | null {
    return this.#note?.id ?? null;
  }

  open(note: Note | null): void {
    void this.#save();
    this.#show(note);
    if (note !== null) (note.title === '' ? this.#title : this.#text).focus();
  }

  /** The notes have changed, here or elsewhere. What is being typed stays. */
  update(notes: readonly Note[]): void {
    if (this.#note === null || this.#timer !== undefined) return;
    const now = notes.find(({ id }) => id === this.openId) ?? null;
    if (now?.edited !== this.#note.edited) this.#show(now);
  }

  #show(note: Note | null): void {
    this.#note = note;
    this.#form.hidden = note === null;
    document.body.classList.toggle('editing', note !== null);
    if (this.#title.value !== note?.title) this.#title.value = note?.title ?? '';
    if (this.#text.value !== note?.text) this.#text.value = note?.text ?? '';
  }

  #close(): void {
    void this.#save();
    this.#show(null);
    this.onClose();
    byId('new').focus();
  }

  /** Only what was changed is sent: another device may change the rest meanwhile. */
  async #save(): Promise<void> {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const note = this.#note;
    if (note === null) return;
    const [title, text] = [this.#title.value, this.#text.value];
    const patch = { ...(title === note.title ? {} : { title }), ...(text === note.text ? {} : { text }) };
    if (Object.keys(patch).length === 0) return;
    const edited = new Date().toISOString();
    this.#note = { ...note, title, text, edited };
    await this.#store.patch(note.id, { ...patch, edited });
  }
}
