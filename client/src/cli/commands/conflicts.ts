import type { Command } from '../command.ts';
import { openClient, withClient } from '../open.ts';
import { ago, limitOf, nameOf, oneLine } from './show.ts';

export const conflicts: Command = {
  synopsis: '',
  summary: 'Lists own edits that met another’s, with both versions, the newest first',
  details: 'The last 1,000 are kept. What is stored is settled already: by the strategy of the collection.',
  options: ['limit'],
  run: ({ typed, settings, io, terminal }) =>
    withClient(openClient(settings, io, terminal, { create: false, network: false }), async ({ client }) => {
      const entries = await client.conflicts(limitOf(typed));
      if (entries.length === 0) terminal.say('No edit met another.');
      for (const { address, outcome, mine, theirs, theirsBy, at } of entries) {
        const settled = outcome === 'merged' ? 'both were merged' : 'the other stays';
        terminal.say(`${terminal.heading(nameOf(address))}: ${settled}, ${ago(at, io.now())}`);
        terminal.say(`  mine    ${oneLine(mine)}`);
        terminal.say(
          `  stored  ${oneLine(theirs)}${theirsBy.userId === null ? '' : `, written by ${theirsBy.userId}`}`,
        );
      }
      return { exit: 'done', result: { conflicts: entries } };
    }),
};
