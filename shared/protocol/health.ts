import { Type, type Static } from 'typebox';

/** What `GET /api/health` answers: the process runs. It says nothing else, because anybody may ask. */
export const Health = Type.Object({ status: Type.Literal('ok') });
export type Health = Static<typeof Health>;

/** What became of trying one thing that the service leans on. */
export const DependencyCheck = Type.Object({
  name: Type.String(),
  ok: Type.Boolean(),
  milliseconds: Type.Integer(),
  detail: Type.Optional(Type.String({ description: 'What went wrong.' })),
});
export type DependencyCheck = Static<typeof DependencyCheck>;

/** What `GET /api/ready` answers when all of it works. Otherwise the problem document carries the same `checks`. */
export const Readiness = Type.Object({
  status: Type.Literal('ready'),
  checks: Type.Array(DependencyCheck),
});
export type Readiness = Static<typeof Readiness>;
