import { Type, type Static } from 'typebox';
import { DependencyCheck } from './health.ts';

/** A refused request: RFC 9457, with the stable `code` of docs/errors.md. */
export const Problem = Type.Object({
  type: Type.String(),
  title: Type.String(),
  status: Type.Integer(),
  code: Type.String(),
  detail: Type.Optional(Type.String()),
  pointer: Type.Optional(Type.String({ description: 'JSON Pointer into the request body.' })),
  requestId: Type.String(),
  checks: Type.Optional(
    Type.Array(DependencyCheck, { description: 'With `not_ready`: what was tried, and what became of it.' }),
  ),
});
export type Problem = Static<typeof Problem>;
