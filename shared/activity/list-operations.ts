import { isAdmin, type Identity } from '../auth/identity.ts';
import { RequestError } from '../errors.ts';
import { OperationQuery, type OperationPage } from '../protocol/index.ts';
import { compileSchema } from '../validation/validator.ts';
import { formatCursor, nextCursor, parseCursor } from './cursor.ts';
import { SYNC_OPERATION, toOperationEntry } from './operation.ts';
import type { ActivityStore } from './store.ts';

const checkQuery = compileSchema(OperationQuery);
const DEFAULT_LIMIT = 50;

/**
 * A page of the operation log, newest first: the caller's own; for an administrator everybody's, or one user's.
 *
 * @param raw the parameters of the query, not yet checked
 * @throws RequestError, Unavailable
 */
export async function listOperations(
  raw: unknown,
  identity: Identity,
  store: Pick<ActivityStore, 'list'>,
): Promise<OperationPage> {
  const fault = checkQuery(raw);
  if (fault !== null) {
    throw new RequestError('invalid_request', {
      detail: `The parameter \`${fault.pointer.slice(1)}\` ${fault.reason}.`,
    });
  }
  const { userId, limit = DEFAULT_LIMIT, continuation } = raw as OperationQuery;
  const admin = isAdmin(identity);
  if (!admin && userId !== undefined && userId !== identity.userId)
    throw new RequestError('role_insufficient');
  const cursor = continuation === undefined ? null : parseCursor(continuation);
  if (continuation !== undefined && cursor === null) throw new RequestError('invalid_continuation');

  const page = await store.list({
    kind: SYNC_OPERATION,
    userId: userId ?? (admin ? null : identity.userId),
    limit,
    cursor,
  });
  const next = page.length < limit ? null : nextCursor(cursor, page);
  return {
    operations: page.map(toOperationEntry),
    continuation: next === null ? null : formatCursor(next),
  };
}
