import { STRATEGIES, formatVersion, type StrategyName } from '../../shared/conflict/index.ts';
import type { ChangeResult } from '../../shared/protocol/index.ts';
import { parseSyncConfig } from '../../shared/sync/sync-config.ts';
import { change, request, startGateway, type Gateway } from '../support/gateway.ts';

/**
 * What becomes of one change: every strategy, every type of change, every state of the document, with its base known
 * or not, earlier or later than what it meets, and once more when the very same request is repeated. All of it on the
 * emulator, in one request of a phone that was offline while a tablet worked.
 */

const BASE = { a: 0, b: 0, c: 0 };
/** The tablet changes `a` and `c` and adds `t`. */
const STORED = { a: 1, b: 0, c: 1, t: 1 };
/** The phone changes `a` and `c` too, removes `b` and adds `n`. */
const SENT = { a: 9, c: 2, n: 2 };
const PATCH = { a: 9, b: null, c: 2, n: 2 };

const TYPES = ['upsert', 'patch', 'delete'] as const;
const KNOWN = ['base known', 'base not known'] as const;
const TIMES = ['earlier', 'later'] as const;
const STATES = [
  'not there, and made on nothing',
  'gone, its tombstone expired',
  'live, as the edit found it',
  'live, changed since',
  'a tombstone, as the edit found it',
  'a tombstone, deleted since',
] as const;

type Type = (typeof TYPES)[number];
type State = (typeof STATES)[number];
interface Cell {
  readonly strategy: StrategyName;
  readonly type: Type;
  readonly state: State;
  readonly known: (typeof KNOWN)[number];
  readonly time: (typeof TIMES)[number];
}

/** Status, what is stored then, and which side the conflict log holds. `same`: what is stored is not touched. */
type Row = readonly string[];
const all = (result: string): Row => STRATEGIES.map(() => result);

const CREATED = 'applied a9 c2 n2';
const KEPT = 'skipped same, incoming lost';
const DELETED = 'applied tombstone';
const WON = 'applied a9 c2 n2, stored lost';

/** In the order of STRATEGIES: last write, server, client, merge server, merge client, field level (`a` is the client's). */
const EXPECTED: Record<State, Partial<Record<string, Row>>> = {
  'not there, and made on nothing': {
    upsert: all(CREATED),
    patch: all('skipped nothing, incoming lost'),
    delete: all('applied nothing'),
  },
  'gone, its tombstone expired': {
    upsert: all('skipped nothing, incoming lost'),
    patch: all('skipped nothing, incoming lost'),
    delete: all('applied nothing'),
  },
  'live, as the edit found it': {
    upsert: all('applied a9 c2 n2'),
    patch: all('applied a9 c2 n2'),
    delete: all(DELETED),
  },
  'live, changed since': {
    'upsert, base known, earlier': [
      KEPT,
      KEPT,
      WON,
      'merged a1 c1 n2 t1, incoming lost',
      'merged a9 c2 n2 t1, stored lost',
      'merged a9 c1 n2 t1, both lost',
    ],
    'upsert, base known, later': [
      WON,
      KEPT,
      WON,
      'merged a1 c1 n2 t1, incoming lost',
      'merged a9 c2 n2 t1, stored lost',
      'merged a9 c2 n2 t1, stored lost',
    ],
    // That the phone removed `b` cannot be told from its never having had it.
    'upsert, base not known, earlier': [
      KEPT,
      KEPT,
      WON,
      'merged a1 b0 c1 n2 t1, incoming lost',
      'merged a9 b0 c2 n2 t1, stored lost',
      'merged a9 b0 c1 n2 t1, both lost',
    ],
    'upsert, base not known, later': [
      WON,
      KEPT,
      WON,
      'merged a1 b0 c1 n2 t1, incoming lost',
      'merged a9 b0 c2 n2 t1, stored lost',
      'merged a9 b0 c2 n2 t1, stored lost',
    ],
    'patch, base known, earlier': [
      KEPT,
      KEPT,
      'merged a9 c2 n2 t1, stored lost',
      'merged a1 c1 n2 t1, incoming lost',
      'merged a9 c2 n2 t1, stored lost',
      'merged a9 c1 n2 t1, both lost',
    ],
    'patch, base known, later': [
      'merged a9 c2 n2 t1, stored lost',
      KEPT,
      'merged a9 c2 n2 t1, stored lost',
      'merged a1 c1 n2 t1, incoming lost',
      'merged a9 c2 n2 t1, stored lost',
      'merged a9 c2 n2 t1, stored lost',
    ],
    'patch, base not known, earlier': [
      KEPT,
      KEPT,
      'merged a9 c2 n2 t1, stored lost',
      'merged a1 b0 c1 n2 t1, incoming lost',
      'merged a9 c2 n2 t1, stored lost',
      'merged a9 b0 c1 n2 t1, both lost',
    ],
    'patch, base not known, later': [
      'merged a9 c2 n2 t1, stored lost',
      KEPT,
      'merged a9 c2 n2 t1, stored lost',
      'merged a1 b0 c1 n2 t1, incoming lost',
      'merged a9 c2 n2 t1, stored lost',
      'merged a9 c2 n2 t1, stored lost',
    ],
    // Deletes are settled as wholes.
    'delete, earlier': [KEPT, KEPT, `${DELETED}, stored lost`, KEPT, `${DELETED}, stored lost`, KEPT],
    'delete, later': [
      `${DELETED}, stored lost`,
      KEPT,
      `${DELETED}, stored lost`,
      KEPT,
      `${DELETED}, stored lost`,
      `${DELETED}, stored lost`,
    ],
  },
  'a tombstone, as the edit found it': {
    upsert: all('applied a9 c2 n2'),
    patch: all(KEPT),
    delete: all('applied same'),
  },
  'a tombstone, deleted since': {
    'upsert, earlier': [KEPT, KEPT, WON, KEPT, WON, KEPT],
    'upsert, later': [WON, KEPT, WON, KEPT, WON, WON],
    patch: all(KEPT),
    delete: all('applied same'),
  },
};

