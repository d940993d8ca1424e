import { Type, type Static } from 'typebox';
import { DEVICE_ID_PATTERN } from './ids.ts';
import { Continuation, NextPage, PageLimit } from './paging.ts';

/** One sync, as the operation log tells of it. */
export const OperationEntry = Type.Object({
  id: Type.String(),
  at: Type.String({ description: 'When it ended, RFC 3339.' }),
  userId: Type.String(),
  deviceId: Type.Union([Type.String({ pattern: DEVICE_ID_PATTERN }), Type.Null()]),
  requestId: Type.String({ description: 'The `x-request-id` of the request.' }),
  result: Type.String({ description: '`ok`, or the code of the error that refused the request.' }),
  milliseconds: Type.Number(),
  changes: Type.Union([
    Type.Object({
      applied: Type.Integer(),
      merged: Type.Integer(),
      skipped: Type.Integer(),
      duplicate: Type.Integer(),
      rejected: Type.Integer(),
      failed: Type.Integer(),
    }),
    Type.Null(),
  ]),
  documents: Type.Union([Type.Integer({ description: 'Documents in the delta.' }), Type.Null()]),
  conflicts: Type.Union([Type.Integer(), Type.Null()]),
  scopes: Type.Union([Type.Integer({ description: 'How many scopes were synced.' }), Type.Null()]),
  requests: Type.Union([Type.Integer({ description: 'Requests sent to Cosmos DB.' }), Type.Null()]),
  requestUnits: Type.Union([Type.Number(), Type.Null()]),
});
export type OperationEntry = Static<typeof OperationEntry>;

/** The parameters of `GET /api/sync/operations`. */
export const OperationQuery = Type.Object(
  {
    userId: Type.Optional(
      Type.String({
        minLength: 1,
        maxLength: 200,
        description: 'For administrators: the syncs of this user only.',
      }),
    ),
    limit: Type.Optional(PageLimit),
    continuation: Type.Optional(Continuation),
  },
  { additionalProperties: false },
);
export type OperationQuery = Static<typeof OperationQuery>;

/** What `GET /api/sync/operations` answers: newest first. */
export const OperationPage = Type.Object({
  operations: Type.Array(OperationEntry),
  continuation: NextPage,
});
export type OperationPage = Static<typeof OperationPage>;
