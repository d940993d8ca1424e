import { Type, type Static } from 'typebox';
import { COLLECTION_PATTERN, DOCUMENT_ID_MAX, SCOPE_PATTERN } from './ids.ts';
import { Continuation, NextPage, PageLimit } from './paging.ts';
import { ChangeError, OUTCOMES, RemoteDocument } from './sync.ts';

/** The logs of conflicts and of deletions: what was lost, who did it, when. */

const nullable = <T extends ReturnType<typeof Type.String>>(schema: T) => Type.Union([schema, Type.Null()]);
const Text = Type.String();
const Json = Type.Record(Type.String(), Type.Unknown());

/** The parameters of `GET /api/sync/conflicts` and of `GET /api/sync/deletions`. */
export const RecordQuery = Type.Object(
  {
    scope: Type.Optional(
      Type.String({
        pattern: SCOPE_PATTERN,
        description: 'Only this scope; otherwise all that the token grants, one after the other.',
      }),
    ),
    collection: Type.Optional(
      Type.String({ pattern: COLLECTION_PATTERN, description: 'Only this collection.' }),
    ),
    documentId: Type.Optional(
      Type.String({ minLength: 1, maxLength: DOCUMENT_ID_MAX, description: 'Only documents of this id.' }),
    ),
    limit: Type.Optional(PageLimit),
    continuation: Type.Optional(Continuation),
  },
  { additionalProperties: false },
);
export type RecordQuery = Static<typeof RecordQuery>;

/** One of the two versions that met. */
export const ConflictVersion = Type.Object({
  side: Type.Enum(['stored', 'incoming']),
  type: Type.Enum(['upsert', 'patch', 'delete'], {
    description: 'What `data` is: a whole document, or a patch.',
  }),
  data: Type.Union([Json, Type.Null()], {
    description: 'Null for a delete, and where it was too large to be kept.',
  }),
  lastModified: nullable(Text),
  userId: nullable(Text),
  deviceId: nullable(Text),
  seq: Type.Union([Type.Integer(), Type.Null()]),
});
export type ConflictVersion = Static<typeof ConflictVersion>;

const Restored = Type.Union([Type.Object({ at: Text, userId: Text }), Type.Null()], {
  description: 'When and by whom a version of it was put back.',
});

export const ConflictEntry = Type.Object({
  id: Type.String({ description: 'For `restore`. Unique in the scope.' }),
  scope: Text,
  collection: Text,
  documentId: Text,
  at: nullable(Text),
  userId: nullable(Type.String({ description: 'Whose change met the stored version.' })),
  deviceId: nullable(Text),
  strategy: nullable(Text),
  outcome: Type.Union([Type.Enum([...OUTCOMES]), Type.Null()], {
    description: 'What became of that change.',
  }),
  lost: ConflictVersion,
  kept: Type.Union([ConflictVersion, Type.Null()], { description: 'Null: nothing was stored.' }),
  bothLost: Type.Boolean({ description: 'A merge: some of `kept` was lost, too.' }),
  base: Type.Union([Json, Type.Null()], {
    description: 'What the edit was made on, where the client told it.',
  }),
  restored: Restored,
});
export type ConflictEntry = Static<typeof ConflictEntry>;

export const ConflictPage = Type.Object({ conflicts: Type.Array(ConflictEntry), continuation: NextPage });
export type ConflictPage = Static<typeof ConflictPage>;

/** What `POST /api/sync/conflicts/{id}/restore` takes. */
export const RestoreRequest = Type.Object(
  {
    scope: Type.Optional(
      Type.String({ pattern: SCOPE_PATTERN, description: 'Of the conflict; otherwise the own one.' }),
    ),
    version: Type.Optional(
      Type.Enum(['lost', 'kept'], { description: 'Which version to put back; `lost` where it is not said.' }),
    ),
    baseVersion: Type.Optional(
      Type.String({
        minLength: 1,
        maxLength: 400,
        description:
          'The version of the document that the user looked at. Without it, what is replaced goes to the conflict log.',
      }),
    ),
  },
  { additionalProperties: false },
);
export type RestoreRequest = Static<typeof RestoreRequest>;

export const RestoreAnswer = Type.Object({
  status: Type.Enum([...OUTCOMES, 'duplicate'], {
    description:
      '`applied`: it is stored. `merged`: as far as the rules of its fields allow. `duplicate`: it was restored before. `skipped`: what is stored stays. `rejected`: the document may not be so.',
  }),
  document: RemoteDocument,
  restored: Restored,
  error: Type.Optional(ChangeError),
});
export type RestoreAnswer = Static<typeof RestoreAnswer>;

export const DeletionEntry = Type.Object({
  id: Text,
  scope: Text,
  collection: Text,
  documentId: Text,
  at: nullable(Text),
  userId: nullable(Type.String({ description: 'Who deleted it.' })),
  deviceId: nullable(Text),
  data: Json,
});
export type DeletionEntry = Static<typeof DeletionEntry>;

export const DeletionPage = Type.Object({ deletions: Type.Array(DeletionEntry), continuation: NextPage });
export type DeletionPage = Static<typeof DeletionPage>;
