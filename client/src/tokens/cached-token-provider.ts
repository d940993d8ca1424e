import type { ExpiringToken, TokenProvider, TokenRequest } from './token-provider.ts';

/** Keeps a token beyond the end of the app. What is in there opens the user's data: choose a safe place. */
export interface TokenStorage {
  load(): Promise<string | null>;
  save(text: string | null): Promise<void>;
}

export interface CachedTokenOptions {
  /** Absent: tokens are kept in memory only. */
  readonly storage?: TokenStorage;
  /** How long before its end a token is replaced, where it does not say itself. Milliseconds, default 300,000. */
  readonly refreshAhead?: number;
  /** Milliseconds since the epoch. */
  readonly now?: () => number;
}

/**
 * Asks another provider once and keeps what it gives. A token is replaced ahead of its end, in the background as long as it
 * is still good; many callers at once cost one request.
 */
export class CachedTokenProvider<T extends ExpiringToken = ExpiringToken> implements TokenProvider<T> {
  readonly #inner: TokenProvider<T>;
  readonly #options: CachedTokenOptions;
  readonly #now: () => number;
  #kept: T | null = null;
  #loaded = false;
  #flight: Promise<T> | null = null;
  /** Counts `clear`: what was asked for before it is not kept. */
  #generation = 0;

  constructor(inner: TokenProvider<T>, options: CachedTokenOptions = {}) {
    this.#inner = inner;
    this.#options = options;
    this.#now = options.now ?? Date.now;
  }

  async getToken(request: TokenRequest = {}): Promise<T> {
    if (!this.#loaded) await this.#load();
    const kept = this.#kept;
    if (request.refresh === true || kept === null || this.#now() >= endOf(kept)) return this.#fetch(request);
    if (this.#now() >= this.#refreshAt(kept)) {
      // Still good: nobody has to wait, and a failure shows when it is not.
      this.#fetch({}).catch(() => undefined);
    }
    return kept;
  }

  async clear(): Promise<void> {
    this.#generation += 1;
    this.#kept = null;
    this.#flight = null;
    this.#loaded = true;
    await this.#options.storage?.save(null);
    await this.#inner.clear?.();
  }

  #fetch(request: TokenRequest): Promise<T> {
    const generation = this.#generation;
    const ask = async (): Promise<T> => {
      // The flight is shared, so no single caller's signal ends it.
      const token = await this.#inner.getToken(request.refresh === true ? { refresh: true } : {});
      if (generation === this.#generation) {
        this.#kept = token;
        await this.#options.storage?.save(JSON.stringify(token));
      }
      return token;
    };
    this.#flight ??= ask().finally(() => {
      if (generation === this.#generation) this.#flight = null;
    });
    return this.#flight;
  }

  async #load(): Promise<void> {
    const generation = this.#generation;
    const text = (await this.#options.storage?.load()) ?? null;
    if (generation !== this.#generation || this.#loaded) return;
    this.#loaded = true;
    if (text === null) return;
    try {
      const value = JSON.parse(text) as T;
      if (typeof value.token === 'string') this.#kept = value;
    } catch {
      // Not what this class wrote: ask anew.
    }
  }

  #refreshAt(token: T): number {
    if (token.refreshAfter !== undefined) return Date.parse(token.refreshAfter);
    return endOf(token) - (this.#options.refreshAhead ?? 300_000);
  }
}

const endOf = ({ expiresAt }: ExpiringToken): number =>
  expiresAt === undefined ? Infinity : Date.parse(expiresAt);
