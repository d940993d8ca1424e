/** How a collection settles two writes that knew nothing of each other. A sequential write needs no settling. */
export const STRATEGIES = [
  'last_write_wins',
  'server_wins',
  'client_wins',
  'merge_with_server_priority',
  'merge_with_client_priority',
  'field_level_merge',
] as const;
export type StrategyName = (typeof STRATEGIES)[number];

/**
 * Whose value a field keeps. `client`, `newest`: where both sides changed it. `server`: always; a client never writes
 * it, not even in a sequential edit.
 */
export type FieldOwner = 'client' | 'server' | 'newest';

/** `stored`: where both sides changed a field, what is stored stays. Not for configuration: merges by priority use it. */
type Owner = FieldOwner | 'stored';

/** How an array merges: as one value, as a set of values, or element by element, told apart by a member of theirs. */
export type ArrayRule = 'value' | 'set' | { readonly key: string };

/** What holds for one place in a document. */
export interface FieldRule {
  readonly owner: Owner;
  readonly array: ArrayRule;
  /** Rules of places below, by member name; `*` for the elements of an array that merges by key. */
  readonly below: ReadonlyMap<string, FieldRule>;
  /** Is this place, or any below, the server's? */
  readonly guarded: boolean;
}

export type Strategy =
  | { readonly name: Exclude<StrategyName, 'field_level_merge'> }
  | { readonly name: 'field_level_merge'; readonly root: FieldRule };

/** A rule as configured: JSON Pointer to what holds there. */
export interface FieldSetting {
  readonly owner?: FieldOwner;
  readonly array?: ArrayRule;
}

export const LAST_WRITE_WINS: Strategy = { name: 'last_write_wins' };

/** A rule without exceptions below it. */
export const uniformRule = (owner: Owner): FieldRule => ({
  owner,
  array: 'value',
  below: new Map(),
  guarded: owner === 'server',
});

/**
 * Builds the tree of rules from JSON Pointers (RFC 6901). A place without a setting of its own has the owner of the
 * nearest place above it.
 *
 * @param fallback owner of everything that no pointer names
 */
export function fieldRules(
  settings: Readonly<Record<string, FieldSetting>>,
  fallback: FieldOwner = 'newest',
): FieldRule {
  const entries = Object.entries(settings).map(
    ([pointer, setting]) => [pointerKeys(pointer), setting] as const,
  );
  const build = (depth: number, inside: typeof entries, inherited: FieldOwner): FieldRule => {
    const own = inside.find(([keys]) => keys.length === depth)?.[1];
    const owner = own?.owner ?? inherited;
    const deeper = inside.filter(([keys]) => keys.length > depth);
    const names = new Set(deeper.map(([keys]) => keys[depth] ?? ''));
    const below = new Map(
      [...names].map((name) => [
        name,
        build(
          depth + 1,
          deeper.filter(([keys]) => keys[depth] === name),
          owner,
        ),
      ]),
    );
    const guarded = owner === 'server' || [...below.values()].some((rule) => rule.guarded);
    return { owner, array: own?.array ?? 'value', below, guarded };
  };
  return build(0, entries, fallback);
}

/** The rule of a member of a place. */
export const ruleBelow = (rule: FieldRule, name: string): FieldRule =>
  rule.below.get(name) ?? uniformRule(rule.owner);

/** The member names of a JSON Pointer (RFC 6901). */
export const pointerKeys = (pointer: string): string[] =>
  pointer === ''
    ? []
    : pointer
        .slice(1)
        .split('/')
        .map((key) => key.replaceAll('~1', '/').replaceAll('~0', '~'));

/** Does a write under this strategy depend on what is stored, even when it is sequential? */
export const guardsFields = (strategy: Strategy): boolean =>
  strategy.name === 'field_level_merge' && strategy.root.guarded;
