import { Type, type Static } from 'typebox';

const Target = Type.Union([Type.Literal('user'), Type.Literal('device'), Type.Literal('token')]);
const until = Type.String({ maxLength: 40, description: 'Until when, RFC 3339; at most ten years ahead.' });
const reason = Type.String({ maxLength: 500, description: 'Why, for other administrators.' });

/** Body of `POST /api/manage/deny`: who is locked out, and until when. */
export const DenyRequest = Type.Object(
  {
    target: Target,
    userId: Type.Optional(
      Type.String({
        // The stored spelling, and no other: one that nobody has would lock out nobody.
        pattern: '^(?:[A-Za-z0-9._@-]|=[0-9A-F]{2}){1,200}$',
        maxLength: 200,
        description: 'For `user` and `device`: the user, as answers spell it in `userId`.',
      }),
    ),
    deviceId: Type.Optional(
      Type.String({ minLength: 1, maxLength: 64, description: 'For `device`: the device of that user.' }),
    ),
    tokenId: Type.Optional(
      Type.String({
        minLength: 1,
        maxLength: 400,
        description: 'For `token`: the `jti` of the bearer token, or `uti` as Microsoft Entra ID names it.',
      }),
    ),
    until,
    reason: Type.Optional(reason),
  },
  { additionalProperties: false },
);
export type DenyRequest = Static<typeof DenyRequest>;

/** An entry of the deny list. */
export const DenyEntry = Type.Object({
  id: Type.String({ description: 'Names the entry; the same target has the same id.' }),
  target: Target,
  userId: Type.Optional(Type.String()),
  deviceId: Type.Optional(Type.String()),
  tokenId: Type.Optional(Type.String()),
  until,
  reason: Type.Optional(reason),
  by: Type.String({ description: 'The administrator who made it.' }),
  at: Type.String({ description: 'When it was made, RFC 3339.' }),
});
export type DenyEntry = Static<typeof DenyEntry>;

/** What `GET /api/manage/denied` answers. */
export const DenyListResponse = Type.Object({ entries: Type.Array(DenyEntry) });
export type DenyListResponse = Static<typeof DenyListResponse>;

/** Body of `POST /api/manage/allow`: the entry of the deny list that ends now. */
export const AllowRequest = Type.Object(
  { id: Type.String({ pattern: '^[A-Za-z0-9_-]{1,100}$', description: 'Of the entry.' }) },
  { additionalProperties: false },
);
export type AllowRequest = Static<typeof AllowRequest>;

/** What `POST /api/manage/allow` answers. */
export const AllowResponse = Type.Object({ id: Type.String() });

/** A line of the audit. It never holds a token. */
export const AuditEntry = Type.Object({
  id: Type.String(),
  at: Type.String({ description: 'When it happened, the last time where it did several times, RFC 3339.' }),
  event: Type.Union(
    [
      Type.Literal('mint'),
      Type.Literal('refused'),
      Type.Literal('denied'),
      Type.Literal('deny'),
      Type.Literal('allow'),
    ],
    {
      description:
        '`mint`: a resource token was made. `refused`: a request was. `denied`: it was, by the deny list. `deny`, `allow`: an administrator changed that list.',
    },
  ),
  userId: Type.String({ description: 'Who; `~nobody` where that was not proven.' }),
  code: Type.Optional(Type.String({ description: 'Of the refusal.' })),
  operation: Type.Optional(Type.String({ description: 'What was called.' })),
  from: Type.Optional(Type.String({ description: 'The address that the platform saw.' })),
  scope: Type.Optional(Type.String()),
  mode: Type.Optional(Type.String()),
  expiresAt: Type.Optional(Type.String({ description: 'When the resource token ends.' })),
  tokenId: Type.Optional(Type.String({ description: 'Of the bearer token, to lock out.' })),
  deviceId: Type.Optional(Type.String({ description: 'As the caller named it.' })),
  entry: Type.Optional(Type.String({ description: 'Of the deny list.' })),
  count: Type.Integer({ description: 'How many of the same kind this line stands for.' }),
});
export type AuditEntry = Static<typeof AuditEntry>;

/** The query of `GET /api/manage/audit`. */
export const AuditQuery = Type.Object(
  {
    userId: Type.Optional(
      Type.String({
        minLength: 1,
        maxLength: 400,
        description:
          'Only lines of this user, as answers spell it; `~nobody` for callers who proved nothing.',
      }),
    ),
    limit: Type.Optional(
      Type.Integer({ minimum: 1, maximum: 200, description: 'Lines of a page; 50 by default.' }),
    ),
    continuation: Type.Optional(
      Type.String({ minLength: 1, maxLength: 8192, description: 'From the page before.' }),
    ),
  },
  { additionalProperties: false },
);
export type AuditQuery = Static<typeof AuditQuery>;

/** What `GET /api/manage/audit` answers, newest first. */
export const AuditResponse = Type.Object({
  entries: Type.Array(AuditEntry),
  continuation: Type.Union([Type.String(), Type.Null()], {
    description: 'Send it for the page behind; null: there is none.',
  }),
});
export type AuditResponse = Static<typeof AuditResponse>;
