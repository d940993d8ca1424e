import type { Violation } from './shared/sync/rules.ts';

/**
 * Rules of the application that a JSON Schema cannot say: by collection, a function of the document as it would be
 * stored. They run on the gateway, in a thread of their own, within `limits.ruleMilliseconds` of sync.config.json; a
 * change that breaks one is rejected with what is returned here. These are an example: make them your own, or take
 * `rules` out of sync.config.json.
 */
export const rules = {
  visits: ({ from, to }: { from?: unknown; to?: unknown }): Violation | null =>
    typeof from === 'string' && typeof to === 'string' && to < from
      ? { pointer: '/to', rule: 'ends-after-start', message: 'A visit does not end before it starts.' }
      : null,
};
