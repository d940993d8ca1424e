/** The shapes of names in the protocol, as patterns that JSON Schema, TypeScript and other languages read alike. */

/** Collections: as in `sync.config.json`. */
export const COLLECTION_PATTERN = '^[A-Za-z][A-Za-z0-9_]{0,63}$';

/** Device ids: chosen by the client, one per local store and user. */
export const DEVICE_ID_PATTERN = '^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$';

/** Change ids become part of Cosmos DB item ids and of a patch condition: letters, digits and `._-` only. */
export const CHANGE_ID_PATTERN = '^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$';

/** `user:<userId>` or `<kind>:<id>`. */
export const SCOPE_PATTERN = '^[a-z][a-z0-9-]{0,31}:[A-Za-z0-9._@=-]{1,200}$';

/** Longest document id, in UTF-16 units; its UTF-8 form stays below the 1,023 bytes that Cosmos DB allows an item id. */
export const DOCUMENT_ID_MAX = 250;

/**
 * Cosmos DB refuses `/ \ ? #` in ids, and control characters break HTTP headers; unpaired surrogates have no UTF-8
 * form.
 */
// eslint-disable-next-line no-control-regex -- control characters are what this pattern is about
const FORBIDDEN_IN_ID = /[/\\?#\u0000-\u001f\u007f-\u009f]/;

export const isDocumentId = (id: string): boolean =>
  id.length > 0 && id.length <= DOCUMENT_ID_MAX && !FORBIDDEN_IN_ID.test(id) && isWellFormed(id);

/** `String.prototype.isWellFormed` for the browsers that lack it. */
export const isWellFormed = (text: string): boolean =>
  !/[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/.test(text);

/** Item id of a document: unique in its scope. */
export const itemId = (collection: string, documentId: string): string => `${collection}:${documentId}`;

/** Longest name within a scope, as it is spelled there. */
const SCOPE_NAME_MAX = 200;
const encoder = new TextEncoder();

/**
 * Spells a name with the characters a scope may have: any other byte of its UTF-8 form becomes `=` and two hex
 * digits, `=` itself included, so two names never become one. `.` and `..` are spelled out too: names become parts of
 * Cosmos DB paths, where those two mean something else.
 *
 * @returns null for a name that is empty, too long, or not well-formed Unicode
 */
export function encodeName(name: string): string | null {
  if (!isWellFormed(name)) return null;
  const special = /^\.{1,2}$/.test(name) ? /\./g : /[^A-Za-z0-9._@-]/gu;
  const encoded = name.replace(special, (character) =>
    [...encoder.encode(character)]
      .map((byte) => `=${byte.toString(16).toUpperCase().padStart(2, '0')}`)
      .join(''),
  );
  return encoded.length === 0 || encoded.length > SCOPE_NAME_MAX ? null : encoded;
}

/** Scope that holds the private data of a user. */
export const userScope = (userId: string): string => `user:${userId}`;

/** `facility:12` is of kind `facility`. */
export const scopeKind = (scope: string): string => scope.slice(0, scope.indexOf(':'));