const cells: Cell[] = STRATEGIES.flatMap((strategy) =>
  STATES.flatMap((state) =>
    TYPES.flatMap((type) =>
      KNOWN.flatMap((known) => TIMES.map((time) => ({ strategy, state, type, known, time }))),
    ),
  ),
);
const idOf = (cell: Cell): string => `d${cells.indexOf(cell)}`;

function expected({ strategy, state, type, known, time }: Cell): string | undefined {
  const rows = EXPECTED[state];
  const row = rows[type] ?? rows[`${type}, ${time}`] ?? rows[`${type}, ${known}, ${time}`];
  return row?.[STRATEGIES.indexOf(strategy)];
}

let gateway: Gateway;
const before = new Map<string, Record<string, unknown>>();
const after = new Map<string, Record<string, unknown>>();
const repeated = new Map<string, Record<string, unknown>>();
const results = new Map<string, ChangeResult>();
const repeats = new Map<string, ChangeResult>();

const readAll = async (into: Map<string, Record<string, unknown>>): Promise<void> => {
  for (const item of await gateway.items()) {
    const id = String(item['id']);
    into.set(id.includes(':d') ? String(item['documentId']) : id, item);
  }
};

beforeAll(async () => {
  gateway = await startGateway();
  const config = parseSyncConfig({
    collections: Object.fromEntries(
      STRATEGIES.map((strategy) => [
        strategy,
        { strategy, ...(strategy === 'field_level_merge' ? { fields: { '/a': { owner: 'client' } } } : {}) },
      ]),
    ),
  });
  let seq = 0;
  const sync = async (deviceId: string, changes: readonly object[], into?: Map<string, ChangeResult>) => {
    const body = request(deviceId, changes, null, { collections: [] });
    const limits = { ...config.limits, maxChanges: 1000, maxAnswerBytes: 64_000_000 };
    const answer = await gateway.sync('alice', body, { config: { ...config, limits } });
    if (into !== undefined) cells.forEach((cell, index) => into.set(idOf(cell), answer.results[index]!));
    return answer.results;
  };
  const now = Date.now();
  const at = (minutes: number) => new Date(now + minutes * 60_000).toISOString();
  const make = (cell: Cell, fields: object) =>
    change(idOf(cell), (seq += 1), { collection: cell.strategy, changeId: `x${seq}`, ...fields });

  // What the phone knows: each document as it was when it went offline.
  const versions = new Map<Cell, string | null>();
  const there = cells.filter(({ state }) => !state.includes('not there') && !state.includes('expired'));
  const created = await sync(
    'tablet-1',
    there.map((cell) => make(cell, { data: BASE, lastModified: at(-60) })),
  );
  there.forEach((cell, index) => versions.set(cell, created[index]?.version ?? null));
  const deletedThen = cells.filter(({ state }) => state === 'a tombstone, as the edit found it');
  const tombstones = await sync(
    'tablet-2',
    deletedThen.map((cell) =>
      make(cell, { type: 'delete', baseVersion: versions.get(cell), lastModified: at(-50) }),
    ),
  );
  deletedThen.forEach((cell, index) => versions.set(cell, tombstones[index]?.version ?? null));

  // Meanwhile the tablet works on.
  const since = cells.filter(({ state }) => state.includes('since'));
  await sync(
    'tablet-3',
    since.map((cell) =>
      make(cell, {
        baseVersion: versions.get(cell),
        lastModified: at(-30),
        ...(cell.state.includes('deleted') ? { type: 'delete' } : { data: STORED }),
      }),
    ),
  );
  await readAll(before);

  const expired = formatVersion({ etag: '"gone"', stamp: now - 1000, live: true });
  const offline = cells.map((cell) =>
    make(cell, {
      type: cell.type,
      baseVersion: cell.state.includes('expired') ? expired : (versions.get(cell) ?? null),
      lastModified: at(cell.time === 'earlier' ? -40 : -20),
      ...(cell.known === 'base known' ? { base: BASE } : {}),
      ...(cell.type === 'delete' ? {} : { data: cell.type === 'upsert' ? SENT : PATCH }),
    }),
  );
  await sync('phone', offline, results);
  await readAll(after);
  await sync('phone', offline, repeats);
  await readAll(repeated);
}, 60_000);
afterAll(() => gateway.dispose());

