const encoder = new TextEncoder();

/**
 * Spells a name with the characters a scope may have, as the gateway does: any other byte of its UTF-8 form becomes `=`
 * and two hex digits.
 */
export function encodeScopeName(name: string): string {
  const special = /^\.{1,2}$/.test(name) ? /\./g : /[^A-Za-z0-9._@-]/gu;
  return name.replace(special, (character) =>
    [...encoder.encode(character)]
      .map((byte) => `=${byte.toString(16).toUpperCase().padStart(2, '0')}`)
      .join(''),
  );
}

/**
 * Where a user's private documents live, as far as a device can know before its first sync: a service with several
 * issuers puts a prefix before the name, and its first answer says so.
 */
export const presumedOwnScope = (userId: string): string => `user:${encodeScopeName(userId)}`;
