import type { Command } from '../command.ts';
import { openClient, withClient } from '../open.ts';
import { Rows } from '../rows.ts';
import { count, plural } from '../terminal.ts';
import { ago } from './show.ts';

export const status: Command = {
  synopsis: '',
  summary: 'Shows what waits, the last sync and what is kept here, without the network',
  options: [],
  run: ({ settings, io, terminal }) =>
    withClient(openClient(settings, io, terminal, { create: false, network: false }), async (opened) => {
      const { client, collections } = opened;
      // Of the engine's own state there is none in a process that only looks.
      const {
        userId,
        deviceId,
        pending,
        oldestPending,
        rejected,
        setAside,
        fetched,
        lastSuccess,
        lastError,
      } = await client.status();
      const rows = new Rows(opened);
      const documents = Object.fromEntries(
        await Promise.all(
          Object.keys(collections).map(async (name) => [name, await rows.count(name)] as const),
        ),
      );
      const users = await client.users();
      const now = io.now();
      terminal.say(`${terminal.heading('User')}         ${userId}, device ${deviceId}`);
      terminal.say(`${terminal.heading('Last sync')}    ${ago(lastSuccess, now)}`);
      if (lastError !== null) {
        terminal.say(
          `${terminal.heading('Last error')}   ${terminal.bad(lastError.message)} [${lastError.code}], ${ago(lastError.at, now)}`,
        );
      }
      terminal.say(
        `${terminal.heading('Waiting')}      ${plural(pending, 'edit')}${oldestPending === null ? '' : `, the oldest made ${ago(oldestPending, now)}`}`,
      );
      if (rejected + setAside > 0) {
        terminal.say(
          `${terminal.heading('Kept aside')}   ${count(rejected)} rejected, ${count(setAside)} in scopes that were lost: see \`tidemark rejected\``,
        );
      }
      for (const [name, number] of Object.entries(documents)) {
        terminal.say(`${terminal.heading('Documents')}    ${name}: ${count(number)}`);
      }
      for (const other of users.filter((user) => user.userId !== userId)) {
        terminal.say(
          `${terminal.heading('Also here')}    ${other.userId}, ${plural(other.pending, 'edit')} waiting`,
        );
      }
      return {
        exit: 'done',
        result: {
          userId,
          deviceId,
          pending,
          oldestPending,
          rejected,
          setAside,
          fetched,
          lastSuccess,
          lastError,
          documents,
          users,
        },
      };
    }),
};
