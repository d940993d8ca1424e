import { createRandom, type Random } from './random.ts';

/**
 * A history: who is there, and what happens, step by step. It is data, made from a seed; any part of its steps is a
 * history too, which is what shrinking lives on. Numbers that name something (a message, a document) count modulo what
 * there is.
 */
export interface History {
  readonly seed: number;
  readonly setup: Setup;
  readonly steps: readonly Step[];
}

export interface Setup {
  readonly users: readonly UserSetup[];
  readonly devices: readonly DeviceSetup[];
  /** Names of the collections that are in play; those in shared scopes are in `shared`. */
  readonly collections: readonly string[];
  readonly shared: readonly string[];
  /** The document that most edits are about. */
  readonly focus: DocumentChoice;
  /** Are requests that the network still holds at the end delivered or dropped? */
  readonly deliverLate: boolean;
  /** Wait at the end until every tombstone is gone, and sync once more? */
  readonly outliveRetention: boolean;
}

/** `direct`: to the store itself, past the gateway. */
export type Transport = 'thin' | 'direct';

export interface UserSetup {
  readonly name: string;
  readonly grants: readonly string[];
}

export interface DeviceSetup {
  readonly user: number;
  /** Devices with one number are one machine: its users share the clock and the device id. */
  readonly machine: number;
  /** How far the clock is off, in milliseconds. */
  readonly skew: number;
  /** Documents asked for in one answer. */
  readonly limit: number;
  /** Changes of one request. */
  readonly batchSize: number;
  /** Does it follow the last collection from the start? */
  readonly followsAll: boolean;
  /** Does it send some of its changes as transactions? */
  readonly groups: boolean;
  readonly transport: Transport;
}

/** What goes wrong with a request in the gateway, at its `at`-th call to the store. */
export interface Fault {
  readonly kind: (typeof FAULTS)[number];
  readonly at: number;
}

const FAULTS = [
  'crash before',
  'crash after',
  'throttled',
  'answer lost',
  'doubled',
  'slow',
  'contended',
] as const;

/** The device dies while it takes the answer in, at its `at`-th statement. */
export interface Killed {
  readonly kind: 'killed';
  readonly at: number;
}

export type Fate = 'answered' | 'request lost' | 'answer lost' | 'sent twice' | Fault | Killed;

export interface DocumentChoice {
  readonly scope: number;
  readonly collection: number;
  readonly id: number;
}

export type Step =
  | {
      readonly kind: 'write';
      readonly device: number;
      readonly document: DocumentChoice;
      readonly field: number;
      /** Leaves only this field. */
      readonly alone: boolean;
      /** Says only what differs. */
      readonly patch: boolean;
    }
  | { readonly kind: 'remove'; readonly device: number; readonly document: DocumentChoice }
  /** Writes several documents of one scope as one. */
  | {
      readonly kind: 'transaction';
      readonly device: number;
      readonly documents: readonly DocumentChoice[];
      readonly field: number;
    }
  | { readonly kind: 'poison'; readonly device: number; readonly document: DocumentChoice }
  | { readonly kind: 'sync'; readonly device: number; readonly fate: Fate }
  /** A request leaves the device and stays in the network. */
  | { readonly kind: 'send'; readonly device: number }
  | { readonly kind: 'deliver'; readonly message: number; readonly fate: Fate }
  /** Several requests are in the gateways at once; their calls to the store interleave. */
  | {
      readonly kind: 'together';
      readonly messages: readonly number[];
      readonly twin: boolean;
      readonly order: number;
    }
  | { readonly kind: 'answer' | 'replay'; readonly message: number }
  | { readonly kind: 'wait'; readonly milliseconds: number }
  | { readonly kind: 'clock'; readonly machine: number; readonly skew: number }
  | { readonly kind: 'restart' | 'epoch' }
  | { readonly kind: 'retention'; readonly days: number }
  | { readonly kind: 'grant' | 'revoke'; readonly user: number; readonly scope: number }
  | { readonly kind: 'follow'; readonly device: number; readonly all: boolean }
  | { readonly kind: 'crash' | 'backup' | 'restore' | 'clone'; readonly device: number }
  | { readonly kind: 'wrong token'; readonly device: number; readonly user: number }
  /** The app starts again with the other transport. */
  | { readonly kind: 'transport'; readonly device: number };

