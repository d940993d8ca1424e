import { encodeName, userScope } from '../../../shared/protocol/ids.ts';

/**
 * Where a user's private documents live, as far as a device can know before its first sync: a service with several
 * issuers puts a prefix before the name, and its first answer says so. No service has a user whose name cannot be
 * spelled; what is written under one waits in a scope that nobody else has.
 */
export const presumedOwnScope = (userId: string): string => userScope(encodeName(userId) ?? '=');
