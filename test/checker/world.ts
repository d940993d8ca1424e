import type { Address } from '../../client/src/index.ts';
import { parseVersion, type JsonObject } from '../../shared/conflict/index.ts';
import { RequestError, Unavailable } from '../../shared/errors.ts';
import type {
  Change,
  ChangeResult,
  Outcome,
  SyncRequest,
  SyncResponse,
} from '../../shared/protocol/index.ts';
import type { DocumentStore, Write } from '../../shared/sync/store.ts';
import type { SyncConfig } from '../../shared/sync/sync-config.ts';
import type { SyncSettings } from '../../shared/sync/sync.ts';
import type { Client, ClientOptions, CreateClient } from './client.ts';
import {
  FIELDS,
  SHARED_SCOPES,
  type DeviceSetup,
  type DocumentChoice,
  type Fate,
  type Fault,
  type History,
  type Step,
  type Transport,
} from './history.ts';
import * as invariants from './invariants.ts';
import type { Verdict, Version } from './invariants.ts';
import {
  POISON,
  keyOf,
  mergeDrafts,
  namesIn,
  type Draft,
  type Drawn,
  type Edit,
  type Message,
} from './model.ts';
import { createRandom } from './random.ts';
import { Crash } from '../support/store.ts';
import { inTurn, watched, withFault } from './store-layers.ts';
import { createTurns, type Turns } from './turns.ts';

/** Where a history is played: a store, a clock, gateways. */
export interface Ground {
  /** True time, in milliseconds since the epoch; the world moves it on. */
  readonly clock: { now: number };
  /** The store as a gateway that starts now sees it. */
  readonly open: () => DocumentStore;
  /** Everything alive in a scope. */
  readonly items: (scope: string) => Promise<readonly JsonObject[]>;
  /** One request in a gateway. `store` is the store as that gateway is to see it. */
  readonly sync: (call: GatewayCall) => Promise<SyncResponse>;
  readonly config: SyncConfig;
  /** Makes names of users and scopes the history's own, where several share a store. */
  readonly tag: string;
  /** False where writes cannot be watched, as in another process: only what is seen from outside is checked then. */
  readonly watched: boolean;
  /** Lets a fault strike below the gateway's SDK, and gives what ends it; null: not this one. */
  readonly strike?: (fault: Fault) => (() => void) | null;
  /** Lets everything that lags catch up. */
  readonly calm?: () => void;
}

export interface GatewayCall {
  readonly store: DocumentStore;
  readonly user: string;
  readonly grants: readonly string[];
  readonly body: unknown;
  readonly transport: Transport;
  readonly settings: Pick<SyncSettings, 'epoch' | 'retention' | 'deadline'>;
  readonly now: () => number;
}

/** A property does not hold. */
export class Violation extends Error {
  readonly property: string;

  constructor(property: string, message: string) {
    super(`${property}: ${message}`);
    this.property = property;
  }
}

type EditStep = Extract<Step, { readonly document: DocumentChoice }>;

const DEADLINE_MS = 20_000;
const LETTERS: Readonly<Record<string, Outcome>> = {
  a: 'applied',
  m: 'merged',
  s: 'skipped',
  r: 'rejected',
  f: 'failed',
};

interface Device {
  readonly index: number;
  readonly setup: DeviceSetup;
  readonly user: string;
  transport: Transport;
  client: Client;
  collections: readonly string[];
  scopes: readonly string[];
  drafts: Map<string, Draft>;
  inFlight: Map<string, string>;
  /** What the device has made of its own accord, and nobody has carried yet. */
  ready: Message | null;
  /** The request whose answer counts. */
  last: Message | null;
  backup: Saved | null;
  readonly met: Map<string, Set<string>>;
}

interface Saved {
  readonly state: unknown;
  readonly collections: readonly string[];
  readonly scopes: readonly string[];
  readonly drafts: ReadonlyMap<string, Draft>;
  readonly inFlight: ReadonlyMap<string, string>;
}

/**
 * Plays a history and checks it.
 *
 * @throws Violation
 */
export async function play(history: History, ground: Ground, createClient: CreateClient): Promise<void> {
  const world = new World(history, ground, createClient);
  for (const step of history.steps) await world.step(step);
  await world.finish();
}

class World {
  readonly #history: History;
  readonly #ground: Ground;
  readonly #createClient: CreateClient;
  readonly #devices: Device[];
  readonly #grants: Map<string, Set<string>>;
  /** By machine. */
  readonly #clocks: { skew: number; steps: number }[];
  readonly #messages: Message[] = [];
  #held: Message[] = [];
  #gateway: DocumentStore;
  #epoch = 1;
  #retention = 90 * 86_400;
  #longestRetention = this.#retention;
  readonly #edits: Edit[] = [];
  readonly #drawn = new Map<string, Drawn>();
  #ids = 0;
  /** At the end most answers are large: what small ones do was seen on the way. */
  #settling = false;
  /** The store as its batches left it, by scope and id. */
  readonly #stored = new Map<string, Map<string, Version>>();
  readonly #existed = new Set<string>();

