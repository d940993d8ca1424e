import { Type, type Static } from 'typebox';
import { COLLECTION_PATTERN, DOCUMENT_ID_MAX, SCOPE_PATTERN } from './ids.ts';
import { Continuation, NextPage } from './paging.ts';
import { RemoteDocument } from './sync.ts';

/** How a client finds out whether it holds what the service holds, and where it does not. docs/protocol.md explains it. */

const Hex64 = Type.String({ pattern: '^[0-9a-f]{16}$', description: '64 bits as hexadecimal digits.' });
const Bucket = Type.String({ pattern: '^[0-9a-f]{2}$' });
const Checkpoint = Type.String({
  minLength: 1,
  maxLength: 16_384,
  description: 'Where the client stands: the checkpoint of the scope in the last answer of a sync.',
});
const Scope = Type.String({ pattern: SCOPE_PATTERN, description: 'The own one where it is not said.' });
const Collection = Type.String({ pattern: COLLECTION_PATTERN });

/** The parameters of `GET /api/sync/integrity`. */
export const IntegrityQuery = Type.Object(
  {
    scope: Type.Optional(Scope),
    collections: Type.Optional(
      Type.Array(Collection, {
        minItems: 1,
        maxItems: 100,
        uniqueItems: true,
        description: 'Separated by commas; all that the checkpoint covers where it is not said.',
      }),
    ),
    checkpoint: Checkpoint,
    continuation: Type.Optional(Continuation),
  },
  { additionalProperties: false },
);
export type IntegrityQuery = Static<typeof IntegrityQuery>;

const CollectionChecksum = Type.Object({
  count: Type.Integer({ description: 'Live documents.' }),
  sum: Hex64,
  buckets: Type.Record(Bucket, Hex64, { description: 'The buckets that hold something.' }),
  changed: Type.Array(Bucket, {
    description: 'Buckets that cannot be compared: something in them changed after the checkpoint.',
  }),
});

const Cost = Type.Object({ requests: Type.Integer(), requestUnits: Type.Number() });

/** What `GET /api/sync/integrity` answers; with a `continuation` it is a part, to be added to the next. */
export const IntegrityAnswer = Type.Object({
  scope: Type.String(),
  collections: Type.Record(Collection, CollectionChecksum),
  continuation: NextPage,
  stats: Cost,
});
export type IntegrityAnswer = Static<typeof IntegrityAnswer>;

/** What `POST /api/sync/integrity` takes: the documents of some buckets, or some documents. */
export const IntegrityRequest = Type.Object(
  {
    scope: Type.Optional(Scope),
    collection: Collection,
    buckets: Type.Optional(Type.Array(Bucket, { minItems: 1, maxItems: 256, uniqueItems: true })),
    documentIds: Type.Optional(
      Type.Array(Type.String({ minLength: 1, maxLength: DOCUMENT_ID_MAX }), {
        minItems: 1,
        maxItems: 99,
        uniqueItems: true,
      }),
    ),
    continuation: Type.Optional(Continuation),
  },
  { additionalProperties: false },
);
export type IntegrityRequest = Static<typeof IntegrityRequest>;

export const IntegrityDocuments = Type.Object({
  versions: Type.Array(Type.Object({ documentId: Type.String(), version: Type.String() }), {
    description:
      'The live documents of the buckets. One that is listed twice was written meanwhile: the later counts.',
  }),
  documents: Type.Array(RemoteDocument, { description: 'The documents asked for by id.' }),
  continuation: NextPage,
  stats: Cost,
});
export type IntegrityDocuments = Static<typeof IntegrityDocuments>;
