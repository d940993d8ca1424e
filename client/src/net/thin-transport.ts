import type { SyncResponse } from '../../../shared/protocol/sync.ts';
import type { IntegrityAnswer, IntegrityDocuments } from '../../../shared/protocol/integrity.ts';
import { isJsonObject, type JsonObject } from '../../../shared/conflict/json.ts';
import { TidemarkError } from '../errors.ts';
import type { Runtime } from '../runtime.ts';
import type { Transport } from '../sync/transport.ts';
import type { TokenProvider } from '../tokens/token-provider.ts';
import { callService, type HttpOptions } from './http.ts';

export interface ThinTransportOptions extends Partial<HttpOptions> {
  /** Where the functions of the service are: `https://my-app.azurewebsites.net/api`. */
  readonly url: string;
  /** Gives the user's JWT. */
  readonly token: TokenProvider;
}

export const HTTP: HttpOptions = { timeout: 60_000, compressAbove: 2_048 };

/** Through the sync gateway: `POST <url>/sync`. */
export function thinTransport(options: ThinTransportOptions, runtime: Runtime): Transport {
  const url = `${options.url.replace(/\/+$/, '')}/sync`;
  const { timeout = HTTP.timeout, compressAbove = HTTP.compressAbove } = options;
  const ask = async (path: string, body: unknown, signal: AbortSignal): Promise<JsonObject> =>
    (await callService(`${url}${path}`, body, options.token, { timeout, compressAbove }, runtime, signal))
      .body;
  return {
    name: 'thin',
    integrity: {
      checksums: async ({ scope, checkpoint, continuation }, signal) => {
        const query = new URLSearchParams({ scope, checkpoint });
        if (continuation !== undefined) query.set('continuation', continuation);
        const answer = await ask(`/integrity?${query.toString()}`, undefined, signal);
        return requireMember(answer, 'collections', url) as unknown as IntegrityAnswer;
      },
      documents: async (request, signal) => {
        const answer = await ask('/integrity/documents', request, signal);
        return requireMember(answer, 'versions', url) as unknown as IntegrityDocuments;
      },
    },
    send: async (request, signal) => {
      const answer = await callService(
        url,
        request,
        options.token,
        { timeout, compressAbove },
        runtime,
        signal,
      );
      const { body, ...cost } = answer;
      return { response: toResponse(body, request.changes?.length ?? 0, url), ...cost };
    },
  };
}

function requireMember(answer: JsonObject, name: string, url: string): JsonObject {
  if (answer[name] === undefined)
    throw new TidemarkError('not_the_service', `${url} gave an answer that is none of this protocol.`);
  return answer;
}

/**
 * Believes an answer of the service to be what docs/protocol.md says, after a look at its outline: something else that
 * happens to answer with JSON must not empty a device.
 */
function toResponse(body: JsonObject, changes: number, url: string): SyncResponse {
  const { results, delta, checkpoints, streams, scopes, resync, serverTime } = body;
  const whole =
    Array.isArray(results) &&
    results.length === changes &&
    isJsonObject(delta) &&
    Array.isArray(delta['documents']) &&
    isJsonObject(checkpoints) &&
    isJsonObject(streams) &&
    Array.isArray(scopes) &&
    scopes.length > 0 &&
    Array.isArray(resync) &&
    typeof serverTime === 'string';
  if (!whole)
    throw new TidemarkError('not_the_service', `${url} gave an answer that is none of this protocol.`);
  return body as SyncResponse;
}
