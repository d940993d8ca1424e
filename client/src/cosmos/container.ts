import { isJsonObject, type JsonObject } from '../../../shared/conflict/json.ts';
import type { ScopeToken } from '../../../shared/protocol/token.ts';
import { describeError, TidemarkError } from '../errors.ts';
import type { Runtime } from '../runtime.ts';
import type { TokenProvider } from '../tokens/token-provider.ts';

/** The version of Cosmos DB's data plane that the requests below are written for. */
const API_VERSION = '2020-07-15';

export type Operation =
  | { readonly operationType: 'Create' | 'Upsert'; readonly resourceBody: JsonObject }
  | {
      readonly operationType: 'Replace';
      readonly id: string;
      readonly ifMatch: string;
      readonly resourceBody: JsonObject;
    };

export interface FeedPage {
  readonly items: readonly JsonObject[];
  readonly continuation: string | null;
  readonly drained: boolean;
}

/** What the requests of one exchange took. */
export interface Meter {
  requests: number;
  bytesSent: number;
  bytesReceived: number;
}

interface Call {
  readonly method: string;
  readonly headers: Record<string, string>;
  readonly body?: string;
}

/**
 * One partition of a Cosmos DB container, opened by a resource token, over plain HTTP. A token that is refused is replaced
 * once. Cosmos DB says 429 when throughput is short: that is thrown as retryable, with its wait.
 */
export class CosmosPartition {
  readonly #tokens: TokenProvider<ScopeToken>;
  readonly #runtime: Runtime;
  readonly #timeout: number;

  constructor(tokens: TokenProvider<ScopeToken>, runtime: Runtime, timeout: number) {
    this.#tokens = tokens;
    this.#runtime = runtime;
    this.#timeout = timeout;
  }

  token(signal: AbortSignal): Promise<ScopeToken> {
    return this.#tokens.getToken({ signal });
  }

  /** Items by id; what is not there is not in the answer. */
  async read(ids: readonly string[], meter: Meter, signal: AbortSignal): Promise<Map<string, JsonObject>> {
    const items = await this.query(
      `SELECT * FROM c WHERE c.id IN (${ids.map((_, index) => `@p${index}`).join(', ')})`,
      [...ids],
      meter,
      signal,
    );
    return new Map(items.map((item) => [String(item['id']), item]));
  }

