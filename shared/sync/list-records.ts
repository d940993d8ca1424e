import { roleIn, type Identity } from '../auth/identity.ts';
import type { JsonObject } from '../conflict/index.ts';
import { RequestError } from '../errors.ts';
import { RecordQuery } from '../protocol/index.ts';
import { compileSchema } from '../validation/validator.ts';
import type { RecordStore } from './record-store.ts';

const checkQuery = compileSchema(RecordQuery);
const DEFAULT_LIMIT = 50;
/** About how many bytes of records an answer holds. */
const PAGE_BYTES = 4_000_000;
/** Each scope is a query of its own, also where there is nothing in its log. */
const MAX_SCOPES = 20;

export interface ListedRecords {
  readonly records: readonly { readonly scope: string; readonly item: JsonObject }[];
  readonly continuation: string | null;
}

/**
 * A page of a log: scope after scope as the token lists them, within a scope the newest first. The page ends at the
 * limit, where it gets large, or after so many scopes; `continuation` says whether there is more.
 *
 * @param raw the parameters of the query, not yet checked
 * @throws RequestError, Unavailable
 */
export async function listRecords(
  raw: unknown,
  prefix: string,
  identity: Identity,
  store: RecordStore,
): Promise<ListedRecords> {
  const fault = checkQuery(raw);
  if (fault !== null) {
    throw new RequestError('invalid_request', {
      detail: `The parameter \`${fault.pointer.slice(1)}\` ${fault.reason}.`,
    });
  }
  const { scope: only, collection, documentId, limit = DEFAULT_LIMIT, continuation } = raw as RecordQuery;
  if (only !== undefined && roleIn(identity, only) === null) throw new RequestError('scope_not_granted');
  const scopes = only === undefined ? identity.scopes : [only];
  const from = continuation === undefined ? null : parsePosition(continuation);
  // A scope that the token no longer grants has no position either.
  const first = from === null ? 0 : scopes.indexOf(from.scope);
  if (first === -1 || (continuation !== undefined && from === null)) {
    throw new RequestError('invalid_continuation');
  }

  const records: { scope: string; item: JsonObject }[] = [];
  let bytes = 0;
  for (const [index, scope] of scopes.entries()) {
    if (index < first) continue;
    let at = index === first ? (from?.continuation ?? null) : null;
    do {
      if (records.length >= limit || bytes >= PAGE_BYTES || index - first >= MAX_SCOPES) {
        return { records, continuation: formatPosition({ scope, continuation: at }) };
      }
      const asked = {
        scope,
        prefix,
        collection,
        documentId,
        continuation: at,
        limit: limit - records.length,
      };
      const page = await store.list(asked);
      if (page === null) throw new RequestError('invalid_continuation');
      for (const item of page.items) {
        records.push({ scope, item });
        bytes += Buffer.byteLength(JSON.stringify(item));
      }
      at = page.continuation;
    } while (at !== null);
  }
  return { records, continuation: null };
}

/** In which scope a list goes on, and where in it; null: at its newest. */
interface Position {
  readonly scope: string;
  readonly continuation: string | null;
}

const formatPosition = ({ scope, continuation }: Position): string =>
  Buffer.from(JSON.stringify([scope, continuation])).toString('base64url');

/** Continuations travel in HTTP headers: text that a header cannot hold never came from the store. */
const HEADER_TEXT = /^[\x20-\x7e]{1,4096}$/;

function parsePosition(text: string): Position | null {
  let content: unknown;
  try {
    content = JSON.parse(Buffer.from(text, 'base64url').toString('utf8'));
  } catch {
    return null;
  }
  if (!Array.isArray(content) || content.length !== 2) return null;
  const [scope, continuation] = content as unknown[];
  if (typeof scope !== 'string') return null;
  if (continuation === null) return { scope, continuation };
  return typeof continuation === 'string' && HEADER_TEXT.test(continuation) ? { scope, continuation } : null;
}
