import { Type } from 'typebox';

/** How lists are paged: a page says from where the next one goes on. */

/** How many entries a page may have. */
export const PageLimit = Type.Integer({
  minimum: 1,
  maximum: 200,
  description: 'Entries of a page, at most; 50 where it is not said.',
});

/** Where a list goes on. */
export const Continuation = Type.String({
  minLength: 1,
  maxLength: 4096,
  description: 'The `continuation` of the page before, with the same other parameters.',
});

/** What a page says of the next one. */
export const NextPage = Type.Union([Type.String(), Type.Null()], {
  description: 'For the next page. Null: there are no more.',
});