  /** Every item that a query gives. Parameters are `@p0`, `@p1` … */
  async query(
    query: string,
    values: readonly unknown[],
    meter: Meter,
    signal: AbortSignal,
  ): Promise<JsonObject[]> {
    const items: JsonObject[] = [];
    let continuation: string | null = null;
    do {
      const { status, headers, body }: Answer = await this.#call(
        {
          method: 'POST',
          headers: {
            'content-type': 'application/query+json',
            'x-ms-documentdb-isquery': 'True',
            'x-ms-max-item-count': '-1',
            ...(continuation === null ? {} : { 'x-ms-continuation': continuation }),
          },
          body: JSON.stringify({
            query,
            parameters: values.map((value, index) => ({ name: `@p${index}`, value })),
          }),
        },
        meter,
        signal,
      );
      if (status !== 200) throw refused('a query', status, headers);
      items.push(...documentsOf(body));
      continuation = headers.get('x-ms-continuation');
    } while (continuation !== null && continuation !== '');
    return items;
  }

  /**
   * Writes all or nothing.
   *
   * @returns ETags in the order of the operations; `refused` where one condition did not hold, `too-large` where Cosmos DB
   *   does not take so much at once: then nothing was written
   */
  async batch(
    operations: readonly Operation[],
    meter: Meter,
    signal: AbortSignal,
  ): Promise<string[] | 'refused' | 'too-large'> {
    const { status, headers, body } = await this.#call(
      {
        method: 'POST',
        headers: {
          'content-type': 'application/json',
          'x-ms-cosmos-is-batch-request': 'True',
          'x-ms-cosmos-batch-atomic': 'True',
          prefer: 'return=minimal',
        },
        body: JSON.stringify(operations),
      },
      meter,
      signal,
    );
    if (status === 413) return 'too-large';
    const results = Array.isArray(body) ? body.filter(isJsonObject) : [];
    const failed = results.find(({ statusCode }) => Number(statusCode) >= 400 && Number(statusCode) !== 424);
    if (status >= 400 || results.length !== operations.length) throw refused('a batch', status, headers);
    if (failed === undefined) return results.map(({ eTag }) => String(eTag));
    const code = Number(failed['statusCode']);
    if (code === 409 || code === 412 || code === 404) return 'refused';
    if (code === 413) return 'too-large';
    throw refused('a batch', code, headers);
  }

  /** A page of what changed since a continuation. @returns null where Cosmos DB does not take the continuation */
  async changes(
    continuation: string | null,
    maxItems: number,
    meter: Meter,
    signal: AbortSignal,
  ): Promise<FeedPage | null> {
    const { status, headers, body } = await this.#call(
      {
        method: 'GET',
        headers: {
          'a-im': 'Incremental Feed',
          'x-ms-max-item-count': String(maxItems),
          ...(continuation === null ? {} : { 'if-none-match': continuation }),
        },
      },
      meter,
      signal,
    );
    if (status === 400 || status === 410) return null;
    if (status !== 200 && status !== 304) throw refused('the change feed', status, headers);
    return {
      items: documentsOf(body),
      continuation: headers.get('etag') ?? continuation,
      drained: status === 304,
    };
  }

  async #call(call: Call, meter: Meter, signal: AbortSignal): Promise<Answer> {
    const first = await this.#send(call, await this.#tokens.getToken({ signal }), meter, signal);
    if (first.status !== 401 && first.status !== 403) return first;
    return this.#send(call, await this.#tokens.getToken({ refresh: true, signal }), meter, signal);
  }

  async #send(call: Call, token: ScopeToken, meter: Meter, signal: AbortSignal): Promise<Answer> {
    const { endpoint, database, container, partitionKey } = token;
    const path = `dbs/${encodeURIComponent(database)}/colls/${encodeURIComponent(container)}/docs`;
    const url = `${endpoint.replace(/\/+$/, '')}/${path}`;
    const ending = new AbortController();
    const stop = () => ending.abort();
    const cancel = this.#runtime.setTimer(stop, this.#timeout);
    signal.addEventListener('abort', stop, { once: true });
    meter.requests += 1;
    meter.bytesSent += call.body?.length ?? 0;
    try {
      signal.throwIfAborted();
      const response = await this.#runtime.fetch(url, {
        method: call.method,
        headers: {
          ...call.headers,
          accept: 'application/json',
          authorization: encodeURIComponent(token.token),
          'x-ms-date': new Date(this.#runtime.now()).toUTCString(),
          'x-ms-version': API_VERSION,
          'x-ms-documentdb-partitionkey': JSON.stringify(partitionKey),
        },
        signal: ending.signal,
        ...(call.body === undefined ? {} : { body: call.body }),
      });
      const text = await response.text();
      meter.bytesReceived += text.length;
      return { status: response.status, headers: response.headers, body: parse(text) };
    } catch (cause) {
      signal.throwIfAborted();
      throw new TidemarkError('offline', `${url} was not reached: ${describeError(cause)}.`, {
        cause,
        retryable: true,
      });
    } finally {
      cancel();
      signal.removeEventListener('abort', stop);
    }
  }
}

interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly body: unknown;
}

function parse(text: string): unknown {
  try {
    return text === '' ? null : (JSON.parse(text) as unknown);
  } catch {
    return null;
  }
}

function documentsOf(body: unknown): JsonObject[] {
  const { Documents: documents } = isJsonObject(body) ? body : {};
  return Array.isArray(documents) ? documents.filter(isJsonObject) : [];
}

function refused(what: string, status: number, headers: Headers): TidemarkError {
  const retryable = status === 408 || status === 429 || status === 449 || status >= 500;
  const wait = Number(headers.get('x-ms-retry-after-ms') ?? 0);
  const code =
    status === 401 || status === 403 ? 'unauthorized' : retryable ? 'unavailable' : 'not_the_service';
  return new TidemarkError(code, `Cosmos DB answered ${status} to ${what}.`, {
    status,
    retryable,
    retryAfter: wait > 0 ? wait : null,
  });
}
