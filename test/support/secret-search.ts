/** Characters that are compared at once. Every piece of a secret of twice that length holds one block of it whole. */
const BLOCK = 20;
/** A block of fewer different characters is no secret, and may stand anywhere. */
const MIN_VARIETY = 8;
/** Characters before a secret that tell where it was found. */
const CONTEXT = 60;

/**
 * What makes a text a secret: of a bearer token the signature, of a resource token or a signed request what follows its
 * kind. What stands before that is known to everybody.
 */
function tellingPart(secret: string): string {
  const [, , signature, more] = secret.split('.');
  if (signature !== undefined && more === undefined) return signature;
  return secret.replace(/^type=.*?&sig=/s, '');
}

/** How a secret may be written: as it is, percent-encoded, or as part of something in base64. */
const formsOf = (text: string): readonly string[] => [
  text,
  encodeURIComponent(text),
  // Three bytes become four characters, so there are three ways to cut it.
  ...[0, 1, 2].map((offset) =>
    Buffer.from(`${' '.repeat(offset)}${text}`)
      .toString('base64')
      .slice(4, -4),
  ),
];

const blocksOf = (text: string): readonly string[] =>
  Array.from({ length: Math.floor(text.length / BLOCK) }, (_, index) =>
    text.slice(index * BLOCK, (index + 1) * BLOCK),
  ).filter((block) => new Set(block).size >= MIN_VARIETY);

/** Well-formed text only: half a surrogate pair cannot be percent-encoded, and is in no secret. */
const isText = (secret: string): boolean => Buffer.from(secret, 'utf8').toString('utf8') === secret;

/**
 * Makes a search for secrets in texts. It finds one that is whole, cut off after 39 characters or more, percent-encoded,
 * or in base64; time grows with the length of the text only, however many secrets there are. One of less than 20
 * characters is not looked for.
 *
 * @returns the places where a text shows a secret, as what stands before it: never the secret itself
 */
export function createSecretSearch(secrets: Iterable<string>): (text: string) => string[] {
  const known = new Set(
    [...secrets].filter(isText).flatMap((each) => formsOf(tellingPart(each)).flatMap(blocksOf)),
  );
  return (text) => {
    const found: string[] = [];
    let end = 0;
    for (let at = 0; at + BLOCK <= text.length; at += 1) {
      if (!known.has(text.slice(at, at + BLOCK))) continue;
      const before = text.slice(Math.max(end, at - CONTEXT), at);
      // The rest of the same one.
      end = at + BLOCK + (/^[\w%+/=;-]*/.exec(text.slice(at + BLOCK))?.[0].length ?? 0);
      found.push(`${before}[a secret]`);
      at = end - 1;
    }
    return found;
  };
}
