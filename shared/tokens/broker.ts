import { createHash } from 'node:crypto';
import type { Identity } from '../auth/identity.ts';
import { formatDateTime, type ScopeToken, type TokenResponse } from '../protocol/index.ts';
import { grantFor, type GrantRules, type TokenMode } from './grant.ts';
import type { Charged, MintLimiter } from './mint-limiter.ts';

/** A permission as it is asked for. */
export interface Permission {
  /** Name of the Cosmos DB user it belongs to. */
  readonly user: string;
  readonly scope: string;
  readonly container: string;
  readonly mode: TokenMode;
  /** Of the token, in seconds, 600 to 86,400. */
  readonly lifetime: number;
}

/** Mints resource tokens: one Cosmos user for each identity and scope, one permission on `documents`. */
export interface PermissionStore {
  /**
   * Creates or renews the permission of a user on one partition of a container.
   *
   * @returns the resource token, and what it took
   * @throws Unavailable, Throttled
   */
  mint(permission: Permission): Promise<Charged<string>>;
}

export interface BrokerSettings extends GrantRules {
  readonly endpoint: string;
  readonly database: string;
  readonly container: string;
  /** Of a token, in seconds, where none is asked for. */
  readonly lifetime: number;
  /** Longest life that can be asked for, in seconds. */
  readonly maxLifetime: number;
}

/** What a caller asks for. */
export interface TokenAsk {
  /** Null: the own private scope. */
  readonly scopes: readonly string[] | null;
  /** Null: as much as is allowed in each scope. */
  readonly mode: TokenMode | null;
  /** The tokens may live so long at most, in seconds. Null: the configured life. */
  readonly lifetime: number | null;
}

export interface BrokerDependencies {
  readonly store: PermissionStore;
  readonly limiter: MintLimiter;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  /** From 0 to below 1. */
  readonly random: () => number;
}

export interface Broker {
  /**
   * Tokens for scopes of the caller: all of them, or an error and none.
   *
   * @param onMint told of each token that was made for this very call, not of those that were there already
   * @throws RequestError, Unavailable
   */
  tokensFor(identity: Identity, ask: TokenAsk, onMint: (token: ScopeToken) => void): Promise<TokenResponse>;
  /** Gives no token out again that was made before now: their key may be gone. */
  forget(): void;
}

/** Tokens are handed out until this part of their life has gone, less the jitter; the client asks for the next then. */
const REFRESH_AT = 0.8;
/** Tokens made in one moment are not renewed in one moment. */
const JITTER = 0.1;
/** A clock that was set back by more than this no longer tells the age of what is kept. */
const CLOCK_STEP_MS = 60_000;
/** A lifetime that is asked for is cut to a multiple of this, in seconds: so few different ones can be under way at once. */
const LIFETIME_STEP = 600;
/** Upper bound of the tokens kept; the one unused for longest goes first. */
const MAX_CACHED = 10_000;

/**
 * Minting is a metadata request, and those are limited to 240 RU/s for a whole account: so a token is kept for most of
 * its life, and a burst of requests of one user costs one mint.
 *
 * A lifetime that is asked for is an upper bound: a kept token that ends sooner will do, and so will one of the full ten
 * minutes below. So whatever lifetimes a user asks for, one after the other no more is minted than for one who asks for
 * the shortest only, and all at once no more than there are full ten minutes in the longest life.
 */
