import { CosmosClient } from '@azure/cosmos';
import { DATABASE } from '../../local/provision.ts';
import type { Stack } from '../../local/stack.ts';
import { ACTIVITY, DOCUMENTS } from '../../shared/cosmos/containers.ts';
import type { SyncResponse } from '../../shared/protocol/index.ts';
import { expectAsDescribed } from './contract.ts';
import { written } from './secret-watch.ts';

/** An answer of the app, as it came over the wire. */
export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  /** The parsed body; empty where it is no JSON object. */
  readonly body: Record<string, unknown>;
}

/** Calls the app. Every answer is held against docs/openapi.json. */
export async function call(url: string, init: RequestInit = {}): Promise<Answer> {
  const response = await fetch(url, init);
  const text = await response.text();
  const { status, headers } = response;
  expectAsDescribed(init.method ?? 'GET', url, { status, headers, text });
  // An answer may hold a token that was asked for; a refusal never does.
  if (!response.ok) written.publish(['a refusal', text]);
  const isJson = text !== '' && (headers.get('content-type') ?? '').includes('json');
  return {
    status,
    headers,
    text,
    body: isJson ? (JSON.parse(text) as Record<string, unknown>) : {},
  };
}

/** Posts a sync request. A text or bytes go out as they are, anything else as JSON. */
export const postSync = (
  stack: Stack,
  token: string,
  body: unknown,
  headers: Record<string, string> = {},
): Promise<Answer> =>
  call(`${stack.api}/sync`, {
    method: 'POST',
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json', ...headers },
    ...(body === undefined
      ? {}
      : {
          body:
            typeof body === 'string' || body instanceof Uint8Array
              ? (body as NonNullable<RequestInit['body']>)
              : JSON.stringify(body),
        }),
  });

/** A sync that has to succeed. */
export async function synced(stack: Stack, token: string, body: object): Promise<SyncResponse> {
  const answer = await postSync(stack, token, body);
  if (answer.status !== 200) throw new Error(`${answer.status} ${answer.text}`);
  return answer.body as unknown as SyncResponse;
}

/** Checks that an answer is a problem document (RFC 9457) with this status and code, fit for nobody's cache. */
export function expectProblem(answer: Answer, status: number, code: string): void {
  expect({ status: answer.status, code: answer.body['code'] }).toEqual({ status, code });
  expect(answer.headers.get('content-type')).toBe('application/problem+json');
  expect(answer.headers.get('cache-control')).toBe('no-store');
  expect(answer.body).toMatchObject({
    type: `urn:tidemark:error:${code}`,
    title: expect.any(String),
    status,
    requestId: answer.headers.get('x-request-id'),
  });
  expect(answer.text).not.toMatch(/node_modules|\bat .+:\d+:\d+/);
}

/** Requests to the account that concern documents, users or permissions: not the audit and the deny list. */
export const touched = ({ emulator }: Stack): readonly string[] =>
  emulator.requests.entries
    .filter(({ path }) => !path.includes(`/colls/${ACTIVITY}`) && path !== '/' && path !== '')
    .map(({ method, path, status }) => `${method} ${path} ${status}`);

export type StoredItem = Record<string, unknown> & { readonly id: string; readonly scope: string };

/** Everything that is stored, of all scopes, read with the master key past the app. */
export class Database {
  readonly #client: CosmosClient;

  constructor({ cosmosEndpoint, cosmosKey }: Stack) {
    this.#client = new CosmosClient({ endpoint: cosmosEndpoint, key: cosmosKey });
  }

  get container() {
    return this.#client.database(DATABASE).container(DOCUMENTS);
  }

  /** By scope and id, with ETags: two equal snapshots mean that nothing was written in between. */
  async snapshot(): Promise<Map<string, StoredItem>> {
    const { resources } = await this.container.items
      .query<StoredItem>('SELECT c.scope, c.id, c._etag FROM c', { maxItemCount: -1 })
      .fetchAll();
    return new Map(
      resources
        .map((item): [string, StoredItem] => [`${item.scope} ${item.id}`, item])
        .sort(([a], [b]) => (a < b ? -1 : 1)),
    );
  }

  dispose(): void {
    this.#client.dispose();
  }
}

/** What differs between two snapshots, by scope and id. */
export const changedItems = (
  before: ReadonlyMap<string, StoredItem>,
  after: ReadonlyMap<string, StoredItem>,
): string[] =>
  [...new Set([...before.keys(), ...after.keys()])].filter(
    (key) => JSON.stringify(before.get(key)) !== JSON.stringify(after.get(key)),
  );
