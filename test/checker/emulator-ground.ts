import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import type { FaultAction } from '../../emulator/src/index.ts';
import { DATABASE } from '../../local/provision.ts';
import { DOCUMENTS } from '../../shared/cosmos/containers.ts';
import { openCosmos } from '../../shared/cosmos/client.ts';
import { createDocumentStore } from '../../shared/cosmos/document-store.ts';
import { RequestError, Unavailable } from '../../shared/errors.ts';
import type { RequestErrorCode, SyncResponse } from '../../shared/protocol/index.ts';
import { startGateway } from '../support/gateway.ts';
import type { Ground, GatewayCall } from './world.ts';
import { CONFIG, syncHere } from './grounds.ts';

/** Grounds on one emulator, through the real SDK: a new one for each history, told apart by its tag. */
export interface EmulatorGrounds {
  readonly next: () => Ground;
  readonly dispose: () => Promise<void>;
}

const HTTP_FAULTS: Partial<Record<string, FaultAction>> = {
  throttled: { kind: 'status', status: 429, retryAfterMs: 1 },
  'answer lost': { kind: 'loseAnswer' },
  doubled: { kind: 'duplicate' },
};

/**
 * The gateway in this process. Time is the (fake) `Date` of the test, for the emulator as well.
 *
 * @param httpFaults faults strike requests to Cosmos DB on the wire, below the SDK; what is written cannot be watched
 *   then. Otherwise they strike calls to the store.
 */
export async function startEmulatorGrounds(httpFaults: boolean): Promise<EmulatorGrounds> {
  const { emulator, items, dispose } = await startGateway();
  const client = openCosmos(emulator.endpoint, { key: emulator.key });
  const container = client.database(DATABASE).container(DOCUMENTS);
  let count = 0;
  const clock = {
    get now() {
      return Date.now();
    },
    set now(time: number) {
      jest.setSystemTime(time);
    },
  };
  return {
    next: () => ({
      clock,
      open: () => createDocumentStore(() => Promise.resolve(container)),
      items,
      sync: syncHere,
      config: CONFIG,
      tag: `-${(count += 1)}`,
      watched: !httpFaults,
      strike: (fault) => {
        const action = httpFaults ? HTTP_FAULTS[fault.kind] : undefined;
        if (action === undefined) return null;
        emulator.faults.add({ resource: 'document', skip: fault.at - 1, action });
        return () => emulator.faults.clear();
      },
    }),
    dispose: async () => {
      client.dispose();
      await dispose();
    },
  };
}

/** What a gateway process is told, and what it answers. */
export type Asked = Omit<GatewayCall, 'store' | 'now'> & { readonly number: number };
export type Answered = { readonly number: number } & (
  | { readonly answer: SyncResponse }
  | { readonly unavailable: string }
  | { readonly refused: RequestErrorCode }
  | { readonly failed: string }
);

/** Gateways in two processes, whose clocks differ by seconds, on one emulator whose replicas lag. Time is real. */
export async function startTwoGateways(lag: number): Promise<EmulatorGrounds> {
  const { emulator, items, dispose } = await startGateway();
  const gateways = await Promise.all([0, 2_500].map((skew) => startProcess(emulator, skew)));
  let count = 0;
  let turn = 0;
  const clock = {
    get now() {
      return Date.now();
    },
    set now(_time: number) {
      // Nothing waits in real time.
    },
  };
  return {
    next: () => {
      emulator.replicas.set({ lag });
      return {
        clock,
        open: () => createDocumentStore(() => Promise.reject(new Error('The store is in other processes.'))),
        items: async (scope) => {
          // The checker itself reads what is there.
          emulator.replicas.set({ lag: 0 });
          const all = await items(scope);
          emulator.replicas.set({ lag });
          return all;
        },
        sync: (call) => gateways[(turn += 1) % gateways.length]!.ask(call),
        config: CONFIG,
        tag: `-${(count += 1)}`,
        watched: false,
        calm: () => emulator.replicas.set({ lag: 0 }),
      };
    },
    dispose: async () => {
      await Promise.all(gateways.map(({ end }) => end()));
      await dispose();
    },
  };
}

async function startProcess(
  { endpoint, key }: { readonly endpoint: string; readonly key: string },
  skew: number,
) {
  const child: ChildProcess = fork(join('test', 'checker', 'gateway-process.ts'), [String(skew)], {
    execArgv: ['--disable-warning=ExperimentalWarning'],
    env: { ...process.env, COSMOS_ENDPOINT: endpoint, COSMOS_KEY: key },
  });
  await once(child, 'message');
  const waiting = new Map<number, (answered: Answered) => void>();
  let count = 0;
  child.on('message', (message) => {
    const answered = message as Answered;
    waiting.get(answered.number)?.(answered);
    waiting.delete(answered.number);
  });
  return {
    ask: async ({ user, grants, body, transport, settings }: GatewayCall): Promise<SyncResponse> => {
      const number = (count += 1);
      const answered = await new Promise<Answered>((resolve) => {
        waiting.set(number, resolve);
        child.send({ number, user, grants, body, transport, settings } satisfies Asked);
      });
      if ('answer' in answered) return answered.answer;
      if ('unavailable' in answered) throw new Unavailable(answered.unavailable);
      if ('refused' in answered) throw new RequestError(answered.refused);
      throw new Error(answered.failed);
    },
    end: async () => {
      const gone = once(child, 'exit');
      child.kill();
      await gone;
    },
  };
}
