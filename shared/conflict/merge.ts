import { isJsonObject, sameJson, type JsonObject } from './json.ts';
import { mergePatch } from './merge-patch.ts';
import { ruleBelow, type FieldRule } from './strategy.ts';

/** What came out of two versions of one document. */
export interface Merged {
  readonly data: JsonObject;
  /** Sides of which something did not make it. A field that is the server's counts for neither. */
  readonly lost: { readonly stored: boolean; readonly incoming: boolean };
}

export interface MergeInput {
  readonly stored: JsonObject;
  /** What both sides started from; null: not known. Beside a patch the old values of the fields it touches will do. */
  readonly base: JsonObject | null;
  readonly rule: FieldRule;
  /** Is the incoming change the later one? Decides fields whose owner is `newest`. */
  readonly newer: boolean;
}

const ABSENT = Symbol('absent');
const UNKNOWN = Symbol('unknown');
type Side = unknown;

/**
 * Merges a whole document into the stored one.
 *
 * With a base, three ways: what one side changed is taken, what both changed alike too, and what they changed
 * differently goes to the owner of the field; objects member by member. Without a base, two ways: members of either
 * side stay (that one side removed it cannot be told from never having had it), and what differs goes to the owner.
 */
export function mergeDocuments(incoming: JsonObject, { stored, base, rule, newer }: MergeInput): Merged {
  const merge = new Merge(newer);
  const data = merge.objects(stored, incoming, base ?? UNKNOWN, rule);
  return { data, lost: merge.lost };
}

/** Merges a JSON merge patch into the stored document: as `mergeDocuments`, for the fields that the patch names. */
export function mergePatchInto(patch: JsonObject, { stored, base, rule, newer }: MergeInput): Merged {
  const merge = new Merge(newer);
  const data = merge.patch(stored, patch, base ?? UNKNOWN, rule);
  return { data, lost: merge.lost };
}

/**
 * Puts the server's fields of what is stored into what a client sent. A member that the client replaced by something
 * that is no object keeps the server's fields inside it.
 *
 * @param stored null where there is no document
 */
export function keepGuarded(incoming: JsonObject, stored: JsonObject | null, rule: FieldRule): JsonObject {
  const kept = guard(incoming, stored ?? ABSENT, rule);
  return isJsonObject(kept) ? kept : {};
}

function guard(incoming: Side, stored: Side, rule: FieldRule): Side {
  if (!rule.guarded) return incoming;
  if (rule.owner === 'server' && rule.below.size === 0) return stored;
  const from = members(stored);
  // Where only exceptions below are the client's, everything else is what is stored.
  const to = new Map(rule.owner === 'server' ? from : members(incoming));
  for (const [name, below] of rule.below) {
    const value = guard(members(incoming).get(name) ?? ABSENT, from.get(name) ?? ABSENT, below);
    if (value === ABSENT) to.delete(name);
    else to.set(name, value);
  }
  return to.size === 0 && !isJsonObject(incoming) ? incoming : Object.fromEntries(to);
}

const members = (side: Side): Map<string, unknown> => new Map(isJsonObject(side) ? Object.entries(side) : []);

class Merge {
  readonly lost = { stored: false, incoming: false };
  readonly #newer: boolean;

  constructor(newer: boolean) {
    this.#newer = newer;
  }

