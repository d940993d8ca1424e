import type { TelemetrySink } from './telemetry.ts';

/** What is kept while the real sink is being loaded; more than that is dropped. */
const ROOM = 1000;

/**
 * A sink that is there at once and loads the real one behind it: the library takes about a second to load, which
 * no request should wait for. What comes before it is there waits for it; when it cannot be loaded, nothing is told.
 *
 * @param onFailure is told once, when it cannot be loaded
 */
export function createLazySink(
  load: () => Promise<TelemetrySink>,
  onFailure: (error: unknown) => void,
): TelemetrySink {
  let waiting: ((sink: TelemetrySink) => void)[] | null = [];
  let real: TelemetrySink | null = null;
  const loading = load().then(
    (sink) => {
      real = sink;
      for (const tell of waiting ?? []) tell(sink);
      waiting = null;
    },
    (error: unknown) => {
      waiting = null;
      onFailure(error);
    },
  );
  const tell = (what: (sink: TelemetrySink) => void): void => {
    if (real !== null) what(real);
    else if (waiting !== null && waiting.length < ROOM) waiting.push(what);
  };
  return {
    event: (...args) => tell((sink) => sink.event(...args)),
    metric: (...args) => tell((sink) => sink.metric(...args)),
    call: (...args) => tell((sink) => sink.call(...args)),
    async flush() {
      await loading;
      await real?.flush();
    },
  };
}
