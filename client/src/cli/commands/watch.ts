import { createHash } from 'node:crypto';
import type { JsonObject } from '../../../../shared/conflict/json.ts';
import type { Command } from '../command.ts';
import { usage } from '../exit-codes.ts';
import { openClient, withClient } from '../open.ts';
import { NETWORK } from '../options.ts';
import { PAGE, Rows } from '../rows.ts';
import { exitOfReport, sayReport } from './sync.ts';
import { nameOf, oneLine } from './show.ts';

export const watch: Command = {
  synopsis: '',
  summary: 'Keeps syncing and prints what changes, until Ctrl-C',
  details:
    'With --json, a line for each event: change, conflict, rejected, setAside, synced, and end as the last one.',
  options: [...NETWORK, 'every'],
  run: (context) => {
    const { settings, io, terminal, typed } = context;
    const every = secondsOf(typed.text('every'));
    return withClient(openClient(settings, io, terminal, { create: true, network: true }), async (opened) => {
      const { client, collections } = opened;
      const tell = (event: string, line: string | null, facts: object) => {
        if (context.json) terminal.sayJson({ event, at: new Date(io.now()).toISOString(), ...facts });
        else if (line !== null) terminal.say(line);
      };
      const seen = new Changes(new Rows(opened), Object.keys(collections));
      await seen.next();
      let failed = false;
      // One after the other: a picture is taken whole before the next.
      let turn = Promise.resolve();
      const look = (names: readonly string[]) => {
        turn = turn
          .then(async () => {
            for (const change of await seen.next(names)) {
              const { content, ...address } = change;
              tell(
                'change',
                `${content === null ? '-' : '+'} ${nameOf(address)}  ${oneLine(content)}`,
                change,
              );
            }
          })
          .catch((error: unknown) => terminal.remark(error instanceof Error ? error.message : String(error)));
      };
      client.on('change', ({ collections: names }) => look(names));
      client.on('conflict', (event) => {
        tell('conflict', `! ${nameOf(event.address)}: your edit met another: ${event.outcome}`, event);
      });
      client.on('rejected', (event) => {
        tell('rejected', `! ${nameOf(event.address)}: ${event.error.message}`, event);
      });
      client.on('setAside', (event) => tell('setAside', `! ${nameOf(event.address)}: set aside`, event));
      client.on('synced', (report) => {
        const { error, ...facts } = report;
        if (report.outcome === 'aborted') return;
        tell('synced', null, {
          ...facts,
          error: error === null ? null : { code: error.code, message: error.message },
        });
        // A failure is told when it begins and when it ends.
        if (!context.json && (report.outcome !== 'synced') !== failed) sayReport(terminal, report, 0);
        failed = report.outcome !== 'synced';
      });

      const first = await client.sync({ signal: io.signal, force: true });
      const exit = exitOfReport(first, 0);
      if (exit === 'auth' || exit === 'refused' || exit === 'usage') {
        // What waiting does not cure.
        const { error } = first;
        return { exit, ...(error === null ? {} : { error: { code: error.code, message: error.message } }) };
      }
      terminal.remark(`Watching ${Object.keys(collections).join(', ')} of ${client.userId}. Ctrl-C ends it.`);
      client.start();
      const timer = every === null ? undefined : setInterval(() => void client.sync(), every * 1_000);
      await new Promise<void>((resolve) => {
        if (io.signal.aborted) resolve();
        else io.signal.addEventListener('abort', () => resolve(), { once: true });
      });
      clearInterval(timer);
      await client.stop();
      await turn;
      return { exit: 'ended' };
    });
  },
};

function secondsOf(text: string | undefined): number | null {
  if (text === undefined) return null;
  const seconds = Number(text);
  if (!(seconds >= 0.1 && seconds <= 86_400))
    throw usage(`--every takes seconds, from 0.1 to 86400, not "${text}".`);
  return seconds;
}

interface Changed {
  readonly collection: string;
  readonly documentId: string;
  readonly scope: string;
  /** Null: gone. */
  readonly content: JsonObject | null;
}

/** Finds out which documents are not as they were, by their stamps first and then by what they hold. */
class Changes {
  readonly #rows: Rows;
  readonly #collections: readonly string[];
  readonly #known = new Map<string, Map<string, { readonly stamp: string; readonly hash: string }>>();

  constructor(rows: Rows, collections: readonly string[]) {
    this.#rows = rows;
    this.#collections = collections;
  }

  /** What changed since the last call; the first one only takes the picture. */
  async next(collections: readonly string[] = this.#collections): Promise<Changed[]> {
    const changes: Changed[] = [];
    for (const collection of collections) changes.push(...(await this.#compare(collection)));
    return changes;
  }

  async #compare(collection: string): Promise<Changed[]> {
    const before = this.#known.get(collection);
    const now = new Map<string, { readonly stamp: string; readonly hash: string }>();
    const suspects = new Map<string, string[]>();
    const changes: Changed[] = [];
    for (const { id, scope, lastModified: stamp } of await this.#rows.stamps(collection)) {
      const known = before?.get(keyOf(scope, id));
      now.set(keyOf(scope, id), { stamp, hash: known?.hash ?? '' });
      if (known?.stamp === stamp) continue;
      const ids = suspects.get(scope) ?? [];
      ids.push(id);
      suspects.set(scope, ids);
    }
    for (const [scope, ids] of suspects) {
      for (let from = 0; from < ids.length; from += PAGE) {
        for (const [documentId, content] of await this.#rows.some(
          collection,
          scope,
          ids.slice(from, from + PAGE),
        )) {
          const key = keyOf(scope, documentId);
          const hash = createHash('sha256').update(JSON.stringify(content)).digest('base64');
          // An own edit that was stored as it is gets another stamp, and nothing else.
          if (before !== undefined && before.get(key)?.hash !== hash) {
            changes.push({ collection, documentId, scope, content });
          }
          now.set(key, { stamp: now.get(key)?.stamp ?? '', hash });
        }
      }
    }
    for (const key of before?.keys() ?? []) {
      if (now.has(key)) continue;
      const [scope = '', ...id] = key.split(' ');
      changes.push({ collection, documentId: id.join(' '), scope, content: null });
    }
    this.#known.set(collection, now);
    return changes;
  }
}

const keyOf = (scope: string, id: string): string => `${scope} ${id}`;