export function createBroker(settings: BrokerSettings, dependencies: BrokerDependencies): Broker {
  const { store, limiter, now, random } = dependencies;
  const cache = new Map<string, ScopeToken>();
  const flights = new Map<string, Promise<ScopeToken>>();
  let latest = -Infinity;
  let generation = 0;

  const forget = (): void => {
    generation += 1;
    cache.clear();
  };

  const mint = async (
    identity: Identity,
    scope: string,
    mode: TokenMode,
    lifetime: number,
    key: string,
  ): Promise<ScopeToken> => {
    const { endpoint, database, container } = settings;
    const { asked, token, ...started } = await limiter.run(async () => {
      const started = { generation, asked: now() };
      const user = cosmosUser(identity, scope);
      const { value, charge } = await store.mint({ user, scope, container, mode, lifetime });
      return { value: { ...started, token: value }, charge };
    });
    const answer: ScopeToken = {
      token,
      endpoint,
      database,
      container,
      partitionKey: [scope],
      scope,
      userId: identity.userId,
      mode,
      // Counted from before the request: the token never lives shorter than is said here.
      expiresAt: formatDateTime(asked + lifetime * 1000),
      refreshAfter: formatDateTime(asked + lifetime * 1000 * (REFRESH_AT - JITTER * random())),
    };
    // One that was made before everything had to be forgotten is not kept.
    if (started.generation === generation) keep(key, answer);
    return answer;
  };

  const keep = (key: string, token: ScopeToken): void => {
    cache.delete(key);
    cache.set(key, token);
    if (cache.size > MAX_CACHED) cache.delete(cache.keys().next().value ?? '');
  };

  const tokenFor = async (
    identity: Identity,
    scope: string,
    mode: TokenMode,
    lifetime: number,
    onMint: (token: ScopeToken) => void,
  ): Promise<ScopeToken> => {
    const key = `${mode} ${identity.userId} ${scope}`;
    const time = now();
    // Tokens end by the clock of Cosmos DB: after a step back they would be handed out beyond their end, and so would
    // those that are being made, whose end was reckoned before it. Small steps add up.
    if (time < latest - CLOCK_STEP_MS) {
      forget();
      latest = time;
    }
    latest = Math.max(latest, time);
    const kept = cache.get(key);
    if (
      kept !== undefined &&
      time < Date.parse(kept.refreshAfter) &&
      Date.parse(kept.expiresAt) <= time + lifetime * 1000 + CLOCK_STEP_MS
    ) {
      keep(key, kept);
      return kept;
    }
    // A flight for another lifetime is another flight: what it brings may live too long for this caller.
    const flightKey = `${lifetime} ${generation} ${key}`;
    const flying = flights.get(flightKey);
    if (flying !== undefined) return flying;
    const flight = mint(identity, scope, mode, lifetime, key).finally(() => flights.delete(flightKey));
    flights.set(flightKey, flight);
    const token = await flight;
    onMint(token);
    return token;
  };

  return {
    tokensFor: async (identity, ask, onMint) => {
      const lifetime = lifetimeOf(ask.lifetime, settings);
      const scopes = [...new Set(ask.scopes ?? [identity.ownScope])];
      // All are looked at before anything is minted: a refusal costs nothing.
      const asked = scopes.map((scope) => ({ scope, mode: grantFor(identity, scope, ask.mode, settings) }));
      const tokens = await Promise.all(
        asked.map(({ scope, mode }) => tokenFor(identity, scope, mode, lifetime, onMint)),
      );
      const [first] = tokens;
      if (first === undefined) throw new Error('A request for no scope.');
      return ask.scopes === null ? first : { ...first, tokens };
    },

    forget,
  };
}

function lifetimeOf(asked: number | null, { lifetime, maxLifetime }: BrokerSettings): number {
  if (asked === null) return Math.min(lifetime, maxLifetime);
  return Math.min(Math.floor(asked / LIFETIME_STEP) * LIFETIME_STEP, maxLifetime);
}

/**
 * The Cosmos DB user of an identity in a scope. Names of users hold no `~`, so no two of these are ever the same; a
 * shared scope goes by its hash, which keeps every name below 255 characters.
 */
export function cosmosUser(
  { userId, ownScope }: Pick<Identity, 'userId' | 'ownScope'>,
  scope: string,
): string {
  if (scope === ownScope) return userId;
  return `${userId}~${createHash('sha256').update(scope).digest('base64url')}`;
}
