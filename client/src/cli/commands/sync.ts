import type { RejectedEvent, SyncReport } from '../../sync/events.ts';
import type { Command } from '../command.ts';
import { exitOf, type Exit } from '../exit-codes.ts';
import { openClient, withClient } from '../open.ts';
import { NETWORK } from '../options.ts';
import { count, duration, plural, type Terminal } from '../terminal.ts';
import { nameOf } from './show.ts';

export const sync: Command = {
  synopsis: '',
  summary: 'Sends what waits and fetches what is new',
  details: 'The database is made where there is none; then name its collections with --collection.',
  options: [...NETWORK, 'pull-only'],
  run: ({ typed, settings, io, terminal }) =>
    withClient(openClient(settings, io, terminal, { create: true, network: true }), async ({ client }) => {
      const refused: RejectedEvent[] = [];
      const lost: unknown[] = [];
      client.on('rejected', (event) => refused.push(event));
      client.on('setAside', (event) => lost.push(event));
      const { pending } = await client.status();
      client.on('progress', ({ pushed, pulled, pending: left, requests }) => {
        const sending = left > 0 && pending > 0;
        terminal.progress({
          label: sending ? 'Sending' : 'Fetching',
          done: sending ? Math.max(0, pending - left) : pulled,
          total: sending ? pending : null,
          note: `${count(pushed)} sent, ${count(pulled)} fetched, ${plural(requests, 'request')}`,
        });
      });
      const report = await client.sync({ signal: io.signal, pullOnly: typed.flag('pull-only'), force: true });
      terminal.endProgress();
      const status = await client.status();
      const exit = exitOfReport(report, lost.length);
      sayReport(terminal, report, status.pending);
      for (const event of refused.slice(0, 10)) {
        terminal.say(`${terminal.bad('rejected')}  ${nameOf(event.address)}: ${event.error.message}`);
      }
      if (refused.length > 0) {
        terminal.say(`${plural(refused.length, 'edit')} were not taken. See \`tidemark rejected\`.`);
      }
      if (lost.length > 0) {
        terminal.say(
          `${plural(lost.length, 'edit')} in scopes that you no longer have were set aside. See \`tidemark rejected\`.`,
        );
      }
      const { error, ...facts } = report;
      return {
        exit,
        result: { ...facts, setAside: lost.length, pending: status.pending },
        ...(error === null ? {} : { error: { code: error.code, message: error.message } }),
      };
    }),
};

export function exitOfReport(report: SyncReport, setAside: number): Exit {
  if (report.error !== null) return exitOf(report.error);
  return report.rejected > 0 || setAside > 0 ? 'attention' : 'done';
}

export function sayReport(terminal: Terminal, report: SyncReport, pending: number): void {
  const { outcome, error, pushed, pulled, conflicts, rejected, requests, bytesSent, bytesReceived } = report;
  const parts = [
    `${count(pushed)} sent`,
    `${count(pulled)} fetched`,
    ...(conflicts > 0 ? [plural(conflicts, 'conflict')] : []),
    ...(rejected > 0 ? [`${count(rejected)} rejected`] : []),
    plural(requests, 'request'),
    `${kilobytes(bytesSent)} out, ${kilobytes(bytesReceived)} in`,
    duration(report.duration),
  ];
  const head = outcome === 'synced' ? terminal.good('Synced') : terminal.bad(WORDS[outcome]);
  terminal.say(`${head}: ${parts.join(', ')}.`);
  if (error !== null) terminal.say(`${error.message} [${error.code}]`);
  if (error !== null && pending > 0)
    terminal.say(`${plural(pending, 'edit')} wait for the next sync. Nothing is lost.`);
}

const WORDS = {
  synced: 'Synced',
  offline: 'Offline',
  busy: 'Busy',
  failed: 'Failed',
  aborted: 'Ended',
} as const;

const kilobytes = (bytes: number): string =>
  bytes < 1_000_000 ? `${count(Math.round(bytes / 1_000))} kB` : `${(bytes / 1_000_000).toFixed(1)} MB`;
