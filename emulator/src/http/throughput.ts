/** Request units per second; absent or null: no limit. */
export interface ThroughputLimits {
  /** For each physical partition of each container. */
  readonly partition?: number | null;
  /** For the metadata of the account. The service's own is 240 and cannot be raised. */
  readonly metadata?: number | null;
}

/** The metadata throughput every account has. https://learn.microsoft.com/azure/cosmos-db/concepts-limits */
export const serviceMetadataLimit = 240;

export interface ThroughputControl {
  set(limits: ThroughputLimits): void;
}

interface Budget {
  available: number;
  at: number;
}

/**
 * Budgets that fill up continuously to one second's worth. A request is let in while anything is left and may
 * overdraw, as at the service, where the charge is known only afterwards; the next one waits until the debt is paid.
 */
export class Throughput implements ThroughputControl {
  #limits: ThroughputLimits;
  readonly #now: () => number;
  readonly #budgets = new Map<string, Budget>();

  constructor(limits: ThroughputLimits, now: () => number) {
    this.#limits = limits;
    this.#now = now;
  }

  set(limits: ThroughputLimits): void {
    this.#limits = limits;
    this.#budgets.clear();
  }

  /** Milliseconds to wait before these budgets have something left; 0: now. */
  waitFor(kind: keyof ThroughputLimits, names: readonly string[]): number {
    const limit = this.#limits[kind];
    if (limit === undefined || limit === null) return 0;
    const waits = names.map((name) => {
      const { available } = this.#refill(`${kind}/${name}`, limit);
      return available > 0 ? 0 : Math.max(1, Math.ceil((-available / limit) * 1000 + 1));
    });
    return Math.max(0, ...waits);
  }

  /** Takes a charge, shared out evenly among the budgets. */
  spend(kind: keyof ThroughputLimits, names: readonly string[], charge: number): void {
    const limit = this.#limits[kind];
    if (limit === undefined || limit === null || names.length === 0) return;
    for (const name of names) this.#refill(`${kind}/${name}`, limit).available -= charge / names.length;
  }

  #refill(name: string, limit: number): Budget {
    const now = this.#now();
    let budget = this.#budgets.get(name);
    if (budget === undefined) {
      budget = { available: limit, at: now };
      this.#budgets.set(name, budget);
    }
    const earned = (Math.max(0, now - budget.at) / 1000) * limit;
    budget.available = Math.min(limit, budget.available + earned);
    budget.at = now;
    return budget;
  }
}
