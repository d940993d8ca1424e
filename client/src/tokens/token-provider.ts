/** A token that ends. Times are RFC 3339; without them it is used until it is refused. */
export interface ExpiringToken {
  readonly token: string;
  readonly expiresAt?: string;
  /** When to ask for the next one. */
  readonly refreshAfter?: string;
}

export interface TokenRequest {
  /** The last one was refused: give another one. */
  readonly refresh?: boolean;
  readonly signal?: AbortSignal;
}

/** Gives tokens of one kind. */
export interface TokenProvider<T extends ExpiringToken = ExpiringToken> {
  getToken(request?: TokenRequest): Promise<T>;
  /** Forgets what is kept, as when the user changes. */
  clear?(): void | Promise<void>;
}

/** How an app hands over its JWT: the text, a function that gets it, or a provider. */
export type TokenSource = string | ((request: TokenRequest) => string | Promise<string>) | TokenProvider;

export function toProvider(source: TokenSource): TokenProvider {
  if (typeof source === 'string') return { getToken: () => Promise.resolve({ token: source }) };
  if (typeof source !== 'function') return source;
  return { getToken: async (request = {}) => ({ token: await source(request) }) };
}
