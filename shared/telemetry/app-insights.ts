/**
 * Application Insights. This file and its library are a bundle of their own, loaded only when a connection string is set.
 *
 * The library is Microsoft's exporter on the SDK of OpenTelemetry, not the package `applicationinsights` around it: what
 * that one adds is telemetry that it collects by itself. The Functions host reports requests, exceptions and the process
 * already, so all of it would be switched off: it would come twice, and calls to Cosmos DB would carry the names of
 * documents in their addresses. docs/adr/0019 has what it cost.
 */
import type { TokenCredential } from '@azure/identity';
import {
  AzureMonitorLogExporter,
  AzureMonitorMetricExporter,
  AzureMonitorTraceExporter,
} from '@azure/monitor-opentelemetry-exporter';
import { ROOT_CONTEXT, SpanKind, SpanStatusCode, trace, TraceFlags } from '@opentelemetry/api';
import { resourceFromAttributes } from '@opentelemetry/resources';
import { BatchLogRecordProcessor, LoggerProvider } from '@opentelemetry/sdk-logs';
import { MeterProvider, PeriodicExportingMetricReader } from '@opentelemetry/sdk-metrics';
import { AlwaysOnSampler, BasicTracerProvider, BatchSpanProcessor } from '@opentelemetry/sdk-trace-base';
import type { TelemetrySink, TraceContext } from './telemetry.ts';

export interface AppInsightsOptions {
  readonly connectionString: string;
  /** Who sends; null where the resource takes telemetry from anybody who knows the connection string. */
  readonly credential: TokenCredential | null;
}

/** How often sums and distributions are sent, in milliseconds. */
const METRICS_MS = 60_000;

export function createAppInsights({ connectionString, credential }: AppInsightsOptions): TelemetrySink {
  // The library would report its own use to Microsoft, from a timer.
  process.env['APPLICATION_INSIGHTS_NO_STATSBEAT'] = 'true';
  const options = {
    connectionString,
    // What cannot be sent is lost: a function's disk is gone with it, and nobody would clear it up.
    disableOfflineStorage: true,
    ...(credential === null ? {} : { credential }),
  };
  // The role and its instance, as the Functions host names them.
  const resource = resourceFromAttributes({
    'service.name': process.env['WEBSITE_SITE_NAME'] ?? 'tidemark',
    'service.instance.id': process.env['WEBSITE_INSTANCE_ID'] ?? String(process.pid),
  });
  const events = new LoggerProvider({
    resource,
    processors: [new BatchLogRecordProcessor({ exporter: new AzureMonitorLogExporter(options) })],
  });
  const spans = new BasicTracerProvider({
    resource,
    // Sampled before, where errors are known.
    sampler: new AlwaysOnSampler(),
    spanProcessors: [new BatchSpanProcessor(new AzureMonitorTraceExporter(options))],
  });
  const meters = new MeterProvider({
    resource,
    readers: [
      new PeriodicExportingMetricReader({
        exporter: new AzureMonitorMetricExporter(options),
        exportIntervalMillis: METRICS_MS,
      }),
    ],
  });

  const logger = events.getLogger('tidemark');
  const tracer = spans.getTracer('tidemark');
  const meter = meters.getMeter('tidemark');
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

    async flush() {
      await Promise.all([events.forceFlush(), spans.forceFlush(), meters.forceFlush()]);
    },
  };
}
