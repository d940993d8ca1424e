import { byId, element } from './dom.ts';
import type { Note } from './notes.ts';

/** Shows the notes that a search found. */
export function showList(
  notes: readonly Note[],
  openId: string | null,
  searching: boolean,
  onOpen: (id: string) => void,
): void {
  const list = byId('list');
  // What has the focus is drawn anew: it keeps it.
  const focused = list.contains(document.activeElement)
    ? (document.activeElement as HTMLElement).dataset['id']
    : undefined;
  list.replaceChildren(
    ...notes.map((note) => {
      const button = element(
        'button',
        { type: 'button', onclick: () => onOpen(note.id) },
        element('strong', {}, note.title || 'Untitled'),
        element('span', {}, note.text.split('\n', 1)[0] || 'No text'),
      );
      button.dataset['id'] = note.id;
      if (note.id === openId) button.setAttribute('aria-current', 'true');
      return element('li', {}, button);
    }),
  );
  if (focused !== undefined) list.querySelector<HTMLElement>(`[data-id="${CSS.escape(focused)}"]`)?.focus();
  const count = notes.length === 1 ? '1 note' : `${notes.length} notes`;
  byId('count').textContent = notes.length > 0 ? count : searching ? 'Nothing found' : 'No notes yet';
}
