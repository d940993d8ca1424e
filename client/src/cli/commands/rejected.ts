import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { isJsonObject, type JsonObject } from '../../../../shared/conflict/json.ts';
import type { RejectedEdit, SetAsideEdit } from '../../sql/local-database.ts';
import type { Command, Context, Outcome } from '../command.ts';
import { usage } from '../exit-codes.ts';
import { parseJson } from '../formats/json-text.ts';
import { openClient, withClient, type CliClient } from '../open.ts';
import { plural, type Terminal } from '../terminal.ts';
import { ago, nameOf, oneLine } from './show.ts';

const ACTIONS = ['list', 'retry', 'edit', 'drop'] as const;

export const rejected: Command = {
  synopsis: '[list | retry <change>… | edit <change> | drop <change>…]',
  summary:
    'Lists edits that the service will never take as they are; sends them again, corrects or drops them',
  details: `A change is named by its id, or as many of its first letters as are needed. Edits in scopes that were lost are listed too,
as set-aside:<number>; those can only be dropped.
retry and edit make the edit again on what is there now: the next sync sends it.`,
  options: ['all', 'data', 'file'],
  run: (context) => {
    const { settings, io, terminal, typed } = context;
    const [action = 'list', ...names] = typed.positionals;
    if (!isAction(action)) throw usage(`\`rejected\` has ${ACTIONS.join(', ')}, not "${action}".`);
    return withClient(openClient(settings, io, terminal, { create: false, network: false }), ({ client }) =>
      action === 'list' ? list(context, client) : act(context, client, action, names),
    );
  },
};

const isAction = (text: string): text is (typeof ACTIONS)[number] =>
  (ACTIONS as readonly string[]).includes(text);

async function list({ io, terminal }: Context, client: CliClient): Promise<Outcome> {
  const edits = await client.rejected();
  const setAside = await client.setAside();
  if (edits.length + setAside.length === 0) terminal.say('Nothing was rejected.');
  for (const { changeId, address, content, error, at } of edits) {
    terminal.say(`${terminal.heading(changeId)}  ${nameOf(address)}, ${ago(at, io.now())}`);
    const place = error.pointer === undefined ? '' : ` at ${error.pointer}`;
    terminal.say(`  ${terminal.bad(error.message)} [${error.code}]${place}`);
    terminal.say(`  ${oneLine(content)}`);
  }
  for (const { number, address, content, at } of setAside) {
    terminal.say(`${terminal.heading(`set-aside:${number}`)}  ${nameOf(address)}, ${ago(at, io.now())}`);
    terminal.say('  You may no longer see this scope or collection.');
    terminal.say(`  ${oneLine(content)}`);
  }
  return { exit: 'done', result: { rejected: edits, setAside } };
}

async function act(
  context: Context,
  client: CliClient,
  action: 'retry' | 'edit' | 'drop',
  names: readonly string[],
): Promise<Outcome> {
  const { typed, terminal } = context;
  const edits = await client.rejected();
  const setAside = action === 'drop' ? await client.setAside() : [];
  const chosen = typed.flag('all')
    ? [...edits, ...setAside]
    : names.map((name) => find(name, edits, setAside));
  if (chosen.length === 0 && !typed.flag('all'))
    throw usage(`Which one? \`tidemark rejected ${action} <change>\`, or --all.`);
  if (action === 'edit' && (chosen.length !== 1 || typed.flag('all')))
    throw usage('`edit` corrects one change at a time.');
  const content = action === 'edit' ? await readContent(context) : undefined;
  for (const entry of chosen) {
    if ('number' in entry) await client.dropSetAside(entry.number);
    else if (action === 'drop') await client.dropRejected(entry.changeId);
    else await client.resendRejected(entry.changeId, content);
  }
  say(terminal, action, chosen.length);
  return { exit: 'done', result: { action, count: chosen.length, changes: chosen } };
}

function say(terminal: Terminal, action: 'retry' | 'edit' | 'drop', number: number): void {
  const edits = plural(number, 'edit');
  terminal.say(
    action === 'drop' ? `${edits} dropped.` : `${edits} made again: \`tidemark sync\` sends them.`,
  );
}

function find(
  name: string,
  edits: readonly RejectedEdit[],
  setAside: readonly SetAsideEdit[],
): RejectedEdit | SetAsideEdit {
  const aside = setAside.find(({ number }) => name === `set-aside:${number}`);
  if (aside !== undefined) return aside;
  const matches = edits.filter(({ changeId }) => changeId.startsWith(name));
  const [match, second] = matches;
  if (match === undefined)
    throw usage(`There is no rejected edit "${name}". \`tidemark rejected\` lists them.`);
  if (second !== undefined)
    throw usage(`${matches.length} rejected edits begin with "${name}": name one with more letters.`);
  return match;
}

async function readContent({ typed, io }: Context): Promise<JsonObject> {
  const file = typed.text('file');
  const data = typed.text('data');
  if ((file === undefined) === (data === undefined))
    throw usage('Give the corrected document with --data or --file.');
  const text =
    data ?? (file === '-' ? await readAll(io.stdin) : await readFile(resolve(io.cwd, file ?? ''), 'utf8'));
  const value = parseOr(text);
  if (!isJsonObject(value)) throw usage('The corrected document has to be a JSON object.');
  return value;
}

function parseOr(text: string): unknown {
  try {
    return parseJson(text);
  } catch (error) {
    throw usage(error instanceof Error ? error.message : String(error));
  }
}

async function readAll(stream: AsyncIterable<unknown>): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of stream) chunks.push(Buffer.from(chunk as Uint8Array));
  return Buffer.concat(chunks).toString('utf8');
}