export const FIELDS = ['a', 'b', 'c'] as const;
export const SHARED_SCOPES = ['facility:f1', 'facility:f2'] as const;
const DOCUMENTS = 2;

const SECOND = 1000;
const HOUR = 3_600_000;
export const DAY = 86_400_000;
const SKEWS = [0, 0, 0, -HOUR, 5 * SECOND, -700, DAY, 365 * DAY, -3 * 365 * DAY];
const WAITS: readonly (readonly [number, number])[] = [
  [4, 1],
  [4, 700],
  [4, 10 * SECOND],
  [2, HOUR],
  [2, 2 * DAY],
  [1, 20 * DAY],
  [2, 88 * DAY],
  [3, 91 * DAY],
  [1, 200 * DAY],
];

const KINDS: readonly Step['kind'][] = [
  'transaction',
  'remove',
  'poison',
  'send',
  'deliver',
  'together',
  'wait',
  'clock',
  'retention',
  'grant',
  'revoke',
  'follow',
  'crash',
  'backup',
  'restore',
];

/** What a history may hold; a store that cannot play everything leaves some of it out. */
export interface Palette {
  /** Collections of private scopes, and of shared ones. */
  readonly private: readonly string[];
  readonly shared: readonly string[];
  readonly maxSteps: number;
  /** May time pass tombstones, may the operator change settings? */
  readonly time: boolean;
  /** May calls to the store fail, may requests interleave? */
  readonly faults: boolean;
  /** May devices go past the gateway? Then there is nothing but what that can do: right clocks, private documents. */
  readonly direct: boolean;
}

export function createHistory(seed: number, palette: Palette): History {
  const random = createRandom(seed);
  const setup = createSetup(random, palette);
  const count = 5 + random.below(palette.maxSteps - 4);
  // Each history has some kinds of steps often and some hardly ever: an even mixture seldom gets anywhere.
  const taste = new Map(KINDS.map((kind) => [kind, random.pick([0.2, 1, 1, 4])]));
  const steps = Array.from({ length: count }, () => createStep(random, setup, palette, taste));
  // Often somebody was away for long.
  const absence: Step = { kind: 'wait', milliseconds: random.pick([2 * DAY, 88 * DAY, 91 * DAY, 200 * DAY]) };
  const tail = Array.from({ length: random.below(4) }, () => createStep(random, setup, palette, taste));
  return {
    seed,
    setup,
    steps: palette.time && random.chance(0.35) ? [...steps, absence, ...tail] : steps,
  };
}

function createSetup(random: Random, palette: Palette): Setup {
  const users = ['alice', 'bob', 'carol'].slice(
    0,
    random.weighted([
      [5, 1],
      [3, 2],
      [1, 3],
    ]),
  );
  const devices = Math.max(2, users.length + random.below(2), random.chance(0.3) ? 3 + random.below(2) : 0);
  const skews = Array.from({ length: 4 }, () => (palette.direct ? 0 : random.pick(SKEWS)));
  return {
    users: users.map((name) => ({
      name,
      grants: SHARED_SCOPES.filter(() => !palette.direct && random.chance(0.7)),
    })),
    devices: Array.from({ length: devices }, (_, index) => {
      const machine = users.length > 1 && index > 0 && random.chance(0.2) ? index - 1 : index;
      return {
        user: index % users.length,
        machine,
        skew: skews[machine]!,
        limit: random.pick([1, 1, 2, 1000]),
        batchSize: random.pick([1, 2, 1000, 1000]),
        followsAll: random.chance(0.7),
        groups: random.chance(0.4),
        transport: palette.direct && random.chance(0.6) ? 'direct' : 'thin',
      };
    }),
    collections: [random.pick(palette.private), random.pick(palette.private)],
    shared: [random.pick(palette.shared)],
    focus: {
      scope: !palette.direct && random.chance(users.length > 1 ? 0.8 : 0.3) ? 1 : 0,
      collection: random.below(2),
      id: 0,
    },
    deliverLate: random.chance(0.6),
    outliveRetention: palette.time && random.chance(0.25),
  };
}

