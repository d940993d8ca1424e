/** Typed events: what a listener throws is told to `onFault`, and to nobody it should not concern. */
export class Emitter<Events extends object> {
  readonly #listeners = new Map<keyof Events, Set<(event: never) => void>>();
  readonly #onFault: (error: unknown, event: keyof Events) => void;

  constructor(onFault: (error: unknown, event: keyof Events) => void) {
    this.#onFault = onFault;
  }

  /** @returns how to stop listening */
  on<K extends keyof Events>(name: K, listener: (event: Events[K]) => void): () => void {
    const listeners = this.#listeners.get(name) ?? new Set();
    this.#listeners.set(name, listeners);
    listeners.add(listener);
    return () => listeners.delete(listener);
  }

  /** Does anybody listen? */
  has(name: keyof Events): boolean {
    return (this.#listeners.get(name)?.size ?? 0) > 0;
  }

  emit<K extends keyof Events>(name: K, event: Events[K]): void {
    for (const listener of [...(this.#listeners.get(name) ?? [])]) {
      try {
        (listener as (event: Events[K]) => void)(event);
      } catch (error) {
        this.#onFault(error, name);
      }
    }
  }
}
