import type { ExpiringToken } from '@tidemark/client';

/**
 * Gets a token from the development issuer, which believes whatever it is told. A real app asks its identity provider
 * here, for example `acquireTokenSilent` of MSAL.
 */
export async function signIn(issuer: string, userId: string): Promise<ExpiringToken> {
  const response = await fetch(`${issuer}/token`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ sub: userId }),
  });
  if (!response.ok) throw new Error(`The issuer answered ${response.status}.`);
  const { access_token, expires_in } = (await response.json()) as {
    access_token: string;
    expires_in: number;
  };
  return { token: access_token, expiresAt: new Date(Date.now() + expires_in * 1000).toISOString() };
}

const KEY = 'notes-user';

/** Who is signed in on this device: known without a network. */
export const currentUser = (): string | null => localStorage.getItem(KEY);

export function keepUser(userId: string | null): void {
  if (userId === null) localStorage.removeItem(KEY);
  else localStorage.setItem(KEY, userId);
}
