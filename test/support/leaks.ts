/** Texts that a secret may have been cut into or wrapped in: whole, percent-encoded, in base64, or its telling part. */
const formsOf = (secret: string): string[] => {
  // Of a bearer token the signature, of a resource token all behind its kind: what is before them is no secret.
  const core = secret.startsWith('type=resource') ? secret.slice(secret.indexOf('sig=') + 4) : secret;
  const telling = core.split('.').length === 3 ? (core.split('.')[2] ?? '') : core;
  return [
    telling,
    encodeURIComponent(telling),
    Buffer.from(telling).toString('base64').slice(0, -4),
    telling.slice(0, 40),
  ];
};

/** The lines that show a secret, or enough of one to know it. */
export const findLeaks = (lines: readonly string[], secrets: readonly string[]): string[] => {
  const forms = secrets.flatMap(formsOf).filter((form) => form.length >= 16);
  return lines.filter((line) => forms.some((form) => line.includes(form)));
};