const contentOf = (item: Record<string, unknown> | undefined): string => {
  if (item === undefined) return 'nothing';
  if (item['deleted'] === true) return 'tombstone';
  return Object.entries(item['data'] as object)
    .map(([key, value]) => key + String(value))
    .sort()
    .join(' ');
};

/** What the conflict log says, and what it says it with. */
function logged(cell: Cell): string {
  const { changeId } = results.get(idOf(cell))!;
  const record = after.get(`~conflict:${changeId ?? ''}`);
  if (record === undefined) return '';
  const { lost, kept, bothLost, strategy, collection } = record as {
    lost: { side: string; data: unknown };
    kept: { data: unknown };
    bothLost: boolean;
    strategy: string;
    collection: string;
  };
  expect([strategy, collection]).toEqual([cell.strategy, cell.strategy]);
  const sent = cell.type === 'delete' ? null : cell.type === 'upsert' ? SENT : PATCH;
  const held = (before.get(idOf(cell))?.['data'] ?? null) as unknown;
  expect(lost.data).toEqual(lost.side === 'stored' ? held : sent);
  if (bothLost) expect(kept.data).toEqual(lost.side === 'stored' ? sent : held);
  return `, ${bothLost ? 'both' : lost.side} lost`;
}

describe.each(STATES)('A document that is %s', (state) => {
  it.each(
    cells
      .filter((cell) => cell.state === state)
      .map((cell) => [cell.strategy, cell.type, cell.known, cell.time, cell] as const),
  )('%s: %s, %s, %s', (_strategy, _type, _known, _time, cell) => {
    const id = idOf(cell);
    const result = results.get(id)!;
    const touched = before.get(id)?.['_etag'] !== after.get(id)?.['_etag'];
    const content = touched || !before.has(id) ? contentOf(after.get(id)) : 'same';
    expect(`${result.status} ${content}${logged(cell)}`).toBe(expected(cell));

    // Repeated, the request is recognised, says the same, and changes nothing.
    const repeat = repeats.get(id)!;
    expect([repeat.status, repeat.outcome]).toEqual(['duplicate', result.status]);
    expect(repeated.get(id)?.['_etag']).toBe(after.get(id)?.['_etag']);
    // Whoever sent something else than what is stored gets what is stored.
    const stored = after.get(id);
    const asSent = contentOf(stored) === contentOf({ data: SENT }) && cell.type === 'upsert';
    for (const { document } of [result, repeat]) {
      if (result.status === 'applied') expect(document === undefined || cell.type === 'delete').toBe(true);
      else expect(document?.data ?? null).toEqual(stored?.['data'] ?? null);
      if (!asSent && result.status === 'merged') expect(document?.deviceId).toBe('gateway');
    }
  });
});

it('nothing but the documents, their conflicts and the ledgers is written, and a repeat writes nothing at all', () => {
  expect([...repeated.keys()].filter((id) => !after.has(id))).toEqual([]);
  const ledgers = [...after.keys()].filter((id) => id.startsWith('~ledger:'));
  expect(ledgers).toHaveLength(4);
  expect(ledgers.map((id) => repeated.get(id)?.['_etag'])).toEqual(
    ledgers.map((id) => after.get(id)?.['_etag']),
  );
});