  objects(stored: JsonObject, incoming: JsonObject, base: Side, rule: FieldRule): JsonObject {
    const result = new Map<string, unknown>();
    for (const name of new Set([...Object.keys(stored), ...Object.keys(incoming)])) {
      const value = this.#value(
        memberOf(stored, name),
        memberOf(incoming, name),
        memberOf(base, name),
        ruleBelow(rule, name),
      );
      if (value !== ABSENT) result.set(name, value);
    }
    return Object.fromEntries(result);
  }

  patch(stored: JsonObject, patch: JsonObject, base: Side, rule: FieldRule): JsonObject {
    const result = new Map(Object.entries(stored));
    for (const [name, wanted] of Object.entries(patch)) {
      const below = ruleBelow(rule, name);
      const now = memberOf(stored, name);
      const before = memberOf(base, name);
      const value =
        isJsonObject(wanted) && isJsonObject(now)
          ? this.patch(now, wanted, isJsonObject(before) || before === UNKNOWN ? before : {}, below)
          : Array.isArray(wanted) && Array.isArray(now)
            ? this.#value(now, wanted, before, below)
            : this.#leaf(now, patched(wanted), before, below);
      if (value === ABSENT) result.delete(name);
      else result.set(name, value);
    }
    return Object.fromEntries(result);
  }

  #value(stored: Side, incoming: Side, base: Side, rule: FieldRule): Side {
    if (rule.owner === 'server' && !hasExceptions(rule)) return stored;
    // Whole, so that a side that alone changed something keeps the order of its arrays.
    if (base !== UNKNOWN && same(stored, base)) return incoming;
    if (base !== UNKNOWN && same(incoming, base)) return stored;
    if (isJsonObject(stored) && isJsonObject(incoming)) {
      return this.objects(stored, incoming, isJsonObject(base) || base === UNKNOWN ? base : {}, rule);
    }
    if (Array.isArray(stored) && Array.isArray(incoming) && rule.array !== 'value') {
      const merged = this.#elements(stored, incoming, base, rule);
      if (merged !== null) return merged;
    }
    // The whole document does not name it; a patch that removes it says so.
    if (base === UNKNOWN && incoming === ABSENT) return stored;
    return this.#leaf(stored, incoming, base, rule);
  }

  /** What cannot be taken apart further. */
  #leaf(stored: Side, incoming: Side, base: Side, rule: FieldRule): Side {
    if (rule.owner === 'server') return stored;
    if (same(stored, incoming)) return stored;
    if (same(stored, base === UNKNOWN ? ABSENT : base)) return incoming;
    if (base !== UNKNOWN && same(incoming, base)) return stored;
    const client = rule.owner === 'client' || (rule.owner === 'newest' && this.#newer);
    this.lost[client ? 'stored' : 'incoming'] = true;
    return client ? incoming : stored;
  }

  /**
   * Arrays whose elements are known by their value or by a member of theirs: the stored order, then what is new. Null
   * where an element has no such name, or two have the same: then the array is one value.
   */
  #elements(
    stored: readonly unknown[],
    incoming: readonly unknown[],
    base: Side,
    rule: FieldRule,
  ): unknown[] | null {
    const ours = byName(stored, rule);
    const theirs = byName(incoming, rule);
    const before = base === UNKNOWN ? UNKNOWN : byName(Array.isArray(base) ? base : [], rule);
    if (ours === null || theirs === null || before === null) return null;
    const element = ruleBelow(rule, '*');
    const result: unknown[] = [];
    for (const name of new Set([...ours.keys(), ...theirs.keys()])) {
      const old = before === UNKNOWN ? UNKNOWN : get(before, name);
      const value = this.#value(get(ours, name), get(theirs, name), old, element);
      if (value !== ABSENT) result.push(value);
    }
    return result;
  }
}

/** Are there places below that are not the server's? */
const hasExceptions = (rule: FieldRule): boolean =>
  [...rule.below.values()].some((below) => below.owner !== 'server' || hasExceptions(below));

const memberOf = (side: Side, name: string): Side => {
  if (side === UNKNOWN) return UNKNOWN;
  return isJsonObject(side) && Object.hasOwn(side, name) ? side[name] : ABSENT;
};

const get = (map: ReadonlyMap<string, unknown>, name: string): Side =>
  map.has(name) ? map.get(name) : ABSENT;

const patched = (wanted: unknown): Side => {
  if (wanted === null) return ABSENT;
  return isJsonObject(wanted) ? mergePatch({}, wanted) : wanted;
};

const same = (a: Side, b: Side): boolean => a === b || (a !== ABSENT && b !== ABSENT && sameJson(a, b));

function byName(elements: readonly unknown[], { array }: FieldRule): Map<string, unknown> | null {
  const named = new Map<string, unknown>();
  for (const element of elements) {
    const name =
      array === 'set' ? canonical(element) : typeof array === 'object' ? keyOf(element, array.key) : null;
    if (name === null || named.has(name)) return null;
    named.set(name, element);
  }
  return named;
}

function keyOf(element: unknown, member: string): string | null {
  const key = isJsonObject(element) && Object.hasOwn(element, member) ? element[member] : null;
  return typeof key === 'string' || typeof key === 'number' ? JSON.stringify(key) : null;
}

/** One text for one JSON value, whatever the order of members. */
function canonical(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonical).join(',')}]`;
  if (!isJsonObject(value)) return JSON.stringify(value);
  const sorted = Object.keys(value).sort();
  return `{${sorted.map((key) => `${JSON.stringify(key)}:${canonical(value[key])}`).join(',')}}`;
}