function createStep(
  random: Random,
  setup: Setup,
  { time, faults, direct }: Palette,
  taste: ReadonlyMap<Step['kind'], number>,
): Step {
  const device = random.below(setup.devices.length);
  const document = random.chance(0.65)
    ? setup.focus
    : { scope: random.below(3), collection: random.below(2), id: random.below(DOCUMENTS) };
  const user = random.below(setup.users.length);
  const some = (weight: number, kind: Step['kind'], make: () => Step) =>
    [weight * (taste.get(kind) ?? 1), make] as const;
  const when = (condition: boolean, weight: number): number => (condition ? weight : 0);
  return random.weighted<() => Step>([
    some(30, 'write', () => ({
      kind: 'write',
      device,
      document,
      field: random.below(3),
      alone: random.chance(0.15),
      patch: random.chance(0.3),
    })),
    some(10, 'remove', () => ({ kind: 'remove', device, document })),
    some(when(!direct, 2), 'poison', () => ({ kind: 'poison', device, document })),
    some(32, 'sync', () => ({ kind: 'sync', device, fate: createFate(random, faults) })),
    some(5, 'send', () => ({ kind: 'send', device })),
    some(6, 'deliver', () => ({
      kind: 'deliver',
      message: random.below(12),
      fate: createFate(random, faults),
    })),
    some(when(faults, 4), 'together', () => ({
      kind: 'together',
      messages: [random.below(12), random.below(12)],
      twin: random.chance(0.5),
      order: random.below(1_000_000),
    })),
    some(4, 'answer', () => ({ kind: 'answer', message: random.below(12) })),
    some(4, 'replay', () => ({ kind: 'replay', message: random.below(30) })),
    some(10, 'wait', () => ({
      kind: 'wait',
      milliseconds: random.weighted(time ? WAITS : WAITS.slice(0, 3)),
    })),
    some(when(!direct, 3), 'clock', () => ({
      kind: 'clock',
      machine: random.below(4),
      skew: random.pick(SKEWS),
    })),
    some(when(time, 2), 'restart', () => ({ kind: 'restart' })),
    some(when(time, 0.7), 'epoch', () => ({ kind: 'epoch' })),
    some(when(time, 1), 'retention', () => ({ kind: 'retention', days: random.pick([30, 90, 180]) })),
    some(when(!direct, 3), 'grant', () => ({ kind: 'grant', user, scope: random.below(2) })),
    some(when(!direct, 2), 'revoke', () => ({ kind: 'revoke', user, scope: random.below(2) })),
    some(3, 'follow', () => ({ kind: 'follow', device, all: random.chance(0.7) })),
    some(3, 'crash', () => ({ kind: 'crash', device })),
    some(1.5, 'backup', () => ({ kind: 'backup', device })),
    some(1, 'restore', () => ({ kind: 'restore', device })),
    some(0.6, 'clone', () => ({ kind: 'clone', device })),
    some(1, 'wrong token', () => ({ kind: 'wrong token', device, user })),
    some(4, 'transaction', () => ({
      kind: 'transaction',
      device,
      documents: [document, { ...document, id: 1 - document.id }],
      field: random.below(3),
    })),
    some(when(direct, 2), 'transport', () => ({ kind: 'transport', device })),
  ])();
}

const createFate = (random: Random, faults: boolean): Fate =>
  random.weighted<() => Fate>([
    [12, () => 'answered'],
    [1, () => 'request lost'],
    [3, () => 'answer lost'],
    [2, () => 'sent twice'],
    [1, () => ({ kind: 'killed', at: 1 + random.below(12) })],
    [
      faults ? 6 : 0,
      () => ({
        kind: random.pick(FAULTS),
        at: 1 + random.below(5),
      }),
    ],
  ])();

