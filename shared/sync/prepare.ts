import { isJsonObject, parseBase, type Incoming, type JsonObject, type Strategy } from '../conflict/index.ts';
import {
  parseDateTime,
  CHANGE_ID_PATTERN,
  CHANGE_SCHEMAS,
  ERRORS,
  isDocumentId,
  scopeKind,
  type Change,
  type ChangeError,
  type ChangeErrorCode,
  type ChangeType,
  type StreamPosition,
} from '../protocol/index.ts';
import type { Role } from '../auth/identity.ts';
import { compileSchema, type SchemaFault } from '../validation/validator.ts';
import { correctTime } from './clock.ts';
import { inspectContent } from './inspect.ts';
import type { Address } from '../stored/document.ts';
import type { SyncConfig } from './sync-config.ts';

/** A change of a request, checked, with what is needed to take it in or to refuse it. */
export type Prepared = PreparedChange | RefusedChange;

interface Common {
  /** Its place in the request, and of its result in the answer. */
  readonly index: number;
  readonly scope: string;
  readonly changeId: string | null;
  /** Its place in the stream of the writer; null for a change without a number. */
  readonly position: StreamPosition | null;
  /** Changes of one transaction are taken in together, or none of them. */
  readonly transaction: string | null;
}

export interface PreparedChange extends Common {
  readonly rejection: null;
  readonly address: Address;
  readonly incoming: Incoming;
  readonly strategy: Strategy;
  readonly base: JsonObject | undefined;
  /** Bytes of the content as JSON in UTF-8. */
  readonly bytes: number;
  /** Largest content a document may have: a patch must not make it larger either. */
  readonly maxBytes: number;
  /** Does what a delete removes go to the deletion log? */
  readonly audited: boolean;
}

export interface RefusedChange extends Common {
  readonly rejection: ChangeError;
  /** Where the change is at least clear about the document it means. */
  readonly address: Address | null;
}

export interface PrepareContext {
  readonly config: SyncConfig;
  readonly userId: string;
  readonly deviceId: string;
  readonly ownScope: string;
  /** What the caller's role is in a scope; null: none. */
  readonly roleIn: (scope: string) => Role | null;
  /** Milliseconds since the epoch. */
  readonly clientTime: number | null;
  readonly now: number;
}

export const changeError = (code: ChangeErrorCode, pointer?: string, detail?: string): ChangeError => ({
  code,
  message: detail === undefined ? ERRORS[code].title : `${ERRORS[code].title} ${detail}`,
  retryable: ERRORS[code].retryable,
  ...(pointer === undefined ? {} : { pointer }),
});

const check: Record<ChangeType, (value: unknown) => SchemaFault | null> = {
  upsert: compileSchema(CHANGE_SCHEMAS.upsert),
  patch: compileSchema(CHANGE_SCHEMAS.patch),
  delete: compileSchema(CHANGE_SCHEMAS.delete),
};
const CHANGE_ID = new RegExp(CHANGE_ID_PATTERN);

/** Checks one change. Whatever is wrong with it is its own: it becomes a `rejected` result and nothing else. */
export function prepareChange(raw: unknown, index: number, context: PrepareContext): Prepared {
  const common = identify(raw, index, context.ownScope);
  const refuse = (error: ChangeError, address: Address | null = null): RefusedChange => ({
    ...common,
    rejection: error,
    address,
  });

  if (!isJsonObject(raw)) return refuse(changeError('invalid_change', '', 'It is not an object.'));
  const { type } = raw;
  if (type !== 'upsert' && type !== 'patch' && type !== 'delete') {
    return refuse(changeError('invalid_change', '/type', '`type` is upsert, patch or delete.'));
  }
  const fault = check[type](raw);
  if (fault !== null) return refuse(schemaError(fault));
  const change = raw as Change;
  if (!isDocumentId(change.documentId)) return refuse(changeError('invalid_id', '/documentId'));
  if (change.seq !== undefined && common.position === null) {
    return refuse(changeError('invalid_change', '/changeId', 'A change with a `seq` needs a `changeId`.'));
  }

  const { scope } = common;
  const collection = context.config.collections.get(change.collection);
  if (collection === undefined) return refuse(changeError('collection_unknown', '/collection'));
  // No ledger speaks of it: what stands in that scope is not for this caller to touch.
  const role = context.roleIn(scope);
  if (role === null) return refuse(changeError('scope_forbidden', '/scope'));
  if (role === 'reader') return refuse(changeError('read_only', '/scope'));
  if (collection.scope !== scopeKind(scope))
    return refuse(changeError('collection_out_of_scope', '/collection'));
  const address = { scope, collection: change.collection, documentId: change.documentId };
  const time = parseDateTime(change.lastModified);
  if (time === null) return refuse(changeError('invalid_date', '/lastModified'), address);

  const data = change.type === 'delete' ? null : change.data;
  for (const [name, content] of [
    ['data', data],
    ['base', change.base],
  ] as const) {
    const bad = content == null ? null : inspectContent(content);
    if (bad !== null) return refuse(changeError(bad.code, `/${name}${bad.pointer}`), address);
  }
  const bytes = sizeOf(data);
  const { maxDocumentBytes } = collection;
  if (Math.max(bytes, sizeOf(change.base)) > maxDocumentBytes) {
    return refuse(changeError('document_too_large', bytes > maxDocumentBytes ? '/data' : '/base'), address);
  }

  const numbered = common.position !== null;
  return {
    ...common,
    rejection: null,
    address,
    base: change.base,
    bytes,
    maxBytes: maxDocumentBytes,
    audited: collection.audited,
    strategy: collection.strategy,
    incoming: {
      type: change.type,
      base: parseBase(change.baseVersion),
      baseContent: change.base ?? null,
      // A change without a number is compared by the time it was sent with, so that a repeat meets itself.
      time: correctTime(time, numbered ? context.clientTime : null, context.now),
      writer: { userId: context.userId, deviceId: context.deviceId, seq: change.seq ?? null },
      data,
    },
  };
}

const sizeOf = (content: unknown): number =>
  content == null ? 0 : Buffer.byteLength(JSON.stringify(content));

/** What can be said of a change before it is known to be valid: enough to answer it and to keep its place. */
function identify(raw: unknown, index: number, ownScope: string): Common {
  if (!isJsonObject(raw)) {
    return { index, scope: ownScope, changeId: null, position: null, transaction: null };
  }
  const { changeId, seq, scope, transaction } = raw;
  const id = typeof changeId === 'string' && CHANGE_ID.test(changeId) ? changeId : null;
  const counted = typeof seq === 'number' && Number.isSafeInteger(seq) && seq >= 1;
  return {
    index,
    scope: typeof scope === 'string' ? scope : ownScope,
    changeId: id,
    position: id !== null && counted ? { seq, changeId: id } : null,
    transaction: typeof transaction === 'string' ? transaction : null,
  };
}

function schemaError({ pointer, reason }: SchemaFault): ChangeError {
  if (pointer === '/documentId') return changeError('invalid_id', pointer);
  if (pointer === '/lastModified') return changeError('invalid_date', pointer);
  return changeError('invalid_change', pointer, `\`${pointer}\` ${reason}.`);
}
