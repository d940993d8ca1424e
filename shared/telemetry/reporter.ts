import type { ScopeToken, SyncResponse } from '../protocol/index.ts';
import { currentOperation, newSpanId, runOperation } from './operation.ts';
import { isSampled, type EventName, type Fields, type TelemetrySink } from './telemetry.ts';

/** What the app says when; the sink knows where to. */
export interface Reporter {
  /** Runs the work on one request, and tells how it was answered. */
  request<T extends { readonly status?: number | string }>(
    name: string,
    traceparent: string | undefined,
    run: () => Promise<T>,
  ): Promise<T>;
  /** Tells that the request at hand is refused. */
  refused(code: string, status: number): void;
  /** Measures a phase of the request at hand. */
  phase<T>(name: 'authenticate', run: () => Promise<T>): Promise<T>;
  /** @param body of the request, as it was accepted */
  syncDone(body: unknown, response: SyncResponse): void;
  tokenMinted(token: Pick<ScopeToken, 'scope' | 'mode'>): void;
  /** Sends one request to Cosmos DB and tells about it. `traceparent` belongs on the request; null without a trace. */
  cosmos<T extends CosmosAnswer>(
    call: string,
    host: string,
    send: (traceparent: string | null) => Promise<T>,
  ): Promise<T>;
}

/** What the Cosmos DB SDK gives back, or throws. */
interface CosmosAnswer {
  readonly code?: number | string | undefined;
  readonly headers?: Readonly<Record<string, unknown>> | undefined;
}

/**
 * @param sink null: nothing is told, and nothing is measured
 * @param percent of the traces whose ordinary events and calls are sent; errors always are
 */
export function createReporter(
  sink: TelemetrySink | null,
  percent: number,
  now: () => number = Date.now,
): Reporter {
  if (sink === null) return SILENT;

  const keep = (traceId: string | undefined): boolean => traceId === undefined || isSampled(traceId, percent);
  const event = (name: EventName, fields: Fields): void =>
    sink.event(name, fields, currentOperation()?.trace ?? null);
  /** One of many: `weight` says for how many it stands. */
  const sampled = (name: EventName, fields: Fields): void => {
    if (keep(currentOperation()?.trace?.traceId)) event(name, { ...fields, weight: 100 / percent });
  };

  return {
    request: (name, traceparent, run) =>
      runOperation(name, traceparent, async ({ database }) => {
        const started = now();
        const answer = await run();
        sink.metric('tidemark.requests', 1, { operation: name, status: Number(answer.status ?? 200) });
        sink.metric('tidemark.duration', now() - started, { operation: name, phase: 'total' });
        if (database.milliseconds > 0) {
          sink.metric('tidemark.duration', database.milliseconds, { operation: name, phase: 'database' });
        }
        return answer;
      }),

    refused(code, status) {
      const fields = { operation: currentOperation()?.name ?? '', code, status };
      // Anybody can send requests that are refused: what they cost must not be for them to choose.
      if (status < 500) sampled('RequestRefused', fields);
      else event('RequestRefused', { ...fields, weight: 1 });
    },

    async phase(phase, run) {
      const started = now();
      try {
        return await run();
      } finally {
        const operation = currentOperation()?.name ?? '';
        sink.metric('tidemark.duration', now() - started, { operation, phase });
      }
    },

    syncDone(body, response) {
      const { stats, results, resync } = response;
      const statuses = countBy(results.map(({ status }) => status));
      const pendingAge = pendingAgeOf(body);
      sampled('SyncDone', {
        changes: stats.changes,
        ...statuses,
        documents: stats.documents,
        conflicts: stats.conflicts,
        requests: stats.requests,
        requestUnits: stats.requestUnits,
        throttled: currentOperation()?.database.throttled ?? 0,
        milliseconds: stats.milliseconds,
        hasMore: String(response.delta.hasMore),
        ...(pendingAge === null ? {} : { pendingAgeSeconds: pendingAge }),
      });
      sink.metric('tidemark.documents', stats.changes, { direction: 'pushed' });
      sink.metric('tidemark.documents', stats.documents, { direction: 'pulled' });
      if (pendingAge !== null) sink.metric('tidemark.pending.age', pendingAge, {});
      const { merged = 0, skipped = 0 } = statuses;
      if (stats.conflicts > 0) event('Conflict', { count: stats.conflicts, merged, skipped });
      const codes = countBy(
        results.flatMap(({ status, error }) => (status === 'rejected' ? [error?.code ?? 'unknown'] : [])),
      );
      for (const [code, count] of Object.entries(codes)) event('ChangesRejected', { code, count });
      if (resync.length > 0) event('Resync', { scopes: resync.length });
    },

    // The kind of scope, and not whose.
    tokenMinted: ({ scope, mode }) => sampled('TokenMinted', { kind: scope.replace(/:.*/s, ''), mode }),

    async cosmos(call, host, send) {
      const operation = currentOperation();
      const spanId = newSpanId();
      const startedAt = now();
      const tell = ({ code, headers }: CosmosAnswer): void => {
        const endedAt = now();
        const status = Number(code) || 0;
        const requestUnits = Number(headers?.['x-ms-request-charge']) || 0;
        const isError = status === 0 || status === 429 || status >= 500;
        sink.metric('tidemark.cosmos.requests', 1, { call, status });
        sink.metric('tidemark.cosmos.request_units', requestUnits, { call });
        if (status === 429) sink.metric('tidemark.cosmos.throttled', 1, { call });
        if (operation === undefined) return;
        operation.database.milliseconds += endedAt - startedAt;
        if (status === 429) operation.database.throttled += 1;
        const { trace } = operation;
        if (trace === null || !(isError || keep(trace.traceId))) return;
        const weight = isError ? 1 : 100 / percent;
        const { traceId, spanId: parentSpanId } = trace;
        sink.call({
          call,
          host,
          status,
          requestUnits,
          startedAt,
          endedAt,
          traceId,
          parentSpanId,
          spanId,
          weight,
        });
      };
      try {
        const trace = operation?.trace ?? null;
        const answer = await send(trace === null ? null : `00-${trace.traceId}-${spanId}-01`);
        tell(answer);
        return answer;
      } catch (error) {
        tell(error instanceof Error ? (error as CosmosAnswer) : {});
        throw error;
      }
    },
  };
}

const SILENT: Reporter = {
  request: (_name, _traceparent, run) => run(),
  refused: () => undefined,
  phase: (_name, run) => run(),
  syncDone: () => undefined,
  tokenMinted: () => undefined,
  cosmos: (_call, _host, send) => send(null),
};

function countBy(words: readonly string[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const word of words) counts[word] = (counts[word] ?? 0) + 1;
  return counts;
}

/** How long the oldest change had waited, in seconds. Both times are the device's own, so its clock does not matter. */
function pendingAgeOf(body: unknown): number | null {
  const { clientTime, changes } = body as {
    clientTime?: string;
    changes?: readonly { lastModified?: string }[];
  };
  const sent = Date.parse(clientTime ?? '');
  const oldest = Math.min(...(changes ?? []).map(({ lastModified }) => Date.parse(lastModified ?? '')));
  return Number.isFinite(sent) && Number.isFinite(oldest)
    ? Math.max(0, Math.round((sent - oldest) / 1000))
    : null;
}
