import { Type, type Static } from 'typebox';

/** A refused request: RFC 9457, with the stable `code` of docs/errors.md. */
export const Problem = Type.Object({
  type: Type.String(),
  title: Type.String(),
  status: Type.Integer(),
  code: Type.String(),
  detail: Type.Optional(Type.String()),
  pointer: Type.Optional(Type.String({ description: 'JSON Pointer into the request body.' })),
  requestId: Type.String(),
});
export type Problem = Static<typeof Problem>;
