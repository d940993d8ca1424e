import { Replica } from '../../client/src/index.ts';
import type { SyncRequest, SyncResponse } from '../../shared/protocol/index.ts';

/** A device of the demo: a replica, and the HTTP requests that keep it in sync. */
export class Device {
  readonly replica: Replica;
  readonly #api: string;
  readonly #token: string;

  constructor(options: {
    api: string;
    token: string;
    userId: string;
    deviceId: string;
    batchSize?: number;
    now: () => number;
  }) {
    const { api, token, userId, deviceId, batchSize, now } = options;
    this.#api = api;
    this.#token = token;
    this.replica = new Replica({
      userId,
      deviceId,
      collections: ['cities'],
      now,
      createId: () => crypto.randomUUID(),
      ...(batchSize === undefined ? {} : { batchSize }),
    });
  }

  /** Sends a request; the answer is not taken in yet. */
  async send(request: SyncRequest): Promise<SyncResponse> {
    const response = await fetch(`${this.#api}/sync`, {
      method: 'POST',
      headers: { authorization: `Bearer ${this.#token}`, 'content-type': 'application/json' },
      body: JSON.stringify(request),
    });
    if (!response.ok) throw new Error(`Sync answered ${response.status}: ${await response.text()}`);
    return (await response.json()) as SyncResponse;
  }

  /** Syncs until nothing is left to send or to fetch. */
  async sync(onAnswer: (response: SyncResponse) => void = () => undefined): Promise<SyncResponse[]> {
    const answers: SyncResponse[] = [];
    for (let more = true; more;) {
      const request = this.replica.request();
      const response = await this.send(request);
      more = this.replica.take(request, response);
      answers.push(response);
      onAnswer(response);
    }
    return answers;
  }
}
