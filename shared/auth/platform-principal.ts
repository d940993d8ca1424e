/**
 * The `x-ms-client-principal` header of Azure App Service authentication: base64 of
 * `{ auth_typ, name_typ, role_typ, claims: [{ typ, val }] }`. The platform sets it for signed-in callers and takes
 * away what a caller sends under this name, but only where its authentication is switched on: elsewhere anybody can
 * write it. https://learn.microsoft.com/azure/app-service/configure-authentication-user-identities
 */
export const PRINCIPAL_HEADER = 'x-ms-client-principal';

/** The platform gives some claims of Microsoft Entra ID the long names of old; settings name them as the token does. */
const SHORT_NAMES: Readonly<Record<string, string>> = {
  'http://schemas.xmlsoap.org/ws/2005/05/identity/claims/nameidentifier': 'sub',
  'http://schemas.microsoft.com/identity/claims/objectidentifier': 'oid',
  'http://schemas.microsoft.com/identity/claims/tenantid': 'tid',
  'http://schemas.microsoft.com/identity/claims/scope': 'scp',
};
const MAX_LENGTH = 32_768;

/**
 * Reads the claims out of the header.
 *
 * @returns claims by name, those that come more than once as lists; null for a text that is not such a header
 */
export function readPrincipal(header: string): Record<string, string | string[]> | null {
  if (header.length > MAX_LENGTH) return null;
  let content: unknown;
  try {
    content = JSON.parse(Buffer.from(header, 'base64').toString('utf8'));
  } catch {
    return null;
  }
  if (typeof content !== 'object' || content === null) return null;
  const { claims, role_typ: roleType } = content as { claims?: unknown; role_typ?: unknown };
  if (!Array.isArray(claims)) return null;
  const named = new Map<string, string[]>();
  for (const claim of claims as unknown[]) {
    const { typ, val } = (claim ?? {}) as { typ?: unknown; val?: unknown };
    if (typeof typ !== 'string' || typeof val !== 'string') return null;
    const name = typ === roleType ? 'roles' : (SHORT_NAMES[typ] ?? typ);
    named.set(name, [...(named.get(name) ?? []), val]);
  }
  return Object.fromEntries(
    [...named].map(([name, values]) => [name, values.length === 1 ? (values[0] ?? '') : values]),
  );
}
