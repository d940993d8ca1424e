/**
 * Application Insights. This file and its library are a bundle of their own, loaded only when a connection string is
 * set: they are several times as large as the rest of the app.
 *
 * The Functions host reports requests, exceptions and the process by itself, so everything that the library would collect
 * on its own is off: it would come twice, and calls to Cosmos DB would carry the names of documents in their addresses.
 */
import type { TokenCredential } from '@azure/identity';
import { metrics, ROOT_CONTEXT, SpanKind, SpanStatusCode, trace, TraceFlags } from '@opentelemetry/api';
import { logs } from '@opentelemetry/api-logs';
import { flushAzureMonitor, useAzureMonitor } from 'applicationinsights';
import type { TelemetrySink, TraceContext } from './telemetry.ts';

export interface AppInsightsOptions {
  readonly connectionString: string;
  /** Who sends; null where the resource takes telemetry from anybody who knows the connection string. */
  readonly credential: TokenCredential | null;
}

const OFF = { enabled: false };

export function createAppInsights({ connectionString, credential }: AppInsightsOptions): TelemetrySink {
  // The library would report its own use to Microsoft, from a timer.
  process.env['APPLICATION_INSIGHTS_NO_STATSBEAT'] = 'true';
  useAzureMonitor({
    azureMonitorExporterOptions: {
      connectionString,
      // What cannot be sent is lost: a function's disk is gone with it, and nobody would clear it up.
      disableOfflineStorage: true,
      ...(credential === null ? {} : { credential }),
    },
    // Sampled before, where errors are known.
    samplingRatio: 1,
    tracesPerSecond: 0,
    enableTraceBasedSamplingForLogs: false,
    enableLiveMetrics: false,
    enableStandardMetrics: false,
    enablePerformanceCounters: false,
    enableAutoCollectExceptions: false,
    enableAutoCollectPerformance: false,
    instrumentationOptions: {
      azureSdk: OFF,
      http: OFF,
      mongoDb: OFF,
      mySql: OFF,
      postgreSql: OFF,
      redis: OFF,
      redis4: OFF,
      bunyan: OFF,
      winston: OFF,
      console: OFF,
    },
  });

  const logger = logs.getLogger('tidemark');
  const tracer = trace.getTracer('tidemark');
  const meter = metrics.getMeter('tidemark');
  const histograms = new Map<string, ReturnType<typeof meter.createHistogram>>();
  const inTrace = (at: TraceContext | null) =>
    at === null
      ? ROOT_CONTEXT
      : trace.setSpanContext(ROOT_CONTEXT, { ...at, traceFlags: TraceFlags.SAMPLED, isRemote: true });

  return {
    event: (name, fields, at) =>
      logger.emit({
        attributes: { 'microsoft.custom_event.name': name, ...fields },
        context: inTrace(at),
      }),

    metric(name, value, dimensions) {
      let histogram = histograms.get(name);
      if (histogram === undefined) histograms.set(name, (histogram = meter.createHistogram(name)));
      histogram.record(value, { ...dimensions });
    },

    call({ call, host, status, requestUnits, startedAt, endedAt, traceId, parentSpanId, spanId, weight }) {
      const span = tracer.startSpan(
        call,
        {
          kind: SpanKind.CLIENT,
          startTime: startedAt,
          attributes: {
            'db.system': 'cosmosdb',
            'peer.service': host,
            status,
            requestUnits,
            'microsoft.sample_rate': 100 / weight,
          },
        },
        inTrace({ traceId, spanId: parentSpanId }),
      );
      // The id that the call carried to Cosmos DB; the library draws one of its own and offers no way to give it.
      Object.assign(span.spanContext(), { spanId });
      span.setStatus({ code: status >= 200 && status < 400 ? SpanStatusCode.OK : SpanStatusCode.ERROR });
      span.end(endedAt);
    },

    flush: flushAzureMonitor,
  };
}