  constructor(history: History, ground: Ground, createClient: CreateClient) {
    this.#history = history;
    this.#ground = ground;
    this.#createClient = createClient;
    this.#gateway = ground.open();
    const { setup } = history;
    this.#clocks = Array.from({ length: 4 }, (_, machine) => ({
      skew: setup.devices.find((device) => device.machine === machine)?.skew ?? 0,
      steps: 0,
    }));
    this.#grants = new Map(
      setup.users.map(({ name, grants }) => [
        this.#tagged(name),
        new Set(grants.map((scope) => this.#tagged(scope))),
      ]),
    );
    this.#devices = setup.devices.map((device, index) => {
      const user = this.#tagged(setup.users[device.user]!.name);
      const collections = this.#collections(device.followsAll);
      return {
        index,
        setup: device,
        user,
        transport: device.transport,
        client: createClient(this.#optionsOf(device, user, device.transport, collections)),
        collections,
        scopes: this.#scopesOf(user),
        drafts: new Map(),
        inFlight: new Map(),
        ready: null,
        last: null,
        backup: null,
        met: new Map(),
      };
    });
  }

  async step(step: Step): Promise<void> {
    const device = 'device' in step ? this.#devices[step.device % this.#devices.length]! : null;
    switch (step.kind) {
      case 'write':
      case 'poison':
      case 'remove':
        return this.#edit(device!, step);
      case 'transaction':
        return this.#writeTogether(device!, step);
      case 'sync':
        return this.#sync(device!, step.fate);
      case 'send':
        this.#held.push(await this.#send(device!));
        return;
      case 'deliver': {
        const message = this.#takeHeld(step.message);
        return message === null ? undefined : this.#deliver(message, step.fate);
      }
      case 'together':
        return this.#together(step);
      case 'answer': {
        const answered = this.#messages.filter(({ answers }) => answers.length > 0);
        const message = answered.at(-1 - (step.message % Math.max(1, answered.length)));
        if (message !== undefined) await this.#answer(message, message.answers.at(-1)!);
        return;
      }
      case 'replay': {
        const message = this.#messages[step.message % Math.max(1, this.#messages.length)];
        return message === undefined ? undefined : this.#replay([message]);
      }
      case 'wait':
        this.#ground.clock.now += step.milliseconds;
        return;
      case 'clock': {
        const clock = this.#clocks[step.machine]!;
        clock.skew = step.skew;
        clock.steps += 1;
        return;
      }
      case 'restart':
        this.#gateway = this.#ground.open();
        return;
      case 'epoch':
        this.#epoch += 1;
        return;
      case 'retention':
        this.#retention = step.days * 86_400;
        this.#longestRetention = Math.max(this.#longestRetention, this.#retention);
        return;
      case 'grant':
      case 'revoke': {
        const grants = this.#grants.get(this.#tagged(this.#history.setup.users[step.user]!.name))!;
        grants[step.kind === 'grant' ? 'add' : 'delete'](this.#tagged(SHARED_SCOPES[step.scope]!));
        return;
      }
      case 'follow':
        return this.#follow(device!, step.all);
      case 'crash':
        return this.#crash(device!, await this.#visible(device!));
      case 'backup':
        device!.backup = await this.#save(device!);
        return;
      case 'restore': {
        this.#restore(device!);
        return;
      }
      case 'clone':
        return this.#clone(device!);
      case 'transport':
        device!.transport = device!.transport === 'thin' ? 'direct' : 'thin';
        return this.#crash(device!, await this.#visible(device!));
      case 'wrong token':
        return this.#wrongToken(device!, this.#tagged(this.#history.setup.users[step.user]!.name));
    }
  }

  /** Lets everything come to rest, and checks what holds then. */
  async finish(): Promise<void> {
    const { deliverLate, outliveRetention } = this.#history.setup;
    this.#ground.calm?.();
    while (this.#held.length > 0) {
      const message = this.#held.pop()!;
      if (deliverLate) await this.#deliver(message, 'answered');
    }
    await this.#settle();
    await this.#check();
    for (const device of this.#devices) await this.#editsInOrder(device);
    await this.#settle();
    await this.#check();
    await this.#replay(this.#messages);
    if (outliveRetention) {
      const before = await this.#liveDocuments();
      this.#ground.clock.now += (this.#longestRetention + 86_400) * 1000;
      await this.#settle();
      await this.#check();
      this.#require(
        '6 nothing live expires',
        invariants.converged('the store', await this.#liveDocuments(), before),
      );
    }
  }

  // What users do

  async #edit(device: Device, step: EditStep): Promise<void> {
    const { client } = device;
    const named = this.#address(device, step.document);
    // Who has no such document deletes another: deletes are what much depends on.
    const [other] = (await client.documents()).keys();
    const missing = step.kind === 'remove' && (named === null || (await client.get(named)) === null);
    const address = missing && other !== undefined ? addressOf(other) : named;
    if (address === null) return;
    const key = keyOf(address);
    const name = `e${this.#edits.length + 1}`;
    const shown = await client.get(address);
    if (step.kind === 'remove' && shown === null) return;
    const content = ((): JsonObject | null => {
      if (step.kind === 'remove') return null;
      const id = address.documentId;
      if (step.kind === 'poison') return { ...shown, id, [FIELDS[2]]: name + POISON };
      const field = FIELDS[step.field]!;
      return step.alone ? { id, [field]: name } : { ...shown, id, [field]: name };
    })();
    this.#note(device, key, name, shown, content);
    if (content === null) await client.remove(address);
    else if (step.kind === 'write' && step.patch) await client.patch(address, content);
    else await client.put(address, content);
    await this.#checkPending(device);
  }

  /** An edit is made, and waits. */
  #note(
    device: Device,
    key: string,
    name: string,
    shown: JsonObject | null,
    content: JsonObject | null,
  ): void {
    const machine = this.#clocks[device.setup.machine]!;
    const edit: Edit = {
      name,
      key,
      at: this.#now,
      clockSteps: machine.steps,
      takenBy: new Set(),
      copied: false,
      end: null,
    };
    this.#edits.push(edit);
    const seen = namesIn(shown);
    const now: Draft = { edits: [edit], seen, sawNothing: shown === null, content };
    const earlier = device.drafts.get(key);
    device.drafts.set(key, earlier === undefined ? now : mergeDrafts(earlier, now));
  }

  async #writeTogether(device: Device, step: Extract<Step, { kind: 'transaction' }>): Promise<void> {
    const all: (readonly [Address, JsonObject])[] = [];
    for (const document of step.documents) {
      const address = this.#address(device, document);
      if (address === null) return;
      const shown = await device.client.get(address);
      const name = `e${this.#edits.length + 1}`;
      const content = { ...shown, id: address.documentId, [FIELDS[step.field]!]: name };
      this.#note(device, keyOf(address), name, shown, content);
      all.push([address, content]);
    }
    await device.client.putTogether(all);
    await this.#checkPending(device);
  }

  async #follow(device: Device, all: boolean): Promise<void> {
    const wanted = this.#collections(all);
    // A request holds all unanswered changes, so a collection is given up only when none of its own is left.
    const unanswered = [...device.inFlight.keys()].map((key) => addressOf(key).collection);
    if (unanswered.some((collection) => !wanted.includes(collection))) return;
    const aside = (await device.client.setAside()).length;
    device.collections = wanted;
    this.#startsAnew(device);
    await device.client.follow(device.collections);
    await this.#takeAside(device, aside);
    await this.#checkPending(device);
    await this.#checkShown(device);
  }

  // What happens to devices

  async #save(device: Device): Promise<Saved> {
    const { client, collections, scopes, drafts, inFlight } = device;
    return {
      state: await client.save(),
      collections,
      scopes,
      drafts: new Map(drafts),
      inFlight: new Map(inFlight),
    };
  }

  /** What the process had in memory is gone; a request that it had just made may have left. */
  #startsAnew(device: Device): void {
    if (device.ready !== null) this.#held.push(device.ready);
    device.ready = null;
    device.last = null;
  }

  async #crash(device: Device, before: string): Promise<void> {
    this.#startsAnew(device);
    device.client = await device.client.restart(this.#options(device));
    this.#require(
      '12 a crash changes nothing',
      invariants.crashChangesNothing(nameOf(device), before, await this.#visible(device)),
    );
  }

  #restore(device: Device): void {
    const { backup } = device;
    if (backup === null) return;
    this.#markCopied(backup);
    const kept = new Set([...this.#waiting(backup)]);
    for (const edit of this.#waiting(device)) if (!kept.has(edit)) edit.end ??= 'gone with its store';
    this.#startsAnew(device);
    device.collections = backup.collections;
    device.client = this.#createClient(this.#options(device), backup.state);
    device.scopes = backup.scopes;
    device.drafts = new Map(backup.drafts);
    device.inFlight = new Map(backup.inFlight);
    this.#noticeCopy(device);
  }

  async #clone(device: Device): Promise<void> {
    if (this.#devices.length >= 5) return;
    const saved = await this.#save(device);
    this.#markCopied(saved);
    const clone: Device = {
      ...device,
      ...saved,
      index: this.#devices.length,
      client: this.#createClient(this.#options(device), saved.state),
      drafts: new Map(saved.drafts),
      inFlight: new Map(saved.inFlight),
      ready: null,
      last: null,
      backup: null,
      met: new Map([...device.met].map(([key, versions]) => [key, new Set(versions)])),
    };
    this.#devices.push(clone);
    this.#noticeCopy(clone);
  }

  /** A store that knows that it is a copy takes back what it had sent: its original may have the answer. */
  #noticeCopy({ client, drafts, inFlight }: Device): void {
    if (!client.noticesCopies) return;
    for (const [key, changeId] of inFlight) {
      const drawn = this.#drawn.get(changeId);
      if (drawn !== undefined) drafts.set(key, mergeDrafts(drawn, drafts.get(key)));
    }
    inFlight.clear();
  }

  #markCopied(saved: Saved): void {
    for (const edit of this.#waiting(saved)) edit.copied = true;
  }

  #waiting({ drafts, inFlight }: Pick<Saved, 'drafts' | 'inFlight'>): Set<Edit> {
    const sent = [...inFlight.values()].flatMap((id) => this.#drawn.get(id)?.edits ?? []);
    return new Set([...[...drafts.values()].flatMap(({ edits }) => edits), ...sent]);
  }

  async #visible({ client }: Device): Promise<string> {
    return JSON.stringify([
      [...(await client.documents())].sort(),
      [...(await client.pending())].sort(),
      await client.setAside(),
      await client.rejected(),
    ]);
  }

  // The network

  async #sync(device: Device, fate: Fate): Promise<void> {
    const message = await this.#send(device);
    if (fate === 'request lost') this.#held.push(message);
    else await this.#deliver(message, fate);
  }

  /** The device's next request. One that it has made by itself already is that. */
  async #send(device: Device): Promise<Message> {
    const { ready } = device;
    device.ready = null;
    return ready ?? this.#made(device, await device.client.request());
  }

  #made(device: Device, request: SyncRequest): Message {
    const message: Message = {
      number: this.#messages.length,
      device: device.index,
      user: device.user,
      request,
      transport: device.transport,
      clockSteps: this.#clocks[device.setup.machine]!.steps,
      answers: [],
      forbidden: false,
    };
    this.#messages.push(message);
    device.last = message;
    for (const change of request.changes ?? []) this.#draw(device, change);
    return message;
  }

  /** A change that was not sent before takes the edits that wait for its document. */
  #draw(device: Device, change: Change): void {
    const { changeId = '' } = change;
    const key = keyOfChange(change);
    if (this.#drawn.has(changeId)) return;
    const draft = device.drafts.get(key);
    this.#require('4 no change is invented', invariants.inventsNothing(changeId, draft !== undefined));
    if (draft === undefined) return;
    this.#drawn.set(changeId, { ...draft, change, outcome: null });
    device.drafts.delete(key);
    device.inFlight.set(key, changeId);
  }

  #takeHeld(number: number): Message | null {
    const message = this.#held[number % Math.max(1, this.#held.length)] ?? null;
    this.#held = this.#held.filter((other) => other !== message);
    return message;
  }

  async #deliver(message: Message, fate: Fate): Promise<void> {
    const killed = typeof fate === 'object' && fate.kind === 'killed' ? fate.at : null;
    const fault = typeof fate === 'object' && fate.kind !== 'killed' ? fate : null;
    if (fate === 'sent twice') await this.#process(message);
    const answer = await this.#process(message, fault);
    if (answer !== null && fate !== 'answer lost' && fate !== 'request lost')
      await this.#answer(message, answer, killed);
  }

  async #together({ messages, twin, order }: Extract<Step, { kind: 'together' }>): Promise<void> {
    const random = createRandom(order);
    const chosen: Message[] = [];
    for (const number of messages) {
      const held = this.#takeHeld(number);
      chosen.push(held ?? (await this.#send(this.#devices[number % this.#devices.length]!)));
    }
    const all = twin ? [...chosen, chosen[0]!] : chosen;
    const turns = createTurns(random);
    const answers = new Map<Message, SyncResponse>();
    await turns.run(
      all.map((message) => async () => {
        const answer = await this.#process(message, null, turns);
        // Of twins, the answer that comes last is the one that counts, or the first.
        if (answer !== null && (!answers.has(message) || random.chance(0.5))) answers.set(message, answer);
      }),
    );
    for (const [message, answer] of answers) if (random.chance(0.8)) await this.#answer(message, answer);
  }

  async #wrongToken(device: Device, user: string): Promise<void> {
    if (user === device.user) return;
    const message = await this.#send(device);
    const before = await this.#dump();
    let code = 'none';
    try {
      await this.#call({ ...message, user }, null, null);
    } catch (error) {
      if (!(error instanceof RequestError)) throw error;
      code = error.code;
    }
    this.#require(
      '9 another user writes nothing',
      code === 'user_mismatch' ? null : `The request was answered: ${code}`,
    );
    this.#require(
      '9 another user writes nothing',
      invariants.repeatsChangeNothing(message.number, before, await this.#dump()),
    );
  }

  /** Delivers requests once more. Where they were answered before, nothing may change. */
  async #replay(messages: readonly Message[]): Promise<void> {
    const answered = messages.filter(
      ({ answers, forbidden, request }) => answers.length > 0 && !forbidden && request.changes?.length !== 0,
    );
    if (answered.length === 0) return;
    const before = await this.#dump();
    for (const message of answered) await this.#process(message);
    this.#require(
      '3 repeats change nothing',
      invariants.repeatsChangeNothing(answered[0]!.number, before, await this.#dump()),
    );
  }

  // The gateway

  /** One arrival of a request at a gateway. Null: no answer comes of it. */
  async #process(
    message: Message,
    fault: Fault | null = null,
    turns: Turns | null = null,
  ): Promise<SyncResponse | null> {
    try {
      const answer = await this.#call(message, fault, turns);
      message.forbidden ||= answer.results.some(({ error }) => error?.code === 'scope_forbidden');
      message.answers.push(answer);
      return answer;
    } catch (error) {
      if (error instanceof Crash || error instanceof Unavailable) return null;
      if (error instanceof Violation) throw error;
      throw new Violation('8 every request is answered', `Request ${message.number}: ${String(error)}`);
    }
  }

  async #call(message: Message, fault: Fault | null, turns: Turns | null): Promise<SyncResponse> {
    const { user, transport } = message;
    const granted = this.#scopesOf(user);
    let store = this.#gateway;
    if (this.#ground.watched) {
      store = watched(
        store,
        (scope) => this.#require('10 scopes are closed', invariants.scopesAreClosed(user, scope, granted)),
        (scope, writes, etags) => this.#onWritten(message, scope, writes, etags),
      );
    }
    if (turns !== null) store = inTurn(store, turns);
    const endStrike = fault === null ? null : (this.#ground.strike?.(fault) ?? null);
    if (fault !== null && endStrike === null)
      store = withFault(store, fault, () => (this.#ground.clock.now += DEADLINE_MS + 1000));
    const call: GatewayCall = {
      store,
      user,
      grants: [...this.#grants.get(user)!],
      body: message.request,
      transport,
      settings: { epoch: String(this.#epoch), retention: this.#retention, deadline: DEADLINE_MS },
      now: () => this.#now,
    };
    const answer = await this.#ground.sync(call).finally(() => endStrike?.());
    return JSON.parse(JSON.stringify(answer)) as SyncResponse;
  }

  /** A batch was written: what it did is judged by what its request knew. */
  #onWritten(message: Message, scope: string, writes: readonly Write[], etags: readonly string[]): void {
    const stored = this.#stored.get(scope) ?? new Map<string, Version>();
    this.#stored.set(scope, stored);
    const ledgerWrite = writes.find((write) => idOf(write).startsWith('~ledger:'));
    const ledger = ledgerWrite === undefined ? null : (stored.get(idOf(ledgerWrite))?.item ?? null);
    const before = new Map<string, Version | null>();
    const after = new Map<string, JsonObject>();
    const records: JsonObject[] = [];
    for (const [index, write] of writes.entries()) {
      const id = idOf(write);
      const old = this.#alive(stored.get(id));
      const item =
        write.kind === 'move-ledger'
          ? { ...old?.item, ...write.to, outcomes: write.outcomes }
          : { ...(write.item as unknown as JsonObject), _etag: etags[index] };
      before.set(id, old);
      after.set(id, item);
      stored.set(id, { item, storedAt: this.#now });
      if (id.startsWith('~conflict:')) {
        records.push(item);
        this.#require('m one record for a conflict', invariants.recordsStay(id, old !== null));
      }
    }
    const recordsOf = (key: string): JsonObject[] =>
      records.filter((record) => keyOf({ scope, ...record } as unknown as Address) === key);
    const changesOf = (key: string): Drawn[] =>
      (message.request.changes ?? [])
        .filter((change) => keyOfChange(change) === key)
        .flatMap(({ changeId = '' }) => this.#drawn.get(changeId) ?? []);
    const ledgerSeq = typeof ledger?.['seq'] === 'number' ? ledger['seq'] : 0;

    for (const [id, item] of after) {
      if (id.startsWith('~')) continue;
      const key = keyOf({ ...item, scope } as unknown as Address);
      const lastSeq = typeof item['seq'] === 'number' ? item['seq'] : Infinity;
      const write: invariants.DocumentWrite = {
        key,
        strategy: this.#strategyOf(key),
        before: before.get(id) ?? null,
        existed: this.#existed.has(key),
        after: item,
        changes: changesOf(key).filter(({ change: { seq = 0 } }) => seq > ledgerSeq && seq <= lastSeq),
        records: recordsOf(key),
        now: this.#now,
      };
      this.#existed.add(key);
      this.#require('2 losers are logged', invariants.losersAreLogged(write));
      this.#require('6 nothing is resurrected', invariants.nothingResurrected(write));
      this.#require('6 only tombstones expire', invariants.onlyTombstonesExpire(write));
      this.#require('7 stamps are bounded', invariants.stampsAreBounded(write));
      this.#require('8 poison is refused', invariants.poisonIsRefused(write));
      this.#require('10 authors are true', invariants.authorsAreTrue(message.user, scope, write));
    }

    const moved = ledgerWrite === undefined ? undefined : after.get(idOf(ledgerWrite));
    if (moved === undefined) return;
    const taken = (message.request.changes ?? []).filter(
      ({ scope: at, seq = 0 }) => at === scope && seq > ledgerSeq && seq <= Number(moved['seq']),
    );
    const letters = String(moved['outcomes']).slice(-taken.length);
    for (const name of new Set(taken.flatMap(({ transaction }) => transaction ?? []))) {
      const members = (message.request.changes ?? []).filter(({ transaction }) => transaction === name);
      const became = members.map((member) => LETTERS[letters[taken.indexOf(member)] ?? ''] ?? null);
      this.#require('2 transactions are whole', invariants.transactionsAreWhole(name, became));
    }
    for (const [index, change] of taken.entries()) {
      const drawn = this.#drawn.get(change.changeId ?? '');
      const outcome = LETTERS[letters[index] ?? ''];
      if (drawn === undefined || outcome === undefined) continue;
      const key = keyOfChange(change);
      const id = `${change.collection}:${change.documentId}`;
      const earlierOutcome = drawn.outcome;
      drawn.outcome = outcome;
      if (outcome !== 'failed' && outcome !== 'rejected')
        for (const edit of drawn.edits) edit.takenBy.add(change.changeId ?? '');
      const takenIn: invariants.TakenIn = {
        drawn,
        outcome,
        earlierOutcome,
        strategy: this.#strategyOf(key),
        before: before.get(id) ?? this.#aliveDocument(stored, before, id),
        after: after.get(id) ?? null,
        followers: taken
          .slice(index + 1)
          .filter(
            (other, offset) =>
              keyOfChange(other) === key && 'ams'.includes(letters[index + 1 + offset] ?? '-'),
          )
          .flatMap(({ changeId = '' }) => this.#drawn.get(changeId) ?? []),
        records: recordsOf(key),
        clockStepped: drawn.edits.at(-1)?.clockSteps !== message.clockSteps,
      };
      this.#require('2 taken in means kept', invariants.takenInMeansKept(takenIn));
      this.#require('3 taken in once', invariants.takenInOnce(takenIn));
      this.#require('3 nothing loses against itself', invariants.noConflictWithItself(takenIn));
      this.#require('7 later edits win', invariants.laterEditsWin(takenIn));
    }
  }

  #aliveDocument(
    stored: ReadonlyMap<string, Version>,
    written: ReadonlyMap<string, unknown>,
    id: string,
  ): Version | null {
    return written.has(id) ? null : this.#alive(stored.get(id));
  }

  #alive(version: Version | undefined): Version | null {
    if (version === undefined) return null;
    const { ttl } = version.item;
    const expires = typeof ttl === 'number' && ttl !== -1;
    const gone = expires && Math.floor(version.storedAt / 1000) + ttl <= Math.floor(this.#now / 1000);
    return gone ? null : version;
  }

  // What devices take in

  /**
   * @param killAt the device dies at this statement while it takes the answer in; null: it does not
   * @returns is there more to fetch or to send?
   */
  async #answer(message: Message, answer: SyncResponse, killAt: number | null = null): Promise<boolean> {
    const device = this.#devices[message.device]!;
    const counts = device.last === message;
    const aside = (await device.client.setAside()).length;
    const before = killAt === null ? '' : await this.#visible(device);
    const taken = await device.client.take(message.request, answer, killAt);
    if (taken === 'killed') {
      await this.#crash(device, before);
      return false;
    }
    if (!counts) return taken;
    for (const [index, result] of answer.results.entries()) {
      const change = message.request.changes?.[index];
      if (change !== undefined) await this.#settleChange(device, change, result);
    }
    await this.#takeAside(device, aside);
    device.scopes = answer.scopes;
    for (const document of answer.delta.documents) meet(device, keyOf(document), document.version);
    const next = device.client.made();
    if (next !== null) device.ready = this.#made(device, next);
    await this.#checkPending(device);
    await this.#checkShown(device);
    return taken;
  }

  async #settleChange(device: Device, change: Change, result: ChangeResult): Promise<void> {
    const { changeId = '' } = change;
    const key = keyOfChange(change);
    const drawn = this.#drawn.get(changeId);
    meet(device, key, result.version);
    meet(device, key, result.document?.version);
    if (drawn === undefined || device.inFlight.get(key) !== changeId) return;
    device.inFlight.delete(key);
    const said = result.status === 'duplicate' ? (result.outcome ?? 'failed') : result.status;
    if (this.#ground.watched)
      this.#require('3 answers are true', invariants.answersAreTrue(drawn, said, result.error?.code));
    if (said === 'failed') {
      device.drafts.set(key, mergeDrafts(drawn, device.drafts.get(key)));
    } else if (said === 'rejected') {
      const mayUse = result.error?.code !== 'scope_forbidden' && change.transaction === undefined;
      const kept = (await device.client.rejected()).some((rejected) => rejected.changeId === changeId);
      this.#require(
        '8 rejections are reported',
        invariants.rejectionsAreReported(drawn, result.error?.code, mayUse, kept),
      );
      for (const edit of drawn.edits) edit.end = 'rejected';
      // What was written behind it now stands on what the rejected edit was made on.
      const behind = device.drafts.get(key);
      if (behind !== undefined)
        device.drafts.set(key, { ...mergeDrafts(drawn, behind), edits: behind.edits });
    } else {
      for (const edit of drawn.edits) edit.end = 'taken in';
    }
  }

  /** Edits that the device gave back to its user. */
  async #takeAside(device: Device, from: number): Promise<void> {
    for (const { address, data } of (await device.client.setAside()).slice(from)) {
      const key = keyOf(address);
      const [draft, sent] = [device.drafts.get(key), this.#drawn.get(device.inFlight.get(key) ?? '')];
      this.#require('9 set aside is whole', invariants.setAsideIsWhole(key, (draft ?? sent)?.content, data));
      for (const edit of [...(draft?.edits ?? []), ...(sent?.edits ?? [])]) edit.end = 'set aside';
      device.drafts.delete(key);
      device.inFlight.delete(key);
    }
  }

  async #checkPending(device: Device): Promise<void> {
    const { client, drafts, inFlight } = device;
    const keys = new Set([...drafts.keys(), ...inFlight.keys()]);
    const pending = await client.pending();
    for (const key of keys) {
      const address = addressOf(key);
      const wanted = (drafts.get(key) ?? this.#drawn.get(inFlight.get(key) ?? ''))?.content ?? null;
      this.#require(
        '4 edits stay',
        invariants.editsStay(key, pending.has(key), await client.get(address), wanted),
      );
    }
    this.#require('11 pending is true', invariants.pendingIsTrue(nameOf(device), pending.size, keys.size));
  }

  async #checkShown(device: Device): Promise<void> {
    this.#require(
      '9 shows only what is granted',
      invariants.showsOnlyGranted(
        nameOf(device),
        (await device.client.documents()).keys(),
        device.scopes,
        device.collections,
      ),
    );
  }

  // The end

  /** Everybody syncs until nobody has anything to send; who is last then has heard everything. */
  async #settle(): Promise<void> {
    this.#settling = true;
    for (let round = 0; round < 10; round += 1) {
      let quiet = true;
      for (const device of this.#devices) quiet = (await this.#syncFully(device)) && quiet;
      if (quiet) return;
    }
    throw new Violation('1 all comes to rest', 'After ten rounds there is still something to sync');
  }

  /** Was there nothing to send? */
  async #syncFully(device: Device): Promise<boolean> {
    let quiet = true;
    for (let request = 0; request < 500; request += 1) {
      const message = await this.#send(device);
      const answer = await this.#process(message);
      if (answer === null)
        throw new Violation('1 all comes to rest', `Request ${message.number} is not answered`);
      if ((message.request.changes ?? []).length > 0) quiet = false;
      if (!(await this.#answer(message, answer))) return quiet;
    }
    throw new Violation('1 all comes to rest', `${nameOf(device)} never has it all`);
  }

  async #check(): Promise<void> {
    const all = await this.#liveDocuments();
    const versions = await this.#liveVersions();
    for (const device of this.#devices) {
      const granted = this.#scopesOf(device.user);
      const stored = new Map(
        [...all].filter(([key]) => {
          const { scope, collection } = addressOf(key);
          return granted.includes(scope) && device.collections.includes(collection);
        }),
      );
      this.#require(
        '1 replicas converge',
        invariants.converged(nameOf(device), await device.client.documents(), stored),
      );
      this.#require(
        '11 pending is true',
        invariants.pendingIsTrue(nameOf(device), (await device.client.pending()).size, 0),
      );
      for (const key of stored.keys()) {
        const etag = versions.get(key) ?? '';
        const met = device.met.get(key) ?? new Set();
        this.#require('5 the delta misses nothing', invariants.deltaMissesNothing(key, etag, met));
      }
    }
    this.#require('2 edits are accounted for', invariants.editsAreAccountedFor(this.#edits));
  }

  /** 7: however wrong its clock, a device that has heard everything can write, and others can write after it. */
  async #editsInOrder(device: Device): Promise<void> {
    const address = this.#address(device, { scope: 0, collection: 0, id: 0 });
    if (address === null) return;
    await this.#syncFully(device);
    await this.#edit(device, {
      kind: 'write',
      device: device.index,
      document: { scope: 0, collection: 0, id: 0 },
      field: device.index % 2,
      alone: false,
      patch: false,
    });
    await this.#syncFully(device);
    const wanted = `e${this.#edits.length}`;
    const held = (await this.#liveDocuments()).get(keyOf(address));
    this.#require(
      '7 every clock may write',
      namesIn(held).has(wanted)
        ? null
        : `${wanted} of ${nameOf(device)} was made on the last version, and is not stored`,
    );
  }

  async #liveDocuments(): Promise<Map<string, unknown>> {
    return new Map((await this.#live()).map((item) => [keyOf(item as unknown as Address), item['data']]));
  }

  async #liveVersions(): Promise<Map<string, string>> {
    return new Map(
      (await this.#live()).map((item) => [keyOf(item as unknown as Address), String(item['_etag'])]),
    );
  }

  async #live(): Promise<JsonObject[]> {
    const scopes = [...this.#grants.keys()].map((user) => `user:${user}`);
    const shared = SHARED_SCOPES.map((scope) => this.#tagged(scope));
    const items = await Promise.all([...scopes, ...shared].map((scope) => this.#ground.items(scope)));
    return items.flat().filter(({ id, deleted }) => !String(id).startsWith('~') && deleted !== true);
  }

  async #dump(): Promise<string> {
    const scopes = [
      ...[...this.#grants.keys()].map((user) => `user:${user}`),
      ...SHARED_SCOPES.map((scope) => this.#tagged(scope)),
    ];
    const items = await Promise.all(scopes.map((scope) => this.#ground.items(scope)));
    return items
      .flat()
      .map((item) => JSON.stringify(Object.fromEntries(Object.entries(item).sort())))
      .sort()
      .join('\n');
  }

  // Names

  get #now(): number {
    return this.#ground.clock.now;
  }

  #require(property: string, verdict: Verdict): void {
    if (verdict !== null) throw new Violation(property, verdict);
  }

  #tagged(name: string): string {
    return `${name}${this.#ground.tag}`;
  }

  #scopesOf(user: string): string[] {
    return [`user:${user}`, ...this.#grants.get(user)!];
  }

  #collections(all: boolean): string[] {
    const { collections, shared } = this.#history.setup;
    return [...new Set([...(all ? collections : collections.slice(0, 1)), ...shared])];
  }

  #strategyOf(key: string): string {
    return this.#ground.config.collections.get(addressOf(key).collection)?.strategy.name ?? '';
  }

  #options(device: Device): ClientOptions {
    return this.#optionsOf(device.setup, device.user, device.transport, device.collections);
  }

  #optionsOf(
    setup: DeviceSetup,
    userId: string,
    transport: Transport,
    collections: readonly string[],
  ): ClientOptions {
    return {
      userId,
      deviceId: `m${setup.machine}`,
      collections,
      now: () => this.#now + this.#clocks[setup.machine]!.skew,
      createId: () => `c${(this.#ids += 1)}`,
      batchSize: setup.batchSize,
      transport,
      groups: () => setup.groups && this.#ids % 2 === 0,
      limit: () => (this.#settling && setup.limit === 1 ? 1000 : setup.limit),
    };
  }

  /** Null where the device does not know of such a scope or collection. */
  #address(device: Device, { scope, collection, id }: DocumentChoice): Address | null {
    const { collections, shared } = this.#history.setup;
    const address = {
      scope: scope === 0 ? `user:${device.user}` : this.#tagged(SHARED_SCOPES[scope - 1]!),
      collection: (scope === 0 ? collections[collection] : shared[0])!,
      documentId: String(id),
    };
    const known = device.scopes.includes(address.scope) && device.collections.includes(address.collection);
    return known ? address : null;
  }
}

const nameOf = ({ index, user }: Device): string => `device ${index} of ${user}`;

const idOf = (write: Write): string => (write.kind === 'move-ledger' ? write.id : write.item.id);

const keyOfChange = ({ scope = '', collection, documentId }: Change): string =>
  keyOf({ scope, collection, documentId });

const addressOf = (key: string): Address => {
  const [scope = '', collection = '', documentId = ''] = key.split('/');
  return { scope, collection, documentId };
};

const meet = (device: Device, key: string, version: string | null | undefined): void => {
  if (version == null) return;
  const met = device.met.get(key) ?? new Set();
  device.met.set(key, met.add(parseVersion(version)?.etag ?? ''));
};
