import type { Command } from '../command.ts';
import { openClient, withClient } from '../open.ts';
import { count } from '../terminal.ts';
import { ago, limitOf, nameOf, oneLine } from './show.ts';

export const pending: Command = {
  synopsis: '',
  summary: 'Lists edits that the service has not answered, the oldest first',
  options: ['limit'],
  run: ({ typed, settings, io, terminal }) =>
    withClient(openClient(settings, io, terminal, { create: false, network: false }), async ({ client }) => {
      const limit = limitOf(typed);
      const all = (await client.pending()).toSorted((a, b) => a.since.localeCompare(b.since));
      const shown = all.slice(0, limit);
      if (all.length === 0) terminal.say('Nothing waits.');
      terminal.table(
        shown.map(({ address, type, since, sent, content }) => [
          nameOf(address),
          type,
          ago(since, io.now()),
          sent ? 'sent' : '',
          oneLine(content),
        ]),
      );
      if (all.length > shown.length) terminal.say(`… ${count(all.length - shown.length)} more: --limit`);
      return { exit: 'done', result: { total: all.length, edits: shown } };
    }),
};
