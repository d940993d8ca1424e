import { createHmac } from 'node:crypto';
import { isObject } from '../json.ts';
import { sameText } from './master-key.ts';

/** What a resource token grants. It says everything itself: deleting the permission does not take it back. */
export interface Grant {
  /** rid of the permission. */
  readonly permission: string;
  readonly mode: 'All' | 'Read';
  /** rid of the container; a container made anew under the same name has another one. */
  readonly container: string;
  /** id of the only document it opens, where the permission names one. */
  readonly document: string | null;
  /** Canonical partition key it is limited to, or null for the whole container. */
  readonly partitionKey: string | null;
  /** Milliseconds since the epoch. */
  readonly expires: number;
}

export const tokenLifetime = { default: 3600, min: 600, max: 86_400 } as const;

/** The signing key follows from the master key: a new master key ends every token. */
function signature(masterKey: Buffer, payload: string): string {
  const key = createHmac('sha256', masterKey).update('resource token').digest();
  return createHmac('sha256', key).update(payload).digest('base64');
}

export function mintToken(masterKey: Buffer, grant: Grant): string {
  const payload = Buffer.from(JSON.stringify(grant)).toString('base64');
  return `type=resource&ver=1&sig=${signature(masterKey, payload)};${payload};`;
}

/** The grant of a token that this account signed, or undefined. Expiry is for the caller to check. */
export function readToken(masterKey: Buffer, token: string): Grant | undefined {
  const match = /^type=resource&ver=1(?:\.0)?&sig=([A-Za-z0-9+/=]+);([A-Za-z0-9+/=]+);$/.exec(token);
  const [, given, payload] = match ?? [];
  if (given === undefined || payload === undefined) return undefined;
  if (!sameText(signature(masterKey, payload), given)) return undefined;
  const parsed: unknown = JSON.parse(Buffer.from(payload, 'base64').toString('utf8'));
  return isObject(parsed) ? (parsed as unknown as Grant) : undefined;
}