/** The history as a person reads it. */
export function printHistory({ setup, steps }: History): string {
  const lines = [
    ...setup.users.map(({ name, grants }) => `${name} may use ${['their own scope', ...grants].join(', ')}`),
    ...setup.devices.map(
      ({ user, machine, skew, limit, batchSize, followsAll, groups, transport }, index) =>
        `device ${index} is ${setup.users[user]!.name}'s (machine ${machine}, ${transport}), clock off by ${duration(skew)}, ` +
        `asks for ${limit}, sends ${batchSize}${groups ? ', some in transactions' : ''}, follows ${followsAll ? 'all collections' : 'the first collection'}`,
    ),
    `private collections: ${setup.collections.join(', ')}; shared: ${setup.shared.join(', ')}`,
    ...steps.map((step, index) => `${String(index + 1).padStart(3)}. ${printStep(step, setup)}`),
    `Then requests still on their way ${setup.deliverLate ? 'arrive' : 'are lost'}, and everybody syncs.`,
    ...(setup.outliveRetention ? ['Then all tombstones expire, and everybody syncs.'] : []),
  ];
  return lines.join('\n');
}

function printStep(step: Step, setup: Setup): string {
  const at = ({ scope, collection, id }: DocumentChoice) =>
    `document ${id} of ${['the own scope', ...SHARED_SCOPES][scope]}, collection ${collection}`;
  switch (step.kind) {
    case 'write':
      return `device ${step.device} ${step.patch ? 'patches' : 'writes'} field ${FIELDS[step.field]}${step.alone ? ' alone' : ''} of ${at(step.document)}`;
    case 'remove':
      return `device ${step.device} deletes ${at(step.document)}, or another that it has`;
    case 'poison':
      return `device ${step.device} writes what is never accepted into ${at(step.document)}`;
    case 'sync':
      return `device ${step.device} syncs${printFate(step.fate)}`;
    case 'send':
      return `device ${step.device} sends a request, which the network holds back`;
    case 'deliver':
      return `held request ${step.message} arrives${printFate(step.fate)}`;
    case 'together':
      return `held requests ${step.messages.join(', ')}${step.twin ? ' and a twin' : ''} arrive together (order ${step.order})`;
    case 'answer':
      return `answer ${step.message} arrives`;
    case 'replay':
      return `request ${step.message} of the past arrives once more`;
    case 'wait':
      return `${duration(step.milliseconds)} pass`;
    case 'clock':
      return `the clock of machine ${step.machine} steps: it is off by ${duration(step.skew)} now`;
    case 'restart':
      return 'the gateway restarts';
    case 'epoch':
      return 'the operator raises the epoch';
    case 'retention':
      return `the operator sets retention to ${step.days} days`;
    case 'grant':
    case 'revoke':
      return `${setup.users[step.user]?.name} ${step.kind === 'grant' ? 'gains' : 'loses'} ${SHARED_SCOPES[step.scope]}`;
    case 'follow':
      return `device ${step.device} follows ${step.all ? 'all collections' : 'the first collection only'}`;
    case 'crash':
      return `device ${step.device} crashes and starts again`;
    case 'backup':
      return `device ${step.device} is backed up`;
    case 'restore':
      return `device ${step.device} is restored from its backup`;
    case 'clone':
      return `device ${step.device} is cloned`;
    case 'transaction':
      return `device ${step.device} writes field ${FIELDS[step.field]} of ${step.documents.map(at).join(' and ')} as one`;
    case 'transport':
      return `device ${step.device} starts again on the other transport`;
    case 'wrong token':
      return `device ${step.device} syncs with the token of ${setup.users[step.user]?.name}`;
  }
}

function printFate(fate: Fate): string {
  if (fate === 'answered') return '';
  if (typeof fate === 'string') return ` (${fate})`;
  if (fate.kind === 'killed') return ` (the device dies taking the answer in, at statement ${fate.at})`;
  return ` (${fate.kind}, call ${fate.at} to the store)`;
}

function duration(milliseconds: number): string {
  const sign = milliseconds < 0 ? '-' : '';
  const size = Math.abs(milliseconds);
  if (size >= DAY) return `${sign}${size / DAY} days`;
  if (size >= HOUR) return `${sign}${size / HOUR} h`;
  return size >= SECOND ? `${sign}${size / SECOND} s` : `${sign}${size} ms`;
}
