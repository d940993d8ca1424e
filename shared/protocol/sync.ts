import { Type, type Static } from 'typebox';
import {
  CHANGE_ID_PATTERN,
  COLLECTION_PATTERN,
  DEVICE_ID_PATTERN,
  DOCUMENT_ID_MAX,
  SCOPE_PATTERN,
} from './ids.ts';
import { PROTOCOL_VERSION } from './version.ts';

/**
 * The messages of `POST /api/sync`. These schemas are the single truth: requests are validated by them, the types
 * are read from them, and the published description of the API is made of them. docs/protocol.md explains them.
 */

const strict = { additionalProperties: false };

/** RFC 3339, as text; the calendar is checked when it is parsed. */
const DateTime = Type.String({ maxLength: 40, description: 'Date and time in RFC 3339.' });
const Json = Type.Record(Type.String(), Type.Unknown(), { description: 'A JSON object of the application.' });
const Collection = Type.String({ pattern: COLLECTION_PATTERN });
const Scope = Type.String({ pattern: SCOPE_PATTERN });
const ChangeId = Type.String({ pattern: CHANGE_ID_PATTERN });
const Seq = Type.Integer({ minimum: 1, maximum: Number.MAX_SAFE_INTEGER });

/** The last change of a writer in a scope: where a ledger stands, or where the client believes it to stand. */
export const StreamPosition = Type.Object({ seq: Seq, changeId: ChangeId }, strict);
export type StreamPosition = Static<typeof StreamPosition>;

const changeFields = {
  changeId: Type.Optional(ChangeId),
  seq: Type.Optional(Seq),
  scope: Type.Optional(Scope),
  collection: Collection,
  documentId: Type.String({ minLength: 1, maxLength: DOCUMENT_ID_MAX }),
  baseVersion: Type.Optional(Type.Union([Type.String({ maxLength: 400 }), Type.Null()])),
  lastModified: DateTime,
  base: Type.Optional(Json),
  transaction: Type.Optional(Type.String({ minLength: 1, maxLength: 64 })),
};

/** The whole new content of a document. */
export const Upsert = Type.Object({ ...changeFields, type: Type.Literal('upsert'), data: Json }, strict);
/** A JSON merge patch (RFC 7396) on the content of a document. */
export const Patch = Type.Object({ ...changeFields, type: Type.Literal('patch'), data: Json }, strict);
/** The end of a document: a tombstone takes its place. */
export const Delete = Type.Object({ ...changeFields, type: Type.Literal('delete') }, strict);

export const CHANGE_SCHEMAS = { upsert: Upsert, patch: Patch, delete: Delete } as const;
export type Change = Static<typeof Upsert> | Static<typeof Patch> | Static<typeof Delete>;
export type ChangeType = Change['type'];

/**
 * The envelope of a request. Its `changes` are validated one by one, each by the schema of its type, because a bad
 * change must not refuse its neighbours.
 */
export const SyncEnvelope = Type.Object(
  {
    protocol: Type.Literal(PROTOCOL_VERSION),
    userId: Type.Optional(Type.String({ maxLength: 400 })),
    deviceId: Type.String({ pattern: DEVICE_ID_PATTERN }),
    clientTime: Type.Optional(DateTime),
    collections: Type.Optional(Type.Array(Collection, { maxItems: 100, uniqueItems: true })),
    scopes: Type.Optional(Type.Array(Scope, { maxItems: 1000, uniqueItems: true })),
    limit: Type.Optional(Type.Integer({ minimum: 1, maximum: 10_000 })),
    since: Type.Optional(DateTime),
    checkpoints: Type.Optional(
      Type.Record(Type.String({ pattern: SCOPE_PATTERN }), Type.String({ maxLength: 16_384 }), strict),
    ),
    streams: Type.Optional(
      Type.Record(Type.String({ pattern: SCOPE_PATTERN }), Type.Union([StreamPosition, Type.Null()]), strict),
    ),
    changes: Type.Optional(Type.Array(Type.Unknown())),
  },
  strict,
);
export type SyncEnvelope = Static<typeof SyncEnvelope>;

/** What a client sends. */
export type SyncRequest = Omit<SyncEnvelope, 'changes'> & { changes?: Change[] };

export const OUTCOMES = ['applied', 'merged', 'skipped', 'rejected', 'failed'] as const;
/**
 * What became of a change. `applied`: it is stored. `merged`: something else is stored. `skipped`: the server's
 * document stays. `rejected`: never send it again unchanged. `failed`: certainly not taken in; send it again as a
 * new change.
 */
export type Outcome = (typeof OUTCOMES)[number];

/** A document as clients see it. `data` is null for a tombstone and for a document that does not exist. */
export const RemoteDocument = Type.Object({
  scope: Scope,
  collection: Collection,
  documentId: Type.String(),
  version: Type.Union([Type.String(), Type.Null()]),
  lastModified: Type.Union([Type.String(), Type.Null()]),
  deleted: Type.Boolean(),
  userId: Type.Union([Type.String(), Type.Null()]),
  deviceId: Type.Union([Type.String(), Type.Null()]),
  data: Type.Union([Json, Type.Null()]),
});
export type RemoteDocument = Static<typeof RemoteDocument>;

export const ChangeError = Type.Object({
  code: Type.String(),
  message: Type.String(),
  retryable: Type.Boolean(),
  pointer: Type.Optional(Type.String({ description: 'JSON Pointer into the change.' })),
  rule: Type.Optional(Type.String({ description: 'The rule that the document breaks.' })),
  culprit: Type.Optional(
    Type.String({ description: 'The change of the transaction for which all of them are refused.' }),
  ),
});
export type ChangeError = Static<typeof ChangeError>;

/** One for each change, in the order of the request. */
export const ChangeResult = Type.Object({
  changeId: Type.Union([Type.String(), Type.Null()]),
  status: Type.Enum([...OUTCOMES, 'duplicate']),
  outcome: Type.Optional(Type.Enum([...OUTCOMES])),
  version: Type.Optional(Type.Union([Type.String(), Type.Null()])),
  lastModified: Type.Optional(Type.Union([Type.String(), Type.Null()])),
  document: Type.Optional(RemoteDocument),
  error: Type.Optional(ChangeError),
});
export type ChangeResult = Static<typeof ChangeResult>;

export const SyncStats = Type.Object({
  changes: Type.Integer(),
  documents: Type.Integer(),
  conflicts: Type.Integer(),
  requests: Type.Integer({ description: 'Requests this sync sent to Cosmos DB.' }),
  requestUnits: Type.Number({ description: 'Request units they cost.' }),
  milliseconds: Type.Number(),
});
export type SyncStats = Static<typeof SyncStats>;

export const SyncResponse = Type.Object({
  serverTime: DateTime,
  results: Type.Array(ChangeResult),
  delta: Type.Object({ documents: Type.Array(RemoteDocument), hasMore: Type.Boolean() }),
  checkpoints: Type.Record(Type.String(), Type.String()),
  streams: Type.Record(Type.String(), Type.Union([StreamPosition, Type.Null()])),
  scopes: Type.Array(Scope),
  resync: Type.Array(Scope),
  nextSyncRecommended: DateTime,
  stats: SyncStats,
});
export type SyncResponse = Static<typeof SyncResponse>;
