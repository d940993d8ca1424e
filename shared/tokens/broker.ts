import type { Identity } from '../auth/identity.ts';
import type { TokenResponse } from '../protocol/index.ts';
import { formatDateTime } from '../sync/clock.ts';

/** Mints resource tokens: one Cosmos user for each identity and scope, one permission on `documents`. */
export interface PermissionStore {
  /**
   * Creates or renews the permission of a user on one partition of a container.
   *
   * @param lifetime of the token, in seconds, 600 to 86,400
   * @returns the resource token
   * @throws Unavailable
   */
  mint(permission: {
    readonly user: string;
    readonly scope: string;
    readonly container: string;
    readonly mode: 'read' | 'all';
    readonly lifetime: number;
  }): Promise<string>;
}

export interface BrokerSettings {
  readonly endpoint: string;
  readonly database: string;
  readonly container: string;
  /** What a token of a private scope may do. */
  readonly mode: 'read' | 'all';
  /** Of a token, in seconds. */
  readonly lifetime: number;
}

export interface Broker {
  /**
   * A token for the caller's own scope.
   *
   * @throws Unavailable
   */
  tokenFor(identity: Identity): Promise<TokenResponse>;
}

/** Tokens are handed out until this much of their life has gone; the client asks for the next one then. */
const REFRESH_AT = 0.8;
/** A clock that was set back by more than this no longer tells the age of what is kept. */
const CLOCK_STEP_MS = 60_000;
/** Upper bound of the tokens kept; the one unused for longest goes first. */
const MAX_CACHED = 10_000;

/**
 * Minting is a metadata request, and those are limited to 240 RU/s for a whole account: so a token is kept for 80 % of
 * its life, and a burst of requests of one user costs one mint.
 */
export function createBroker(settings: BrokerSettings, store: PermissionStore, now: () => number): Broker {
  const cache = new Map<string, TokenResponse>();
  const flights = new Map<string, Promise<TokenResponse>>();
  let latest = -Infinity;

  const mint = async (identity: Identity): Promise<TokenResponse> => {
    const { userId, ownScope: scope } = identity;
    const { endpoint, database, container, mode, lifetime } = settings;
    const asked = now();
    const token = await store.mint({ user: userId, scope, container, mode, lifetime });
    const answer: TokenResponse = {
      token,
      endpoint,
      database,
      container,
      partitionKey: [scope],
      scope,
      userId,
      mode,
      // Counted from before the request: the token never lives shorter than is said here.
      expiresAt: formatDateTime(asked + lifetime * 1000),
      refreshAfter: formatDateTime(asked + lifetime * 1000 * REFRESH_AT),
    };
    cache.set(scope, answer);
    if (cache.size > MAX_CACHED) cache.delete(cache.keys().next().value ?? '');
    return answer;
  };

  return {
    tokenFor: (identity) => {
      const key = identity.ownScope;
      const time = now();
      // Tokens end by the clock of Cosmos DB: after a step back they would be handed out beyond their end.
      if (time < latest - CLOCK_STEP_MS) cache.clear();
      latest = time;
      const kept = cache.get(key);
      cache.delete(key);
      if (kept !== undefined && time < Date.parse(kept.refreshAfter)) {
        cache.set(key, kept);
        return Promise.resolve(kept);
      }
      const flight = flights.get(key) ?? mint(identity).finally(() => flights.delete(key));
      flights.set(key, flight);
      return flight;
    },
  };
}
