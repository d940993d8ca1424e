import type { ConflictEntry, RejectedEdit } from '@tidemark/client';
import { byId, element } from './dom.ts';
import type { Note, NotesClient } from './notes.ts';

type Content = ConflictEntry['mine'];

/** Notes that were changed on two devices at once: both versions, to choose from. */
export function showConflicts(client: NotesClient, conflicts: readonly ConflictEntry[]): void {
  const drop = async ({ number }: ConflictEntry): Promise<void> => {
    await client.dropConflict(number);
    showConflicts(client, await client.conflicts());
  };
  const take = async (conflict: ConflictEntry): Promise<void> => {
    const store = client.store('items');
    const { documentId: id } = conflict.address;
    if (conflict.mine === null) await store.delete(id);
    else await store.upsert({ ...(conflict.mine as unknown as Note), id, edited: new Date().toISOString() });
    await drop(conflict);
  };
  show(
    'conflicts',
    conflicts.map((conflict) =>
      element(
        'article',
        {},
        element('h3', {}, `“${titleOf(conflict.theirs ?? conflict.mine)}” was changed on two devices`),
        element(
          'div',
          { className: 'versions' },
          version('In use', conflict.theirs, 'Keep this version', () => drop(conflict)),
          version('Yours, set aside', conflict.mine, 'Use this version', () => take(conflict)),
        ),
      ),
    ),
  );
}

/** Changes that the service will never take, with its reason. */
export function showRejected(client: NotesClient, rejected: readonly RejectedEdit[]): void {
  const drop = async (changeId: string): Promise<void> => {
    await client.dropRejected(changeId);
    showRejected(client, await client.rejected());
  };
  show(
    'rejected',
    rejected.map(({ changeId, content, error }) =>
      element(
        'article',
        {},
        element('h3', {}, `“${titleOf(content)}” could not be stored`),
        element('p', {}, error.message),
        element('button', { type: 'button', onclick: () => void drop(changeId) }, 'Discard my change'),
      ),
    ),
  );
}

function version(label: string, content: Content, action: string, choose: () => Promise<void>): HTMLElement {
  return element(
    'section',
    {},
    element('h4', {}, label),
    content === null
      ? element('p', {}, 'Deleted')
      : element('p', {}, element('strong', {}, titleOf(content)), element('br'), textOf(content, 'text')),
    element('button', { type: 'button', onclick: () => void choose() }, action),
  );
}

function show(id: string, entries: readonly HTMLElement[]): void {
  const section = byId(id);
  section.hidden = entries.length === 0;
  section.replaceChildren(...entries);
}

function textOf(content: Content, member: keyof Note): string {
  const text = content?.[member];
  return typeof text === 'string' ? text : '';
}

const titleOf = (content: Content): string => textOf(content, 'title') || 'Untitled';
